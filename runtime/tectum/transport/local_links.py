"""The subscriber's end of local links: found by themselves, read without waiting.

Each publisher on this host is looked for at once, and again and again while it is not there, in a
thread of its own: it may come later, or come back. Who has a link there is joined by it, and says
everything on it; who has none is `foreign` and is joined over ZeroMQ for good. So each publisher is
heard on one path, chosen when it is joined. Messages are taken apart when they are read; one that
has begun is prepared, and given out when its bytes are there.
"""

from __future__ import annotations

import logging
import select
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tectum.transport.incoming import Come
from tectum.transport.intake import Intake
from tectum.transport.local_frames import Unpacker, packed
from tectum.transport.local_socket import connected_to, link_path
from tectum.transport.topic_frames import EARLY

__all__ = ["LocalLinks"]

SEEK_EVERY_S = 0.02
GREETING_S = 1.0
CHUNK_BYTES = 64 * 1024
_log = logging.getLogger(__name__)


class LocalLinks:
    """The links of one subscriber. For its thread."""

    def __init__(
        self,
        endpoints: Iterable[str],
        subscriptions: Sequence[bytes],
        wake: Callable[[], None],
        intake: Intake,
    ) -> None:
        """Look for the publishers at `endpoints` and say `subscriptions` to those with a link.

        `wake` is called, in any thread, when there is somebody in `foreign`.
        """
        self.foreign: deque[str] = deque()
        """Endpoints of publishers without a link, to be taken out and connected to otherwise."""
        self._greeting = b"".join(packed([b"\1" + item]) for item in (EARLY, *subscriptions))
        self._wake, self._intake = wake, intake
        self._events = select.epoll()
        self.descriptor = self._events.fileno()
        """What is readable while something can be read."""
        self._links: dict[int, _Link] = {}
        self._come: list[Come] = []
        self._more = True
        """Whether something may be there that was not read."""
        self._lock = threading.Lock()
        """Guards the next three and, against a thread that just finds somebody, `close`."""
        self._sought = list(dict.fromkeys(endpoints))
        self._seeker: threading.Thread | None = None
        self._closed = threading.Event()
        self._seek()
        self._keep_seeking()

    def taken(self, limit: int) -> list[Come]:
        """Return the messages that have come, at most `limit`."""
        while self._more and len(self._come) < limit:
            self.read()
        self._more = True
        taken, self._come = self._come[:limit], self._come[limit:]
        return taken

    def has_come(self) -> bool:
        """Return whether messages were read that were not taken."""
        return bool(self._come)

    def read(self) -> bool:
        """Read once from every link that can be read; look for those publishers who have gone.

        Return whether messages have come: one whose bytes are still on their way has not.
        """
        self._more = False
        links = list(self._links.values())  # to which the seeker may add
        if len(links) > 1:  # an only one is tried without asking
            links = [self._links[descriptor] for descriptor, _ in self._events.poll(0)]
        for link in links:
            nbytes = link.read(self._come, self._intake)
            self._more |= nbytes == CHUNK_BYTES
            if link.unpacker.broken:
                self._intake.refuse_stream(link.unpacker.broken)
            if link.unpacker.broken or not nbytes:
                self._lose(link)
        return bool(self._come)

    def close(self) -> None:
        """Hang up; what was not taken is dropped."""
        self._closed.set()
        with self._lock:
            for link in self._links.values():
                link.socket.close()
            self._links.clear()
            self._events.close()

    def _lose(self, link: _Link) -> None:
        """Look for the publisher again whose link has ended."""
        if link.begun is not None:
            link.begun.cut_off, link.begun.payloads = True, None
            self._come.append(link.begun)
        with self._lock:
            del self._links[link.socket.fileno()]
            link.socket.close()
            self._sought.append(link.endpoint)
        self._keep_seeking()

    def _keep_seeking(self) -> None:
        with self._lock:
            if self._sought and self._seeker is None:
                self._seeker = threading.Thread(target=self._work, name="seeker", daemon=True)
                self._seeker.start()

    def _work(self) -> None:
        while not self._closed.wait(SEEK_EVERY_S) and self._seek():
            pass

    def _seek(self) -> bool:
        """Try to join everybody who is not there; return whether somebody still is not."""
        with self._lock:
            if self._closed.is_set():
                return False
            self._sought = [endpoint for endpoint in self._sought if not self._joins(endpoint)]
            if not self._sought:
                self._seeker = None
            return bool(self._sought)

    def _joins(self, endpoint: str) -> bool:
        """Return whether the publisher at `endpoint` is there."""
        there = Path(endpoint.removeprefix("ipc://")).exists()  # made after the link, if by us
        try:
            link = _Link(endpoint, connected_to(link_path(endpoint)))
            link.greet(self._greeting)
        except (ConnectionError, BlockingIOError):  # has died, or has more to do than it can
            return False
        except OSError as error:
            if there:
                _log.debug("%s is joined over ZeroMQ: %s", endpoint, error)
                self.foreign.append(endpoint)
                self._wake()
            return there
        self._links[link.socket.fileno()] = link
        self._events.register(link.socket.fileno(), select.EPOLLIN)
        return True


class _Link:
    """One connection to a publisher."""

    def __init__(self, endpoint: str, link: socket.socket) -> None:
        self.endpoint, self.socket = endpoint, link
        self.unpacker = Unpacker()
        self.begun: Come | None = None
        """What has begun, once it was prepared."""
        self._prepared: list[bytes] | None = None
        """Its frames."""

    def greet(self, greeting: bytes) -> None:
        """Say what is subscribed.

        Raises:
            OSError: it is not taken.
        """
        try:
            self.socket.settimeout(GREETING_S)
            self.socket.sendall(greeting, socket.MSG_NOSIGNAL)
            self.socket.setblocking(False)
        except OSError:
            self.socket.close()
            raise

    def read(self, come: list[Come], intake: Intake) -> int:
        """Add what has come to `come`; return how many bytes that was, 0: the link has ended."""
        try:
            data = self.socket.recv(CHUNK_BYTES)
        except BlockingIOError:
            return -1
        except OSError:
            return 0
        for frames in self.unpacker.feed(data):
            item = self.begun if frames is self._prepared else intake.parsed(frames)
            if item is not None:
                come.append(item)
        if self.unpacker.begun is not self._prepared:
            self._prepare(intake)
        return len(data)

    def _prepare(self, intake: Intake) -> None:
        """Take up what has begun, or forget what was."""
        self._prepared = self.unpacker.begun
        self.begun = None if self._prepared is None else intake.parsed(self._prepared)
        if self.begun is not None:
            intake.prepare(self.begun)
