"""The inlet for publishers on other hosts: secured, and on the clock of this one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import zmq

from tectum.clock import NS_PER_MS, Clock
from tectum.message import Header
from tectum.transport.endpoint import check_remote
from tectum.transport.inlet import Inlet
from tectum.transport.peer_clocks import PeerClocks
from tectum.transport.port import HEARTBEAT_MS
from tectum.transport.presence import Presence
from tectum.transport.refusals import CONNECTING, Refusals
from tectum.transport.security import Security

__all__ = ["Far", "FarInlet"]

CONNECT_MS = 1000
"""How long a connection to another host may take to come about before it is tried anew."""
LOOK_EVERY_NS = 10 * NS_PER_MS


class Far(NamedTuple):
    """Publishers on other hosts."""

    endpoints: Mapping[str, str]
    """Endpoint -> host."""
    hosts: Mapping[str, str]
    """Node -> host, for every node that is not on this one."""
    clocks: Mapping[str, str]
    """Host -> where it tells its time."""
    security: Security


class FarInlet(Inlet):
    """Where messages of other hosts arrive. For one thread."""

    def __init__(
        self, name: str, far: Far, subscriptions: Sequence[bytes], queue: int, clock: Clock
    ) -> None:
        """Connect to the publishers of `far` as `name`.

        Raises:
            ConfigError: an endpoint is not allowed, or the key of a host is not known here.
        """
        super().__init__(subscriptions, queue)
        self.socket.set(zmq.CONNECT_TIMEOUT, CONNECT_MS)
        self.socket.set(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
        self.socket.set(zmq.HEARTBEAT_TIMEOUT, 3 * HEARTBEAT_MS)
        self._refusals = Refusals(self.socket, CONNECTING, name, Presence(name, far.endpoints))
        for endpoint, host in far.endpoints.items():
            far.security.guard_client(self.socket, host)
            self.socket.connect(check_remote(endpoint))
        self._clocks = PeerClocks(far.clocks, far.hosts, clock, far.security)
        self._clock, self._look_at_ns = clock, 0

    def look(self) -> None:
        """Say who was refused and ask other hosts for their clock, when it is time."""
        now_ns = self._clock.now_ns()
        if now_ns >= self._look_at_ns:
            self._look_at_ns = now_ns + LOOK_EVERY_NS
            self._refusals.look()
            self._clocks.serve()

    def translated(self, header: Header) -> Header:
        """Return `header` in times of this host, if its node runs on another."""
        return self._clocks.translated(header, header.topic.partition("/")[0])

    def close(self) -> None:
        """Close."""
        self._clocks.close()
        self._refusals.close()
        super().close()
