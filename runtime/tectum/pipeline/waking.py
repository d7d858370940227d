"""Waking: when time alone changes something, if nothing else happens before."""

from __future__ import annotations

from tectum.pipeline.books import Books
from tectum.pipeline.opened import OpenSet
from tectum.pipeline.triggering import Triggering
from tectum.sync.stream import NEVER_NS

__all__ = ["Waking"]


class Waking:
    """Knows the next such instant, as of when it last looked."""

    __slots__ = ("_books", "_triggering", "quiet_ns", "wake_ns")

    def __init__(self, books: Books, triggering: Triggering) -> None:
        """Know of none."""
        self._books, self._triggering = books, triggering
        self.wake_ns = self.quiet_ns = NEVER_NS
        """When a tick is due at the latest, and when the next input would be called silent."""

    def look(self) -> None:
        """Find the next instant after the present."""
        books, now_ns = self._books, self._books.now_ns
        self.quiet_ns = min([port.raw.silent_at_ns(books.started_ns) for port in books.ports])
        wake_ns = min(self.quiet_ns, self._triggering.due(now_ns).at_ns)
        for opened in books.open:
            if not opened.resolved and opened.deadline_ns < NEVER_NS:
                opened.due_ns = self._due_for(now_ns, opened)
                wake_ns = min(wake_ns, opened.due_ns)
        self.wake_ns = wake_ns

    def _due_for(self, now_ns: int, opened: OpenSet) -> int:
        planner = self._books.planner
        instants = [self._books.patience_ns(opened) + 1, opened.review_ns()]
        if opened.head is None:
            instants.append(planner.head_by_ns(opened))
        if opened.pending:
            for wait in planner.waits(opened).values():
                instants += wait
            instants += [self._books.ports[index].stream.overdue_ns() for index in opened.pending]
        return min([instant for instant in instants if instant > now_ns], default=NEVER_NS)
