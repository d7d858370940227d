"""How Tectum lays a header out: what stands, then the numbers, then what may be anything. Pure.

A header is one MessagePack map, whose keys a reader takes in any order. Written in this order, and
with each number as wide as it can be, its first part is the same bytes for all messages of a topic
and kind, and its numbers lie where one `struct` packs and unpacks them all. So does the last of the
fields where it counts something, such as samples: it ends the header, in eight bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
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
STREAMS = 1024
"""How many are remembered."""
MOST_MISSES = 16
"""So often in a row another rest may follow before all are packed anew, for good."""
_LASTING = frozenset({type(None), bool, int, str, bytes})
"""Types whose equal values are packed alike; of floats, 0.0 and -0.0 are not."""


_Begins = tuple[int, str, tuple[str, int] | None]
"""Incarnation, coordinate frame, pool and epoch."""
_streams: dict[tuple[str, str], _Stream] = {}


def laid_out(header: Header, reference: Reference | None) -> bytes:
    """Return a header as it goes out.

    Raises:
        WireError: fields and buffers are not those of its kind.
        struct.error: a number of the header or the reference is none, or out of range.
        TypeError, ValueError, OverflowError: MessagePack has nothing for another value.
    """
    topic, kind, seq, stamp, span, error, sent, incarnation, frame_id, _, _ = header
    q, t, s, d, e = MARKS
    place = None if reference is None else reference[:2]
    stream = _streams.get((topic, kind))
    if stream is None or stream.begins != (incarnation, frame_id, place):
        stream = _new_stream(header, place)
    if reference is None:
        numbers = NUMBERS.pack(q, seq, t, stamp, s, sent, d, span, e, error)
    else:
        _, _, slot, sequence, nbytes = reference
        u = UNSIGNED
        numbers = NUMBERS_THERE.pack(
            u, slot, u, sequence, u, nbytes, q, seq, t, stamp, s, sent, d, span, e, error
        )
    return stream.standing + numbers + stream.rest(header)


class _Stream:
    """Headers of one topic and kind that begin alike, and what followed in the last of them.

    It follows again if buffers and fields are the same: the same objects, and for fields equal
    values of the same types (`1`, `1.0` and `True` are equal), none of which can be changed. Only
    a last field that counts may differ.
    """

    __slots__ = ("_last", "_misses", "begins", "standing")

    def __init__(self, begins: _Begins, standing: bytes) -> None:
        self.begins, self.standing = begins, standing
        self._last: _Last | None = None
        self._misses = 0
        """How often in a row something else followed."""

    def rest(self, header: Header) -> bytes:
        """Return buffers and fields as they go out.

        Raises:
            WireError: they are not those of its kind.
        """
        fields, buffers, last = header.fields, header.buffers, self._last
        if self._misses >= MOST_MISSES:
            return _rest(header)
        items, types = list(fields.items()), list(map(type, fields.values()))
        if last is not None and types == last.types and _are(buffers, last.buffers):
            if items == last.items:
                self._misses = 0
                return last.packed
            if last.counts and _differs_in_count(items, last.items):
                self._misses = 0
                return _counted(last.packed, header)
        packed = _rest(header)
        self._misses += 1
        if _LASTING.issuperset(types) and len(packed) <= REMEMBERED:
            self._last = _Last(items, types, buffers, _counts(fields), packed)
        return packed


def _are(buffers: tuple[BufferSpec, ...], last: tuple[BufferSpec, ...]) -> bool:
    """Return whether buffers are the same objects as before."""
    return buffers is last or (len(buffers) == len(last) and all(map(is_, buffers, last)))


def _differs_in_count(items: list[tuple[str, Value]], last: list[tuple[str, Value]]) -> bool:
    """Return whether two lists of fields differ in nothing but the last number."""
    (key, value), (last_key, _) = items[-1], last[-1]
    return key == last_key and items[:-1] == last[:-1] and _is_count(value)


def _is_count(value: Value) -> bool:
    """Return whether a value can stand in eight bytes without a sign."""
    return type(value) is int and 0 <= value < UNSIGNED_END


def _counts(fields: Mapping[str, Value]) -> bool:
    """Return whether the last of the fields may count."""
    return bool(fields) and _is_count([*fields.values()][-1])


def _rest(header: Header) -> bytes:
    """Return buffers and fields packed.

    Raises:
        WireError: they are not those of the header's kind.
    """
    fields = header.fields
    if not _counts(fields):
        _check(header)
        return pack({"b": header.buffers, "x": fields})[1:]
    *_, last = fields
    widest: dict[str, Value] = {**fields, last: UNSIGNED_END - 1}
    return _counted(pack({"b": header.buffers, "x": widest})[1:], header)


def _counted(packed: bytes, header: Header) -> bytes:
    """Return what goes out for a header that differs from one packed before by its last field.

    Raises:
        WireError: it is not one of its kind.
    """
    _check(header)
    *_, count = header.fields.values()
    return packed[: -COUNTER.size] + COUNTER.pack(count)


def _check(header: Header) -> None:
    trouble = kind_trouble(header)
    if trouble is not None:
        raise WireError(trouble)


class _Last(NamedTuple):
    """What followed, and what it was made of."""

    items: list[tuple[str, Value]]
    types: list[type]
    buffers: tuple[BufferSpec, ...]
    counts: bool
    """Whether the last field is a number in the last eight bytes."""
    packed: bytes


def _new_stream(header: Header, place: tuple[str, int] | None) -> _Stream:
    """Remember how headers of a topic and kind begin now.

    Raises:
        TypeError, ValueError, OverflowError: MessagePack has nothing for a value.
    """
    _, kind, _, _, _, _, _, incarnation, frame_id, _, _ = header
    begins = incarnation, frame_id, place
    if len(_streams) >= STREAMS:
        _streams.clear()
    made = _Stream(begins, standing(kind, incarnation, frame_id, *(place or ())))
    _streams[header.topic, kind] = made
    return made


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
