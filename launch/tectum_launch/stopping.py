"""How a graph is stopped, step by step, in at most two seconds. Pure.

First those that publish are asked, then those that only listen (so that a recorder hears the last
word), then SIGTERM, then SIGKILL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tectum_launch.members import Limits
from tectum_launch.orders import Halt, Kill, Order, Terminate

__all__ = ["Stop"]


@dataclass(slots=True)
class Stop:
    """A graph that is being stopped since `at_ns`."""

    at_ns: int
    limits: Limits
    _step: int = 0

    def due(self, now_ns: int, publishing: Sequence[str], listening: Sequence[str]) -> list[Order]:
        """Return the steps that are due; both kinds of nodes are those that have a process."""
        orders: list[Order] = []
        since_ns, limits = now_ns - self.at_ns, self.limits
        if self._step == 0:
            self._step = 1
            orders += [Halt(tuple(publishing))] if publishing else []
        if self._step == 1 and (not publishing or since_ns >= limits.listeners_ns):
            self._step = 2
            orders += [Halt(tuple(listening))] if listening else []
        everyone = (*publishing, *listening)
        if self._step == 2 and since_ns >= limits.terminate_ns:
            self._step = 3
            orders += [Terminate(everyone)] if everyone else []
        if self._step == 3 and since_ns >= limits.kill_ns:
            self._step = 4
            orders += [Kill(everyone)] if everyone else []
        return orders

    def next_ns(self) -> int | None:
        """Return when the next step is due by time alone; None: none is."""
        limits = self.limits
        waits = {1: limits.listeners_ns, 2: limits.terminate_ns, 3: limits.kill_ns}
        wait_ns = waits.get(self._step)
        return None if wait_ns is None else self.at_ns + wait_ns
