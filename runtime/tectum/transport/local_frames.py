"""Messages on a local link, which is a stream of bytes: how frames are packed and found. Pure.

A message is the number of its frames, the size of each (32 bits each, little-endian), and the
frames one behind the other: the same frames as on ZeroMQ. It may be sent before the bytes are there
to which it refers: then it is marked as begun, and counts when `DONE` follows. Whatever else
follows takes its place. `SOON` wakes a reader up, and says nothing. Who breaks that cannot be read
on.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from tectum.errors import WireError

__all__ = ["BEGUN", "DONE", "MAX_FRAMES", "MAX_MESSAGE_BYTES", "SOON", "Unpacker", "packed"]

MAX_FRAMES = 66
"""Topic, header, and 64 buffers."""
MAX_MESSAGE_BYTES = 8 * 1024 * 1024
"""The largest header, and buffers too small for shared memory."""
BEGUN = 1 << 31
"""Beside the number of frames: what the message refers to is not there yet."""
_COUNT = struct.Struct("<I")
_SIZES = tuple(struct.Struct(f"<{count}I") for count in range(MAX_FRAMES + 2))
"""For so many numbers."""
DONE = _COUNT.pack(0)
"""In place of a message: what the last one refers to is there."""
SOON = _COUNT.pack(BEGUN)
"""In place of a message: one is on its way."""


def packed(frames: Sequence[bytes | memoryview], mark: int = 0) -> bytes:
    """Return one message as it goes over a link; the frames are contiguous."""
    count = len(frames)
    sizes = [part.nbytes if isinstance(part, memoryview) else len(part) for part in frames]
    return b"".join([_SIZES[count + 1].pack(count | mark, *sizes), *frames])


class Unpacker:
    """Finds the messages in what comes over one link."""

    def __init__(self, max_bytes: int = MAX_MESSAGE_BYTES) -> None:
        """Expect messages of at most `max_bytes`."""
        self._max_bytes = max_bytes
        self._rest = bytearray()
        self._needed = 0
        """How many bytes the message has whose beginning is kept, as far as it is known."""
        self._mark = 0
        self.begun: list[bytes] | None = None
        """The frames of a message that has begun, the same object when it is done."""
        self._last: _Head | None = None
        """Of the last whole message; most have the same as the one before."""
        self.broken: WireError | None = None
        """What rule of the stream was broken; nothing is found from then on."""

    def feed(self, data: bytes) -> list[list[bytes]]:
        """Return the frames of each message that is whole and done now."""
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return []
            data = bytes(self._rest)
            self._rest.clear()
        messages: list[list[bytes]] = []
        at, end = 0, len(data)
        sizes: tuple[int, ...] | None
        while at < end:
            last = self._last
            if last is not None and data.startswith(last.packed, at) and end - at >= last.whole:
                sizes, self._mark = last.sizes, last.mark
            else:
                sizes = self._sizes(data, at, end)
            if sizes is None:
                self._rest += data[at:]
                break
            at += 4 + 4 * len(sizes)
            frames = []
            for size in sizes:
                frames.append(data[at : at + size])
                at += size
            if frames or not self._mark:
                self._found(frames, messages)
        return messages

    def _found(self, frames: list[bytes], messages: list[list[bytes]]) -> None:
        """Take up a message, or the word that what has begun is done."""
        begun, self.begun = self.begun, frames if self._mark else None
        if not frames and begun is not None:
            messages.append(begun)
        elif not self._mark:
            messages.append(frames)

    def _sizes(self, data: bytes, at: int, end: int) -> tuple[int, ...] | None:
        """Return the sizes of the frames of the message at `at`, None: it is not whole."""
        room = end - at
        self._needed = _COUNT.size
        if room < self._needed or self.broken:
            return None
        (number,) = _COUNT.unpack_from(data, at)
        self._mark = number & BEGUN
        count = number ^ self._mark
        if number == BEGUN or (number == 0 and self.begun is not None):
            return ()
        if not 1 <= count <= MAX_FRAMES:
            self._last = None
            self.broken = WireError(f"number of frames is {count}; allowed: 1 to {MAX_FRAMES}")
            return None
        self._needed += 4 * count
        if room < self._needed:
            return None
        sizes: tuple[int, ...] = _SIZES[count].unpack_from(data, at + _COUNT.size)
        self._needed += sum(sizes)
        if self._needed > self._max_bytes:
            most = f"at most {self._max_bytes} bytes"
            self._last = None
            self.broken = WireError(f"size of a message is {self._needed}; allowed: {most}")
            return None
        if room < self._needed:
            return None
        head = data[at : at + _COUNT.size * (1 + count)]
        self._last = _Head(head, sizes, self._needed, self._mark)
        return sizes


class _Head(NamedTuple):
    """What stands before the frames of a message."""

    packed: bytes
    sizes: tuple[int, ...]
    whole: int
    """How many bytes the message has with it."""
    mark: int
