"""The fusion node: aligns, encodes and fuses, each result by its deadline or with the reason.

Outputs: `result` (schema in docs/results.md, one message per trigger), `ledger` (closed rows and
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

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.inference.placement import placement_lines
from tectum.inference.sessions import Sessions
from tectum.inference.stage import OutputSpec, Stage, StageOutput
from tectum.inference.stages import build_stage
from tectum.ledger.came import came
from tectum.ledger.codec import row_document
from tectum.ledger.row import Row
from tectum.ledger.tally import Tally
from tectum.message import Kind, Message, Value
from tectum.node.base import Context, Node, NodeConfig
from tectum.node.failures import FailureLog
from tectum.node.lanes import Lanes
from tectum.node.result import ResultMaker, result_arrays
from tectum.node.shell import Shell
from tectum.pipeline.events import Event
from tectum.pipeline.orders import Note
from tectum.pipeline.plan import Plan, plan_document, plan_from
from tectum.recording.journal import JournalEncoder
from tectum.transport.base import Received, Subscriber
from tectum_nodes.fusion_files import LedgerFile, ReportFile

__all__ = ["FusionNode"]

_HEALTH_EVERY_NS = 500 * NS_PER_MS
_REPORT_EVERY_NS = NS_PER_S
_LONGEST_WAIT_NS = 50 * NS_PER_MS
_MOST_CAME = 256
"""Arrivals that are kept for the ledger's file while no row is closed."""


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
    def topics_of(cls, config: FusionConfig) -> tuple[str, ...]:
        """Return the topics of the plan's inputs."""
        return tuple(dict.fromkeys(item.topic for item in plan_from(config.plan).inputs))

    def open(self, context: Context) -> None:
        """Load the models, subscribe, and warm every stage up."""
        self._stages = build_stages(self.plan, self.config)
        self._subscriber = context.subscribe(self.topics_of(self.config))
        self._lanes = Lanes(self.plan.lanes, context.clock, on_done=self._subscriber.wake)
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
        self._desk.shell = self._shell
        medians = self._shell.measure()
        for line in placement_lines(self._stages.values(), self.config.device):
            context.log.info("%s", line)
        context.log.info("stages warmed up: %s", _medians_text(medians))

    def run(self, context: Context) -> None:
        """Drain, turn, wait; until the triggers end or the graph stops."""
        context.latch("result", self._desk.constants())
        wake_ns = context.clock.now_ns()
        while not context.stopping and not self._shell.pipeline.done:
            now_ns = context.clock.now_ns()
            self._subscriber.wait(max(0, min(wake_ns - now_ns, _LONGEST_WAIT_NS)))
            for received in self._subscriber.drain():
                self._take(received)
            wake_ns = self._shell.turn()
            context.serve(context.clock.now_ns())
            self._desk.report_now_and_then(self._subscriber)
        self._shell.stop()
        self._desk.report(self._subscriber)

    def close(self) -> None:
        """Stop the lanes, then give back what they used."""
        if self._lanes is not None:
            self._lanes.close()
        for stage in self._stages.values():
            stage.close()
        self._exit.close()

    def _take(self, received: Received) -> None:
        if received.gap is not None:
            gap = received.gap
            for name in self._inputs.get(gap.topic, ()):
                cause = gap.cause or "transport"
                self._shell.miss(name, gap.incarnation, gap.first_seq, gap.missing, cause)
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
            self._shell.promise(name, header.stamp_ns, begun=begun)
        elif header.kind is Kind.END:
            self._shell.end(name)
        elif header.kind is not Kind.LATCHED:
            self._shell.push(name, message)


