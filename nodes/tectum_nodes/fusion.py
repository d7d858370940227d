"""The fusion node: aligns, encodes and fuses, each result by its deadline or with the reason.

Outputs: `result` (schema in docs/results.md, one message per trigger; of several heads each has one
of its own name), `ledger` (closed rows and
notes), `journal` (what the pipeline took up, before orders are carried out) and `health` (twice a
second). Beside them it leaves, in the run's directory, `<node>.ledger` (the latest rows, for
`tectum why`) and `<node>.report.json` (the report's core, once a second and at the end).
All decisions are the pipeline's; this file moves bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, ClassVar

from pydantic import Field

from tectum.clock import NS_PER_MS
from tectum.inference.placement import placement_lines
from tectum.inference.sessions import Sessions
from tectum.inference.stage import OutputSpec, Stage
from tectum.inference.stages import build_stage
from tectum.message import Kind, Message
from tectum.node.base import Context, Node, NodeConfig
from tectum.node.failures import FailureLog
from tectum.node.faulty_inputs import FaultyInputs, Inputs
from tectum.node.lanes import Lanes
from tectum.node.run_faults import input_faults
from tectum.node.shell import Shell
from tectum.pipeline.plan import Plan, plan_from
from tectum.sync.stream import NEVER_NS
from tectum.transport.base import Received
from tectum_nodes.fusion_desk import Desk

__all__ = ["FusionNode"]

_LONGEST_WAIT_NS = 50 * NS_PER_MS


class FusionConfig(NodeConfig):
    """What launch compiles a fusion node of a graph file to."""

    plan: dict[str, Any]
    """`tectum.pipeline.plan.plan_document` of the node's plan."""
    stages: dict[str, dict[str, Any]]
    """Stage name -> spec for `tectum.inference.stages.build_stage`."""
    rig: dict[str, Any] | None = None
    """The graph's rig: intrinsics, extrinsics."""
    device: dict[str, Any] = Field(default_factory=dict)
    """`prefer`, `require`, `options`, `threads`, `spinning`."""


