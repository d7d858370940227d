"""What the parts of a pipeline share: inputs, open sets, runs, leases, and the orders being made.

The parts (triggering, committing, losing, computing, hopping, looking ahead) each decide one thing
and change these books; the pipeline calls them in turn. Here is only what several of them do: let
a set use a run or stop using it, free what nobody needs, note what changed.
"""

from __future__ import annotations

from collections import deque

from tectum.budget.latency import LatencyModel
from tectum.budget.planner import Planner
from tectum.errors import ContractError
from tectum.ledger.row import InputRow, Status
from tectum.message import SampleRef
from tectum.pipeline.head import heads_of
from tectum.pipeline.opened import OpenSet
from tectum.pipeline.orders import Note, Order, Picked
from tectum.pipeline.plan import Plan, StagePlan
from tectum.pipeline.port import Port
from tectum.pipeline.runs import Leases, Run, Runs
from tectum.sync.base import Pick
from tectum.sync.stream import NEVER_NS, TRIGGER_SILENCE_NS

__all__ = ["Books", "picked"]


class Books:
    """The state of one pipeline."""

    __slots__ = (
        "by_name",
        "dirty",
        "heads",
        "leases",
        "model",
        "now_ns",
        "open",
        "orders",
        "plan",
        "planner",
        "ports",
        "runs",
        "started_ns",
        "stopped",
        "trigger",
        "triggers",
        "usable_ns",
    )

    def __init__(self, plan: Plan) -> None:
        """Open the books of `plan` with nothing in them."""
        self.plan = plan
        self.model = LatencyModel()
        self.ports = [
            Port(i, item, plan.stage(item.encoder) if item.encoder else None)
            for i, item in enumerate(plan.inputs)
        ]
        self.by_name = {port.plan.name: port for port in self.ports}
        self.trigger = self.by_name.get(plan.trigger)
        """The input whose messages ask for results; None where a rate does."""
        asking = (plan.trigger, *plan.also_trigger)
        self.triggers = tuple([self.by_name[name] for name in asking if name in self.by_name])
        """All such inputs; the first is `trigger`."""
        for port in self.triggers:
            port.raw.least_silence_ns = TRIGGER_SILENCE_NS
            port.raw.usable_ns = plan.budget_ns or NEVER_NS
        self.heads = heads_of(plan)
        """What each trigger asks, in the order of the plan."""
        self.leases = Leases()
        self.runs = Runs(plan.lanes, self.leases)
        self.planner = Planner(plan, self.heads, self.ports, self.model)
        self.usable_ns = self.planner.usable_ns()
        """`Planner.usable_ns` of all inputs, as of when the pipeline last tidied up."""
        self.open: deque[OpenSet] = deque()
        """In acceptance order; those of one trigger in the order of its heads."""
        self.orders: list[Order] = []
        """Those that follow from the event being taken up."""
        self.now_ns = self.started_ns = 0
        self.stopped = False
        self.dirty = False
        """Something was learned that the next tick has to look at."""

    def port(self, name: str) -> Port:
        """Return the input called `name`.

        Raises:
            ContractError: there is none.
        """
        port = self.by_name.get(name)
        if port is None:
            known = ", ".join(self.by_name)
            msg = f"'{name}' is no input of '{self.plan.name}' (inputs: {known})"
            raise ContractError(msg)
        return port

    def hear(self, port: Port, fact: str) -> None:
        """Apply `heard`, `hush` or `ended` to an input, and note what changed."""
        change = port.raw.hear(fact)
        if change:
            self.dirty = True
            self.note(port, change, port.raw.heard_ns)

    def note(self, port: Port, change: str, detail_ns: int) -> None:
        """Order a note about an input."""
        self.orders.append(Note(self.now_ns, port.plan.name, change, detail_ns))

    def patience_ns(self, opened: OpenSet) -> int:
        """Return until when an answer is of use: a late one, where wanted, one budget longer."""
        more_ns = opened.by.budget_ns if self.plan.late == "deliver" else 0
        return min(opened.deadline_ns + more_ns, NEVER_NS)

    # -- runs of a set

    def start(self, lane: int, port: Port, stage: StagePlan, level: int, arg: Picked) -> Run:
        """Run an input's encoder on a lane, in the variant of that level."""
        variant = stage.variants[level]
        expected_ns = self.model.of(stage.name, variant).typical_ns
        state = port.hop_state.id if port.hop_state and stage.stateful else -1
        return self.runs.start(
            self.now_ns, lane, stage.name, variant, (arg,), expected_ns, self.orders, state
        )

    def known_run(self, port: Port, arg: Picked) -> Run | None:
        """Return the run that already encodes these samples, to be shared."""
        if port.encoder is None:
            return None
        return self.runs.by_key.get((port.encoder.name, (arg,)))

    def use(self, opened: OpenSet, port: Port, run: Run) -> None:
        """Let the set share a run of this input's encoder."""
        self.runs.hold(run)
        opened.runs[port.index] = run
        item = opened.items[port.index]
        item.variant = run.variant
        item.encode_begin_ns, item.encode_end_ns = run.begun_ns, run.ended_ns
        if port.encoder is not None and run.variant != port.encoder.variants[0]:
            self.degrade(opened)
        if run.ok:
            self.keep(port, item, run)

    def degrade(self, opened: OpenSet) -> None:
        """Say that a set is computed in a cheaper variant, and which stage made that necessary."""
        opened.flag("degraded")
        opened.row.blame = opened.row.blame or self.slowed(opened) or self.planner.costliest(opened)

    def slowed(self, opened: OpenSet) -> str:
        """Return the stage that takes most beyond what it should; empty: none takes much more."""
        return self.planner.slowed(self.now_ns, self.runs.all.values(), opened.by.budget_ns)

    def keep(self, port: Port, item: InputRow, run: Run) -> None:
        """Keep the newest embedding of an input: later sets may share it, or want it cached."""
        if item.status is not Status.FRESH or port.cached is run:
            return
        if port.cached is not None and item.stamp_ns < port.cached_at_ns:
            return
        self.forget_cached(port)
        self.runs.hold(run)
        port.cached, port.cached_at_ns = run, item.stamp_ns

    def forget_cached(self, port: Port) -> None:
        """Drop the embedding that was kept, if any."""
        if port.cached is not None:
            self.give_up(port.cached)
            port.cached = None

    def use_cached(self, opened: OpenSet, port: Port) -> None:
        """Let the embedding of an earlier sample stand in; the reason why stays."""
        assert port.cached is not None
        item = opened.items[port.index]
        self.unuse(opened, port.index)
        item.status, item.stamp_ns = Status.CACHED, port.cached_at_ns
        item.distance_ns = port.cached_at_ns - opened.t_ns
        self.use(opened, port, port.cached)

    def unuse(self, opened: OpenSet, index: int) -> None:
        """Let the set give up its run; cancel it when nobody else wants it."""
        run = opened.runs[index]
        if run is not None:
            opened.runs[index] = None
            self.give_up(run)

    def unpin(self, opened: OpenSet, index: int) -> None:
        """Let the set give up its samples of one input."""
        pick = opened.picks[index]
        if pick is None:
            return
        opened.picks[index] = opened.args[index] = None
        if pick.run < 0:
            self.leases.unpin(pick.refs, self.orders)

    def give_up(self, run: Run) -> None:
        """Stop holding a run; cancel it when nobody else wants it."""
        self.runs.let_go(run, self.orders)
        if run.holders == 0 and not run.finished:
            self.runs.cancel(self.now_ns, run, self.orders)

    def release(self, freed: list[SampleRef | int]) -> None:
        """Free what a stream let go of, as soon as nobody uses it."""
        self.leases.release([what for what in freed if not isinstance(what, int)], self.orders)
        for what in freed:
            if isinstance(what, int):
                self.runs.let_go(self.runs.all[what], self.orders)


def picked(port: Port, pick: Pick) -> Picked:
    """Return the argument that stands for a pick."""
    return Picked(port.plan.name, pick.refs, pick.begin, pick.length, pick.weight_ppm)
