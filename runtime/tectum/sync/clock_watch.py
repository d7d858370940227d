"""Whether an input's stamps are of another clock: told once it is sure, and once it is over.

Of one sample nothing is concluded. Three in a row that are off alike, by more than any way to here
explains, are a wrong clock; three in a row that are not are the end of it.
"""

from __future__ import annotations

__all__ = ["AHEAD_NS", "BEHIND_NS", "ClockWatch"]

AHEAD_NS = 1_000_000_000
"""A stamp this far ahead of its arrival is of another clock, not from a fast network."""
BEHIND_NS = 10_000_000_000
"""One this far behind too: no sensor is so slow, and no queue on its way so long."""
_SURE = 3
_ALIKE_NS = 500_000_000
"""Or a millionth of the offset: stamps in another unit hardly move at all."""


class ClockWatch:
    """Watches how far stamps are ahead of their arrivals."""

    __slots__ = ("_ahead_ns", "_row", "off")

    def __init__(self) -> None:
        """Expect nothing to be wrong."""
        self.off = False
        """It was told that the clock is wrong."""
        self._ahead_ns = 0
        self._row = 0

    def see(self, ahead_ns: int) -> str:
        """Take up a sample; return clock_ahead, clock_behind or clock_agrees where that is new.

        Needs to be asked only for samples that are far off, and while `off`.
        """
        wrong = ahead_ns > AHEAD_NS or ahead_ns < -BEHIND_NS
        if not wrong:
            return self._ends()
        if abs(ahead_ns - self._ahead_ns) > max(_ALIKE_NS, abs(ahead_ns) // 1_000_000):
            self._row = 0
        self._ahead_ns = ahead_ns
        told = self._row >= _SURE
        self._row = max(self._row, 0) + 1
        if self._row < _SURE or told:
            return ""
        self.off = True
        return "clock_ahead" if ahead_ns > 0 else "clock_behind"

    def _ends(self) -> str:
        self._row = min(self._row, 0) - 1
        if not self.off or self._row > -_SURE:
            return ""
        self.off, self._row = False, 0
        return "clock_agrees"
