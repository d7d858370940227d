"""The rhythm of an input, learned from the stamps and arrivals of its latest samples.

Promises *conservative* bounds on the next interval between stamps and on the time that a sample
needs to arrive: the extreme of the latest, moved by a quarter of its distance to the median.
They are learned, not proven: what breaks them is counted (`beaten`). Dropped messages make
intervals longer and do not loosen the bound; bursts of arrival do not touch it, since it looks at
stamps.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

__all__ = ["LEARN_FROM", "UNKNOWN", "Cadence", "learn_cadence"]

LEARN_FROM = 64
"""How many of the latest samples are looked at: 0.3 s of an IMU, 6 s of a lidar."""

_LEAST_SAMPLES = 3


class Cadence(NamedTuple):
    """What is known of an input's rhythm, in ns; zeros where nothing is known yet."""

    period_ns: int = 0
    """Mean interval between stamps, lost messages not counted."""
    shortest_ns: int = 0
    """Lower bound on the next interval between stamps."""
    jitter_ns: int = 0
    """How much longer than the period nine of ten intervals between *arrivals* may be."""
    transit_ns: int = 0
    """Median time from the end of a capture to its arrival."""
    soonest_ns: int = 0
    """Lower bound on the time from a reference point to its arrival; negative where stamps are
    ahead of the graph clock."""
    latest_ns: int = 0
    """What that time is hardly ever above, reordered and stalled messages apart."""
    usual_ns: int = 0
    """What intervals between stamps are hardly ever above, where nothing was lost."""


UNKNOWN = Cadence()


def learn_cadence(stamps: Sequence[int], arrivals: Sequence[int], ends: Sequence[int]) -> Cadence:
    """Return the rhythm of samples in stamp order; `UNKNOWN` for fewer than three.

    Args:
        stamps: reference points on the graph clock, ascending.
        arrivals: when each arrived.
        ends: when each one's capture ended.
    """
    if len(stamps) < _LEAST_SAMPLES:
        return UNKNOWN
    intervals = sorted([b - a for a, b in pairwise(stamps)])
    period = _period_ns(intervals, stamps[-1] - stamps[0])
    delays = sorted([a - s for a, s in zip(arrivals, stamps, strict=True)])
    waits = sorted([b - a for a, b in pairwise(arrivals)])
    return Cadence(
        period_ns=period,
        shortest_ns=max(0, _cautious(intervals)),
        jitter_ns=max(0, waits[(len(waits) * 9) // 10] - period),
        transit_ns=delays[len(delays) // 2] - (ends[-1] - stamps[-1]),
        soonest_ns=_cautious(delays),
        latest_ns=_spacious(delays),
        usual_ns=_spacious(intervals),
    )


def _period_ns(ascending: list[int], stretch_ns: int) -> int:
    """Return a stretch divided by its periods: each interval is the nearest number of medians.

    Many times nearer to the truth than the median of jittery intervals: stand-ins keep its pace.
    """
    median = ascending[len(ascending) // 2]
    if not median:
        return 0
    periods = sum([max(1, (2 * one + median - 1) // (2 * median)) for one in ascending])
    return max(ascending[0], stretch_ns // periods)


def _cautious(ascending: list[int]) -> int:
    """Return the smallest, less a quarter of its distance to the median."""
    smallest, median = ascending[0], ascending[len(ascending) // 2]
    return smallest - (median - smallest) // 4


def _spacious(ascending: list[int]) -> int:
    """Return what nine of ten keep, plus twice its distance to the median."""
    usual, median = ascending[(len(ascending) * 9) // 10], ascending[len(ascending) // 2]
    return usual + 2 * (usual - median)
