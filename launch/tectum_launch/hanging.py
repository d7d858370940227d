"""A node that hangs and is ended for it: asked, then SIGTERM, then SIGKILL. Pure.

A process that somebody has stopped (SIGSTOP) can hear neither, so it is killed at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from tectum.units import duration_text
from tectum_launch.members import Limits
from tectum_launch.orders import Halt, Kill, Order, Terminate

__all__ = ["Ending"]

_STEPS = ("when asked", "by SIGTERM", "by SIGKILL")


@dataclass(slots=True)
class Ending:
    """One process that is being ended, for `node` of it hangs."""

    node: str
    at_ns: int
    lost_ns: int
    """Its last sign of life."""
    injected: bool
    """Whether the faults of the run asked for that."""
    limits: Limits
    frozen: bool = False
    """Whether its process is stopped."""
    _step: int = 0

    def due(self, now_ns: int) -> list[Order]:
        """Return the steps that are due."""
        nodes = (self.node,)
        orders: tuple[Order, ...] = (Halt(nodes), Terminate(nodes), Kill(nodes))
        first = self._step
        while (step_ns := self.next_ns()) is not None and now_ns >= step_ns:
            self._step += 1
        return list(orders[first : self._step])

    def next_ns(self) -> int | None:
        """Return when the next step is due; None: all were taken."""
        patient = (0, self.limits.hang_terminate_ns, self.limits.hang_kill_ns)
        waits = (0, 0, 0) if self.frozen else patient
        return None if self._step == len(waits) else self.at_ns + waits[self._step]

    def cause(self, node: str) -> str:
        """Return why `node` of this process died."""
        how = f"it ended {_STEPS[self._step - 1]}"
        if node != self.node:
            return f"{self.node}, of the same process, hung: {how}"
        return f"hung: no sign of life for {duration_text(self.at_ns - self.lost_ns)}; {how}"
