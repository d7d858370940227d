"""Giving up: an input of a set, or the set, when there is no time or nothing left to wait for.

An input is given up before the set is: its cached embedding stands in, or the rest goes on if that
combination is accepted. Whoever cost the time is blamed by name.
"""

from __future__ import annotations

from tectum.ledger.row import Outcome
from tectum.pipeline.accept import accepted
from tectum.pipeline.books import Books
from tectum.pipeline.opened import OpenSet
from tectum.pipeline.port import Port
from tectum.sync.stream import NEVER_NS

__all__ = ["Losing"]


class Losing:
    """Sheds sets and leaves inputs out."""

    __slots__ = ("_books",)

    def __init__(self, books: Books) -> None:
        """Give up nothing yet."""
        self._books = books

    def by_time(self, now_ns: int, opened: OpenSet) -> None:
        """Shed what is overdue; leave out encoders for which the head can wait no longer."""
        if opened.resolved or opened.deadline_ns >= NEVER_NS:
            return
        if now_ns > self._books.patience_ns(opened):
            self.blame(now_ns, opened)
            begun = opened.head is not None and opened.head.begun_ns
            self.shed(opened, "overrun" if begun else "no_time")
        elif self._head_is_due(now_ns, opened):
            self._leave_out_unfinished(opened)

    def lose(self, opened: OpenSet, port: Port, reason: str) -> None:
        """Go on without an input, with its cached embedding, or not at all."""
        opened.row.blame = opened.row.blame or port.plan.encoder or port.plan.name
        opened.miss(port.index, reason)
        self._books.unuse(opened, port.index)
        self._books.unpin(opened, port.index)
        if self._books.planner.cached_fits(opened, port.index):
            self._books.use_cached(opened, port)
        else:
            self.check_accepted(opened)

    def check_accepted(self, opened: OpenSet) -> None:
        """Shed a set as soon as no accepted combination can come of it."""
        if not accepted(opened.by.wanted, opened.possible()):
            self.shed(opened, "not_accepted")

    def blame(self, now_ns: int, opened: OpenSet) -> None:
        """Name the stage that costs a set its time.

        That is the one that takes much longer than it should. Where none does, it is one that the
        set waits for when its time is over, or else what takes most of what it has to compute.
        """
        if opened.row.blame:
            return
        books = self._books
        late = [
            books.ports[i].plan.encoder
            for i, run in enumerate(opened.runs)
            if run is not None and (not run.finished or run.ended_ns >= now_ns)
        ]
        opened.row.blame = books.slowed(opened) or (*late, books.planner.costliest(opened))[0]

    def shed(self, opened: OpenSet, reason: str) -> None:
        """Resolve a set without an answer; what only it wanted is cancelled."""
        if opened.resolved:
            return
        books = self._books
        for index in opened.pending:
            books.ports[index].waiting -= 1
        opened.pending.clear()
        opened.row.outcome, opened.row.reason = Outcome.SHED, reason
        opened.resolved = True
        for index in range(len(books.ports)):
            books.unuse(opened, index)
        if opened.head is not None and not opened.head.finished:
            books.runs.cancel(books.now_ns, opened.head, books.orders)

    def _head_is_due(self, now_ns: int, opened: OpenSet) -> bool:
        waits = not opened.pending and opened.head is None
        return waits and now_ns >= self._books.planner.head_by_ns(opened)

    def _leave_out_unfinished(self, opened: OpenSet) -> None:
        opened.row.blame = opened.row.blame or self._books.slowed(opened)
        # a head that is not slow any more could wait longer
        self._books.planner.deny_wait(opened, None)
        for index, port in enumerate(self._books.ports):
            run = opened.runs[index]
            waiting = run is not None and not run.finished
            if not waiting and index not in self._books.planner.unstarted(opened):
                continue
            self.lose(opened, port, "encoder_late")
            if opened.resolved:
                return
