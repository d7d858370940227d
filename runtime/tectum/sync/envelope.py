"""The line below a cloud of points: what one-sided noise (queueing, scheduling) was added to.

Of all lines that no point lies below, the one that is nearest to the points in sum: it supports
the lower convex hull where the mean of the points' places is (Moon, Skelly, Towsley: "Estimation
and removal of clock skew from network delay measurements", INFOCOM 1999). Late points, however
late, do not move it. Integers in, integers out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

__all__ = ["Line", "lower_line"]

_BILLION = 1_000_000_000

Point = tuple[int, int]
"""Place and height, in ns."""


class Line(NamedTuple):
    """A straight line; `slope_ppb` in billionths."""

    place_ns: int
    height_ns: int
    slope_ppb: int = 0

    def at_ns(self, place_ns: int) -> int:
        """Return the height at a place."""
        return self.height_ns + (place_ns - self.place_ns) * self.slope_ppb // _BILLION


def lower_line(points: Sequence[Point]) -> Line:
    """Return the line below `points` (by ascending place, at least one) that is nearest to them."""
    hull = _lower_hull(points)
    middle = sum(place for place, _ in points) // len(points)
    for (x, y), (next_x, next_y) in pairwise(hull):
        if next_x > middle:
            return Line(x, y, (next_y - y) * _BILLION // (next_x - x))
    place, height = hull[-1]
    return Line(place, height)


def _lower_hull(points: Sequence[Point]) -> list[Point]:
    """Return the corners of the lower convex hull, left to right (Andrew's monotone chain)."""
    hull: list[Point] = []
    for x, y in points:
        while len(hull) >= 2 and _above(hull[-2], hull[-1], (x, y)):
            hull.pop()
        hull.append((x, y))
    return hull


def _above(first: Point, middle: Point, last: Point) -> bool:
    """Return whether `middle` lies on or above the line from `first` to `last`."""
    return (middle[1] - first[1]) * (last[0] - first[0]) >= (last[1] - first[1]) * (
        middle[0] - first[0]
    )
