"""A port: one listening XPUB socket, sent to without waiting, with its queues bounded in bytes.

A publisher has one on this host (a Unix socket), and one for other hosts where the graph has some.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import zmq

from tectum.errors import ConfigError
from tectum.message import Payload
from tectum.transport.endpoint import check_endpoint, check_remote
from tectum.transport.queues import bounded_queue
from tectum.transport.refusals import LISTENING, Refusals
from tectum.transport.security import Security
from tectum.transport.waiter import can_be_read

__all__ = ["HEARTBEAT_MS", "Port"]

LEND_FROM_BYTES = 256 * 1024
"""Smaller buffers are copied when sent. Lending one costs the publisher 40 microseconds for giving
it back, which copying exceeds from about this size on (measured over ipc on Linux)."""
LINGER_MS = 200
"""How long `close` waits for subscribers to take the rest."""
MAX_SUBSCRIPTION_BYTES = 4096
HEARTBEAT_MS = 500
"""A peer on another host that says nothing for three of these is taken for gone."""
_MORE = zmq.NOBLOCK | zmq.SNDMORE


class Port:
    """One listening socket of a publisher."""

    def __init__(self, node: str, endpoint: str, queue: int, security: Security | None) -> None:
        """Listen on `endpoint` for `node`; with `security` it may be one of another host.

        Raises:
            ConfigError: an endpoint that is not allowed, or that cannot be bound.
        """
        self._queue, self._largest = queue, 0
        self._path, self._inode = Path(), 0
        self._refusals: Refusals | None = None
        self.socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.XPUB)
        self.socket.set(zmq.XPUB_VERBOSE, 1)
        self.socket.set(zmq.XPUB_NODROP, 1)
        self.socket.set(zmq.SNDHWM, queue)
        self.socket.set(zmq.LINGER, LINGER_MS)
        self.socket.set(zmq.MAXMSGSIZE, MAX_SUBSCRIPTION_BYTES)
        try:
            if security is None:
                self._path, self._inode = _bind(self.socket, endpoint)
            else:
                check_remote(endpoint)
                security.guard_server(self.socket)
                self.socket.set(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
                self.socket.set(zmq.HEARTBEAT_TIMEOUT, 3 * HEARTBEAT_MS)
                self._refusals = Refusals(self.socket, LISTENING, node)
                self.socket.bind(endpoint)
        except (zmq.ZMQError, OSError, ConfigError) as error:
            self.socket.close(0)
            msg = f"{node} cannot publish on {endpoint}: {error}"
            raise ConfigError(msg) from error

    @property
    def folder(self) -> Path:
        """Return the folder of the Unix socket."""
        return self._path.parent

    def parts(self, topic: bytes, header: bytes, payloads: tuple[Payload, ...]) -> list[Any]:
        """Return the parts of a message whose payloads go inline."""
        if not payloads:
            return [topic, header]
        self._bound_queue(sum([payload.nbytes for payload in payloads]))
        return [topic, header, *[_lent(payload) for payload in payloads]]

    def send(self, parts: list[Any], try_again: Callable[[], bool]) -> bool:
        """Send to everyone; where a queue is full and `try_again` says no, to all others.

        Returns:
            Whether everyone got it.
        """
        if self._sent(parts):
            return True
        while True:
            can_be_read(self.socket)  # takes up what subscribers have read since; see ZMQ_EVENTS
            if self._sent(parts):
                return True
            if not try_again():
                break
        self.socket.set(zmq.XPUB_NODROP, 0)
        try:
            self._sent(parts)
        finally:
            self.socket.set(zmq.XPUB_NODROP, 1)
        return False

    def subscriptions(self) -> Iterator[bytes]:
        """Yield the subscriptions (1, prefix) and their ends (0, prefix) since the last call."""
        if self._refusals is not None:
            self._refusals.look()
        while can_be_read(self.socket):
            yield b"".join(self.socket.recv_multipart(zmq.NOBLOCK))

    def close(self) -> None:
        """Close, and remove the Unix socket unless a successor has taken its place."""
        if self._refusals is not None:
            self._refusals.close()
        self.socket.close()
        if self._inode:
            with contextlib.suppress(FileNotFoundError):
                if self._path.stat().st_ino == self._inode:
                    self._path.unlink()

    def _bound_queue(self, nbytes: int) -> None:
        """Let fewer messages wait where they are larger: queues are bounded in bytes too."""
        if nbytes > self._largest:
            self._largest = nbytes
            self.socket.set(zmq.SNDHWM, bounded_queue(self._queue, nbytes))

    def _sent(self, parts: list[Any]) -> bool:
        """Send all parts, or none where a queue is full."""
        send = self.socket.send
        try:
            for part in parts[:-1]:
                send(part, _MORE)
            send(parts[-1], zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True


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
