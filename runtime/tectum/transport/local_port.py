"""The publisher's end of local links: who reads them, and what waits for whom.

Sending never waits. What a reader's socket has no room for is kept here, in a queue bounded as
everywhere, and sent on whenever the publisher sends or serves. A reader whose queue is full is left
out until half of it was taken, and that is stated once, at its first message. Readers that have
died are seen by the next `subscriptions`: the kernel says so at once.
"""

from __future__ import annotations

import logging
import select
import socket
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tectum.clock import NS_PER_MS, NS_PER_S, Clock
from tectum.errors import WireError
from tectum.message import AnyArray, Header
from tectum.transport.local_frames import Unpacker, packed
from tectum.transport.local_socket import listening_at, next_peer, take_away
from tectum.transport.queues import bounded_queue
from tectum.transport.reference import Reference
from tectum.transport.topic_frames import topic_frame
from tectum.transport.wire import encode_header

__all__ = ["LocalPort"]

MAX_SUBSCRIPTION_BYTES = 4096
MAX_SUBSCRIPTIONS = 4096
CHUNK_BYTES = 64 * 1024
LINGER_NS = 200 * NS_PER_MS
"""How long `close` waits for readers to take the rest."""
_READABLE, _BOTH = select.EPOLLIN, select.EPOLLIN | select.EPOLLOUT
_log = logging.getLogger(__name__)


class LocalPort:
    """The links to one publisher. For its thread; `readers` may be called from any."""

    def __init__(self, path: Path, queue: int) -> None:
        """Accept links at `path`; keep at most `queue` messages for each.

        Raises:
            OSError: nothing can listen there.
        """
        self._path, self._queue, self._largest = path, queue, 1
        self._listener, self._inode = listening_at(path)
        self._events = select.epoll()
        self._events.register(self._listener.fileno(), _READABLE)
        self._peers: dict[int, _Peer] = {}
        self._audience: dict[bytes, tuple[_Peer, ...]] = {}
        """Topic frame -> who wants it."""
        self._refused = 0

    def fileno(self) -> int:
        """Return what becomes readable when somebody comes, goes, or has room again."""
        return self._events.fileno()

    def readers(self, topic: str) -> int:
        """Return how many read `topic`; all read it in shared memory."""
        return len(self._audience.get(topic_frame(topic), ()))

    def send(self, header: Header, arrays: Sequence[AnyArray], reference: Reference | None) -> bool:
        """Send to everyone who has room; return False where a queue was found full.

        Raises:
            ContractError: what the wire cannot carry.
        """
        topic = topic_frame(header.topic)
        frames: list[bytes | memoryview] = [topic, encode_header(header, reference)]
        audience = self._audience.get(topic)
        if audience is None:
            return True
        if reference is None:
            frames += [array.data for array in arrays]
        message = packed(frames)
        self._largest = max(self._largest, len(message))
        room, all_took_it = bounded_queue(self._queue, self._largest), True
        for peer in audience:
            all_took_it &= peer.send(message, room)
            if peer.waiting or peer.watched:
                self._watch(peer)
        return all_took_it

    def subscriptions(self) -> Iterator[bytes]:
        """Yield the subscriptions (1, topic) and their ends (0, topic) since the last call.

        Sends on what has waited, too.
        """
        somebody_comes = False
        for descriptor, event in self._events.poll(0):
            peer = self._peers.get(descriptor)
            if peer is None:
                somebody_comes = True
                continue
            if event & ~select.EPOLLOUT:
                yield from self._heard(peer)
            if descriptor in self._peers:
                peer.flush()
                self._watch(peer)
        while somebody_comes and (made := next_peer(self._listener)):
            peer = self._peers[made.fileno()] = _Peer(made)
            self._events.register(made.fileno(), _READABLE)
            yield from self._heard(peer)

    def close(self, clock: Clock | None = None) -> list[bytes]:
        """Hang up and return the ends (0, topic) of all subscriptions.

        With `clock`, wait a little for readers to take what is theirs.
        """
        self._listener.close()
        take_away(self._path, self._inode)
        until_ns = clock.now_ns() + LINGER_NS if clock else 0
        for peer in self._peers.values():
            while clock and peer.flush() and (left_ns := until_ns - clock.now_ns()) > 0:
                select.select([], [peer.socket], [], left_ns / NS_PER_S)
            peer.socket.close()
        ends = [b"\0" + key for peer in self._peers.values() for key in peer.subscribed]
        self._peers, self._audience = {}, {}
        self._events.close()
        return ends

    def _heard(self, peer: _Peer) -> Iterator[bytes]:
        """Yield what a peer says, and the end of all its subscriptions when it has gone."""
        for subscription in peer.heard():
            key = subscription[1:]
            if subscription[:1] == b"\1" and len(peer.subscribed) < MAX_SUBSCRIPTIONS:
                peer.subscribed.add(key)
            elif key in peer.subscribed:
                peer.subscribed.remove(key)
            else:
                continue
            yield subscription
        if peer.broken is not None:
            self._refused += 1
            if self._refused & (self._refused - 1) == 0:
                _log.warning("hung up on %d readers so far: %s", self._refused, peer.broken)
        if peer.gone:
            del self._peers[peer.socket.fileno()]
            peer.socket.close()  # and no longer among the events
            yield from [b"\0" + key for key in peer.subscribed]
        self._audience = _audience(self._peers.values())

    def _watch(self, peer: _Peer) -> None:
        """Ask to be told when a peer has room, while something waits for it."""
        if peer.watched != bool(peer.waiting):
            peer.watched = bool(peer.waiting)
            self._events.modify(peer.socket.fileno(), _BOTH if peer.watched else _READABLE)


