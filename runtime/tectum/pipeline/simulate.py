"""Simulation: arrivals and durations in, rows out. No clock, no thread, no payload.

A discrete-event loop around a `Pipeline`: the log is the clock, every computation takes what a
table says. The result is a function of (plan, arrivals, durations) alone.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from tectum.ledger.row import Row
from tectum.pipeline.events import Delivered, Ended, Event, Finished, Tick
from tectum.pipeline.line import Line
from tectum.pipeline.orders import Cancel, Close, Emit, Note, Of, Order, Start
from tectum.pipeline.pipeline import Pipeline
from tectum.pipeline.plan import Plan

__all__ = ["Durations", "Simulation", "fixed_durations", "simulate"]

Durations = Callable[[Start], int]
"""How long a run takes, in ns; negative: it fails after that long."""


@dataclass(slots=True)
class Simulation:
    """What a simulation gave."""

    rows: list[Row] = field(default_factory=list)
    """Closed rows, in acceptance order."""
    notes: list[Note] = field(default_factory=list)
    journal: list[Event] = field(default_factory=list)
    digest: str = ""
    counters: dict[str, dict[str, int]] = field(default_factory=dict)


def fixed_durations(table: dict[str, int], otherwise_ns: int = 1_000_000) -> Durations:
    """Return durations by stage, or by `stage/variant` where that is given."""

    def duration(start: Start) -> int:
        per_variant = table.get(f"{start.stage}/{start.variant}")
        return per_variant if per_variant is not None else table.get(start.stage, otherwise_ns)

    return duration


def simulate(
    plan: Plan,
    arrivals: Iterable[Event],
    durations: Durations,
    *,
    delivery_ns: int = 0,
    cancels: bool = True,
    orders_to: Callable[[Order], None] | None = None,
    journal: bool = True,
) -> Simulation:
    """Run `arrivals` (events in time order) through a pipeline and return what it decided.

    Args:
        plan: the fusion node.
        arrivals: Arrived, Promised, Ended, Missed, Measured and Stopped events; `now_ns` ascends.
            After the last one every input has ended.
        durations: how long each run takes.
        delivery_ns: how long each delivery takes.
        cancels: whether a cancelled run ends at once, as a model's does, or goes its whole way, as
            code that hangs or cannot be stopped would.
        orders_to: called with every order, for tests and tools.
        journal: whether all events are kept; of a long recording they need much memory.
    """
    simulator = _Simulator(plan, durations, delivery_ns, cancels, orders_to)
    simulator.keeps_journal = journal
    return simulator.run(arrivals)


class _Simulator:
    def __init__(
        self,
        plan: Plan,
        durations: Durations,
        delivery_ns: int,
        cancels: bool,
        orders_to: Callable[[Order], None] | None,
    ) -> None:
        self.pipeline = Pipeline(plan)
        self.durations = durations
        self.delivery_ns = delivery_ns
        self.cancels = cancels
        self.orders_to = orders_to
        self.result = Simulation()
        self.keeps_journal = True
        self.future: list[tuple[int, int, Event]] = []
        self.line = Line(plan.lanes)
        self.ordered: dict[int, tuple[Start, int]] = {}
        """Runs that have not ended, and what each takes."""
        self.gave_none: set[int] = set()
        """Runs that were cancelled before they began, failed or were ended early."""
        self.order = 0

    def run(self, arrivals: Iterable[Event]) -> Simulation:
        source = self._until_the_end(arrivals)
        coming = next(source, None)
        while coming is not None or self.future or self.pipeline.waiting:
            instant_ns = self._next_instant(coming)
            while coming is not None and coming.now_ns <= instant_ns:
                self._feed(coming)
                coming = next(source, None)
            self._feed_due(instant_ns)
            self._feed(Tick(instant_ns))
        self.result.digest = self.pipeline.digest.hexdigest()
        self.result.counters = self.pipeline.counters()
        return self.result

    def _until_the_end(self, arrivals: Iterable[Event]) -> Iterator[Event]:
        """Yield the arrivals, then the end of every input: nothing follows a log."""
        last_ns = 0
        for event in arrivals:
            last_ns = event.now_ns
            yield event
        for item in self.pipeline.plan.inputs:
            yield Ended(last_ns, item.name)

    def _next_instant(self, coming: Event | None) -> int:
        """Return the next instant at which anything happens."""
        instants = [self.pipeline.next_wakeup_ns()]
        if self.future:
            instants.append(self.future[0][0])
        if coming is not None:
            instants.append(coming.now_ns)
        return min(instants)

    def _feed_due(self, instant_ns: int) -> None:
        while self.future and self.future[0][0] <= instant_ns:
            _, _, event = heapq.heappop(self.future)
            if not isinstance(event, Finished):
                self._feed(event)
            elif event.run in self.ordered:
                self._end(event)

    def _end(self, event: Finished) -> None:
        """End a run, and begin those that waited for it."""
        del self.ordered[event.run]
        if event.status != "ok":
            self.gave_none.add(event.run)
        begun = self.line.end(event.run)
        self._feed(event)
        for run in begun:
            self._begin(event.now_ns, run)

    def _begin(self, now_ns: int, run: int) -> None:
        start, took_ns = self.ordered[run]
        takes = {arg.run for arg in start.args if isinstance(arg, Of)}
        if run in self.gave_none or takes & self.gave_none:
            self._later(Finished(now_ns, run, "cancelled", 0))
            return
        status = "ok" if took_ns >= 0 else "failed"
        self._later(Finished(now_ns + abs(took_ns), run, status, abs(took_ns)))

    def _feed(self, event: Event) -> None:
        if self.keeps_journal:
            self.result.journal.append(event)
        for order in self.pipeline.feed(event):
            self._carry_out(event.now_ns, order)

    def _carry_out(self, now_ns: int, order: Order) -> None:
        if self.orders_to is not None:
            self.orders_to(order)
        if isinstance(order, Start):
            self.ordered[order.run] = order, self.durations(order)
            takes = [arg.run for arg in order.args if isinstance(arg, Of)]
            if self.line.add(order.run, order.lane, takes):
                self._begin(now_ns, order.run)
        elif isinstance(order, Cancel):
            if not self.line.has_begun(order.run):
                self.gave_none.add(order.run)
            elif self.cancels:
                self._later(Finished(now_ns, order.run, "cancelled", 0))
        elif isinstance(order, Emit):
            self._later(Delivered(now_ns + self.delivery_ns, order.row.trigger, order.row.head))
        elif isinstance(order, Close):
            self.result.rows.append(order.row)
        elif isinstance(order, Note):
            self.result.notes.append(order)

    def _later(self, event: Event) -> None:
        self.order += 1
        heapq.heappush(self.future, (event.now_ns, self.order, event))
