"""A shell that computes nothing and checks everything: can these orders be carried out?

`audit` feeds a journal to a fresh pipeline and holds what a shell would hold: leases of samples,
results of runs, lanes. It raises `AssertionError` where an order uses what was freed, frees a
thing twice, uses what nothing gives, or answers a trigger twice or out of turn, and where a run
ends that never could have begun.
"""

from __future__ import annotations

from collections.abc import Iterable

from tectum.ledger.row import Row
from tectum.message import SampleRef
from tectum.pipeline.events import Arrived, Event, Finished
from tectum.pipeline.line import Line
from tectum.pipeline.orders import Cancel, Close, Emit, Free, Note, Of, Order, Picked, Start
from tectum.pipeline.pipeline import Pipeline
from tectum.pipeline.plan import Plan

__all__ = ["Audit", "audit"]


class Audit:
    """What a shell holds while it carries out orders."""

    def __init__(self, plan: Plan) -> None:
        """Begin with nothing held."""
        self.plan = plan
        self.leases: set[SampleRef] = set()
        """Samples that were not freed yet."""
        self.results: dict[int, str] = {}
        """Runs that were not freed yet: ordered, ok, failed or cancelled."""
        self.most_leases = 0
        self.rows: list[Row] = []
        self.emitted: dict[str, list[int]] = {}
        """Head -> the triggers that it answered."""
        self._line = Line(plan.lanes)
        self._takes: dict[int, tuple[int, ...]] = {}
        self._pinned: dict[int, tuple[SampleRef, ...]] = {}

    def event(self, event: Event) -> None:
        """Take up what the shell fed."""
        if isinstance(event, Arrived):
            self.leases.add(event.sample.ref)
            self.most_leases = max(self.most_leases, len(self.leases))
        elif isinstance(event, Finished):
            if event.status != "cancelled":
                self._check_end(event)
            self._line.end(event.run)
            self._pinned.pop(event.run, None)
            if event.run in self.results:
                self.results[event.run] = event.status

    def order(self, order: Order) -> None:
        """Check that one order can be carried out.

        Raises:
            AssertionError: it cannot.
        """
        if isinstance(order, Start):
            self._start(order)
        elif isinstance(order, Free):
            self._free(order.what)
        elif isinstance(order, Emit):
            emitted = self.emitted.setdefault(order.row.head, [])
            assert order.row.trigger == len(emitted), f"out of turn: {order.row.trigger}"
            assert order.answer is None or self.results[order.answer] == "ok"
            emitted.append(order.row.trigger)
        elif isinstance(order, Close):
            self.rows.append(order.row)
        elif isinstance(order, Cancel):
            assert self.results.get(order.run) == "ordered", f"run {order.run} is not running"
        else:
            assert isinstance(order, Note)

    def _start(self, start: Start) -> None:
        assert 0 <= start.lane < self.plan.lanes
        assert start.state < 0 or self.results[start.state] == "ok"
        used: list[SampleRef] = []
        takes: list[int] = []
        for arg in start.args:
            if isinstance(arg, Picked):
                assert self.leases.issuperset(arg.refs), f"uses what was freed: {arg}"
                used.extend(arg.refs)
            elif isinstance(arg, Of):
                given = self.results.get(arg.run) in ("ok", "ordered")
                assert given, f"uses a run that gives nothing: {arg}"
                takes.append(arg.run)
        self._line.add(start.run, start.lane, takes)
        self._pinned[start.run] = tuple(used)
        self._takes[start.run] = tuple(takes)
        self.results[start.run] = "ordered"

    def _check_end(self, event: Finished) -> None:
        assert self._line.has_begun(event.run), f"run {event.run} has not begun: {event}"
        for other in self._takes[event.run]:
            assert self.results[other] == "ok", f"run {event.run} took what {other} did not give"

    def _free(self, what: SampleRef | int) -> None:
        if isinstance(what, int):
            assert self.results.pop(what) != "ordered", f"run {what} was freed while it runs"
            return
        assert what in self.leases, f"{what} was freed twice"
        assert all(what not in refs for refs in self._pinned.values()), f"{what} is in use"
        self.leases.remove(what)


def audit(plan: Plan, journal: Iterable[Event]) -> Audit:
    """Feed `journal` to a fresh pipeline under the eyes of an `Audit`, and return it.

    Raises:
        AssertionError: an order cannot be carried out.
    """
    shell, pipeline = Audit(plan), Pipeline(plan)
    for event in journal:
        shell.event(event)
        for order in pipeline.feed(event):
            shell.order(order)
    return shell
