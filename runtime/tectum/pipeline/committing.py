"""Commits: each input's pick is decided once, when it is final or the deadline forces it.

A pick that is final waits not a moment longer, nor does one that nothing can better in time; any
other waits until *deadline - time still needed to compute*. What was refused, and by how much,
stays in the row. Of several heads the one that can wait least picks for all that take the input;
where it finds nothing, the others wait on.
"""

from __future__ import annotations

from tectum.budget.planner import Wait
from tectum.ledger.row import InputRow, Status
from tectum.pipeline.ahead import Ahead
from tectum.pipeline.books import Books, picked
from tectum.pipeline.losing import Losing
from tectum.pipeline.opened import OpenSet
from tectum.pipeline.port import Port
from tectum.pipeline.runs import Run
from tectum.sync.base import Pick, Refusal
from tectum.sync.listening import Listening
from tectum.sync.stream import NEVER_NS

__all__ = ["Committing"]

_SILENT_REASONS = {
    Listening.SILENT: "silent",
    Listening.MUTE: "never_heard",
    Listening.ENDED: "ended",
}
_MIGHT_HAVE_COME = ("absent", "out_of_tolerance", "gaps")
"""Refusals that waiting longer might have mended."""


class Committing:
    """Commits picks."""

    __slots__ = ("_ahead", "_books", "_losing")

    def __init__(self, books: Books, losing: Losing, ahead: Ahead) -> None:
        """Commit nothing yet."""
        self._books, self._losing, self._ahead = books, losing, ahead

    def commit(self, now_ns: int, opened: OpenSet) -> None:
        """Commit every pick of a set that is final or due."""
        if not opened.pending:
            return
        # without a deadline nothing is taken for lost: the best is worth the wait
        late_ns = now_ns if opened.deadline_ns < NEVER_NS else 0
        stood_in_for = self._books.trigger if "substituted" in opened.row.flags else None
        waits: dict[int, Wait] = {}
        for index in tuple(opened.pending):
            port = self._books.ports[index]
            final = port is stood_in_for or _is_final(port, opened.t_ns, NEVER_NS, late_ns)
            if not final:
                waits = waits or self._books.planner.waits(opened)
                by_ns = _waits_until(port, opened.t_ns, waits[index])
                if now_ns < by_ns and not _is_final(port, opened.t_ns, by_ns, late_ns):
                    continue
            self._commit_input(now_ns, opened, port, forced=not final)
            if opened.resolved:
                return
        if not opened.pending:
            opened.row.settled_ns = now_ns

    def commit_encoded(self, now_ns: int, opened: OpenSet, run: Run) -> None:
        """Commit what was encoded as it came, where that has ended before the tick."""
        for index in tuple(opened.pending):
            if opened.runs[index] is run:
                self._commit_input(now_ns, opened, self._books.ports[index], forced=False)
                if not opened.pending:
                    opened.row.settled_ns = now_ns

    def _commit_input(self, now_ns: int, opened: OpenSet, port: Port, *, forced: bool) -> None:
        opened.pending.remove(port.index)
        port.waiting -= 1
        item = opened.items[port.index]
        item.committed_ns, item.forced = now_ns, forced
        best = port.alignment.best(port.stream, opened.t_ns)
        sharers = [each for each in opened.siblings if port.index in each.pending]
        if isinstance(best, Pick):
            self._take(opened, port, item, best)
            for sibling in sharers:
                self._take_too(now_ns, sibling, port, best, forced=forced)
            port.remember(opened, *sharers)
            sharers.clear()
        else:
            self._refuse(opened, port, item, best)
            port.remember(opened)
        if not sharers:  # the sets of more patient heads may still want what was encoded ahead
            self._ahead.settle(opened, port)
        if item.status is Status.MISSING:
            self._losing.check_accepted(opened)

    def _take_too(
        self, now_ns: int, sibling: OpenSet, port: Port, pick: Pick, *, forced: bool
    ) -> None:
        """Take what another head's set has picked: a trigger has one sample of an input."""
        sibling.pending.remove(port.index)
        port.waiting -= 1
        item = sibling.items[port.index]
        item.committed_ns, item.forced = now_ns, forced
        self._take(sibling, port, item, pick)
        if not sibling.pending:
            sibling.row.settled_ns = now_ns

    def _take(self, opened: OpenSet, port: Port, item: InputRow, pick: Pick) -> None:
        books = self._books
        opened.picks[port.index] = pick
        last = pick.refs[-1]
        item.status, item.incarnation, item.seq = Status.FRESH, last.incarnation, last.seq
        item.stamp_ns, item.distance_ns = pick.at_ns, pick.distance_ns
        item.arrived_ns, item.ambiguous = pick.arrived_ns, pick.ambiguous
        item.error_ns = pick.error_ns
        if pick.run >= 0:
            books.use(opened, port, books.runs.all[pick.run])
            return
        books.leases.pin(pick.refs)
        opened.args[port.index] = arg = picked(port, pick)
        begun = opened.runs[port.index]
        if begun is not None and begun.args == (arg,):
            return  # since it came
        books.unuse(opened, port.index)
        run = books.known_run(port, arg)
        if run is not None:
            books.use(opened, port, run)

    def _refuse(self, opened: OpenSet, port: Port, item: InputRow, refusal: Refusal) -> None:
        reason = _SILENT_REASONS.get(port.raw.state) or refusal.reason
        if item.forced and reason in _MIGHT_HAVE_COME:
            reason = "not_arrived"
            # The wait was cut short by what the model says of its encoder, and of the head.
            opened.row.blame = opened.row.blame or self._books.slowed(opened)
            self._books.planner.deny_wait(opened, port.encoder)
        elif port is self._books.trigger and "substituted" in opened.row.flags and port.expected:
            reason = "not_arrived"  # there is a stand-in because its own message did not come
        if port.raw.state is not Listening.SPEAKING:
            item.silent_since_ns = port.raw.heard_ns
        item.refused_seq, item.refused_distance_ns = refusal.seq, refusal.distance_ns
        item.limit_ns = refusal.limit_ns
        opened.miss(port.index, reason)
        if self._books.planner.cached_fits(opened, port.index):
            self._books.use_cached(opened, port)


def _waits_until(port: Port, t_ns: int, wait: Wait) -> int:
    """Return how long an input is waited for: longer where it has nothing to give yet."""
    if wait.better_ns == wait.any_ns or isinstance(port.alignment.best(port.stream, t_ns), Pick):
        return wait.better_ns
    return wait.any_ns


def _is_final(port: Port, t_ns: int, by_ns: int, now_ns: int) -> bool:
    """Return whether nothing that comes by `by_ns` can change what this input gives."""
    return not port.expected or port.alignment.final(port.stream, t_ns, by_ns, now_ns)
