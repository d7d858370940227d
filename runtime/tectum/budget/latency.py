"""The latency model: how long a stage takes, predicted from how long it took.

Recent quantiles per stage and variant. A run's time counts from the order to its completion, so
queueing in the lane and the wake-up of the loop are in it. Seeded by warm-up (`Measured`). One
hang moves nothing; three runs in a row that are all much slower, or all much faster, than typical
are a new regime: what was known before is forgotten.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque

__all__ = ["LatencyModel"]

_REMEMBERED = 32
_USUAL = 900
_NEW_REGIME = 3
"""This many runs in a row are no accident."""


class LatencyModel:
    """Recent durations per (stage, variant), in ns."""

    __slots__ = ("_recent", "_sorted", "_spread", "_typical")

    def __init__(self) -> None:
        """Know nothing."""
        self._recent: dict[tuple[str, str], deque[int]] = {}
        self._sorted: dict[tuple[str, str], list[int]] = {}
        self._typical: dict[tuple[str, str], int] = {}
        self._spread: dict[tuple[str, str], int] = {}
        """What is asked of it dozens of times per trigger, worked out when something is learned."""

    def observe(self, stage: str, variant: str, took_ns: int) -> None:
        """Take up one duration."""
        key = (stage, variant)
        recent = self._recent.setdefault(key, deque())
        ordered = self._sorted.setdefault(key, [])
        if len(recent) >= _NEW_REGIME and self._changed(key, recent, took_ns):
            while len(recent) >= _NEW_REGIME:
                del ordered[bisect_left(ordered, recent.popleft())]
        recent.append(took_ns)
        insort(ordered, took_ns)
        if len(recent) > _REMEMBERED:
            del ordered[bisect_left(ordered, recent.popleft())]
        self._work_out(key)

    def doubt(self, stage: str, variant: str) -> None:
        """Keep only the shortest time known: it was long not tried whether the rest still holds."""
        key = (stage, variant)
        shortest = self._sorted.get(key, [])[:1]
        self._sorted[key] = list(shortest)
        self._recent[key] = deque(shortest)
        self._work_out(key)

    def typical_ns(self, stage: str, variant: str) -> int:
        """Return the median of recent runs; 0 where nothing is known."""
        return self._typical.get((stage, variant), 0)

    def spread_ns(self, stage: str, variant: str) -> int:
        """Return how much longer than typical nine of ten recent runs took at the most.

        Spreads of independent runs in a row add up as squares, not as sums: a chain of runs is
        not nine times out of ten bad in every link.
        """
        return self._spread.get((stage, variant), 0)

    def quantile_ns(self, stage: str, variant: str, permille: int) -> int:
        """Return the duration that `permille` of recent runs kept; 0 where nothing is known."""
        ordered = self._sorted.get((stage, variant))
        if not ordered:
            return 0
        return ordered[(len(ordered) - 1) * permille // 1000]

    def _work_out(self, key: tuple[str, str]) -> None:
        self._typical[key] = self.quantile_ns(*key, 500)
        self._spread[key] = self.quantile_ns(*key, _USUAL) - self._typical[key]

    def _changed(self, key: tuple[str, str], recent: deque[int], took_ns: int) -> bool:
        """Return whether this run and the ones just before are all far from typical, alike."""
        typical = self.typical_ns(*key)
        newest = (took_ns, recent[-1], recent[-2])
        return min(newest) > typical * 3 // 2 or max(newest) < typical * 2 // 3
