"""Simulated time on the graph clock: when it was what, by the /clock that a simulator says.

A stamp of simulated time becomes the instant at which /clock said it, between two sayings by
interpolation, so a simulation that runs slower, faster or stands still for a while is no trouble.
Nothing here reads a clock. What was mapped is remembered: a stamp always maps to one instant, and
goes back exactly.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict

from tectum.clock import NS_PER_S

__all__ = ["SimulatedTime"]

_KEPT_NS = 10 * NS_PER_S
_REMEMBERED = 4096


class SimulatedTime:
    """What /clock has said, newest last."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._simulated: list[int] = []
        self._graph: list[int] = []
        self._mapped: OrderedDict[int, int] = OrderedDict()
        self._origins: OrderedDict[int, int] = OrderedDict()

    @property
    def known(self) -> bool:
        """Return whether /clock has said anything."""
        return bool(self._simulated)

    def tick(self, simulated_ns: int, now_ns: int) -> None:
        """Take what /clock said at `now_ns`; simulated time that goes back begins anew."""
        if self._simulated and simulated_ns < self._simulated[-1]:
            self._simulated, self._graph = [], []
            self._mapped, self._origins = OrderedDict(), OrderedDict()
        if self._simulated and simulated_ns == self._simulated[-1]:
            return
        self._simulated.append(simulated_ns)
        self._graph.append(now_ns)
        while self._graph[-1] - self._graph[0] > _KEPT_NS and len(self._graph) > 2:
            del self._simulated[0], self._graph[0]

    def to_graph(self, stamp_ns: int) -> int:
        """Return the instant of a stamp; beyond what was said both run alike."""
        if stamp_ns not in self._mapped:
            instant_ns = _between(stamp_ns, self._simulated, self._graph)
            while self._origins.get(instant_ns, stamp_ns) != stamp_ns:
                instant_ns += 1
            _remember(self._mapped, stamp_ns, instant_ns)
            _remember(self._origins, instant_ns, stamp_ns)
        return self._mapped[stamp_ns]

    def to_ros(self, instant_ns: int) -> int:
        """Return the simulated time of an instant: exactly the stamp, where it came of one."""
        if instant_ns in self._origins:
            return self._origins[instant_ns]
        return _between(instant_ns, self._graph, self._simulated)


def _between(at: int, known: list[int], wanted: list[int]) -> int:
    index = bisect_right(known, at)
    if index == 0 or index == len(known):
        edge = 0 if index == 0 else -1
        return wanted[edge] + at - known[edge]
    span, rise = known[index] - known[index - 1], wanted[index] - wanted[index - 1]
    return wanted[index - 1] + (at - known[index - 1]) * rise // span


def _remember(kept: OrderedDict[int, int], key: int, value: int) -> None:
    kept[key] = value
    if len(kept) > _REMEMBERED:
        kept.popitem(last=False)
