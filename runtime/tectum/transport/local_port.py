"""The publisher's end of local links: who reads them, and what waits for whom.

Sending never waits. What a reader's socket has no room for is kept here, in a queue bounded as
everywhere, and sent on whenever the publisher sends or serves. A reader whose queue is full is left
out until half of it was taken, and that is stated once, at its first message. Readers that have
died are seen by the next `subscriptions`: the kernel says so at once.

Who says that it takes such things is roused by a word while a message is still made up (to wake up
takes longer), if it is the only one. And a message whose bytes are still to be copied is
`announced`: who has nothing else to wait for gets it then, and one word more when they are there.
So it takes the message apart while the bytes are copied.
"""

from __future__ import annotations

import logging
import select
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tectum.clock import NS_PER_MS, NS_PER_S, Clock
from tectum.message import AnyArray, Header
from tectum.repeated import has_doubled
from tectum.transport.local_frames import BEGUN, packed
from tectum.transport.local_peer import LocalPeer
from tectum.transport.local_socket import listening_at, next_peer, take_away
from tectum.transport.queues import bounded_queue
from tectum.transport.reference import Reference
from tectum.transport.topic_frames import topic_frame
from tectum.transport.wire import encode_header

__all__ = ["LocalPort"]

MAX_SUBSCRIPTIONS = 4096
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
        self._path, self._queue, self._largest, self._room = path, queue, 1, queue
        self._listener, self._inode = listening_at(path)
        self._events = select.epoll()
        self._events.register(self._listener.fileno(), _READABLE)
        self._peers: dict[int, LocalPeer] = {}
        self._audience: dict[bytes, tuple[LocalPeer, ...]] = {}
        """Topic frame -> who wants it."""
        self._topics: dict[str, tuple[bytes, tuple[LocalPeer, ...]]] = {}
        """Topic -> its frame and who wants it, of those that were sent since that changed."""
        self._announced: _Announced | None = None
        """What has begun and is not sent yet."""
        self._refused = 0

    def fileno(self) -> int:
        """Return what becomes readable when somebody comes, goes, or has room again."""
        return self._events.fileno()

    def readers(self, topic: str) -> int:
        """Return how many read `topic`; all read it in shared memory."""
        return len(self._audience.get(topic_frame(topic), ()))

    def rouse(self, topic: str) -> None:
        """Wake up who alone wants `topic`: a message follows, which is still to be made up.

        To wake up several would take as long as it saves them.

        Raises:
            ContractError: not a topic.
        """
        _, audience = self._topics.get(topic) or self._topic(topic)
        if len(audience) == 1:
            audience[0].rouse()

    def announce(self, header: Header, reference: Reference) -> Callable[[], None]:
        """Begin a message; return what is to be called when the bytes are there, before `send`.

        Raises:
            ContractError: what the wire cannot carry.
        """
        if self._announced is not None:
            self._give_up()
        frame, audience = self._topics.get(header.topic) or self._topic(header.topic)
        frames = [frame, encode_header(header, reference)]
        begun = packed(frames, BEGUN)
        left = [peer for peer in audience if not peer.begin(begun)]
        self._announced = _Announced(header, frames, audience, left)
        return self._finish

    def send(self, header: Header, arrays: Sequence[AnyArray], reference: Reference | None) -> bool:
        """Send to everyone who has room; return False where a queue was found full.

        Raises:
            ContractError: what the wire cannot carry.
        """
        announced, frames = self._announced, list[bytes | memoryview]()
        audience: Sequence[LocalPeer]
        if announced is not None and announced.header is header:
            self._announced = None
            if not announced.left:
                return True
            frames += announced.frames
            audience = announced.left
        else:
            if announced is not None:
                self._give_up()
            frame, audience = self._topics.get(header.topic) or self._topic(header.topic)
            frames += (frame, encode_header(header, reference))
            if reference is None:
                for array in arrays:
                    frames.append(array.data)
        message = packed(frames)
        if len(message) > self._largest:
            self._largest = len(message)
            self._room = bounded_queue(self._queue, self._largest)
        all_took_it = True
        for peer in audience:
            all_took_it &= peer.send(message, self._room)
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
            peer = self._peers[made.fileno()] = LocalPeer(made)
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
        self._topics.clear()
        self._events.close()
        return ends

    def _topic(self, topic: str) -> tuple[bytes, tuple[LocalPeer, ...]]:
        """Return the frame of a topic and who wants it, and remember that.

        Raises:
            ContractError: not a topic.
        """
        frame = topic_frame(topic)
        self._topics[topic] = found = frame, self._audience.get(frame, ())
        return found

    def _finish(self) -> None:
        """Say that the bytes are there to who was told of the message before."""
        for peer in self._announced.audience if self._announced is not None else ():
            peer.finish()
            if peer.waiting:
                self._watch(peer)

    def _give_up(self) -> None:
        """Send no more of a message that was begun and never came to be."""
        self._announced = None
        for peer in self._peers.values():
            peer.give_up()
            self._watch(peer)

    def _heard(self, peer: LocalPeer) -> Iterator[bytes]:
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
            if has_doubled(self._refused):
                _log.warning("hung up on %d readers so far: %s", self._refused, peer.broken)
        if peer.gone:
            del self._peers[peer.socket.fileno()]
            peer.socket.close()  # and no longer among the events
            yield from [b"\0" + key for key in peer.subscribed]
        self._audience = _audience(self._peers.values())
        self._topics.clear()

    def _watch(self, peer: LocalPeer) -> None:
        """Ask to be told when a peer has room, while something waits for it."""
        if peer.watched != bool(peer.waiting):
            peer.watched = bool(peer.waiting)
            self._events.modify(peer.socket.fileno(), _BOTH if peer.watched else _READABLE)


class _Announced(NamedTuple):
    """A message that has begun."""

    header: Header
    frames: Sequence[bytes]
    audience: Sequence[LocalPeer]
    left: Sequence[LocalPeer]
    """Who of them has not been told."""


def _audience(peers: Iterable[LocalPeer]) -> dict[bytes, tuple[LocalPeer, ...]]:
    """Return who wants what."""
    found: dict[bytes, tuple[LocalPeer, ...]] = {}
    for peer in peers:
        for key in peer.subscribed:
            found[key] = (*found.get(key, ()), peer)
    return found
