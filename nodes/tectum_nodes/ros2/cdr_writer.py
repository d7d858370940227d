"""Plain little-endian CDR, written field by field in the order of the message's definition.

The counterpart of `cdr`. Large payloads are kept as they are until the end: one copy in all.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np

from tectum.message import AnyArray

__all__ = ["CdrWriter"]

_HEAD = b"\x00\x01\x00\x00"


class CdrWriter:
    """The bytes of one message so far."""

    def __init__(self) -> None:
        """Begin with the encapsulation."""
        self._parts: list[bytes | memoryview] = [_HEAD]
        self._size = 0

    def number(self, form: str, *values: float) -> None:
        """Write numbers of `struct`'s format, each aligned to its own size."""
        item = struct.calcsize("<" + form)
        self._align(item)
        self._add(struct.pack(f"<{len(values)}{form}", *values))

    def floats(self, values: Iterable[float]) -> None:
        """Write float64."""
        self.number("d", *values)

    def text(self, text: str) -> None:
        """Write a string."""
        data = text.replace("\x00", "").encode() + b"\x00"
        self.number("I", len(data))
        self._add(data)

    def bytes_of(self, array: AnyArray) -> None:
        """Write the bytes of an array as a sequence of octets."""
        self.number("I", array.nbytes)
        if array.nbytes:
            self._add(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)

    def stamp(self, stamp_ns: int) -> None:
        """Write a `builtin_interfaces/Time`."""
        seconds, rest = divmod(stamp_ns, 1_000_000_000)
        self.number("i", seconds)
        self.number("I", rest)

    def header(self, stamp_ns: int, frame_id: str) -> None:
        """Write a `std_msgs/Header`."""
        self.stamp(stamp_ns)
        self.text(frame_id)

    def data(self) -> bytes:
        """Return the message."""
        return b"".join(self._parts)

    def _align(self, item: int) -> None:
        missing = -self._size % item
        if missing:
            self._add(bytes(missing))

    def _add(self, data: bytes | memoryview) -> None:
        self._parts.append(data)
        self._size += len(data)
