"""The pace that a source kept: a line through its stamps, for what stands in for it.

Least squares over stamp and number, lost ones counted, so that jitter neither shifts the phase of
the instants that follow nor lets them drift away from what other inputs keep: with 5 ms of jitter
and 64 stamps, 0.02 ms per period. Looks as far back as the pace was the same. Integers only.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

__all__ = ["Pace", "pace_of"]

_LOOKED_AT = 64
_LEAST = 8
"""Fewer stamps tell no pace."""
_PER_PERIOD = 1 << 16
"""The period is kept in so many parts of a nanosecond."""


class Pace(NamedTuple):
    """Instants one period apart."""

    at_ns: int
    """One of them."""
    period_parts: int
    """In parts of a nanosecond: a day of instants is not off by rounding."""

    @property
    def period_ns(self) -> int:
        """Return the period, rounded."""
        return (self.period_parts + _PER_PERIOD // 2) // _PER_PERIOD

    def after_ns(self, t_ns: int) -> int:
        """Return the first instant that is at least half a period after `t_ns`."""
        past = (t_ns - self.at_ns) * _PER_PERIOD + self.period_parts // 2
        number = -(-past // self.period_parts)
        return self.at_ns + number * self.period_parts // _PER_PERIOD


def pace_of(stamps: Sequence[int]) -> Pace | None:
    """Return the pace of the latest stamps; None where they keep none.

    Args:
        stamps: reference points, ascending. The latest 64 are looked at, and twice as many as long
            as they lie no further from the line than a quarter of a period.
    """
    found, count = None, _LOOKED_AT
    while True:
        latest = stamps[-count:]
        pace = _fitted(latest)
        if pace is None:
            return found
        found = pace
        if count >= len(stamps):
            return found
        count *= 2


def _fitted(stamps: Sequence[int]) -> Pace | None:
    if len(stamps) < _LEAST:
        return None
    intervals = sorted([b - a for a, b in pairwise(stamps)])
    usual = intervals[len(intervals) // 2]
    if not usual:
        return None
    numbers, last = [0], 0
    for one, other in pairwise(stamps):
        last += max(1, (2 * (other - one) + usual) // (2 * usual))
        numbers.append(last)
    pace = _line(numbers, [stamp_ns - stamps[-1] for stamp_ns in stamps], stamps[-1])
    period_ns = pace.period_ns
    off = [
        abs(pace.at_ns + (number - last) * pace.period_parts // _PER_PERIOD - stamp_ns)
        for number, stamp_ns in zip(numbers, stamps, strict=True)
    ]
    return pace if period_ns > 0 and 4 * max(off) < period_ns else None


def _line(numbers: Sequence[int], places: Sequence[int], origin_ns: int) -> Pace:
    """Return the line of least squares, at the last number."""
    count, total, height = len(numbers), sum(numbers), sum(places)
    squares = sum([number * number for number in numbers])
    products = sum([number * place for number, place in zip(numbers, places, strict=True)])
    spread = count * squares - total * total
    slope = (count * products - total * height) * _PER_PERIOD // spread
    at = height * _PER_PERIOD // count + slope * numbers[-1] - slope * total // count
    return Pace(origin_ns + at // _PER_PERIOD, slope)
