"""Emitting: a head's outcomes leave in acceptance order; what they used is let go when sent."""

from __future__ import annotations

from collections import deque

from tectum.errors import ContractError
from tectum.ledger.digest import DecisionDigest
from tectum.ledger.row import Outcome, Row
from tectum.pipeline.books import Books
from tectum.pipeline.opened import OpenSet
from tectum.pipeline.orders import Close, Emit
from tectum.pipeline.triggering import Triggering

__all__ = ["Emitting"]

_ROWS_REMEMBERED = 512


class Emitting:
    """Emits and closes rows."""

    __slots__ = ("_books", "_delivering", "_digest", "_triggering", "rows")

    def __init__(self, books: Books, triggering: Triggering, digest: DecisionDigest) -> None:
        """Emit nothing yet."""
        self._books, self._triggering, self._digest = books, triggering, digest
        self._delivering: dict[tuple[int, str], OpenSet] = {}
        self.rows: deque[Row] = deque(maxlen=_ROWS_REMEMBERED)
        """The latest closed rows."""

    @property
    def waiting(self) -> bool:
        """Return whether an outcome was emitted and not delivered yet."""
        return bool(self._delivering)

    def emit(self, now_ns: int) -> None:
        """Emit what is resolved, in acceptance order; no head waits for another."""
        books = self._books
        while books.open and books.open[0].resolved:
            self._emit(now_ns, books.open.popleft())
        if len(books.heads) > 1 and books.open:
            self._emit_of_several(now_ns)

    def _emit_of_several(self, now_ns: int) -> None:
        """Emit what only waits for other heads."""
        books = self._books
        waiting: list[OpenSet] = []
        for opened in books.open:
            if opened.resolved and all(other.by is not opened.by for other in waiting):
                self._emit(now_ns, opened)
            else:
                waiting.append(opened)
        if len(waiting) < len(books.open):
            books.open = deque(waiting)

    def _emit(self, now_ns: int, opened: OpenSet) -> None:
        self._look_at_the_clock(now_ns, opened)
        opened.row.emitted_ns = now_ns
        self._delivering[opened.row.trigger, opened.by.name] = opened
        self._books.orders.append(Emit(opened.row, opened.answer))

    def delivered(self, now_ns: int, trigger: int, head: str = "") -> None:
        """Close the row of an outcome that was sent, and let go of what it used.

        Raises:
            ContractError: nothing was emitted for this trigger, and head.
        """
        opened = self._delivering.pop((trigger, head), None)
        if opened is None:
            of_head = f" of head '{head}'" if head else ""
            msg = f"trigger {trigger}{of_head} was not being delivered"
            raise ContractError(msg)
        books, row = self._books, opened.row
        row.delivered_ns = now_ns
        self._digest.add(row)
        self.rows.append(row)
        books.orders.append(Close(row))
        if opened.answer is not None:
            for name in opened.present():
                books.by_name[name].raw.counts["used"] += 1
        for index in range(len(books.ports)):
            books.unuse(opened, index)
            books.unpin(opened, index)
        if opened.head is not None:
            books.runs.let_go(opened.head, books.orders)
        self._let_go_of_the_past()
        books.dirty = True

    def _look_at_the_clock(self, now_ns: int, opened: OpenSet) -> None:
        """An answer may have been held up by the set before it: flag or shed what is late now."""
        if opened.answer is None or now_ns <= opened.deadline_ns:
            return
        if now_ns <= self._books.patience_ns(opened):
            opened.flag("late")
            return
        opened.answer = None
        opened.row.outcome, opened.row.reason = Outcome.SHED, "overrun"

    def _let_go_of_the_past(self) -> None:
        """Free the samples that no open or later trigger can pick."""
        books = self._books
        t_ns = books.open[0].t_ns if books.open else self._triggering.last_ns
        for port in books.ports:
            books.release(port.stream.release_before(t_ns - port.alignment.reach_ns()))
