"""Pace: leaves captures out of a source that is faster than wanted. Pure."""

from __future__ import annotations

from tectum.clock import NS_PER_S

__all__ = ["Pace"]


class Pace:
    """Leaves pictures out of a source that is faster than wanted."""

    def __init__(self, rate_hz: float | None) -> None:
        """Let at most `rate_hz` captures a second pass; None: all."""
        self.left_out = 0
        self._period_ns = round(NS_PER_S / rate_hz) if rate_hz else 0
        self._next_ns: int | None = None

    def wants(self, stamp_ns: int) -> bool:
        """Return whether a picture with this stamp is published."""
        due_ns = stamp_ns if self._next_ns is None else self._next_ns
        if abs(stamp_ns - due_ns) > 2 * self._period_ns:
            due_ns = stamp_ns  # the source has paused or started anew
        if stamp_ns < due_ns - self._period_ns // 4:
            self.left_out += 1
            return False
        self._next_ns = due_ns + self._period_ns
        return True
