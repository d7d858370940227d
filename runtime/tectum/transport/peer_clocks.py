"""Clocks of other hosts: asked now and then, and put into the headers that come from there.

A header's stamp is moved to this host's graph clock, and the bound on the clock's offset is added
to its `error_ns`. Until a host has answered, the offset is taken as nothing (graph clocks look like
Unix time) and the error as a second.
"""

from __future__ import annotations

from collections.abc import Mapping

from tectum.clock import NS_PER_MS, NS_PER_S, Clock
from tectum.message import Header
from tectum.sync.offset import PeerClock
from tectum.transport.clock_exchange import ClockClient
from tectum.transport.security import Security

__all__ = ["PeerClocks"]

ASK_EVERY_NS = 100 * NS_PER_MS
UNKNOWN_ERROR_NS = NS_PER_S


class PeerClocks:
    """The clocks of the hosts that a subscriber hears. For its thread."""

    def __init__(
        self,
        servers: Mapping[str, str],
        hosts: Mapping[str, str],
        clock: Clock,
        security: Security,
    ) -> None:
        """Ask at `servers` (host -> endpoint); `hosts` says where each remote node runs."""
        self._clock, self._hosts = clock, hosts
        self._clients = {
            host: ClockClient(endpoint, clock, security=security, host=host)
            for host, endpoint in servers.items()
        }
        self._clocks = {host: PeerClock() for host in servers}
        self._ask_at_ns = 0

    def serve(self) -> None:
        """Take up replies, and ask again when it is time."""
        now_ns = self._clock.now_ns()
        for host, client in self._clients.items():
            for exchange in client.collect():
                self._clocks[host].add(exchange)
            if now_ns >= self._ask_at_ns:
                client.ask()
        if now_ns >= self._ask_at_ns:
            self._ask_at_ns = now_ns + ASK_EVERY_NS

    def translated(self, header: Header, node: str) -> Header:
        """Return `header` in times of this host, if `node` runs on another."""
        clock = self._clocks.get(self._hosts.get(node, ""))
        if clock is None:
            return header
        error_ns = UNKNOWN_ERROR_NS
        if clock.known:
            error_ns = min(clock.error_ns(self._clock.now_ns()), UNKNOWN_ERROR_NS)
        return header._replace(
            stamp_ns=clock.ours_ns(header.stamp_ns),
            sent_ns=clock.ours_ns(header.sent_ns),
            error_ns=header.error_ns + error_ns,
        )

    def close(self) -> None:
        """Stop asking."""
        for client in self._clients.values():
            client.close()
