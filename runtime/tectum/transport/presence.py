"""Which other hosts a subscriber is connected to, and the sentence when one goes or comes back.

Pure. A host is there while one connection to it is; each node of it has its own. What happens
again and again is said when its count doubles.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from tectum.repeated import has_doubled

__all__ = ["Presence"]


class Presence:
    """The hosts that one subscriber hears."""

    def __init__(self, who: str, hosts: Mapping[str, str]) -> None:
        """Speak for the subscriber `who`; `hosts` are those at the endpoints it connects to."""
        self._who, self._hosts = who, hosts
        self._there: dict[int, str] = {}
        """Connection -> host."""
        self._lost: Counter[str] = Counter()

    def joined(self, connection: int, endpoint: str) -> str:
        """Take up a connection; return what is to be said of it, or an empty string."""
        host = self._hosts.get(endpoint, endpoint)
        is_news = host not in self._there.values() and self._is_to_be_said(host)
        self._there[connection] = host
        return f"{self._who} is connected to {host} again" if is_news else ""

    def left(self, connection: int) -> str:
        """Take up that a connection has ended; return what is to be said, or an empty string."""
        host = self._there.pop(connection, None)
        if host is None or host in self._there.values():
            return ""
        self._lost[host] += 1
        if not self._is_to_be_said(host):
            return ""
        times = f" ({self._lost[host]} times so far)" if self._lost[host] > 1 else ""
        return (
            f"{self._who} has lost its connection to {host}{times}: it tries again until {host} "
            "is there; what is missing meanwhile is counted as disconnected"
        )

    def _is_to_be_said(self, host: str) -> bool:
        return self._lost[host] > 0 and has_doubled(self._lost[host])
