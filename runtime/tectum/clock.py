"""The graph clock: integer nanoseconds that look like Unix time and never jump.

One offset between the monotonic clock and the epoch is fixed when a run starts and shared by all
processes of the host, so stamps of different nodes compare and a step of the wall clock does not
show. This is the only module that reads the machine's time or sleeps; everything else takes
`now_ns` or a `Clock`. `tectum.testing.FakeClock` satisfies the same protocol.
"""

from __future__ import annotations

import time
from typing import Protocol, runtime_checkable

__all__ = [
    "NS_PER_MS",
    "NS_PER_S",
    "NS_PER_US",
    "Clock",
    "GraphClock",
    "fix_offset_ns",
    "system_now_ns",
]

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


@runtime_checkable
class Clock(Protocol):
    """What a part of Tectum may know of time."""

    def now_ns(self) -> int:
        """Return the present instant on the graph clock, in nanoseconds."""
        ...

    def sleep_until_ns(self, instant_ns: int) -> None:
        """Return at `instant_ns` on the graph clock, or at once when that has passed."""
        ...


def fix_offset_ns() -> int:
    """Return epoch minus monotonic time: read once per run, then shared by its processes."""
    return time.time_ns() - time.monotonic_ns()  # the one reading of the wall clock


def system_now_ns() -> int:
    """Return the system's time of day, which may jump: only to tell how old a kernel's stamp is."""
    return time.time_ns()


class GraphClock:
    """The live clock of one run: monotonic time plus the run's fixed offset."""

    __slots__ = ("offset_ns",)

    def __init__(self, offset_ns: int | None = None) -> None:
        """Use the run's `offset_ns`, or fix a new one for a run that begins here."""
        self.offset_ns = fix_offset_ns() if offset_ns is None else offset_ns

    def now_ns(self) -> int:
        """Return the present instant on the graph clock, in nanoseconds."""
        return time.monotonic_ns() + self.offset_ns

    def sleep_until_ns(self, instant_ns: int) -> None:
        """Return at `instant_ns` on the graph clock, or at once when that has passed."""
        remaining_ns = instant_ns - self.now_ns()
        if remaining_ns > 0:
            time.sleep(remaining_ns / NS_PER_S)  # noqa: TID251 - the one place that sleeps
