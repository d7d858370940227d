"""An inlet: one SUB socket, read without waiting, with its queue bounded in bytes.

A subscriber has one for the publishers of this host that have no local link, and one for those of
other hosts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import zmq

from tectum.transport.queues import bounded_queue
from tectum.transport.waiter import can_be_read

__all__ = ["Inlet"]

RECONNECT_MS = 20
MAX_FRAME_BYTES = 512 * 1024 * 1024
COPIED_BELOW_BYTES = 64 * 1024
"""Smaller frames are copied: cheaper than to look after their memory, and so they are aligned."""
_NOBLOCK = int(zmq.NOBLOCK)


class Inlet:
    """Where messages of publishers arrive that were connected to. For one thread."""

    def __init__(self, subscriptions: Sequence[bytes], queue: int) -> None:
        """Say `subscriptions` to whoever is connected to; keep at most `queue` messages of each."""
        self._queue, self._largest = queue, 0
        self._seen_empty = False
        self.socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        self.socket.set(zmq.RCVHWM, queue)
        self.socket.set(zmq.LINGER, 0)
        self.socket.set(zmq.RECONNECT_IVL, RECONNECT_MS)
        self.socket.set(zmq.RECONNECT_IVL_MAX, 0)
        self.socket.set(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
        for subscription in subscriptions:
            self.socket.subscribe(subscription)

    def messages(self) -> Iterator[list[bytes | memoryview]]:
        """Yield the frames of each message that has come."""
        while (frames := self._frames()) is not None:
            yield frames
            if not can_be_read(self.socket):
                break
        self._seen_empty = True

    def has_come(self) -> bool:
        """Return whether messages wait, unless that has just been seen: a wait tells of news."""
        seen_empty, self._seen_empty = self._seen_empty, False
        return not seen_empty and can_be_read(self.socket)

    def close(self) -> None:
        """Close; what has not been taken is dropped."""
        self.socket.close()

    def _frames(self) -> list[bytes | memoryview] | None:
        """Return the frames of the next message, None: there is none. Small ones are copied."""
        receive = self.socket.recv
        try:
            frame = receive(_NOBLOCK, copy=False)
        except zmq.Again:
            return None
        nbytes = len(frame)
        frames: list[bytes | memoryview] = [frame.bytes]
        while frame.more:
            frame = receive(_NOBLOCK, copy=False)
            nbytes += len(frame)
            frames.append(frame.bytes if len(frame) < COPIED_BELOW_BYTES else frame.buffer)
        if nbytes > self._largest:
            self._bound_queue(nbytes)
        return frames

    def _bound_queue(self, nbytes: int) -> None:
        """Let fewer messages wait where they are larger: queues are bounded in bytes too."""
        self._largest = nbytes
        self.socket.set(zmq.RCVHWM, bounded_queue(self._queue, nbytes))
