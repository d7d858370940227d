"""The publisher over ZeroMQ: one XPUB socket on a Unix socket of this host.

Sending never waits. Where a subscriber's queue is full, the message goes to all others, and the
place is stated: libzmq then leaves that subscriber out until it has read half of its queue, so
every run of losses begins at a place that was seen and named.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zmq

from tectum.clock import Clock
from tectum.errors import ConfigError
from tectum.message import Message
from tectum.transport.endpoint import check_endpoint
from tectum.transport.outbox import OutboxPublisher
from tectum.transport.waiter import Waiter
from tectum.transport.wire import encode

__all__ = ["ZmqPublisher"]

LEND_FROM_BYTES = 256 * 1024
"""Smaller buffers are copied when sent. Lending one costs the publisher 40 microseconds for giving
it back, which copying exceeds from about this size on (measured over ipc on Linux)."""
LINGER_MS = 200
"""How long `close` waits for subscribers to take the rest."""
MAX_SUBSCRIPTION_BYTES = 4096


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

    def wait(self, timeout_ns: int) -> bool:
        """Wait until a subscriber joins or leaves or `wake` is called; False on time-out."""
        return self._waiter.wait(timeout_ns)

    def wake(self) -> None:
        """End a `wait` of the owning thread; may be called from any thread."""
        self._waiter.wake()

    def _send(self, message: Message) -> bool:
        frames: list[Any] = [*encode(message.header)]
        frames += [
            zmq.Frame(payload.array(), copy=payload.nbytes < LEND_FROM_BYTES)
            for payload in message.payloads
        ]
        if self._sent(frames):
            return True
        int(self._socket.EVENTS)  # takes up what subscribers have read since; see ZMQ_EVENTS
        if self._sent(frames):
            return True
        self._socket.set(zmq.XPUB_NODROP, 0)  # to all but those whose queue is full
        try:
            self._sent(frames)
        finally:
            self._socket.set(zmq.XPUB_NODROP, 1)
        return False

    def _sent(self, frames: list[Any]) -> bool:
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return False
        return True

    def _subscriptions(self) -> Iterator[bytes]:
        while int(self._socket.EVENTS) & zmq.POLLIN:
            yield b"".join(self._socket.recv_multipart(zmq.NOBLOCK))

    def _shut(self) -> None:
        self._waiter.close()
        self._socket.close()
        with contextlib.suppress(FileNotFoundError):  # unless a successor has taken the place
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()


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
