"""The publisher over ZeroMQ: one XPUB socket on a Unix socket of this host.

Large payloads travel through shared memory, unless a subscriber has joined that cannot read it.
Sending never waits, except for subscribers that joined as lossless. Where a subscriber's queue is
full, the message goes to all others, and the place is stated: libzmq then leaves that subscriber
out until it has read half of its queue, so every run of losses begins at a place that was seen and
named.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from tectum.clock import NS_PER_MS, NS_PER_S, Clock
from tectum.errors import ConfigError
from tectum.message import AnyArray, BufferSpec, Message, Payload
from tectum.transport.endpoint import check_endpoint
from tectum.transport.outbox import OutboxPublisher, new_incarnation
from tectum.transport.pool import Pools
from tectum.transport.queues import bounded_queue
from tectum.transport.reference import Reference
from tectum.transport.topics import topic_name
from tectum.transport.waiter import Waiter
from tectum.transport.wire import encode

__all__ = ["ZmqPublisher"]

LEND_FROM_BYTES = 256 * 1024
"""Smaller buffers are copied when sent. Lending one costs the publisher 40 microseconds for giving
it back, which copying exceeds from about this size on (measured over ipc on Linux)."""
SHARED_FROM_BYTES = 64 * 1024
"""Smaller payloads are sent inline: a reference with its lease costs more than their copies."""
PATIENCE_NS = 10 * NS_PER_S
"""How long a message waits for room in the queues of lossless subscribers."""
LINGER_MS = 200
"""How long `close` waits for subscribers to take the rest."""
MAX_SUBSCRIPTION_BYTES = 4096
_MORE = zmq.NOBLOCK | zmq.SNDMORE


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
    ) -> None:
        """Listen on `endpoint`; keep at most `queue` messages per subscriber on this side.

        Raises:
            ConfigError: not an `ipc://` endpoint, too long, or it cannot be bound.
        """
        super().__init__(node, clock, incarnation)
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.XPUB)
        self._socket.set(zmq.XPUB_VERBOSE, 1)
        self._socket.set(zmq.XPUB_NODROP, 1)
        self._socket.set(zmq.SNDHWM, queue)
        self._socket.set(zmq.LINGER, LINGER_MS)
        self._socket.set(zmq.MAXMSGSIZE, MAX_SUBSCRIPTION_BYTES)
        try:
            self._path, self._inode = _bind(self._socket, endpoint)
        except (zmq.ZMQError, OSError, ConfigError) as error:
            self._socket.close(0)
            msg = f"{node} cannot publish on {endpoint}: {error}"
            raise ConfigError(msg) from error
        self._waiter = Waiter(clock, self._socket)
        self._queue, self._largest = queue, 0
        self._pools = Pools(self._path.parent.name, node, new_incarnation())
        self._pools_wanted = False

    def loan(self, output: str, dtype: str, shape: tuple[int, ...]) -> AnyArray:
        """Return a writable array to fill and publish, in shared memory where that is used."""
        array: AnyArray | None = None
        nbytes = BufferSpec(dtype, shape).nbytes
        if self._pools_wanted and nbytes >= SHARED_FROM_BYTES:
            array = self._pools.loan(topic_name(self.node, output), dtype, shape)
        return np.empty(shape, dtype) if array is None else array

    def wait(self, timeout_ns: int) -> bool:
        """Wait until a subscriber joins or leaves or `wake` is called; False on time-out."""
        return self._waiter.wait(timeout_ns)

    def wake(self) -> None:
        """End a `wait` of the owning thread; may be called from any thread."""
        self._waiter.wake()

    def _send(self, message: Message) -> bool:
        reference = self._placed(message)
        topic, header = encode(message.header, reference)
        buffers: list[Any] = []
        if reference is None and message.payloads:
            self._bound_queues(sum([payload.nbytes for payload in message.payloads]))
            buffers = [_lent(payload) for payload in message.payloads]
        parts = [topic, header, *buffers]
        return self._sent_to_all(parts) or self._sent_to_most(parts)

    def _placed(self, message: Message) -> Reference | None:
        """Return where in shared memory the payloads are now; None: they go inline."""
        if not (self._pools_wanted and message.payloads):
            return None
        if sum([payload.nbytes for payload in message.payloads]) < SHARED_FROM_BYTES:
            return None
        arrays = [payload.array() for payload in message.payloads]
        return self._pools.place(message.header.topic, arrays)

    def _sent_to_all(self, parts: list[Any]) -> bool:
        """Try to send to everyone; wait for room where somebody wants to lose nothing."""
        if self._sent(parts):
            return True
        until_ns = self._clock.now_ns() + PATIENCE_NS
        while True:
            int(self._socket.EVENTS)  # takes up what subscribers have read since; see ZMQ_EVENTS
            if self._sent(parts):
                return True
            lossless = any(guest.lossless for guest in self._guests.values())
            if not lossless or self._clock.now_ns() >= until_ns:
                return False
            self._clock.sleep_until_ns(self._clock.now_ns() + NS_PER_MS)

    def _sent_to_most(self, parts: list[Any]) -> bool:
        """Send to all but those whose queue is full; return False."""
        self._socket.set(zmq.XPUB_NODROP, 0)
        try:
            self._sent(parts)
        finally:
            self._socket.set(zmq.XPUB_NODROP, 1)
        return False

    def _bound_queues(self, nbytes: int) -> None:
        """Let fewer messages wait where they are larger: queues are bounded in bytes too."""
        if nbytes > self._largest:
            self._largest = nbytes
            self._socket.set(zmq.SNDHWM, bounded_queue(self._queue, nbytes))

    def _sent(self, parts: list[Any]) -> bool:
        """Send all parts, or none where a queue is full."""
        send = self._socket.send
        try:
            for part in parts[:-1]:
                send(part, _MORE)
            send(parts[-1], zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def _subscriptions(self) -> Iterator[bytes]:
        while int(self._socket.EVENTS) & zmq.POLLIN:
            yield b"".join(self._socket.recv_multipart(zmq.NOBLOCK))

    def _take_up(self, subscriptions: Iterable[bytes]) -> bool:
        newcomers = super()._take_up(subscriptions)
        holds = [guest.hold for guest in self._guests.values()]
        self._pools.holds, self._pools.readers = sum(holds), len(holds)
        self._pools_wanted = bool(holds) and all(holds)
        return newcomers

    def _shut(self) -> None:
        self._waiter.close()
        self._socket.close()
        self._pools.close()
        with contextlib.suppress(FileNotFoundError):  # unless a successor has taken the place
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()


def _lent(payload: Payload) -> Any:
    """Return an inline payload as it is sent: copied, or lent where that is cheaper."""
    array = payload.array()
    return array if payload.nbytes < LEND_FROM_BYTES else zmq.Frame(array, copy=False)


def _bind(socket: zmq.Socket[bytes], endpoint: str) -> tuple[Path, int]:
    """Bind under a passing name and move that to `endpoint`; return its path and file number.

    libzmq removes the name that it bound when the socket is closed, but later and in a thread of
    its own, when a successor may have bound the same name.
    """
    path = Path(check_endpoint(endpoint).removeprefix("ipc://"))
    draft = path.with_name(f".{secrets.token_hex(2)}")  # no longer than the shortest name
    socket.bind(f"ipc://{draft}")
    draft.rename(path)
    return path, path.stat().st_ino
