"""The latency model: how long a stage takes, predicted from how long it took.

Recent quantiles per stage and variant. A run's time counts from the order to its completion, so
queueing in the lane and the wake-up of the loop are in it. Seeded by warm-up (`Measured`). One
hang moves nothing; three runs in a row that are all much slower, or all much faster, than typical
are a new regime: what was known before is forgotten. What a stage takes when all is well is not:
so one can tell that it is slow at present, and what it will take when that is over.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque

__all__ = ["Estimate", "LatencyModel"]

_REMEMBERED = 32
_USUAL = 900
_NEW_REGIME = 3
"""This many runs in a row are no accident."""
_SOME = 5
"""So many runs have a median that says something; that of fewer may be what one of them took."""
_AS_BEFORE = 2
"""So many are enough for a stage that was slow and takes again what it once took."""


class Estimate:
    """What is known of one stage in one variant, in ns; zeros where that is nothing.

    Predictions are asked for dozens of times per trigger: they are worked out when something is
    learned, and read as attributes.
    """

    __slots__ = (
        "_doubted_ns", "_has_been_full", "_ordered", "_recent", "_set_aside", "_slower_ns",
        "least_ns", "spread_ns", "typical_ns",
    )  # fmt: skip

    def __init__(self) -> None:
        """Know nothing."""
        self._recent: deque[int] = deque()
        self._ordered: list[int] = []
        self._has_been_full = False
        self._doubted_ns = -1
        """When what was known was doubted, and nothing was learned since; -1: it holds."""
        self._set_aside: tuple[int, ...] = ()
        """What was known when that was doubted."""
        self._slower_ns = 0
        """How much slower than in good times the stage was when that was doubted."""
        self.typical_ns = 0
        """The median of recent runs."""
        self.least_ns = 0
        """The least that was ever typical, of some runs: of whole memories, once there was one."""
        self.spread_ns = 0
        """How much longer than typical nine of ten recent runs took at the most.

        Spreads of independent runs in a row add up as squares, not as sums: a chain of runs is
        not nine times out of ten bad in every link.
        """

    @property
    def slower_ns(self) -> int:
        """Return how much longer than in good times the stage takes, as last seen; 0: not much."""
        if self._doubted_ns >= 0:
            return self._slower_ns
        return self.typical_ns - self.least_ns if self._is_slow(self.typical_ns) else 0

    @property
    def last_slower_ns(self) -> int:
        """Return the same of the last run alone, where that shows more."""
        last_ns = self._recent[-1] if self._recent else 0
        return max(self.slower_ns, last_ns - self.least_ns if self._is_slow(last_ns) else 0)

    @property
    def is_doubted(self) -> bool:
        """Return whether the next run is to decide how long the stage takes at present."""
        return self._doubted_ns >= 0

    def observe(self, took_ns: int, begun_ns: int = 1 << 62) -> None:
        """Take up one duration, of a run that began at `begun_ns`.

        Where there is doubt, the first run that began since then decides alone.
        """
        if begun_ns < self._doubted_ns:
            return
        recent, ordered = self._recent, self._ordered
        if self._doubted_ns >= 0:
            self._settle_doubt(took_ns)
        elif self._is_as_before(took_ns):
            self._keep(_AS_BEFORE - 1)
        elif len(recent) >= _NEW_REGIME and self._has_changed(took_ns):
            self._keep(_NEW_REGIME - 1)
        self._doubted_ns = -1
        recent.append(took_ns)
        insort(ordered, took_ns)
        if len(recent) > _REMEMBERED:
            del ordered[bisect_left(ordered, recent.popleft())]
        self._work_out()

    def doubt(self, now_ns: int) -> None:
        """Believe in good times: it was long not tried whether the rest still holds."""
        if self._ordered:
            self._slower_ns = self.slower_ns
            shortest_ns = min(self._ordered[0], self.least_ns)
            if self._doubted_ns < 0:
                self._set_aside = tuple(self._recent)
            self._keep(0)
            self._recent.append(shortest_ns)
            self._ordered.append(shortest_ns)
            self._doubted_ns = now_ns
            self._work_out()

    def _settle_doubt(self, took_ns: int) -> None:
        """Believe the run that decides: either things are well again, or they are as they were."""
        self._keep(0)
        if not self._slower_ns or self._is_slow(took_ns):
            self._recent.extend(self._set_aside)
            self._ordered.extend(sorted(self._set_aside))

    def _keep(self, count: int) -> None:
        """Forget all but the newest durations."""
        while len(self._recent) > count:
            del self._ordered[bisect_left(self._ordered, self._recent.popleft())]

    def _work_out(self) -> None:
        ordered, last = self._ordered, len(self._ordered) - 1
        self.typical_ns = typical_ns = ordered[last // 2]
        self.spread_ns = ordered[last * _USUAL // 1000] - typical_ns
        if last + 1 == _REMEMBERED and not self._has_been_full:
            self._has_been_full, self.least_ns = True, typical_ns
        elif not self.least_ns:
            self.least_ns = typical_ns
        elif last + 1 >= (_REMEMBERED if self._has_been_full else _SOME):
            self.least_ns = min(self.least_ns, typical_ns)

    def _is_slow(self, took_ns: int) -> bool:
        return took_ns > self.least_ns * 3 // 2

    def _is_as_before(self, took_ns: int) -> bool:
        """Return whether a stage that was slow is so no more, in this run and the one before."""
        was_slow = bool(self._recent) and self._is_slow(self.typical_ns)
        return was_slow and not self._is_slow(max(took_ns, self._recent[-1]))

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
