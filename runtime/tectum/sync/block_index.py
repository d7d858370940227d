"""The sample index of audio blocks that come without one, told from their stamps.

A block whose stamp is where the one before it ended, give or take half a block (50 ms at most),
goes on without a gap; the clock of the stamps may drift. A later stamp is a gap of so many
samples, whole blocks where it is nearly so; an earlier one is a block that was overtaken, or a
clock that was set back. Stamps that jitter by more than half a block need an index of the source.
"""

from __future__ import annotations

from tectum.message import sample_index

__all__ = ["BlockIndex"]

_NS_PER_S = 1_000_000_000
_MOST_NS = 50_000_000
"""Further off its place a block is never taken to go on: a stamp so wrong is of no use."""
_STEP_BLOCKS = 4
"""Further back it was not overtaken: the clock was set, as the input's stream will say."""
_FOLLOWED = 16
"""A stamp's deviation is followed by this part: quartzes drift, and jitter averages out."""


class BlockIndex:
    """Counts the samples of one source, lost ones included."""

    __slots__ = ("_count", "_next", "_next_ns", "rate_hz")

    def __init__(self, rate_hz: int) -> None:
        """Begin with the first block."""
        self.rate_hz = rate_hz
        self._next = -1
        self._next_ns = 0
        """Where the next block is expected to begin."""
        self._count = 0

    def first(self, stamp_ns: int, count: int) -> int:
        """Take up a block of `count` samples per channel; return the index of its first sample.

        Args:
            stamp_ns: when its first sample was captured.
            count: how many samples it has.
        """
        if self._next < 0:
            return self._goes_on(sample_index(stamp_ns, self.rate_hz), stamp_ns, count)
        off_ns = stamp_ns - self._next_ns
        if abs(off_ns) <= self._leeway_ns(count):
            return self._goes_on(self._next, self._next_ns + off_ns // _FOLLOWED, count)
        off = self._whole_blocks(self._samples(off_ns), count)
        first = max(0, self._next + off)
        if off > 0 or -off_ns > max(_STEP_BLOCKS * self._length_ns(count), _MOST_NS):
            return self._goes_on(first, stamp_ns, count)
        return first  # overtaken: what follows goes on from the newest

    def follow(self, stamp_ns: int, count: int) -> int:
        """Take up a block that goes on where the last ended, whatever its stamp."""
        first = self._next if self._next >= 0 else sample_index(stamp_ns, self.rate_hz)
        return self._goes_on(first, stamp_ns, count)

    def _goes_on(self, first: int, stamp_ns: int, count: int) -> int:
        """Expect the next block where this one ends."""
        self._count, self._next = count, first + count
        self._next_ns = stamp_ns + self._length_ns(count)
        return first

    def _leeway_ns(self, count: int) -> int:
        """Return half of the shorter of two blocks."""
        return min(self._length_ns(min(count, self._count)) // 2, _MOST_NS)

    def _length_ns(self, count: int) -> int:
        return count * _NS_PER_S // self.rate_hz

    def _samples(self, duration_ns: int) -> int:
        return (2 * duration_ns * self.rate_hz + _NS_PER_S) // (2 * _NS_PER_S)

    def _whole_blocks(self, off: int, count: int) -> int:
        """Return a number of samples, made whole blocks where a quarter of one is all the rest."""
        if not count:
            return off
        whole = (2 * off + count) // (2 * count) * count
        near = min(count // 4, self.rate_hz * _MOST_NS // _NS_PER_S)
        return whole if whole and abs(off - whole) <= near else off
