"""How Tectum lays a header out: what stands, then the numbers, then what may be anything. Pure.

A header is one MessagePack map, whose keys a reader takes in any order. Written in this order, and
with each number as wide as it can be, its first part is the same bytes for all messages of a topic
and kind, and its numbers lie where one `struct` packs and unpacks them all.
"""

from __future__ import annotations

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
    "MARKS",
    "MARKS_THERE",
    "NUMBERS",
    "NUMBERS_THERE",
    "REMEMBERED",
    "REST",
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
REST = b"\x82"
"""Before the rest of the map, which is `b` and `x`, it makes a map of them alone."""
REMEMBERED = 1024
"""How many bytes of the rest are remembered: longer ones are never the same again."""
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
    values of the same types (`1`, `1.0` and `True` are equal), none of which can be changed.
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
        items, buffers, last = list(header.fields.items()), header.buffers, self._last
        types = [type(value) for _, value in items]
        if (
            last is not None
            and items == last.items
            and types == last.types
            and len(buffers) == len(last.buffers)
            and all(map(is_, buffers, last.buffers))
        ):
            self._misses = 0
            return last.packed
        packed = _rest(header)
        self._misses += 1
        if _LASTING.issuperset(types) and len(packed) <= REMEMBERED:
            self._last = _Last(items, types, buffers, packed)
        return packed


def _rest(header: Header) -> bytes:
    trouble = kind_trouble(header)
    if trouble is not None:
        raise WireError(trouble)
    return pack({"b": header.buffers, "x": header.fields})[1:]


class _Last(NamedTuple):
    """What followed, and what it was made of."""

    items: list[tuple[str, Value]]
    types: list[type]
    buffers: tuple[BufferSpec, ...]
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
