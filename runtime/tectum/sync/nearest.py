"""`nearest`: the sample whose reference point is nearest to the trigger's, within tolerances.

A match is final the moment no later sample is expected to be nearer: when the bound on the next
stamp lies at least as far after the trigger as the best candidate lies from it, or when whatever
is nearer could not arrive in time. Waiting for the next message to *prove* it, as ApproximateTime
does, would cost a period.
"""

from __future__ import annotations

from dataclasses import dataclass

from tectum.sync.base import Pick, Refusal, pick_at
from tectum.sync.stream import NEVER_NS, Stream

__all__ = ["Nearest"]


@dataclass(frozen=True, slots=True)
class Nearest:
    """Nearest within `before_ns` before and `after_ns` after the trigger's time."""

    before_ns: int
    after_ns: int

    def best(self, stream: Stream, t_ns: int) -> Pick | Refusal:
        """Return the nearest sample within the tolerances, or the nearest one refused."""
        index = self._best_index(stream, t_ns)
        if index < 0:
            return self._refusal(stream, t_ns)
        return pick_at(stream, index, t_ns, ambiguous=_ambiguous(stream, index, t_ns))

    def final(self, stream: Stream, t_ns: int, by_ns: int = NEVER_NS, now_ns: int = 0) -> bool:
        """Return whether no sample that still comes in time is expected to be nearer.

        With an acceptable sample in hand and a deadline, what is overdue is taken for lost; what
        could be nearer by less than a third of a period, or by less than the errors of two stamps
        like the one in hand allow to tell, is not waited for.
        """
        before, after = self.before_ns, self.after_ns
        index = self._best_index(stream, t_ns)
        if index >= 0:
            nearer = abs(stream.ats[index] - t_ns) - 1
            if now_ns:
                nearer -= 2 * stream.samples[index].error_ns
            if now_ns and stream.likely_next_ns(now_ns) > t_ns + nearer - stream.period_ns() // 3:
                return True
            before, after = min(before, nearer), min(after, nearer)
        first_ns, last_ns = stream.coming(by_ns)
        return max(first_ns, t_ns - before) > min(last_ns, t_ns + after)

    def reach_ns(self) -> int:
        """Return the tolerance before the trigger."""
        return self.before_ns

    def accepts(self, distance_ns: int) -> bool:
        """Return whether a sample so far after the trigger is within the tolerances."""
        return -self.before_ns <= distance_ns <= self.after_ns

    def _best_index(self, stream: Stream, t_ns: int) -> int:
        """Return the nearest acceptable sample; -1 for none.

        With unequal tolerances it may be the neighbour of the nearest, on the other side.
        """
        index = stream.nearest(t_ns)
        if index < 0 or self.accepts(stream.ats[index] - t_ns):
            return index
        other = index - 1 if stream.ats[index] > t_ns else index + 1
        inside = stream.first_held <= other < len(stream.ats)
        return other if inside and self.accepts(stream.ats[other] - t_ns) else -1

    def _refusal(self, stream: Stream, t_ns: int) -> Refusal:
        index = stream.candidate(t_ns)
        if index < 0:
            return Refusal("absent")
        distance = stream.ats[index] - t_ns
        limit = self.after_ns if distance > 0 else self.before_ns
        return Refusal("out_of_tolerance", stream.samples[index].ref.seq, distance, limit)


def _ambiguous(stream: Stream, index: int, t_ns: int) -> bool:
    """Return whether a neighbour is as near within what the stamps' errors allow."""
    error = stream.samples[index].error_ns
    distance = abs(stream.ats[index] - t_ns)
    for other in (index - 1, index + 1):
        if stream.first_held <= other < len(stream.ats):
            slack = error + stream.samples[other].error_ns
            if slack and abs(stream.ats[other] - t_ns) - distance < slack:
                return True
    return False