class _Peer:
    """One reader."""

    def __init__(self, link: socket.socket) -> None:
        self.socket = link
        self.subscribed: set[bytes] = set()
        self.waiting: deque[memoryview] = deque()
        """Messages that its socket has had no room for; of the first, the part that is left."""
        self.watched = False
        self.gone = False
        self.broken: WireError | None = None
        self._left_out = False
        self._unpacker = Unpacker(MAX_SUBSCRIPTION_BYTES)

    def send(self, message: bytes, room: int) -> bool:
        """Send or keep `message`; return False where the queue is found full."""
        if self.waiting:
            self.flush()
            if self._left_out and len(self.waiting) > room // 2:
                return True  # stated when that began
            if len(self.waiting) >= room:
                self._left_out = True
                return False
        self._left_out = False
        sent = 0 if self.waiting else self._sent(message)
        if sent < len(message):
            self.waiting.append(memoryview(message)[sent:])
        return True

    def flush(self) -> bool:
        """Send on what waits, as far as there is room; return whether something is left."""
        while self.waiting:
            first = self.waiting[0]
            sent = self._sent(first)
            if sent < len(first):
                self.waiting[0] = first[sent:]
                return True
            self.waiting.popleft()
        return False

    def _sent(self, data: bytes | memoryview) -> int:
        """Return how much the socket takes: all, if nobody reads there any more."""
        try:
            return self.socket.send(data, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return 0
        except OSError:  # it has gone, which `heard` finds out
            return len(data)

    def heard(self) -> Iterator[bytes]:
        """Yield what it subscribes and what it no longer wants, until nothing more has come."""
        size = CHUNK_BYTES
        while size == CHUNK_BYTES:
            try:
                data = self.socket.recv(CHUNK_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            size = len(data)
            for frames in self._unpacker.feed(data):
                yield frames[0]
            self.broken = self._unpacker.broken
            self.gone = not data or self.broken is not None
            if self.gone:
                return


def _audience(peers: Iterable[_Peer]) -> dict[bytes, tuple[_Peer, ...]]:
    """Return who wants what."""
    found: dict[bytes, tuple[_Peer, ...]] = {}
    for peer in peers:
        for key in peer.subscribed:
            found[key] = (*found.get(key, ()), peer)
    return found
