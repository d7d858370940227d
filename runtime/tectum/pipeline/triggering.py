"""What asks for a result: messages of the trigger input, their stand-ins, ticks of a rate.

Accepts triggers in order and opens their sets. A trigger whose stamp is not after the last one is
shed at once. One that its stand-in has already answered, or that is older than what another
trigger input brought, is counted as covered and is no trigger.
"""

from __future__ import annotations

from tectum.message import Sample
from tectum.pipeline.books import Books
from tectum.pipeline.losing import Losing
from tectum.pipeline.opened import open_sets
from tectum.pipeline.port import Port
from tectum.sync.listening import Listening
from tectum.sync.stream import NEVER_NS
from tectum.sync.triggers import NO_TRIGGER, Due, missed, next_overdue, next_rate, next_substitute

__all__ = ["Triggering"]


class Triggering:
    """Opens sets."""

    __slots__ = ("_anchor_ns", "_books", "_last_port", "_losing", "_next", "_owed", "last_ns")

    def __init__(self, books: Books, losing: Losing) -> None:
        """Accept trigger 0 first."""
        self._books, self._losing = books, losing
        self._next = 0
        self._anchor_ns = 0
        self._last_port: Port | None = None
        """The input that brought the last trigger; None where time did, or before the first."""
        self._owed: Due | None = None
        """The stand-in for the next message, should that not come; None: not looked at yet."""
        self.last_ns = -NEVER_NS
        """Stamp of the last trigger, real or not."""
        for port in books.triggers or (books.ports if books.plan.trigger_period_ns else ()):
            port.asks = True

    def heard(self, port: Port, sample: Sample) -> None:
        """Take up a sample of an input that asks; the first one of all starts a rate."""
        if self._books.triggers:
            self._owed = None
            at_ns = port.raw.at_ns(sample)
            end_ns = sample.stamp_ns - port.plan.offset_ns + sample.span_ns
            due = Due(self._books.now_ns, at_ns, end_ns)
            if not self._covered(port, due):
                self._make_up(port, due)
                self._accept(due, port)
        else:
            self._anchor_ns = sample.stamp_ns - port.plan.offset_ns
            self._books.dirty = True
            for item in self._books.ports:
                item.asks = False

    def clock_stepped(self, port: Port) -> None:
        """The source's clock was set back: its next stamps are no disorder."""
        if port in self._books.triggers:
            self.last_ns, self._owed = -NEVER_NS, None

    def by_time(self, now_ns: int) -> None:
        """Accept what time makes: ticks of a rate, stand-ins for a silent trigger input."""
        due = self.due(now_ns)
        while due.at_ns <= now_ns:
            self._accept(due)
            due = self.due(now_ns)

    def due(self, now_ns: int) -> Due:
        """Return the next trigger that time makes."""
        books = self._books
        if books.stopped:
            return NO_TRIGGER
        if books.trigger is not None:
            return self._stand_in(books.trigger, now_ns) if books.plan.substitute else NO_TRIGGER
        if not self._anchor_ns:
            return NO_TRIGGER
        due = next_rate(self._anchor_ns, self.last_ns, books.plan.trigger_period_ns)
        return NO_TRIGGER if due.t_ns > self._inputs_end_ns() else due

    def ended(self) -> bool:
        """Return whether no further trigger will come."""
        books = self._books
        if books.trigger is not None:
            return all(port.raw.state is Listening.ENDED for port in books.triggers)
        ended = all(port.raw.state is Listening.ENDED for port in books.ports)
        return ended and self.due(books.now_ns) is NO_TRIGGER

    def _stand_in(self, trigger: Port, now_ns: int) -> Due:
        """Return the next stand-in for what a silent input does not say, or a speaking one owes."""
        books = self._books
        if not any(port.raw.expected for port in books.triggers):
            return next_substitute(trigger.raw, self.last_ns, now_ns, self._usable_ns())
        late_is_lost = books.plan.budget_ns and books.plan.late == "shed"
        if not late_is_lost or len(books.triggers) > 1:
            return NO_TRIGGER
        if self._owed is None:
            latest_ns = books.planner.usable_ns(without=trigger.index)
            self._owed = next_overdue(trigger.raw, self.last_ns, self._usable_ns(), latest_ns)
        return self._owed

    def _make_up(self, port: Port, due: Due) -> None:
        """Let stand-ins answer what was missed before a trigger, where that was more than one."""
        if self._books.plan.substitute and port is self._books.trigger and self.last_ns > 0:
            for stand_in in missed(port.raw, self.last_ns, due, self._usable_ns()):
                self._accept(stand_in)

    def _usable_ns(self) -> int:
        """Return how long after the end of its capture a trigger can still be answered in time."""
        return self._books.usable_ns

    def _accept(self, due: Due, port: Port | None = None) -> None:
        """Open the sets of a trigger, or say at once why not; without `port`, time asks."""
        books = self._books
        if books.stopped:
            return
        sets = open_sets(self._next, due, books.now_ns, books.heads, len(books.ports))
        self._next += 1
        books.open.extend(sets)
        books.dirty = True
        if due.t_ns <= self.last_ns:
            for opened in sets:
                opened.pending.clear()
                self._losing.shed(opened, "trigger_disorder")
            return
        self.last_ns, self._last_port, self._owed = due.t_ns, port, None
        if port is not None and books.plan.budget_ns:
            port.raw.usable_ns = self._usable_ns()
        elif books.trigger is not None and port is None:
            for opened in sets:
                opened.flag("substituted")
            books.trigger.raw.doubt()
        for opened in sets:
            for index in opened.pending:
                books.ports[index].waiting += 1

    def _covered(self, port: Port, due: Due) -> bool:
        """Return whether a stand-in, or another trigger input, has answered this one already."""
        after_ns = due.t_ns - self.last_ns
        if self._last_port is None:
            covered = after_ns < port.raw.period_ns() // 2
        else:
            covered = self._last_port is not port and after_ns <= 0
        if covered:
            port.raw.counts["covered"] = port.raw.counts.get("covered", 0) + 1
        return covered

    def _inputs_end_ns(self) -> int:
        """Return the end of the last capture once every input has ended."""
        streams = [port.raw for port in self._books.ports]
        if any(stream.state is not Listening.ENDED for stream in streams):
            return NEVER_NS
        return max((stream.ends[-1] for stream in streams if stream.ends), default=0)
