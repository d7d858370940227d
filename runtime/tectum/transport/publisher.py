"""The publisher: local links and a Unix socket for this host, and a port for others if there are.

Large payloads travel through shared memory to those who can read it, inline to all others.
Sending never waits, except for subscribers that joined as lossless. Where a subscriber's queue is
full, the message goes to all others, and the place is stated: that subscriber is then left out
until it has read half of its queue, so every run of losses begins at a place that was seen and
named. Who has joined by a link is sent references and small payloads alone, a reference before its
bytes are copied. If shared memory turns out to be too small, the links are given up, and all join
anew over ZeroMQ.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from tectum.clock import NS_PER_MS, NS_PER_S, Clock
from tectum.errors import ConfigError
from tectum.message import AnyArray, BufferSpec, Header
from tectum.transport.endpoint import check_endpoint
from tectum.transport.joining import guest_of
from tectum.transport.link import for_the_link
from tectum.transport.local_port import LocalPort
from tectum.transport.local_socket import link_path
from tectum.transport.outbox import OutboxPublisher, new_incarnation
from tectum.transport.pool import Pools
from tectum.transport.pool_file import pools_are_possible
from tectum.transport.port import Port
from tectum.transport.reference import Reference
from tectum.transport.region import is_lent
from tectum.transport.security import Security
from tectum.transport.topics import topic_name
from tectum.transport.waiter import Waiter

__all__ = ["Remote", "ZmqPublisher"]

SHARED_FROM_BYTES = 64 * 1024
"""Smaller payloads are sent inline: a reference with its lease costs more than their copies."""
ANNOUNCED_FROM_BYTES = 256 * 1024
"""Less is copied before a reader is awake: one word more would only cost."""
ROUSED_BELOW_BYTES = 4 * 1024 * 1024
"""To copy more takes longer than to wake up: to announce it is early enough."""
PATIENCE_NS = 10 * NS_PER_S
"""How long a message waits for room in the queues of lossless subscribers."""

_log = logging.getLogger(__name__)


class Remote(NamedTuple):
    """Where subscribers of other hosts connect, and who may."""

    endpoint: str
    security: Security
    links: Mapping[str, int] = MappingProxyType({})
    """Topic -> quality: whose pictures go there as JPEG."""


class _Route(NamedTuple):
    """Where the messages of a topic go, until somebody comes or leaves."""

    readers: int
    """How many read it in shared memory; 0: it goes inline."""
    here: bool
    """Whether anybody on this host has joined over ZeroMQ."""
    shown: bool
    """Whether those are sent references."""


class _Wanted(NamedTuple):
    """What somebody wants to fill."""

    topic: str
    spec: BufferSpec
    nbytes: int


class ZmqPublisher(OutboxPublisher):
    """Satisfies `tectum.transport.base.Publisher`."""

    def __init__(
        self,
        node: str,
        endpoint: str,
        clock: Clock,
        *,
        queue: int = 256,
        incarnation: int | None = None,
        remote: Remote | None = None,
    ) -> None:
        """Listen on `endpoint`; keep at most `queue` messages per subscriber on this side.

        Args:
            node: for whom it speaks.
            endpoint: on this host.
            clock: the graph clock.
            queue: how many messages, and at most 64 MB.
            incarnation: of a test.
            remote: where other hosts connect; None: they cannot.

        Raises:
            ConfigError: not an `ipc://` endpoint, too long, or it cannot be bound.
        """
        super().__init__(node, clock, incarnation)
        self._jpeg = remote.links if remote else {}
        self._left: list[bytes] = []
        """Subscriptions that ended when links were given up."""
        self._links = _links(endpoint, queue)  # before the port, see `local_links`
        try:
            self._ports = _ports(node, endpoint, queue, remote)
        except ConfigError:
            if self._links is not None:
                self._links.close()
            raise
        self._here = self._ports[0]
        self._waiter = Waiter(clock, *(port.socket for port in self._ports))
        if self._links is not None:
            self._waiter.add(self._links.fileno())
        self._pools = Pools(self._here.folder.name, node, new_incarnation(), _called)
        self._tidy_until_ns = 0
        self._pools_wanted = False
        self._routes: dict[str, _Route] = {}
        self._wanted: dict[str, _Wanted] = {}
        """By output: what was asked for last."""
        self._far: set[str] = set()
        """Names of the subscribers on other hosts."""

    def loan(self, output: str, dtype: str, shape: tuple[int, ...]) -> AnyArray:
        """Return a writable array to fill and publish, in shared memory where that is used."""
        array: AnyArray | None = None
        last = self._wanted.get(output)
        if last is None or last.spec != (dtype, shape):
            spec = BufferSpec(dtype, shape)
            last = self._wanted[output] = _Wanted(topic_name(self.node, output), spec, spec.nbytes)
        if self._pools_wanted and last.nbytes >= SHARED_FROM_BYTES:
            route = self._routes.get(last.topic) or self._route(last.topic)
            array = self._pools.loan(*last, route.readers)
        return np.empty(shape, dtype) if array is None else array

    def serve(self) -> int:
        """Take up joins, send what is due, and return the instant when it is due again."""
        due_ns = super().serve()
        if due_ns != self._tidy_until_ns:
            self._tidy_until_ns = due_ns
            self._pools.give_back()
        return due_ns

    def wait(self, timeout_ns: int) -> bool:
        """Wait until a subscriber joins or leaves or `wake` is called; False on time-out."""
        return self._waiter.wait(timeout_ns)

    def wake(self) -> None:
        """End a `wait` of the owning thread; may be called from any thread."""
        self._waiter.wake()

    def _send(self, header: Header, arrays: tuple[AnyArray, ...] = ()) -> bool:
        route = self._routes.get(header.topic)
        if route is None:
            route = self._routes[header.topic] = self._route(header.topic)
        reference = self._placed(header, arrays, route) if arrays and route.readers else None
        links, all_took_it = self._links, True
        if links is not None:
            all_took_it = links.send(header, arrays, reference)
        if links is None or route.here:
            shown = reference if route.shown else None
            all_took_it &= self._here.send(header, arrays, shown, self._patience)
        if self._far:
            packed = for_the_link(header, arrays, self._jpeg) if self._jpeg else (header, arrays)
            all_took_it &= self._ports[-1].send(*packed, None, self._patience)
        return all_took_it

    def _patience(self) -> Callable[[], bool]:
        """Return what waits a moment and returns True where somebody wants to lose nothing."""
        until_ns = self._clock.now_ns() + PATIENCE_NS
        lossless = any(guest.lossless for guest in self._guests.values())

        def try_again() -> bool:
            now_ns = self._clock.now_ns()
            if now_ns >= until_ns or not lossless:
                return False
            self._clock.sleep_until_ns(now_ns + NS_PER_MS)
            return True

        return try_again

    def _rouse(self, topic: str, arrays: tuple[AnyArray, ...]) -> None:
        first = arrays[0]
        is_brief = first.nbytes < ROUSED_BELOW_BYTES or is_lent(first)
        if self._links is not None and is_brief:
            self._links.rouse(topic)

    def _placed(
        self, header: Header, arrays: tuple[AnyArray, ...], route: _Route
    ) -> Reference | None:
        """Return where in shared memory the payloads are now; None: they go inline."""
        nbytes = 0
        for array in arrays:
            nbytes += array.nbytes
        if nbytes < SHARED_FROM_BYTES:
            return None
        announce = None
        if self._links is not None and nbytes >= ANNOUNCED_FROM_BYTES:
            announce = partial(self._links.announce, header)
        reference = self._pools.place(header.topic, arrays, route.readers, announce)
        if reference is None:
            self._hang_up()
        return reference

    def _route(self, topic: str) -> _Route:
        """Return where the messages of `topic` go as of now."""
        links, here = self._links, self._here  # links: another thread may give them up
        near = here.readers(topic)
        readers = near + (links.readers(topic) if links is not None else 0)
        return _Route(readers if self._pools_wanted else 0, here.is_heard(), near > 0)

    def _hang_up(self, clock: Clock | None = None) -> None:
        """Close the links; with `clock`, when their readers have taken what is theirs."""
        links, self._links = self._links, None
        if links is not None:
            self._routes.clear()
            self._waiter.remove(links.fileno())
            self._left += links.close(clock)

    def _subscriptions(self) -> Iterator[bytes]:
        yield from self._left
        self._left.clear()
        if self._links is not None:
            yield from self._links.subscriptions()
        for port in self._ports:
            for subscription in port.subscriptions():
                guest = guest_of(subscription[1:])
                if guest is not None and port is not self._here:
                    change = self._far.add if subscription[:1] == b"\1" else self._far.discard
                    change(guest.name)
                yield subscription

    def _take_up(self, subscriptions: Iterable[bytes]) -> bool:
        heard = list(subscriptions)
        newcomers = super()._take_up(heard)
        if heard:
            near = [guest for guest in self._guests.values() if guest.name not in self._far]
            holds = [guest.hold for guest in near if guest.hold]
            self._pools.holds = sum(holds)
            self._pools_wanted = bool(holds)
            self._routes.clear()
        return newcomers

    def _shut(self) -> None:
        for port in self._ports:
            port.close()
        self._hang_up(self._clock)  # behind the port, see `local_links`
        self._waiter.close()
        self._pools.close()


def _ports(node: str, endpoint: str, queue: int, remote: Remote | None) -> list[Port]:
    """Return the ports of a publisher, the first of which is for this host.

    Raises:
        ConfigError: one cannot be bound.
    """
    here = Port(node, endpoint, queue, None)
    try:
        return [here, Port(node, remote.endpoint, queue, remote.security)] if remote else [here]
    except ConfigError:
        here.close()
        raise


def _links(endpoint: str, queue: int) -> LocalPort | None:
    """Return the local links of the publisher at `endpoint`; None: this host has none."""
    path = link_path(check_endpoint(endpoint))
    if not pools_are_possible():
        path.unlink(missing_ok=True)  # nobody shall wait for a killed predecessor to come back
        return None
    try:
        return LocalPort(path, queue)
    except OSError as error:
        _log.debug("no links at %s: %s", path, error)
        return None


def _called(pid: int) -> str:
    """Return what a person calls a process: the node that it runs, or its number."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        words = []
    node = words[words.index(b"--node") + 1].decode() if b"--node" in words else "a process"
    return f"{node} ({pid})"
