"""When a node that died is started again, and when it is given up. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tectum_launch.members import RestartRule

__all__ = ["Backoff"]

_MOST_DOUBLINGS = 32


@dataclass(slots=True)
class Backoff:
    """The restarts of one node."""

    rule: RestartRule
    _in_a_row: int = 0
    _began_ns: deque[int] = field(default_factory=deque)
    """When the restarts of the last `within_ns` were decided."""

    def wait_ns(self, now_ns: int, since_ns: int) -> int | None:
        """Return how long to wait after a death now; None where the node is given up.

        Args:
            now_ns: when it died.
            since_ns: when it had been started.
        """
        rule = self.rule
        while self._began_ns and now_ns - self._began_ns[0] >= rule.within_ns:
            self._began_ns.popleft()
        if rule.most and len(self._began_ns) >= rule.most:
            return None
        if now_ns - since_ns >= rule.steady_ns:
            self._in_a_row = 0
        doubled_ns = rule.first_ns << min(self._in_a_row, _MOST_DOUBLINGS)
        self._in_a_row += 1
        if rule.most:
            self._began_ns.append(now_ns)
        return min(doubled_ns, rule.longest_ns)
