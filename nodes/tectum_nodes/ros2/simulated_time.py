"""Simulated time on the graph clock: when it was what, by the /clock that a simulator says.

A stamp of simulated time becomes the instant at which /clock said it, between two sayings by
interpolation, so a simulation that runs slower, faster or stands still for a while is no trouble.
What was mapped is remembered: a stamp has one instant for good and goes back exactly, and a later
stamp never has an earlier instant, whatever the jitter of /clock. Nothing here reads a clock.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from tectum.clock import NS_PER_S

__all__ = ["SimulatedTime"]

_KEPT_NS = 10 * NS_PER_S
_REMEMBERED = 2048


class SimulatedTime:
    """What /clock has said, and what was mapped by it."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._said: list[int] = []
        """Simulated time as /clock said it, rising, and"""
        self._when: list[int] = []
        """when, on the graph clock."""
        self._stamps: list[int] = []
        """Stamps that were mapped, rising, and"""
        self._instants: list[int] = []
        """to which instants, rising too."""

    @property
    def known(self) -> bool:
        """Return whether /clock has said anything."""
        return bool(self._said)

    def tick(self, simulated_ns: int, now_ns: int) -> None:
        """Take what /clock said at `now_ns`; simulated time that goes back begins anew."""
        if self._said and simulated_ns < self._said[-1]:
            for kept in (self._said, self._when, self._stamps, self._instants):
                kept.clear()
        if self._said and simulated_ns == self._said[-1]:
            return
        self._said.append(simulated_ns)
        self._when.append(now_ns)
        while self._when[-1] - self._when[0] > _KEPT_NS and len(self._when) > 2:
            del self._said[0], self._when[0]

    def to_graph(self, stamp_ns: int) -> int:
        """Return the instant of a stamp; beyond what was said both times run alike."""
        at = bisect_left(self._stamps, stamp_ns)
        if at < len(self._stamps) and self._stamps[at] == stamp_ns:
            return self._instants[at]
        instant_ns = _between(stamp_ns, self._said, self._when)
        if at < len(self._instants):
            instant_ns = min(instant_ns, self._instants[at] - 1)
        if at:
            instant_ns = max(instant_ns, self._instants[at - 1] + 1)
        self._stamps.insert(at, stamp_ns)
        self._instants.insert(at, instant_ns)
        if len(self._stamps) > _REMEMBERED:
            del self._stamps[0], self._instants[0]
        return instant_ns

    def to_ros(self, instant_ns: int) -> int:
        """Return the simulated time of an instant: exactly the stamp, where it came of one."""
        at = bisect_left(self._instants, instant_ns)
        if at < len(self._instants) and self._instants[at] == instant_ns:
            return self._stamps[at]
        return _between(instant_ns, self._when, self._said)


def _between(at: int, known: list[int], wanted: list[int]) -> int:
    index = bisect_right(known, at)
    if index == 0 or index == len(known):
        edge = 0 if index == 0 else -1
        return wanted[edge] + at - known[edge]
    span, rise = known[index] - known[index - 1], wanted[index] - wanted[index - 1]
    return wanted[index - 1] + (at - known[index - 1]) * rise // span
