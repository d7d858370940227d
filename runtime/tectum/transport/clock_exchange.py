"""Asking another process for its time over ZeroMQ: the exchanges that `PeerClock` is fed with.

A request is the magic and a number; the reply repeats both and adds when the request was received
and when it was answered, each 8 bytes, big-endian. Neither side ever waits; what is malformed or
unasked for is refused and counted. Without security the sockets bind and connect within this
machine alone.
"""

from __future__ import annotations

import secrets
import struct
from pathlib import Path

import zmq

from tectum.clock import Clock
from tectum.errors import ConfigError
from tectum.sync.offset import Exchange
from tectum.transport.endpoint import check_endpoint, check_remote
from tectum.transport.security import Security
from tectum.transport.waiter import Waiter

__all__ = ["ClockClient", "ClockServer"]

_REQUEST = struct.Struct(">4sQ")
_REPLY = struct.Struct(">4sQqq")
_MAGIC = b"TCK1"
_MAX_BYTES = 1024
"""Room for the handshake of the socket; what is longer is cut off by libzmq."""
_OUTSTANDING = 64
"""Requests remembered; older ones were lost."""


class ClockServer:
    """Answers what the time is. For one thread."""

    def __init__(self, endpoint: str, clock: Clock, *, security: Security | None = None) -> None:
        """Listen on `endpoint`, which with `security` may be one for other hosts.

        Raises:
            ConfigError: not an `ipc://` endpoint, too long, or it cannot be bound.
        """
        self._clock = clock
        self._path = None if security else Path(check_endpoint(endpoint).removeprefix("ipc://"))
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
        if security:
            check_remote(endpoint)
            security.guard_server(self._socket)
        self._socket.set(zmq.LINGER, 0)
        self._socket.set(zmq.MAXMSGSIZE, _MAX_BYTES)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self._socket.close()
            msg = f"cannot answer for the clock on {endpoint}: {error}"
            raise ConfigError(msg) from error
        self._waiter = Waiter(clock, self._socket)
        self.refused = 0
        """Requests that were malformed."""

    def serve(self) -> int:
        """Answer everything that was asked; return how many requests that were."""
        answered = 0
        while int(self._socket.EVENTS) & zmq.POLLIN:
            frames = self._socket.recv_multipart(zmq.NOBLOCK)
            received_ns = self._clock.now_ns()
            if len(frames) != 2 or not _is(frames[1], _REQUEST):  # identity, request
                self.refused += 1
                continue
            _, number = _REQUEST.unpack(frames[1])
            reply = _REPLY.pack(_MAGIC, number, received_ns, self._clock.now_ns())
            self._socket.send_multipart([frames[0], reply], zmq.NOBLOCK)
            answered += 1
        return answered

    def wait(self, timeout_ns: int) -> bool:
        """Wait until something was asked; False on time-out."""
        return self._waiter.wait(timeout_ns)

    def close(self) -> None:
        """Stop answering."""
        self._waiter.close()
        self._socket.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)


class ClockClient:
    """Asks what the time is. For one thread."""

    def __init__(
        self, endpoint: str, clock: Clock, *, security: Security | None = None, host: str = ""
    ) -> None:
        """Ask at `endpoint`, whether or not somebody answers there yet; with `security`, `host`.

        Raises:
            ConfigError: not an `ipc://` endpoint, or too long.
        """
        self._clock = clock
        (check_remote if security else check_endpoint)(endpoint)
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        if security:
            security.guard_client(self._socket, host)
        self._socket.set(zmq.LINGER, 0)
        self._socket.set(zmq.IMMEDIATE, 1)
        self._socket.set(zmq.MAXMSGSIZE, _MAX_BYTES)
        self._socket.connect(endpoint)
        self._waiter = Waiter(clock, self._socket)
        self._asked: dict[int, int] = {}
        self.refused = 0
        """Replies that were malformed or unasked for."""

    def ask(self) -> bool:
        """Send one request; False while nobody is connected."""
        number = secrets.randbits(64)
        sent_ns = self._clock.now_ns()
        try:
            self._socket.send(_REQUEST.pack(_MAGIC, number), zmq.NOBLOCK)
        except zmq.Again:
            return False
        self._asked[number] = sent_ns
        if len(self._asked) > _OUTSTANDING:
            del self._asked[next(iter(self._asked))]
        return True

    def collect(self) -> list[Exchange]:
        """Return the exchanges whose reply has come."""
        found = []
        while int(self._socket.EVENTS) & zmq.POLLIN:
            frames = self._socket.recv_multipart(zmq.NOBLOCK)
            returned_ns = self._clock.now_ns()
            exchange = self._match(frames[-1], returned_ns)
            if exchange is None:
                self.refused += 1
            else:
                found.append(exchange)
        return found

    def wait(self, timeout_ns: int) -> bool:
        """Wait until a reply has come; False on time-out."""
        return self._waiter.wait(timeout_ns)

    def close(self) -> None:
        """Stop asking."""
        self._waiter.close()
        self._socket.close()

    def _match(self, frame: bytes, returned_ns: int) -> Exchange | None:
        if not _is(frame, _REPLY):
            return None
        _, number, received_ns, answered_ns = _REPLY.unpack(frame)
        sent_ns = self._asked.pop(number, None)
        if sent_ns is None:
            return None
        return Exchange(sent_ns, received_ns, answered_ns, returned_ns)


def _is(frame: bytes, layout: struct.Struct) -> bool:
    return len(frame) == layout.size and frame[:4] == _MAGIC
