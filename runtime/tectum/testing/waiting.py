"""Waiting in tests for what is to come, not for a while in which it should have come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock

__all__ = ["udp_port_is_bound", "until"]

_STEP_NS = 10 * NS_PER_MS
T = TypeVar("T")


def until(condition: Callable[[], T], timeout_s: float = 30.0) -> T:
    """Return what `condition` gives once that is true.

    Raises:
        TimeoutError: it does not come to that; the message has what it gave last.
    """
    clock = GraphClock()
    end_ns = clock.now_ns() + round(timeout_s * NS_PER_S)
    while not (found := condition()):
        if clock.now_ns() >= end_ns:
            msg = f"it did not come to that within {timeout_s} s; at last: {found!r}"
            raise TimeoutError(msg)
        clock.sleep_until_ns(clock.now_ns() + _STEP_NS)
    return found


def udp_port_is_bound(port: int) -> bool:
    """Return whether a socket of this network listens at a UDP port: proc(5), Linux alone."""
    lines = Path("/proc/net/udp").read_text(encoding="ascii").splitlines()[1:]
    return any(int(line.split()[1].rpartition(":")[2], 16) == port for line in lines)
