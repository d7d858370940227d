"""How fast messages of a topic come, how regular, how old, how many were missed. Pure.

Rates and periods are by the stamps, as the fusion node sees them; ages by the clock of the graph
when a message is taken.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from statistics import fmean, pstdev
from typing import Any

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.message import Header, Kind
from tectum.transport.base import Gap
from tectum.units import size_text

__all__ = ["Pace"]

_NOT_COUNTED = (Kind.PROMISE, Kind.END, Kind.LATCHED)


class Pace:
    """The pace of one topic over its latest messages."""

    def __init__(self, window: int = 1000) -> None:
        """Look at the latest `window` messages."""
        self._stamps: deque[int] = deque(maxlen=window)
        self._ages: deque[int] = deque(maxlen=window)
        self._sizes: deque[int] = deque(maxlen=window)
        self.count = 0
        self.missed = 0

    def take(self, header: Header, now_ns: int) -> None:
        """Count one message that is taken at `now_ns`."""
        if header.kind in _NOT_COUNTED:
            return
        self.count += 1
        self._stamps.append(header.stamp_ns)
        self._ages.append(now_ns - header.stamp_ns - header.span_ns)
        self._sizes.append(sum(spec.nbytes for spec in header.buffers))

    def miss(self, gap: Gap) -> None:
        """Count messages that never came."""
        self.missed += gap.missing

    def document(self) -> dict[str, Any]:
        """Return count, rate (Hz), periods, ages (ms), bytes; None what cannot be known yet."""
        stamps = sorted(self._stamps)
        periods = [(after - before) / NS_PER_MS for before, after in pairwise(stamps)]
        mean_ms = fmean(periods) if periods else 0.0
        rate_hz = NS_PER_S / NS_PER_MS / mean_ms if mean_ms else None
        ages = sorted(age / NS_PER_MS for age in self._ages)
        nbytes = fmean(self._sizes) if self._sizes else 0.0
        return {
            "messages": self.count,
            "missed": self.missed,
            "rate_hz": rate_hz,
            "period_ms": mean_ms if periods else None,
            "shortest_ms": min(periods, default=None),
            "longest_ms": max(periods, default=None),
            "jitter_ms": pstdev(periods) if periods else None,
            "age_p50_ms": ages[len(ages) // 2] if ages else None,
            "age_max_ms": ages[-1] if ages else None,
            "bytes": round(nbytes),
            "bytes_per_s": round(nbytes * rate_hz) if rate_hz else None,
        }

    def text(self) -> str:
        """Return the same in one line."""
        facts = self.document()
        if facts["rate_hz"] is None:
            return f"{self.count} message{'s' * (self.count != 1)} so far"
        missed = f", {self.missed} missed" if self.missed else ""
        return (
            f"{facts['rate_hz']:.2f} Hz, period {facts['shortest_ms']:.1f} to "
            f"{facts['longest_ms']:.1f} ms (deviation {facts['jitter_ms']:.2f}), age "
            f"{facts['age_p50_ms']:.1f} ms, at most {facts['age_max_ms']:.1f}, "
            f"{size_text(facts['bytes_per_s'])}/s{missed}"
        )
