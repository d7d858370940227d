"""One reader of a publisher, at the other end of a local link: what it wants, what waits for it."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterator

from tectum.errors import WireError
from tectum.transport.local_frames import DONE, SOON, Unpacker
from tectum.transport.topic_frames import EARLY

__all__ = ["LocalPeer"]

MAX_SUBSCRIPTION_BYTES = 4096
CHUNK_BYTES = 64 * 1024


class LocalPeer:
    """One reader, and what waits for it."""

    def __init__(self, link: socket.socket) -> None:
        """Send to who is at the other end of `link`."""
        self.socket = link
        self.subscribed: set[bytes] = set()
        self.waiting: deque[memoryview] = deque()
        """Messages that its socket has had no room for; of the first, the part that is left."""
        self._begun = b""
        """What is left to send of a message that has begun."""
        self.watched = False
        self.gone = False
        self.broken: WireError | None = None
        self._left_out = False
        self._unpacker = Unpacker(MAX_SUBSCRIPTION_BYTES)

    def rouse(self) -> None:
        """Wake it up for what follows at once, if it asked for that and nothing waits for it."""
        if not self.waiting and EARLY in self.subscribed:
            sent = self._sent(SOON)
            if 0 < sent < len(SOON):
                self.waiting.append(memoryview(SOON)[sent:])

    def begin(self, begun: bytes) -> bool:
        """Send a message that has begun; return False where it must be sent when it is done.

        Which is so where such ones are not asked for, or something waits.
        """
        if self.waiting or EARLY not in self.subscribed:
            return False
        sent = self._sent(begun)
        if sent:
            self._begun = begun[sent:] + DONE
            self._left_out = False
        return sent > 0

    def finish(self) -> None:
        """Send or keep the rest of a message that has begun, if one has."""
        rest, self._begun = self._begun, b""
        if rest:
            sent = self._sent(rest)
            if sent < len(rest):
                self.waiting.append(memoryview(rest)[sent:])

    def give_up(self) -> None:
        """Let what comes next take the place of a message that has begun."""
        rest, self._begun = self._begun[: -len(DONE)], b""
        if rest:
            self.waiting.append(memoryview(rest))

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
