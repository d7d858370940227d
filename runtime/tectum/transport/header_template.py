"""What a reader remembers of headers that came, so that the next one need not be taken apart anew.

Of each topic and kind, that is the last header laid out as Tectum does it (see `header_layout`). If
the next begins with the same bytes and has its numbers in the same places, it says the same; but
for the last of the fields, which may count.
Nothing is refused here: whatever is not like that, or breaks a rule, is left to who looks at
everything. Bytes are compared, never values: some are equal and not the same (`1` and `True`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple, cast

from tectum.errors import WireError
from tectum.message import BufferSpec, Header, Kind, Value
from tectum.transport.header_layout import (
    COUNTER,
    MARKS,
    MARKS_THERE,
    NUMBERS,
    NUMBERS_THERE,
    REMEMBERED,
    REST,
    UNSIGNED,
    standing,
)
from tectum.transport.header_parts import INT63, SCALARS, buffers_of, fields_of
from tectum.transport.kinds import trouble_of
from tectum.transport.packing import unpack
from tectum.transport.reference import Reference

__all__ = ["learn", "recall"]

_Frames = Sequence[bytes | memoryview]

_KEY_BYTES = 10
"""So much of a header tells kinds apart, and those with a reference from those without."""
TEMPLATES = 1024
"""How many are kept."""
_KEYS_OF_REST = {"b", "x"}
_NO_BUFFERS = 2
"""So many frames a message has without them."""
_PROBE = 0xFEDCBA9876543210
"""A number that MessagePack has in eight bytes alone."""


class _Rest(NamedTuple):
    """Buffers and fields, as bytes and as what they say."""

    packed: bytes
    buffers: tuple[BufferSpec, ...]
    sizes: tuple[int, ...]
    """Of the frames that must follow; none where there is a reference."""
    nbytes: int
    """That a reference must name; 0 without one."""
    fields: Mapping[str, Value] | None
    """None: there are lists in lists or maps in them, and they are unpacked again."""
    lists: tuple[str, ...]
    """Keys of fields that are lists: a reader gets copies."""
    counter: str | None
    """Key of the last field, if its number is the last eight bytes."""


@dataclass(slots=True)
class _Template:
    """What headers of one topic and kind begin with, and what came behind more than once."""

    standing: bytes
    numbers: Struct
    marks: tuple[bytes, ...]
    topic: str
    kind: Kind
    incarnation: int
    frame_id: str
    place: tuple[str, int] | None
    """Pool and epoch; None: the buffers are in frames."""
    rest: _Rest
    other: bytes = b""
    """What came behind last, if it was not that."""


_templates: dict[bytes, _Template] = {}
_make = tuple.__new__
"""Makes a named tuple of its values with no call in between: each message brings two."""


def recall(frames: _Frames) -> tuple[Header, Reference | None] | None:
    """Return header and reference of a message like one before; None: look at everything."""
    topic, frame = frames[0], frames[1]
    if type(topic) is not bytes or type(frame) is not bytes:
        return None
    template = _templates.get(topic + frame[:_KEY_BYTES])
    if template is None or not frame.startswith(template.standing):
        return None
    begin, numbers, rest = len(template.standing), template.numbers, template.rest
    end = begin + numbers.size
    if not end < len(frame) <= end + REMEMBERED:
        return None
    found = numbers.unpack_from(frame, begin)
    given = found[1::2]
    if found[::2] != template.marks or max(given) >= INT63:
        return None
    seq, stamp_ns, sent_ns, span_ns, error_ns = given[-5:]
    reference: Reference | None = None
    if template.place is None:
        is_like = tuple(map(len, frames[2:])) == rest.sizes
    else:
        reference = _make(Reference, template.place + given[:3])
        is_like = reference.nbytes == rest.nbytes and len(frames) == _NO_BUFFERS
    packed, buffers = frame[end:], rest.buffers
    fields = _fields_like(packed, template) if is_like else None
    if fields is None:
        known = _changed(packed, template, frames, reference)
        if known is None:
            return None
        buffers, fields = known
    said = (
        template.topic, template.kind, seq, stamp_ns, span_ns, error_ns, sent_ns,
        template.incarnation, template.frame_id, fields, buffers,
    )  # fmt: skip
    return _make(Header, said), reference


def _fields_like(packed: bytes, template: _Template) -> Mapping[str, Value] | None:
    """Return the fields behind a template where they are the last ones, but for what counts."""
    rest = template.rest
    if packed == rest.packed:
        return _fields(rest)
    if rest.counter is None or packed[: -COUNTER.size] != rest.packed[: -COUNTER.size]:
        return None
    (number,) = COUNTER.unpack_from(packed, len(packed) - COUNTER.size)
    fields = {**_fields(rest), rest.counter: number}
    return None if trouble_of(template.kind, fields, rest.buffers) else fields


def learn(frames: _Frames, header: Header, reference: Reference | None) -> None:
    """Remember a message that was found to keep all rules, if it is laid out as Tectum does it."""
    topic, frame = frames[0], frames[1]
    if type(topic) is not bytes or type(frame) is not bytes or frame[:1] not in b"\x8b\x8c":
        return
    place = None if reference is None else (reference.pool, reference.epoch)
    begins = standing(header.kind, header.incarnation, header.frame_id, *(place or ()))
    marks, numbers = (MARKS, NUMBERS) if place is None else (MARKS_THERE, NUMBERS_THERE)
    end = len(begins) + numbers.size
    if not frame.startswith(begins) or not end < len(frame) <= end + REMEMBERED:
        return
    if numbers.unpack_from(frame, len(begins))[::2] != marks:
        return
    packed = frame[end:]
    if unpack(REST + packed).keys() != _KEYS_OF_REST:
        return
    rest = _rest(packed, header.buffers, header.fields, reference)
    if len(_templates) >= TEMPLATES:
        _templates.clear()
    _templates[topic + frame[:_KEY_BYTES]] = _Template(
        begins,
        numbers,
        marks,
        header.topic,
        header.kind,
        header.incarnation,
        header.frame_id,
        place,
        rest,
    )


def _changed(
    packed: bytes, template: _Template, frames: _Frames, reference: Reference | None
) -> tuple[tuple[BufferSpec, ...], Mapping[str, Value]] | None:
    """Return other buffers and fields behind a template, None: look at everything."""
    try:
        document = unpack(REST + packed)
        if document.keys() != _KEYS_OF_REST:
            return None
        fields = fields_of(document["x"])
        buffers = buffers_of(document["b"], frames, reference)
    except WireError:
        return None
    if trouble_of(template.kind, fields, buffers):
        return None
    if packed == template.other:
        template.rest = _rest(packed, buffers, fields, reference)
    template.other = packed
    return buffers, fields


def _rest(
    packed: bytes,
    buffers: tuple[BufferSpec, ...],
    fields: Mapping[str, Value],
    reference: Reference | None,
) -> _Rest:
    lists = {key: value for key, value in fields.items() if type(value) is list}
    kept = [value for key, value in fields.items() if key not in lists]
    kept += [item for value in lists.values() for item in value]
    sizes = () if reference else tuple([spec.nbytes for spec in buffers])
    return _Rest(
        packed,
        buffers,
        sizes,
        reference.nbytes if reference else 0,
        _copied(fields, lists) if SCALARS.issuperset(map(type, kept)) else None,
        tuple(lists),
        _counter(packed, fields),
    )


def _counter(packed: bytes, fields: Mapping[str, Value]) -> str | None:
    """Return the key of the last field, if it changes with the last eight bytes and nothing else.

    Then it does so for any of them: how MessagePack goes on is said in front of a number.
    """
    if packed[-COUNTER.size - 1 : -COUNTER.size] != UNSIGNED or not fields:
        return None
    *_, last = fields
    try:
        probe = unpack(REST + packed[: -COUNTER.size] + COUNTER.pack(_PROBE)).get("x")
    except WireError:
        return None
    return last if probe == {**fields, last: _PROBE} != fields else None


def _fields(rest: _Rest) -> dict[str, Value]:
    """Return fields that the reader may change as it likes."""
    if rest.fields is None:
        fields: dict[str, Value] = unpack(REST + rest.packed)["x"]
        return fields
    return _copied(rest.fields, rest.lists) if rest.lists else dict(rest.fields)


def _copied(fields: Mapping[str, Value], lists: Iterable[str]) -> dict[str, Value]:
    copy = dict(fields)
    for key in lists:
        copy[key] = [*cast("list[Value]", copy[key])]
    return copy
