"""Headers as records: exact there and back. Pure functions on bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgpack
from google.protobuf.message import DecodeError

from tectum.errors import DataError
from tectum.message import DTYPES, BufferSpec, Header, Kind, Value
from tectum.recording.schemas import HEADER, message_class

__all__ = ["header_bytes", "header_from", "header_of", "header_record", "readable"]


def header_record(header: Header) -> Any:
    """Return `header` as a `tectum.Header`."""
    record = message_class(HEADER)(
        topic=header.topic,
        kind=header.kind.value,
        incarnation=header.incarnation,
        seq=header.seq,
        stamp_ns=header.stamp_ns,
        span_ns=header.span_ns,
        error_ns=header.error_ns,
        sent_ns=header.sent_ns,
        frame_id=header.frame_id,
        fields=msgpack.packb(dict(header.fields)) if header.fields else b"",
    )
    for spec in header.buffers:
        record.buffers.add(dtype=spec.dtype, shape=spec.shape)
    return record


def header_bytes(header: Header) -> bytes:
    """Return the bytes of a `tectum.Header`; what its topic never changes is made once."""
    changing = message_class(HEADER)(
        seq=header.seq,
        stamp_ns=header.stamp_ns,
        span_ns=header.span_ns,
        error_ns=header.error_ns,
        sent_ns=header.sent_ns,
        fields=msgpack.packb(dict(header.fields)) if header.fields else b"",
    )
    lasting = _lasting(
        header.topic, header.kind, header.incarnation, header.frame_id, header.buffers
    )
    data: bytes = lasting + changing.SerializeToString()  # fields may come in any order
    return data


@lru_cache(256)
def _lasting(
    topic: str, kind: Kind, incarnation: int, frame_id: str, buffers: tuple[BufferSpec, ...]
) -> bytes:
    record = message_class(HEADER)(
        topic=topic, kind=kind.value, incarnation=incarnation, frame_id=frame_id
    )
    for spec in buffers:
        record.buffers.add(dtype=spec.dtype, shape=spec.shape)
    data: bytes = record.SerializeToString()
    return data


def header_from(data: bytes) -> Header:
    """Return the header that `header_bytes` gave.

    Raises:
        DataError: the bytes are not a header, or one of another version.
    """
    try:
        return header_of(message_class(HEADER).FromString(data))
    except DecodeError as error:
        msg = f"a recorded header cannot be read: {error}"
        raise DataError(msg) from error


def header_of(record: Any) -> Header:
    """Return the header that a `tectum.Header` holds.

    Raises:
        DataError: it is one of another version.
    """
    try:
        return Header(
            topic=record.topic,
            kind=Kind(record.kind),
            seq=record.seq,
            stamp_ns=record.stamp_ns,
            span_ns=record.span_ns,
            error_ns=record.error_ns,
            sent_ns=record.sent_ns,
            incarnation=record.incarnation,
            frame_id=record.frame_id,
            fields=_fields_from(record.fields),
            buffers=tuple(_spec_from(item) for item in record.buffers),
        )
    except ValueError as error:
        msg = f"a recorded header cannot be read: {error}"
        raise DataError(msg) from error


def readable(fields: Mapping[str, Value], key: str = "") -> Iterator[tuple[str, float, str]]:
    """Yield the numbers and words among `fields` as (path, number, text), for viewers.

    A viewer can plot `outputs.siren.probability`; nothing is restored from these.
    """
    for name, value in fields.items():
        yield from _readable(value, f"{key}.{name}" if key else name)


def _readable(value: Value, key: str) -> Iterator[tuple[str, float, str]]:
    if isinstance(value, str):
        yield key, math.nan, value
    elif isinstance(value, bool | int | float):
        yield key, float(value), ""
    elif isinstance(value, Mapping):
        yield from readable(value, key)
    elif value is not None and not isinstance(value, bytes):
        for index, item in enumerate(value):
            yield from _readable(item, f"{key}.{index}")


def _fields_from(data: bytes) -> dict[str, Value]:
    if not data:
        return {}
    fields = msgpack.unpackb(data)
    if not isinstance(fields, dict):
        msg = f"its fields are {type(fields).__name__}, not a map"
        raise ValueError(msg)
    return fields


def _spec_from(item: Any) -> BufferSpec:
    shape = tuple(item.shape)
    if item.dtype not in DTYPES or min(shape, default=0) < 0:
        msg = f"it declares a buffer of dtype {item.dtype!r} and shape {shape}"
        raise ValueError(msg)
    return BufferSpec(item.dtype, shape)