class FusionNode(Node):
    """A pipeline in its shell, on the wire."""

    Config = FusionConfig
    outputs: ClassVar[Mapping[str, Kind]] = {
        "result": Kind.RESULT,
        "ledger": Kind.LEDGER,
        "journal": Kind.JOURNAL,
        "health": Kind.HEALTH,
    }
    on_exit: ClassVar[str] = "stop"

    config: FusionConfig

    def __init__(self, config: FusionConfig) -> None:
        """Read the plan."""
        super().__init__(config)
        self.plan = plan_from(config.plan)
        self._inputs: dict[str, list[str]] = {}
        for item in self.plan.inputs:
            self._inputs.setdefault(item.topic, []).append(item.name)
        self._stages: dict[str, Stage] = {}
        self._lanes: Lanes | None = None
        self._exit = ExitStack()

    @classmethod
    def outputs_of(cls, config: FusionConfig) -> Mapping[str, Kind]:
        """Return the answers of each head, and what the node says of itself."""
        answers = dict.fromkeys(plan_from(config.plan).answers.values(), Kind.RESULT)
        return answers | {name: kind for name, kind in cls.outputs.items() if name != "result"}

    @classmethod
    def topics_of(cls, config: FusionConfig) -> tuple[str, ...]:
        """Return the topics of the plan's inputs."""
        return tuple(dict.fromkeys(item.topic for item in plan_from(config.plan).inputs))

    def open(self, context: Context) -> None:
        """Load the models, subscribe, and warm every stage up."""
        self._stages = build_stages(self.plan, self.config)
        self._subscriber = context.subscribe(self.topics_of(self.config))
        self._lanes = Lanes(self.plan.lanes, context.clock, on_done=self._run_ended)
        self._desk = Desk(context, self.plan, self._stages)
        self._exit.callback(self._desk.close)
        self._shell = Shell(
            self.plan,
            self._stages,
            self._lanes,
            context.clock,
            self._desk,
            on_failure=FailureLog(context.log, context.clock).add,
        )
        self._heard_by: Inputs = self._shell
        self._desk.shell = self._shell
        medians = self._shell.measure()
        for line in placement_lines(self._stages.values(), self.config.device):
            context.log.info("%s", line)
        context.log.info("stages warmed up: %s", _medians_text(medians))

    def run(self, context: Context) -> None:
        """Drain, turn, wait; until the triggers end or the graph stops."""
        for output in self.plan.answers.values():
            context.latch(output, self._desk.constants())
        self._desk.begin()
        faulty = self._with_faults(context)
        wake_ns = context.clock.now_ns()
        while not context.stopping and not self._shell.pipeline.done:
            now_ns = context.clock.now_ns()
            self._subscriber.wait(max(0, min(wake_ns - now_ns, _LONGEST_WAIT_NS)))
            with self._shell.turn_lock:  # lanes deliver through the same publisher
                for received in self._subscriber.drain():
                    self._take(received)
                due_ns = faulty.turn() if faulty else NEVER_NS
                wake_ns = min(due_ns, self._shell.turn())
                context.serve(context.clock.now_ns())
                self._desk.report_now_and_then(self._subscriber)
        if faulty:
            faulty.close()
        self._shell.stop()
        self._desk.report(self._subscriber)

    def close(self) -> None:
        """Stop the lanes, then give back what they used."""
        if self._lanes is not None:
            self._lanes.close()
        for stage in self._stages.values():
            stage.close()
        self._exit.close()

    def _with_faults(self, context: Context) -> FaultyInputs | None:
        """Put the faults of the run, where it has some for this node, before the shell."""
        faults = input_faults(context.run, context.name, context.epoch_ns)
        if not faults:
            return None
        faulty = FaultyInputs(faults, self._shell, context.clock)
        self._heard_by = faulty
        return faulty

    def _run_ended(self) -> None:
        """Go on in the lane's thread, and leave the rest to the loop."""
        if self._shell.run_ended():
            self._subscriber.wake()

    def _take(self, received: Received) -> None:
        if received.gap is not None:
            gap = received.gap
            for name in self._inputs.get(gap.topic, ()):
                cause = gap.cause or "transport"
                self._heard_by.miss(name, gap.incarnation, gap.first_seq, gap.missing, cause)
        message = received.message
        if message is not None:
            names = self._inputs.get(message.header.topic, ())
            for _ in names[1:]:
                message.retain()  # each input gives it back once
            for name in names:
                self._take_message(name, message)

    def _take_message(self, name: str, message: Message) -> None:
        header = message.header
        if header.kind is Kind.PROMISE:
            begun = bool(header.fields.get("begun", False))
            self._heard_by.promise(name, header.stamp_ns, begun=begun)
        elif header.kind is Kind.END:
            self._heard_by.end(name)
        elif header.kind is not Kind.LATCHED:
            self._heard_by.push(name, message)


def build_stages(plan: Plan, config: FusionConfig) -> dict[str, Stage]:
    """Return the stages of a plan: the encoders, then the heads, which are told what they give."""
    stages: dict[str, Stage] = {}
    sessions = Sessions()
    given: dict[str, tuple[OutputSpec, ...]] = {}
    for item in plan.inputs:
        given[item.name] = ()
        if item.encoder:
            stages[item.encoder] = build_stage(
                config.stages[item.encoder],
                name=item.encoder,
                inputs=[item.name],
                rig=config.rig,
                device=config.device,
                sessions=sessions,
            )
            given[item.name] = stages[item.encoder].outputs
    for head in plan.all_heads:
        stages[head.stage] = build_stage(
            config.stages[head.stage],
            name=head.stage,
            inputs={name: specs for name, specs in given.items() if name in head.inputs},
            rig=config.rig,
            device=config.device,
            sessions=sessions,
        )
    return stages


def _medians_text(medians: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {took / NS_PER_MS:.1f} ms" for name, took in medians.items())
