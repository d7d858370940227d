"""The latency model: how long a stage takes, predicted from how long it took.

Recent quantiles per stage and variant. A run's time counts from the order to its completion, so
queueing in the lane and the wake-up of the loop are in it. Seeded by warm-up (`Measured`). One
hang moves nothing; three runs in a row that are all much slower, or all much faster, than typical
are a new regime: what was known before is forgotten.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque

__all__ = ["Estimate", "LatencyModel"]

_REMEMBERED = 32
_USUAL = 900
_NEW_REGIME = 3
"""This many runs in a row are no accident."""


class Estimate:
    """What is known of one stage in one variant, in ns; zeros where that is nothing.

    Predictions are asked for dozens of times per trigger: they are worked out when something is
    learned, and read as attributes.
    """

    __slots__ = ("_ordered", "_recent", "spread_ns", "typical_ns")

    def __init__(self) -> None:
        """Know nothing."""
        self._recent: deque[int] = deque()
        self._ordered: list[int] = []
        self.typical_ns = 0
        """The median of recent runs."""
        self.spread_ns = 0
        """How much longer than typical nine of ten recent runs took at the most.

        Spreads of independent runs in a row add up as squares, not as sums: a chain of runs is
        not nine times out of ten bad in every link.
        """

    def observe(self, took_ns: int) -> None:
        """Take up one duration."""
        recent, ordered = self._recent, self._ordered
        if len(recent) >= _NEW_REGIME and self._has_changed(took_ns):
            while len(recent) >= _NEW_REGIME:
                del ordered[bisect_left(ordered, recent.popleft())]
        recent.append(took_ns)
        insort(ordered, took_ns)
        if len(recent) > _REMEMBERED:
            del ordered[bisect_left(ordered, recent.popleft())]
        self._work_out()

    def doubt(self) -> None:
        """Keep only the shortest time known: it was long not tried whether the rest still holds."""
        del self._ordered[1:]
        self._recent = deque(self._ordered)
        if self._ordered:
            self._work_out()

    def _work_out(self) -> None:
        ordered, last = self._ordered, len(self._ordered) - 1
        self.typical_ns = ordered[last // 2]
        self.spread_ns = ordered[last * _USUAL // 1000] - self.typical_ns

    def _has_changed(self, took_ns: int) -> bool:
        """Return whether this run and the ones just before are all far from typical, alike."""
        much_ns, little_ns = self.typical_ns * 3 // 2, self.typical_ns * 2 // 3
        if little_ns <= took_ns <= much_ns:
            return False
        newest = (took_ns, self._recent[-1], self._recent[-2])
        return min(newest) > much_ns or max(newest) < little_ns


class LatencyModel:
    """Estimates per stage and variant."""

    __slots__ = ("_estimates",)

    def __init__(self) -> None:
        """Know nothing."""
        self._estimates: dict[tuple[str, str], Estimate] = {}

    def of(self, stage: str, variant: str) -> Estimate:
        """Return what is known of a stage in a variant; the same object each time."""
        known = self._estimates.get((stage, variant))
        if known is None:
            known = self._estimates[stage, variant] = Estimate()
        return known

    def observe(self, stage: str, variant: str, took_ns: int) -> None:
        """Take up one duration."""
        self.of(stage, variant).observe(took_ns)
