"""Fitting durations onto lanes: when would this end, how late may that begin. Pure arithmetic.

Forward is list scheduling in the order given (Graham 1966: at most 2 - 1/lanes of the optimum);
backward is the same seen from the deadline, shortest last.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["latest_begins", "place"]


def place(free_at: list[int], begin_ns: int, durations: Sequence[int]) -> int:
    """Put `durations` on the lanes that get free first, in order; return when the last one ends.

    Changes `free_at` (per lane, when it gets free). Without durations the answer is `begin_ns`.
    """
    end_ns = begin_ns
    for duration in durations:
        lane = free_at.index(min(free_at))
        free_at[lane] = max(free_at[lane], begin_ns) + duration
        end_ns = max(end_ns, free_at[lane])
    return end_ns


def latest_begins(end_ns: int, durations: Sequence[int], lanes: int) -> list[int]:
    """Return, for each duration, how late it may begin so that all end by `end_ns`."""
    taken_from = [end_ns] * lanes
    begins = [end_ns] * len(durations)
    for index in sorted(range(len(durations)), key=lambda i: durations[i]):
        lane = taken_from.index(max(taken_from))
        taken_from[lane] -= durations[index]
        begins[index] = taken_from[lane]
    return begins
