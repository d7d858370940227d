"""Who is silent for too long: signs of life are heard here, and the lack of them is told. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from tectum.node.control import Report, State
from tectum_launch.slowness import Slowness
from tectum_launch.watch import NEVER_NS, Watch

__all__ = ["Vigil"]


@dataclass(slots=True)
class Vigil:
    """Listens for all nodes, as long as the launcher itself is awake."""

    ticked_ns: int
    """When the launcher looked last."""
    lapse_ns: int
    """One that did not look for so long was asleep itself."""
    _slowness: Slowness = field(default_factory=Slowness)
    _awake_ns: int = 0

    def look(self, now_ns: int) -> None:
        """Take up that the launcher looks now."""
        if now_ns - self.ticked_ns > self.lapse_ns:
            self._awake_ns = now_ns
        self.ticked_ns = now_ns

    def heard(self, now_ns: int, watch: Watch, report: Report) -> int:
        """Take up a sign of life, and for how long none is to be expected.

        Returns:
            How long the node was silent, where it was said to hang; else 0.
        """
        self.look(now_ns)
        counts = watch.beats and watch.heard_ns and not watch.busy_until_ns
        hung, since_ns, watch.heard_ns = watch.hanging, watch.heard_ns, now_ns
        if report.state in (State.BUSY, State.ALIVE):
            watch.busy_until_ns = now_ns + report.lasting_ns if report.lasting_ns else 0
        if not hung and counts:
            self._slowness.heard(now_ns, now_ns - max(since_ns, self._awake_ns))
        if not hung or watch.ending:
            return 0
        watch.hanging = False
        return now_ns - since_ns

    def due_ns(self, now_ns: int, watch: Watch) -> int:
        """Return when the silence of a node becomes a hang."""
        after_ns = watch.member.hang.after_ns
        if not watch.beats or watch.hanging or watch.ending or not after_ns:
            return NEVER_NS
        allowed_ns = self._slowness.allowed_ns(now_ns, after_ns)
        return max(max(watch.heard_ns, self._awake_ns) + allowed_ns, watch.busy_until_ns)
