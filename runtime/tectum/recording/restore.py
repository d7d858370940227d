"""Records to messages: exactly what was published, or what a foreign record means.

A record of ours comes with its header, and its message has the dtype, shape and fields that were
published. A foreign record in one of Foxglove's schemas has no header: one is made of its fields,
with the stamp of the record and a sequence number counted by the reader.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from tectum.errors import DataError
from tectum.message import AnyArray, ArrayPayload, BufferSpec, Header, Kind, Message, Payload
from tectum.recording.headers import header_from, header_of
from tectum.recording.jpeg import JpegPayload, decoded
from tectum.recording.schemas import MESSAGE, message_class
from tectum.recording.splice import divided
from tectum.recording.store import PAYLOAD_FIELD

__all__ = ["KIND_OF", "foreign", "restored"]

KIND_OF = {
    "foxglove.CompressedImage": Kind.IMAGE,
    "foxglove.RawImage": Kind.IMAGE,
    "foxglove.RawAudio": Kind.AUDIO,
    "foxglove.PointCloud": Kind.POINTS,
    "foxglove.FrameTransform": Kind.POSE,
    "foxglove.PoseInFrame": Kind.POSE,
}
"""The well-known schemas that are messages of ours."""

_SMALL_BYTES = 64 * 1024
"""Below this size, parsing with a copy in C is quicker than walking the fields in Python."""


def restored(record: memoryview, schema: str, header_data: bytes, *, raw: bool) -> Message:
    """Return the message of a record of ours. `header_data` is empty for a `tectum.Message`.

    `raw`: pictures that were published raw and stored as JPEG are raw again (when looked at);
    otherwise they come as the JPEG bytes that are stored.

    Raises:
        DataError: the record does not fit its header, or cannot be read.
    """
    if schema == MESSAGE:
        return _own(record)
    header = header_from(header_data)
    if header.kind is Kind.POSE:
        return Message(header, (ArrayPayload(_pose_array(_parsed(schema, bytes(record)))),))
    view = _payload(record, schema)
    if schema == "foxglove.CompressedImage" and header.fields.get("encoding") != "jpeg":
        return _jpeg_of_raw(header, view, raw=raw)
    return Message(header, _payloads(header, [view]))


def foreign(record: memoryview, schema: str, topic: str, seq: int, log_ns: int) -> Message | None:
    """Return the message of a record that others wrote, or None where its schema is unknown.

    Raises:
        DataError: the record cannot be read.
    """
    make = _FOREIGN.get(schema)
    if make is None:
        return None
    small, buffers = divided(record, PAYLOAD_FIELD.get(schema, 0))
    fields = _parsed(schema, small)
    stamp = fields.timestamp
    header = Header(
        topic=topic,
        kind=KIND_OF[schema],
        seq=seq,
        stamp_ns=stamp.seconds * 1_000_000_000 + stamp.nanos or log_ns,
        frame_id=getattr(fields, "frame_id", ""),
    )
    return make(header, fields, buffers[0] if buffers else memoryview(b""))


def _own(record: memoryview) -> Message:
    if len(record) < _SMALL_BYTES:
        parsed = _parsed(MESSAGE, bytes(record))
        header = header_of(parsed.header)
        return Message(header, _payloads(header, [memoryview(data) for data in parsed.buffers]))
    small, buffers = divided(record, PAYLOAD_FIELD[MESSAGE])
    header = header_of(_parsed(MESSAGE, small).header)
    return Message(header, _payloads(header, buffers))


def _payload(record: memoryview, schema: str) -> memoryview:
    """Return the buffer of a record: a view of it, or a copy where that is quicker."""
    if len(record) < _SMALL_BYTES:
        return memoryview(_parsed(schema, bytes(record)).data)
    _, buffers = divided(record, PAYLOAD_FIELD[schema])
    return buffers[0] if buffers else memoryview(b"")


def _jpeg_of_raw(header: Header, view: memoryview, *, raw: bool) -> Message:
    if raw:
        encoding = str(header.fields.get("encoding"))
        return Message(header, (JpegPayload(view, encoding, header.buffers[0]),))
    fields = {**header.fields, "encoding": "jpeg"}
    spec = BufferSpec("uint8", (view.nbytes,))
    return _message(header._replace(fields=fields), np.frombuffer(view, np.uint8), spec)


def _payloads(header: Header, buffers: list[memoryview]) -> tuple[Payload, ...]:
    if len(buffers) != len(header.buffers):
        msg = (
            f"a record of {header.topic} has {len(buffers)} buffers, "
            f"its header says {len(header.buffers)}"
        )
        raise DataError(msg)
    pairs = zip(header.buffers, buffers, strict=True)
    return tuple(ArrayPayload(_array(header.topic, spec, view)) for spec, view in pairs)


def _array(topic: str, spec: BufferSpec, view: memoryview) -> AnyArray:
    if view.nbytes != spec.nbytes:
        msg = (
            f"a record of {topic} holds {view.nbytes} bytes, "
            f"its header says {spec.dtype} {list(spec.shape)}"
        )
        raise DataError(msg)
    array: AnyArray = np.frombuffer(view, spec.dtype).reshape(spec.shape)
    return array if array.flags.aligned else array.copy()


def _parsed(schema: str, small: bytes) -> Any:
    try:
        return message_class(schema).FromString(small)
    except DecodeError as error:
        msg = f"a record of schema {schema} cannot be read: {error}"
        raise DataError(msg) from error


def _message(header: Header, array: AnyArray, spec: BufferSpec | None = None) -> Message:
    spec = spec or BufferSpec(array.dtype.name, array.shape)
    return Message(header._replace(buffers=(spec,)), (ArrayPayload(array),))


def _compressed(header: Header, fields: Any, view: memoryview) -> Message | None:
    if fields.format in ("jpeg", "jpg"):
        header = header._replace(fields={"encoding": "jpeg"})
        return _message(header, np.frombuffer(view, np.uint8))
    if fields.format in ("png", "webp"):
        header = header._replace(fields={"encoding": "bgr8"})
        return _message(header, decoded(view, "bgr8"))
    return None  # a frame of a video is no picture by itself


def _raw_image(header: Header, fields: Any, view: memoryview) -> Message | None:
    aliases = {"8UC1": "mono8", "8UC3": "bgr8", "16UC1": "mono16"}
    encoding = aliases.get(fields.encoding, fields.encoding)
    dtype = {"mono16": "uint16", "32FC1": "float32"}.get(encoding, "uint8")
    if encoding not in ("mono8", "mono16", "32FC1", "rgb8", "bgr8"):
        return None
    depth = (3,) if encoding in ("rgb8", "bgr8") else ()
    width_bytes = fields.width * np.dtype(dtype).itemsize * (3 if depth else 1)
    if fields.step < width_bytes or view.nbytes != fields.step * fields.height:
        msg = (
            f"an image of {header.topic} holds {view.nbytes} bytes, which do not fit "
            f"{fields.width} x {fields.height} {fields.encoding} in rows of {fields.step} bytes"
        )
        raise DataError(msg)
    rows = np.frombuffer(view, np.uint8).reshape(fields.height, fields.step)[:, :width_bytes]
    image = np.ascontiguousarray(rows).view(dtype).reshape(fields.height, fields.width, *depth)
    return _message(header._replace(fields={"encoding": encoding}), image)


def _audio(header: Header, fields: Any, view: memoryview) -> Message | None:
    channels, rate_hz = fields.number_of_channels or 1, fields.sample_rate
    if fields.format != "pcm-s16" or rate_hz <= 0 or view.nbytes % (2 * channels):
        return None
    count = view.nbytes // (2 * channels)
    span_ns = count * 1_000_000_000 // rate_hz
    facts = {"rate_hz": rate_hz}  # the index of its first sample is the reader's to count
    samples = np.frombuffer(bytes(view), "int16").reshape(count, channels)
    return _message(header._replace(span_ns=span_ns, fields=facts), samples)


_NUMERIC = ("", "u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8")


def _points(header: Header, fields: Any, view: memoryview) -> Message | None:
    names = [field.name for field in fields.fields]
    stride = fields.point_stride
    known = all(0 < field.type < len(_NUMERIC) for field in fields.fields)
    if not known or names[:3] != ["x", "y", "z"] or not stride or view.nbytes % stride:
        return None
    layout = np.dtype(
        {
            "names": names,
            "formats": [_NUMERIC[field.type] for field in fields.fields],
            "offsets": [field.offset for field in fields.fields],
            "itemsize": stride,
        }
    )
    packed = np.frombuffer(view, layout)
    points = np.stack([packed[name].astype(np.float32) for name in names], axis=1)
    return _message(header._replace(fields={"names": names}), points)


def _pose(header: Header, fields: Any, _view: memoryview) -> Message:
    child = getattr(fields, "child_frame_id", "")
    parent = getattr(fields, "parent_frame_id", header.frame_id)
    header = header._replace(frame_id=parent, fields={"child_frame_id": child} if child else {})
    return _message(header, _pose_array(fields))


def _pose_array(fields: Any) -> AnyArray:
    is_pose = hasattr(fields, "pose")
    p = fields.pose.position if is_pose else fields.translation
    q = fields.pose.orientation if is_pose else fields.rotation
    return np.array([p.x, p.y, p.z, q.x, q.y, q.z, q.w], np.float64)


_FOREIGN: dict[str, Callable[[Header, Any, memoryview], Message | None]] = {
    "foxglove.CompressedImage": _compressed,
    "foxglove.RawImage": _raw_image,
    "foxglove.RawAudio": _audio,
    "foxglove.PointCloud": _points,
    "foxglove.FrameTransform": _pose,
    "foxglove.PoseInFrame": _pose,
}