class Desk:
    """Where results, rows and the journal leave the fusion node, and its books are kept."""

    def __init__(self, context: Context, plan: Plan, stages: Mapping[str, Stage]) -> None:
        """Open the ledger and report files in the run's directory."""
        self.shell: Shell
        self._context = context
        self._plan = plan
        self._maker = ResultMaker(plan, stages)
        self._journal = JournalEncoder()
        self._tally = Tally(plan)
        self._ledger = LedgerFile(context.folder / f"{context.name}.ledger", plan)
        self._report = ReportFile(context.folder / f"{context.name}.report.json")
        self._came: dict[str, list[list[int]]] = {}
        self._next_health_ns = self._next_report_ns = 0

    def constants(self) -> dict[str, Value]:
        """Return what never changes: the plan and the models' hashes, for recordings and tools."""
        return {
            "fact": "plan",
            "plan": plan_document(self._plan),
            "models": dict(self._maker.models),
        }

    def deliver(self, row: Row, answer: StageOutput | None) -> None:
        """Send one result."""
        document = self._maker.document(row, answer)
        self._context.publish(
            "result",
            Kind.RESULT,
            result_arrays(answer),
            stamp_ns=row.stamp_ns,
            span_ns=row.span_ns,
            fields={"result": document},
        )

    def close(self) -> None:
        """Close the ledger file."""
        self._ledger.close()

    def close_row(self, row: Row) -> None:
        """Write a final row to the ledger, and to its file also what came since the last one."""
        self._tally.add(row)
        document = row_document(row)
        self._ledger.add({"row": document, "came": self._came})
        self._came = {}
        self._publish_ledger(row.stamp_ns, rows=[document], notes=[])

    def note(self, note: Note) -> None:
        """Write a note to the ledger, and say it where a person should know."""
        document: dict[str, Value] = note._asdict()
        self._ledger.add({"note": document})
        self._publish_ledger(note.now_ns, rows=[], notes=[document])
        if note.change in ("silent", "never_heard", "revived", "clock_step"):
            self._context.log.warning("input %s: %s", note.input, note.change.replace("_", " "))

    def journal(self, events: list[Event]) -> None:
        """Write events to the journal."""
        for name, samples in came(events, self._plan).items():
            self._came.setdefault(name, []).extend(samples)
        if sum(map(len, self._came.values())) > _MOST_CAME:
            self._ledger.add({"came": self._came})
            self._came = {}
        self._context.publish(
            "journal",
            Kind.JOURNAL,
            stamp_ns=events[-1].now_ns,
            fields=self._journal.batch(events),
        )

    def report_now_and_then(self, subscriber: Subscriber) -> None:
        """Send health twice a second; write the report once a second."""
        now_ns = self._context.clock.now_ns()
        if now_ns >= self._next_health_ns:
            self._next_health_ns = now_ns + _HEALTH_EVERY_NS
            health = {"state": "running", **self._document(subscriber), **self._listening()}
            self._context.publish("health", Kind.HEALTH, stamp_ns=now_ns, fields=health)
        if now_ns >= self._next_report_ns:
            self._next_report_ns = now_ns + _REPORT_EVERY_NS
            self.report(subscriber)

    def report(self, subscriber: Subscriber) -> None:
        """Write the report's core to the run's directory."""
        self._report.write(self._document(subscriber))

    def _document(self, subscriber: Subscriber) -> dict[str, Value]:
        transport = subscriber.counters()
        unexplained = 0
        for counts in transport.values():
            lost = counts.get("unexplained", 0)
            unexplained += lost if isinstance(lost, int) else 0
        document = self._tally.document(
            counters=self.shell.pipeline.counters(),
            digest=self.shell.pipeline.digest.hexdigest(),
            unexplained=unexplained,
        )
        document["transport"] = transport
        return document

    def _listening(self) -> dict[str, Value]:
        states = self.shell.pipeline.listening()
        return {"listening": {name: list(state) for name, state in states.items()}}

    def _publish_ledger(self, stamp_ns: int, *, rows: list[Value], notes: list[Value]) -> None:
        fields: dict[str, Value] = {"rows": rows, "notes": notes}
        self._context.publish("ledger", Kind.LEDGER, stamp_ns=stamp_ns, fields=fields)


def build_stages(plan: Plan, config: FusionConfig) -> dict[str, Stage]:
    """Return the stages of a plan: the encoders, then the head, which is told what they give."""
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
    stages[plan.head] = build_stage(
        config.stages[plan.head],
        name=plan.head,
        inputs=given,
        rig=config.rig,
        device=config.device,
        sessions=sessions,
    )
    return stages


def _medians_text(medians: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {took / NS_PER_MS:.1f} ms" for name, took in medians.items())
