"""Latencies counted in a few fixed buckets, as collectors of metrics want them. Plain numbers."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

__all__ = ["BOUNDS_S", "Buckets"]

BOUNDS_S = (
    0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0,
)  # fmt: skip
"""Upper bounds, inclusive; what is slower is counted in the total alone."""


class Buckets:
    """Counts of durations in seconds."""

    __slots__ = ("_counts", "count", "sum_s")

    def __init__(self) -> None:
        """Begin empty."""
        self.count, self.sum_s = 0, 0.0
        self._counts = [0] * (len(BOUNDS_S) + 1)

    def add(self, duration_s: float) -> None:
        """Count one duration."""
        self.count += 1
        self.sum_s += duration_s
        self._counts[bisect_left(BOUNDS_S, duration_s)] += 1

    def cumulative(self) -> list[tuple[float, int]]:
        """Return for each bound how many durations do not exceed it."""
        return list(zip(BOUNDS_S, accumulate(self._counts), strict=False))
