"""A device's own clock on the graph clock, from when its data arrived.

Arrivals are late by chance, never early, so the line below them (`tectum.sync.timeline`) tells
the offset and the drift. What it cannot tell is the least time from capture to arrival: that is the
device's `delay`, and is part of no error.
"""

from __future__ import annotations

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.sync.clocks import named_offset
from tectum.sync.timeline import ArrivalTimeline

__all__ = ["DeviceClock", "offset_name"]

_FLOOR_NS = NS_PER_MS // 5
"""No arrival is known better than to this: scheduling and interrupts."""
_REORDERED_NS = NS_PER_S
"""Going back by less is a late packet; by more the device has started again."""


class DeviceClock:
    """Maps stamps of one device; its clock may wrap around every `wrap_ns`."""

    def __init__(self, delay_ns: int = 0, wrap_ns: int = 0) -> None:
        """Begin with the first stamp."""
        self._line = ArrivalTimeline(NS_PER_S, delay_ns)
        self._wrap_ns = wrap_ns
        self._last: tuple[int, int, int] | None = None
        """Device time, stamp and error of the latest."""

    def unwrapped(self, device_ns: int) -> int:
        """Return a device time that wraps around as one that goes on from the latest."""
        if not self._wrap_ns or self._last is None:
            return device_ns
        laps = round((self._last[0] - device_ns) / self._wrap_ns)
        return device_ns + laps * self._wrap_ns

    def stamp(self, device_ns: int, arrived_ns: int) -> tuple[int, int]:
        """Return (stamp, error) on the graph clock of what the device stamped `device_ns`."""
        device_ns = self.unwrapped(device_ns)
        if self._last is not None and 0 <= self._last[0] - device_ns < _REORDERED_NS:
            return self._last[1] - (self._last[0] - device_ns), self._last[2]
        placed = self._line.block(device_ns, 0, arrived_ns)
        error_ns = max(placed.error_ns, _FLOOR_NS)
        self._last = (device_ns, placed.stamp_ns, error_ns)
        return placed.stamp_ns, error_ns


def offset_name(offset_ns: int, now_ns: int) -> str:
    """Return what an offset of a device's clock from the graph's probably is, in words."""
    known = named_offset(offset_ns, now_ns)
    seconds = f"{offset_ns / NS_PER_S:+.1f} s"
    return f"{seconds} ({known.name})" if known else seconds
