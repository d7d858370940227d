"""The subscriber over ZeroMQ: one SUB socket connected to the publishers of its topics.

A publisher that dies and comes back is joined again by the next `wait` or `drain` that follows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import zmq

from tectum.clock import NS_PER_MS, Clock
from tectum.errors import WireError
from tectum.message import Header, Kind, Message, Payload, Value
from tectum.transport.base import Received
from tectum.transport.endpoint import check_endpoint, check_remote
from tectum.transport.inbox import OTHER, Inbox
from tectum.transport.joining import Delivery, joining
from tectum.transport.lease import OvertakenError, PoolReader
from tectum.transport.outbox import STATEMENT
from tectum.transport.payload import FramePayload
from tectum.transport.peer_clocks import PeerClocks
from tectum.transport.pool_file import pools_are_possible
from tectum.transport.port import HEARTBEAT_MS
from tectum.transport.queues import bounded_queue
from tectum.transport.reference import Reference
from tectum.transport.refusals import CONNECTING, Refusals
from tectum.transport.security import Security
from tectum.transport.waiter import Waiter, can_be_read
from tectum.transport.wire import (
    decode_reference,
    inline_topic,
    shared_topic,
    topic_frame,
    topic_of,
)

__all__ = ["DEFAULT_HOLD", "Far", "ZmqSubscriber"]

DEFAULT_HOLD = 8
"""Of any subscriber that says nothing else; memory is only used where so much is really held."""

RECONNECT_MS = 20
CONNECT_MS = 1000
"""How long a connection to another host may take to come about before it is tried anew."""
LOOK_EVERY_NS = 10 * NS_PER_MS
MAX_FRAME_BYTES = 512 * 1024 * 1024
COPIED_BELOW_BYTES = 64 * 1024
"""Smaller frames are copied: cheaper than to look after their memory, and so they are aligned."""
_NOBLOCK = int(zmq.NOBLOCK)
_LASTING = (Kind.LATCHED, Kind.STATEMENT, Kind.PROMISE, Kind.END)
_log = logging.getLogger(__name__)


class Far(NamedTuple):
    """Publishers on other hosts."""

    endpoints: Mapping[str, str]
    """Endpoint -> host."""
    hosts: Mapping[str, str]
    """Node -> host, for every node that is not on this one."""
    clocks: Mapping[str, str]
    """Host -> where it tells its time."""
    security: Security


class _Come(NamedTuple):
    """A message as it came."""

    header: Header
    reference: Reference | None
    buffers: Sequence[bytes | memoryview]


class ZmqSubscriber:
    """Satisfies `tectum.transport.base.Subscriber`. A publisher may come, die and come back."""

    def __init__(
        self,
        name: str,
        endpoints: Sequence[str],
        topics: Sequence[str],
        clock: Clock,
        *,
        queue: int = 256,
        hold: int = DEFAULT_HOLD,
        delivery: Delivery = "each",
        nodes: Iterable[str] = (),
        far: Far | None = None,
    ) -> None:
        """Join the publishers at `endpoints` as `name`, for `topics` (exact names).

        Args:
            name: unique in the run.
            endpoints: of the publishers.
            topics: exact names.
            clock: for waiting.
            queue: bounds the messages kept on this side per publisher.
            hold: how many messages may be kept in the publishers' shared memory at a time;
                further ones are copied out. 0: all payloads come inline.
            delivery: what is wanted where this side cannot keep up.
            nodes: those that publish some of the topics and that no topic is named after.
            far: publishers on other hosts.

        Raises:
            ConfigError: an endpoint is not `ipc://` or too long.
            ContractError: a topic is not `node/output`.
        """
        allowed = [check_endpoint(endpoint) for endpoint in endpoints]
        hold = hold if pools_are_possible() else 0
        self._inbox = Inbox(name, topics)
        self._hold, self._reader = hold, PoolReader(hold)
        self._delivery, self._queue, self._largest = delivery, queue, 0
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        self._socket.set(zmq.RCVHWM, queue)
        self._socket.set(zmq.LINGER, 0)
        self._socket.set(zmq.RECONNECT_IVL, RECONNECT_MS)
        self._socket.set(zmq.RECONNECT_IVL_MAX, 0)
        self._socket.set(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
        self._seen_empty = False
        form = shared_topic if hold else inline_topic
        publishing = {*nodes, *(topic.partition("/")[0] for topic in topics)}
        for topic in (*topics, *(f"{node}/{STATEMENT}" for node in publishing)):
            self._socket.subscribe(topic_frame(topic))
            self._socket.subscribe(form(topic))
        self._socket.subscribe(joining(name, hold, delivery))
        for endpoint in allowed:
            self._socket.connect(endpoint)
        self._clock, self._look_at_ns = clock, 0
        self._refusals: Refusals | None = None
        self._clocks: PeerClocks | None = None
        if far is not None:
            self._connect_far(name, far)
        self._waiter = Waiter(clock, self._socket)

    def drain(self, limit: int = 1024) -> list[Received]:
        """Return everything that has arrived, at most about `limit`, without waiting."""
        if self._clocks is not None:
            self._look_far()
        come: list[_Come] = []
        results: list[Received] = []
        newest = self._delivery == "newest"
        for _ in range(limit):
            frames = self._frames()
            if frames is None:
                self._seen_empty = True
                break
            parsed = self._parsed(frames)
            if parsed is not None and newest:
                come.append(parsed)
            elif parsed is not None:
                results += self._taken(parsed)
            if not can_be_read(self._socket):
                self._seen_empty = True
                break
        return self._newest(come) if newest else results

    def wait(self, timeout_ns: int) -> bool:
        """Wait until something may have arrived or `wake` was called; False on time-out."""
        seen_empty, self._seen_empty = self._seen_empty, False
        if not seen_empty and can_be_read(self._socket):
            return True
        return self._waiter.wait_for_change(timeout_ns)

    def wake(self) -> None:
        """End a `wait` of the owning thread; may be called from any thread."""
        self._waiter.wake()

    def counters(self) -> dict[str, dict[str, Value]]:
        """Return the counts per topic; see `Inbox.counters`."""
        return self._inbox.counters()

    def close(self) -> None:
        """Close; what has not been drained is dropped."""
        self._waiter.close()
        if self._clocks is not None:
            self._clocks.close()
        if self._refusals is not None:
            self._refusals.close()
        self._socket.close()

    def _connect_far(self, name: str, far: Far) -> None:
        """Connect to publishers on other hosts; what is set on a socket holds from then on."""
        self._socket.set(zmq.CONNECT_TIMEOUT, CONNECT_MS)
        self._socket.set(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
        self._socket.set(zmq.HEARTBEAT_TIMEOUT, 3 * HEARTBEAT_MS)
        self._refusals = Refusals(self._socket, CONNECTING, name)
        for endpoint, host in far.endpoints.items():
            far.security.guard_client(self._socket, host)
            self._socket.connect(check_remote(endpoint))
        self._clocks = PeerClocks(far.clocks, far.hosts, self._clock, far.security)

    def _look_far(self) -> None:
        """Say who was refused; ask other hosts for their clock."""
        now_ns = self._clock.now_ns()
        if self._clocks is not None and self._refusals is not None and now_ns >= self._look_at_ns:
            self._look_at_ns = now_ns + LOOK_EVERY_NS
            self._refusals.look()
            self._clocks.serve()

    def _frames(self) -> list[bytes | memoryview] | None:
        """Return the frames of the next message, None: there is none. Small ones are copied."""
        receive = self._socket.recv
        try:
            frame = receive(_NOBLOCK, copy=False)
        except zmq.Again:
            return None
        frames: list[bytes | memoryview] = [frame.bytes]
        while frame.more:
            frame = receive(_NOBLOCK, copy=False)
            frames.append(frame.bytes if len(frame) < COPIED_BELOW_BYTES else frame.buffer)
        return frames

    def _parsed(self, buffers: list[bytes | memoryview]) -> _Come | None:
        """Return a message as it came, or None where it is malformed or comes inline as well."""
        self._bound_queue(buffers)
        try:
            header, reference = decode_reference(buffers)
        except WireError as error:
            self._refuse(_topic_or_other(buffers[0]), error)
            return None
        if reference is not None and not self._hold:
            return None
        return _Come(header, reference, buffers[2:])

    def _newest(self, come: Sequence[_Come]) -> list[Received]:
        """Take the newest of each topic, and what takes no place of another."""
        last = {item.header.topic: index for index, item in enumerate(come) if _can_age(item)}
        results: list[Received] = []
        for index, item in enumerate(come):
            if _can_age(item) and index != last[item.header.topic]:
                if item.reference is not None:
                    self._reader.pass_over(item.reference)
                results += self._inbox.lose(item.header, "skipped")
            else:
                results += self._taken(item)
        return results

    def _taken(self, come: _Come) -> list[Received]:
        header, reference, buffers = come
        if self._clocks is not None:
            header = self._clocks.translated(header, header.topic.partition("/")[0])
        if reference is None:
            payloads: tuple[Payload, ...] = tuple(
                [
                    FramePayload(buffer, len(buffer), spec)
                    for buffer, spec in zip(buffers, header.buffers, strict=True)
                ]
            )
            return self._inbox.take(Message(header, payloads))
        try:
            payloads = self._reader.payloads(reference, header.buffers)
        except OvertakenError:
            return self._inbox.lose(header, "overtaken")
        except WireError as error:
            self._refuse(header.topic, error)
            return []
        return self._inbox.take(Message(header, payloads))

    def _refuse(self, topic: str, error: WireError) -> None:
        """Count a message that breaks a rule; say so when the count doubles."""
        count = self._inbox.refuse(topic)
        if count & (count - 1) == 0:
            _log.warning("refused %d messages of %s so far: %s", count, topic, error)

    def _bound_queue(self, buffers: Sequence[bytes | memoryview]) -> None:
        """Let fewer messages wait where they are larger: queues are bounded in bytes too."""
        nbytes = 0
        for buffer in buffers:
            nbytes += len(buffer)
        if nbytes > self._largest:
            self._largest = nbytes
            self._socket.set(zmq.RCVHWM, bounded_queue(self._queue, nbytes))


def _can_age(come: _Come) -> bool:
    """Return whether a newer message of the topic makes this one worthless."""
    return come.header.kind not in _LASTING


def _topic_or_other(frame: bytes | memoryview) -> str:
    try:
        return topic_of(bytes(frame))
    except WireError:
        return OTHER
