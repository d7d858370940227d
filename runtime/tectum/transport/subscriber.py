"""The subscriber over ZeroMQ: one SUB socket connected to the publishers of its topics.

A publisher that dies and comes back is joined again by the next `wait` or `drain` that follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import zmq

from tectum.clock import Clock
from tectum.errors import WireError
from tectum.message import Message, Value
from tectum.transport.base import Received
from tectum.transport.endpoint import check_endpoint
from tectum.transport.inbox import OTHER, Inbox
from tectum.transport.outbox import JOIN_PREFIX, STATEMENT
from tectum.transport.payload import FramePayload
from tectum.transport.waiter import Waiter
from tectum.transport.wire import decode, topic_frame, topic_of

__all__ = ["ZmqSubscriber"]

RECONNECT_MS = 20
MAX_FRAME_BYTES = 512 * 1024 * 1024


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
        nodes: Iterable[str] = (),
    ) -> None:
        """Join the publishers at `endpoints` as `name`, for `topics` (exact names).

        `queue` bounds the messages kept on this side per publisher; `nodes` are those that
        publish some of the topics and that no topic is named after.

        Raises:
            ConfigError: an endpoint is not `ipc://` or too long.
            ContractError: a topic is not `node/output`.
        """
        self._inbox = Inbox(name, topics)
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        self._socket.set(zmq.RCVHWM, queue)
        self._socket.set(zmq.LINGER, 0)
        self._socket.set(zmq.RECONNECT_IVL, RECONNECT_MS)
        self._socket.set(zmq.RECONNECT_IVL_MAX, 0)
        self._socket.set(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
        publishing = {*nodes, *(topic.partition("/")[0] for topic in topics)}
        for topic in (*topics, *(f"{node}/{STATEMENT}" for node in publishing)):
            self._socket.subscribe(topic_frame(topic))
        self._socket.subscribe(JOIN_PREFIX + name.encode())
        for endpoint in endpoints:
            self._socket.connect(check_endpoint(endpoint))
        self._waiter = Waiter(clock, self._socket)

    def drain(self, limit: int = 1024) -> list[Received]:
        """Return everything that has arrived, at most about `limit`, without waiting."""
        results: list[Received] = []
        for _ in range(limit):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                break
            results += self._take(frames)
        return results

    def wait(self, timeout_ns: int) -> bool:
        """Wait until something has arrived or `wake` was called; False on time-out."""
        return self._waiter.wait(timeout_ns)

    def wake(self) -> None:
        """End a `wait` of the owning thread; may be called from any thread."""
        self._waiter.wake()

    def counters(self) -> dict[str, dict[str, Value]]:
        """Return the counts per topic; see `Inbox.counters`."""
        return self._inbox.counters()

    def close(self) -> None:
        """Close; what has not been drained is dropped."""
        self._waiter.close()
        self._socket.close()

    def _take(self, frames: Sequence[zmq.Frame]) -> list[Received]:
        buffers: list[bytes | memoryview] = [frames[0].bytes]
        buffers += [memoryview(frame.buffer) for frame in frames[1:]]
        try:
            header = decode(buffers)
        except WireError:
            self._inbox.refuse(_topic_or_other(frames[0].bytes))
            return []
        pairs = zip(buffers[2:], header.buffers, strict=True)
        return self._inbox.take(Message(header, tuple(FramePayload(*pair) for pair in pairs)))


def _topic_or_other(frame: bytes) -> str:
    try:
        return topic_of(frame)
    except WireError:
        return OTHER
