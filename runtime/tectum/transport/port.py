"""A port: one listening XPUB socket, sent to without waiting, with its queues bounded in bytes.

A publisher has one on this host (a Unix socket), and one for other hosts where the graph has some.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import zmq

from tectum.errors import ConfigError
from tectum.message import AnyArray, Header
from tectum.transport.endpoint import check_endpoint, check_remote
from tectum.transport.local_socket import take_away
from tectum.transport.queues import bounded_queue
from tectum.transport.reference import Reference
from tectum.transport.refusals import LISTENING, Refusals
from tectum.transport.security import Security
from tectum.transport.topic_frames import inline_topic, shared_topic, topic_frame
from tectum.transport.waiter import can_be_read
from tectum.transport.wire import encode_header

__all__ = ["HEARTBEAT_MS", "Port"]

LEND_FROM_BYTES = 256 * 1024
"""Smaller buffers are copied when sent. Lending one costs the publisher 40 microseconds for giving
it back, which copying exceeds from about this size on (measured over ipc on Linux)."""
LINGER_MS = 200
"""How long `close` waits for subscribers to take the rest."""
MAX_SUBSCRIPTION_BYTES = 4096
HEARTBEAT_MS = 500
"""A peer on another host that says nothing for three of these is taken for gone."""
_MORE, _LAST = int(zmq.NOBLOCK | zmq.SNDMORE), int(zmq.NOBLOCK)


class Port:
    """One listening socket of a publisher."""

    def __init__(self, node: str, endpoint: str, queue: int, security: Security | None) -> None:
        """Listen on `endpoint` for `node`; with `security` it may be one of another host.

        Raises:
            ConfigError: an endpoint that is not allowed, or that cannot be bound.
        """
        self._queue, self._largest = queue, 0
        self._path, self._inode = Path(), 0
        self._subscribed: Counter[bytes] = Counter()
        self._heard = False
        self._refusals: Refusals | None = None
        self.socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.XPUB)
        self.socket.set(zmq.XPUB_VERBOSER, 1)
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

    def send(
        self,
        header: Header,
        arrays: Sequence[AnyArray],
        reference: Reference | None,
        patience: Callable[[], Callable[[], bool]],
    ) -> bool:
        """Send to everyone; where a queue is full and patience ends, to all others.

        With `reference` the arrays go only to those who asked for them in its place. `patience` is
        asked where a queue is full, for what says whether to try once more.

        Returns:
            Whether everyone got it.
        """
        topic, packed = topic_frame(header.topic), encode_header(header, reference)
        if reference is None:
            parts = self._parts(arrays) if arrays else []
            return self._send([topic, packed, *parts], patience)
        all_took_it = self._send([topic, packed], patience)
        whole = inline_topic(header.topic)
        if self._subscribed[whole]:
            parts = self._parts(arrays)
            all_took_it &= self._send([whole, encode_header(header), *parts], patience)
        return all_took_it

    def subscriptions(self) -> Iterator[bytes]:
        """Yield the subscriptions (1, prefix) and their ends (0, prefix) since the last call."""
        if self._refusals is not None:
            self._refusals.look()
        while can_be_read(self.socket):
            subscription = b"".join(self.socket.recv_multipart(zmq.NOBLOCK))
            self._note(subscription)
            yield subscription

    def close(self) -> None:
        """Close, and remove the Unix socket unless a successor has taken its place."""
        if self._refusals is not None:
            self._refusals.close()
        self.socket.close()
        if self._inode:
            take_away(self._path, self._inode)

    def is_heard(self) -> bool:
        """Return whether anybody has subscribed to anything, as of the last `subscriptions`."""
        return self._heard

    def readers(self, topic: str) -> int:
        """Return how many subscribers read `topic` in shared memory; 0: it must go inline.

        Who has subscribed to it in no other form than the plain one understands nothing else.
        """
        if not self._heard:
            return 0
        count = self._subscribed
        readers = count[shared_topic(topic)]
        return readers if count[topic_frame(topic)] <= readers + count[inline_topic(topic)] else 0

    def _note(self, subscription: bytes) -> None:
        """Keep count of who wants which topic in which form."""
        self._subscribed[subscription[1:]] += 1 if subscription[:1] == b"\1" else -1
        self._heard = self._subscribed.total() > 0

    def _parts(self, arrays: Sequence[AnyArray]) -> list[Any]:
        """Return the arrays as they are sent: copied, or lent where that is cheaper."""
        self._bound_queue(sum([array.nbytes for array in arrays]))
        return [
            array if array.nbytes < LEND_FROM_BYTES else zmq.Frame(array, copy=False)
            for array in arrays
        ]

    def _send(self, parts: list[Any], patience: Callable[[], Callable[[], bool]]) -> bool:
        """Send to all who subscribed to the first of `parts`; return whether they got it."""
        if self._sent(parts):
            return True
        try_again = patience()
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
            send(parts[-1], _LAST)
        except zmq.Again:
            return False
        return True


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
