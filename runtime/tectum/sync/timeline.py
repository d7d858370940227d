"""The timeline of an audio source: from the index of a sample to its time on the graph clock.

Audio is a row of samples, not of messages: blocks arrive late by chance, samples do not. Two
models of the source's clock: `DeviceTimeline` where the device stamps its blocks (a delay-locked
loop), `ArrivalTimeline` where only the arrival is known (a line below the arrivals; a loop would
follow the mean of one-sided jitter and be late by it). Both mark what is missing before a block.
What neither can know is the least time from capture to arrival: state it as `delay_ns`.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple, Protocol

from tectum.sync.envelope import Line, lower_line

__all__ = ["ArrivalTimeline", "DeviceTimeline", "Placed", "Timeline"]

_NS_PER_S = 1_000_000_000
_UNFITTED_NS = 20_000_000
"""The error until enough was heard to know it better: about a block."""


class Placed(NamedTuple):
    """Where a block lies. Times in ns on the graph clock."""

    stamp_ns: int
    """Of its first sample."""
    span_ns: int
    error_ns: int
    """How far off the stamp may be, beyond what `delay_ns` should have said."""
    gap: int
    """Samples that are missing between the block before and this one."""


class Timeline(Protocol):
    """A model of one source's clock."""

    def block(self, first: int, count: int, at_ns: int) -> Placed:
        """Take up a block and return where it lies.

        Args:
            first: index of its first sample; an index that goes back starts the timeline anew.
            count: number of samples per channel.
            at_ns: the device's stamp of its first sample, or when it arrived.
        """
        ...


class ArrivalTimeline:
    """Places blocks by a line below their arrivals: never late by jitter.

    Of every second the least late block counts; the line is fitted to the last minute of these,
    so that drift is followed and a stall leaves no trace.
    """

    __slots__ = ("_delay_ns", "_error_ns", "_least", "_line", "_next", "_rate_hz", "_seconds")

    _KEPT_S = 60
    _FIT_FROM_S = 8
    """Before, the nominal rate is better than a fitted one."""
    _STEEPEST_PPB = 500_000
    """No quartz is so far off: the latency has changed, and the nominal rate is better."""

    def __init__(self, rate_hz: int, delay_ns: int = 0) -> None:
        """Begin with the first block; `delay_ns`: the least time from capture to arrival."""
        self._rate_hz = rate_hz
        self._delay_ns = delay_ns
        self._next = -1
        self._line = Line(0, 0)
        self._error_ns = _UNFITTED_NS
        self._least: tuple[int, int] | None = None
        """Place and lateness of the least late block of the second that runs."""
        self._seconds: deque[tuple[int, int]] = deque(maxlen=self._KEPT_S)

    def block(self, first: int, count: int, at_ns: int) -> Placed:
        """Take up a block that has arrived at `at_ns`; see `Timeline`."""
        if first < self._next:
            self._next, self._least = -1, None
            self._seconds.clear()
        gap = first - self._next if self._next >= 0 else 0
        self._next = first + count
        place_ns = self._nominal_ns(first + count)
        self._learn(place_ns, at_ns - place_ns)
        stamp_ns = self._nominal_ns(first) + self._line.at_ns(place_ns) - self._delay_ns
        return Placed(stamp_ns, self._nominal_ns(count), self._error_ns, gap)

    @property
    def rate_ppb(self) -> int:
        """Return by how many billionths the source's clock is slow against the graph clock."""
        return self._line.slope_ppb

    def _nominal_ns(self, samples: int) -> int:
        return samples * _NS_PER_S // self._rate_hz

    def _learn(self, place_ns: int, late_ns: int) -> None:
        least = self._least
        if least is None:
            self._least, self._line = (place_ns, late_ns), Line(place_ns, late_ns)
            self._error_ns = _UNFITTED_NS
        elif place_ns // _NS_PER_S != least[0] // _NS_PER_S:
            self._seconds.append(least)
            self._least = (place_ns, late_ns)
            if len(self._seconds) >= self._FIT_FROM_S:
                self._fit()
        elif late_ns < least[1]:
            self._least = (place_ns, late_ns)
        if len(self._seconds) < self._FIT_FROM_S and late_ns < self._line.height_ns:
            self._line = Line(place_ns, late_ns)

    def _fit(self) -> None:
        """Fit the line; the error is how far the least late blocks of seconds lie above it.

        A quarter of the seconds does not count: a stall is no doubt about the clock.
        """
        line = lower_line(self._seconds)
        if abs(line.slope_ppb) > self._STEEPEST_PPB:
            line = Line(0, min(late_ns for _, late_ns in self._seconds))
        self._line = line
        above = sorted(late_ns - line.at_ns(place) for place, late_ns in self._seconds)
        self._error_ns = above[len(above) * 3 // 4]


class DeviceTimeline:
    """Places blocks by a second-order delay-locked loop on the device's own stamps.

    Fons Adriaensen, "Using a DLL to filter time" (2005): the loop's bandwidth is wide in the first
    second and narrow afterwards. A stamp that is off by more than `_STEP_NS` starts it anew.
    """

    __slots__ = ("_error", "_heard", "_next", "_next_at", "_per_sample", "_rate_hz", "_start_ns")

    _WIDE_HZ = 1.0
    _NARROW_HZ = 0.05
    _STEP_NS = 250_000_000

    def __init__(self, rate_hz: int, delay_ns: int = 0) -> None:
        """Begin with the first block; `delay_ns` is what the device's stamps are late by."""
        self._rate_hz = rate_hz
        self._start_ns = -delay_ns
        self._next = -1
        self._next_at = 0.0
        self._per_sample = _NS_PER_S / rate_hz
        self._error = 0.0
        self._heard = 0

    def block(self, first: int, count: int, at_ns: int) -> Placed:
        """Take up a block whose first sample the device stamps `at_ns`; see `Timeline`."""
        gap = max(0, first - self._next) if self._next >= 0 else 0
        expected = self._next_at + gap * self._per_sample
        error = at_ns - expected
        if first < self._next or self._next < 0 or abs(error) > self._STEP_NS:
            self._per_sample, self._heard = _NS_PER_S / self._rate_hz, 0
            expected, error = float(at_ns), 0.0
        stamp = self._correct(expected, error, count)
        self._next, self._next_at = first + count, stamp + count * self._per_sample
        self._heard += count
        span_ns = count * _NS_PER_S // self._rate_hz
        return Placed(round(stamp) + self._start_ns, span_ns, round(self._error), gap)

    @property
    def rate_ppb(self) -> int:
        """Return by how many billionths the source's clock is slow against its stamps."""
        return round((self._per_sample * self._rate_hz / _NS_PER_S - 1) * _NS_PER_S)

    def _correct(self, expected: float, error: float, count: int) -> float:
        """Close the loop over one block; return the filtered stamp."""
        locked = self._heard >= self._rate_hz
        bandwidth_hz = self._NARROW_HZ if locked else self._WIDE_HZ
        omega = 2 * math.pi * bandwidth_hz * count / self._rate_hz
        self._per_sample += omega * omega * error / count
        stamp = expected + math.sqrt(2) * omega * error
        self._error = max(abs(error), self._error * (1 - min(1.0, omega)))
        return stamp
