"""Protobuf records spliced from small fields and one big buffer, and taken apart again.

A record of a recording is a few small fields and a payload of up to megabytes. Generated code
would copy that payload several times; here it goes as it is behind its tag and length, and is read
back as a view. Fields of a protobuf message may come in any order, so every parser reads what
`spliced` gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from tectum.errors import DataError

__all__ = ["Buffer", "Part", "bytes_head", "divided", "parts", "spliced", "varint"]

Buffer = bytes | bytearray | memoryview

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Part(NamedTuple):
    """One field of a record: its number and where it lies."""

    number: int
    wire: int
    begin: int
    """Offset of its tag."""
    content: int
    """Offset of its content: behind the length, where there is one."""
    end: int


def varint(value: int) -> bytes:
    """Return the base-128 encoding of a value that is not negative."""
    out = bytearray()
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


@lru_cache(1024)
def bytes_head(number: int, nbytes: int) -> bytes:
    """Return the tag and the length that stand before `nbytes` bytes of field `number`."""
    return varint(number << 3 | _BYTES) + varint(nbytes)


def spliced(small: bytes, number: int, *buffers: Buffer) -> tuple[Buffer, ...]:
    """Return the record of `small` fields and each of `buffers` as a bytes field `number`.

    It comes in pieces, of bytes; in a row they are the record. Buffers are not copied.
    """
    if len(buffers) == 1:
        return small + bytes_head(number, len(buffers[0])), buffers[0]
    pieces: list[Buffer] = [small]
    for buffer in buffers:
        pieces += (bytes_head(number, len(buffer)), buffer)
    return tuple(pieces)


def divided(record: memoryview, number: int) -> tuple[bytes, list[memoryview]]:
    """Return the record without its bytes fields `number`, and views of these fields.

    Raises:
        DataError: the record is not a protobuf message.
    """
    small, taken, kept_from = bytearray(), [], 0
    for part in parts(record):
        if part.number == number and part.wire == _BYTES:
            small += record[kept_from : part.begin]
            taken.append(record[part.content : part.end])
            kept_from = part.end
    small += record[kept_from:]
    return bytes(small), taken


def parts(record: memoryview) -> Iterator[Part]:
    """Yield the fields of a record in their order.

    Raises:
        DataError: the record is not a protobuf message.
    """
    position = 0
    while position < len(record):
        begin = position
        tag, position = _read_varint(record, position)
        content, end = _extent(record, tag & 7, position)
        if end > len(record):
            msg = f"a field reaches to byte {end} of a record of {len(record)} bytes"
            raise DataError(msg)
        yield Part(tag >> 3, tag & 7, begin, content, end)
        position = end


def _extent(record: memoryview, wire: int, position: int) -> tuple[int, int]:
    if wire == _BYTES:
        nbytes, position = _read_varint(record, position)
        return position, position + nbytes
    if wire == _VARINT:
        return position, _read_varint(record, position)[1]
    if wire in (_FIXED64, _FIXED32):
        return position, position + (8 if wire == _FIXED64 else 4)
    msg = f"a field has the unknown wire type {wire}"
    raise DataError(msg)


def _read_varint(record: memoryview, position: int) -> tuple[int, int]:
    value, shift = 0, 0
    while position < len(record) and shift < 70:
        byte = record[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
    msg = f"the number at byte {position} of a record of {len(record)} bytes has no end"
    raise DataError(msg)
