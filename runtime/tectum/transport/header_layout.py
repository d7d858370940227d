"""How Tectum lays a header out: what stands, then the numbers, then what may be anything. Pure.

A header is one MessagePack map, whose keys a reader takes in any order. Written in this order, and
with each number as wide as it can be, its first part is the same bytes for all messages of a topic
and kind, and its numbers lie where one `struct` packs and unpacks them all. So does the last of the
fields where it counts something, such as samples: it ends the header, in eight bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from operator import is_
from struct import Struct
from typing import NamedTuple

from tectum.errors import WireError
from tectum.message import BufferSpec, Header, Value
from tectum.transport.kinds import kind_trouble
from tectum.transport.packing import pack
from tectum.transport.reference import Reference

__all__ = [
    "COUNTER",
    "MARKS",
    "MARKS_THERE",
    "NUMBERS",
    "NUMBERS_THERE",
    "REMEMBERED",
    "REST",
    "UNSIGNED",
    "VERSION",
    "laid_out",
    "standing",
]

VERSION = 1
UNSIGNED = b"\xcf"
MARKS = (b"\xa1q\xcf", b"\xa1t\xd3", b"\xa1s\xd3", b"\xa1d\xcf", b"\xa1e\xcf")
"""What stands before seq, stamp, sent, span and error: the key, and how the number is packed."""
MARKS_THERE = (UNSIGNED, UNSIGNED, UNSIGNED, *MARKS)
"""The same behind a reference, which ends in slot, sequence and bytes."""
NUMBERS = Struct(">3sQ3sq3sq3sQ3sQ")
NUMBERS_THERE = Struct(">cQcQcQ3sQ3sq3sq3sQ3sQ")
COUNTER = Struct(">Q")
"""A field that counts, behind its `UNSIGNED`."""
REST = b"\x82"
"""Before the rest of the map, which is `b` and `x`, it makes a map of them alone."""
REMEMBERED = 1024
"""How many bytes of the rest are remembered: longer ones are never the same again."""
UNSIGNED_END = 2**64
MOST_MISSES = 16
"""So often in a row another rest may follow before all are packed anew, for good."""
_LASTING = frozenset({type(None), bool, int, str, bytes})
"""Types whose equal values are packed alike; of floats, 0.0 and -0.0 are not."""


def laid_out(header: Header, reference: Reference | None) -> bytes:
    """Return a header as it goes out.

    Raises:
        WireError: fields and buffers are not those of its kind.
        struct.error: a number of the header or the reference is none, or out of range.
        TypeError, ValueError, OverflowError: MessagePack has nothing for another value.
    """
    _, kind, seq, stamp, span, error, sent, incarnation, frame_id, _, _ = header
    q, t, s, d, e = MARKS
    if reference is None:
        stream = _stream(kind, incarnation, frame_id)
        numbers = NUMBERS.pack(q, seq, t, stamp, s, sent, d, span, e, error)
    else:
        pool, epoch, slot, sequence, nbytes = reference
        stream, u = _stream(kind, incarnation, frame_id, pool, epoch), UNSIGNED
        numbers = NUMBERS_THERE.pack(
            u, slot, u, sequence, u, nbytes, q, seq, t, stamp, s, sent, d, span, e, error
        )
    return stream.standing + numbers + stream.rest(header)


class _Stream:
    """Headers that begin alike, and what followed in the last of them.

    It follows again if buffers and fields are the same: the same objects, and for fields equal
    values of the same types (`1`, `1.0` and `True` are equal), none of which can be changed. Only
    a last field that counts may differ.
    """

    __slots__ = ("_last", "_misses", "standing")

    def __init__(self, standing: bytes) -> None:
        self.standing = standing
        self._last: _Last | None = None
        self._misses = 0
        """How often in a row something else followed."""

    def rest(self, header: Header) -> bytes:
        """Return buffers and fields as they go out.

        Raises:
            WireError: they are not those of its kind.
        """
        if self._misses >= MOST_MISSES:
            return _rest(header)
        fields, buffers, last = header.fields, header.buffers, self._last
        items, types, count = list(fields.items()), list(map(type, fields.values())), _count(fields)
        if count is not None:
            items[-1] = (items[-1][0], 0)
        if (
            last is not None
            and items == last.items
            and types == last.types
            and (count is None) == (last.counted is None)
            and len(buffers) == len(last.buffers)
            and all(map(is_, buffers, last.buffers))
        ):
            self._misses = 0
            return last.packed if count == last.counted else _counted(last.packed, header, count)
        packed = _rest(header)
        self._misses += 1
        if _LASTING.issuperset(types) and len(packed) <= REMEMBERED:
            self._last = _Last(items, types, buffers, count, packed)
        return packed


def _count(fields: Mapping[str, Value]) -> int | None:
    """Return the last of the fields, if it can stand in eight bytes without a sign."""
    if not fields:
        return None
    *_, last = fields.values()
    return last if type(last) is int and 0 <= last < UNSIGNED_END else None


def _rest(header: Header) -> bytes:
    """Return buffers and fields packed.

    Raises:
        WireError: they are not those of the header's kind.
    """
    count, fields = _count(header.fields), header.fields
    if count is None:
        _check(header)
        return pack({"b": header.buffers, "x": fields})[1:]
    *_, last = fields
    widest_fields: dict[str, Value] = {**fields, last: UNSIGNED_END - 1}
    widest = pack({"b": header.buffers, "x": widest_fields})
    return _counted(widest[1:], header, count)


def _counted(packed: bytes, header: Header, count: int | None) -> bytes:
    """Return what goes out for a header that differs from one packed before by its last field.

    Raises:
        WireError: it is not one of its kind.
    """
    _check(header)
    return packed[: -COUNTER.size] + COUNTER.pack(count)


def _check(header: Header) -> None:
    trouble = kind_trouble(header)
    if trouble is not None:
        raise WireError(trouble)


class _Last(NamedTuple):
    """What followed, and what it was made of."""

    items: list[tuple[str, Value]]
    """With 0 for the last one where it counts."""
    types: list[type]
    buffers: tuple[BufferSpec, ...]
    counted: int | None
    packed: bytes


@lru_cache(maxsize=1024, typed=True)
def _stream(
    kind: str, incarnation: int, frame_id: str, pool: str | None = None, epoch: int = 0
) -> _Stream:
    return _Stream(standing(kind, incarnation, frame_id, pool, epoch))


def standing(
    kind: str, incarnation: int, frame_id: str, pool: str | None = None, epoch: int = 0
) -> bytes:
    """Return the first part of a header, up to its numbers.

    Raises:
        TypeError, ValueError, OverflowError: MessagePack has nothing for a value.
    """
    document = {"v": VERSION, "k": kind, "i": incarnation, "f": frame_id}
    first = pack(document)[1:]
    if pool is None:
        return b"\x8b" + first
    return b"\x8c" + first + b"\xa1p\x95" + pack(pool) + pack(epoch)
