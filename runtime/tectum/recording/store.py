"""Messages to records: which schema a message gets, and its bytes.

Images, clouds, audio and poses become Foxglove's messages, so that a log opens in its viewers as
it is; everything else, and whatever does not have the form of its kind, becomes a `tectum.Message`
and is kept as exactly. Pictures that were published raw are encoded here, in the caller's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from tectum.message import Header, Kind, Message
from tectum.recording.headers import header_record, readable
from tectum.recording.jpeg import JPEG_ENCODINGS, encoded
from tectum.recording.schemas import MESSAGE, message_class
from tectum.recording.splice import Buffer, spliced

__all__ = ["PAYLOAD_FIELD", "ImageStorage", "Stored", "stored", "timestamp"]

PAYLOAD_FIELD = {
    "foxglove.CompressedImage": 2,
    "foxglove.RawImage": 6,
    "foxglove.RawAudio": 2,
    "foxglove.PointCloud": 6,
    MESSAGE: 2,
}
"""The bytes field of each spliced schema that holds the buffer."""

_READABLE = (Kind.RESULT, Kind.HEALTH, Kind.TEXT, Kind.STATEMENT)
_FLOAT32 = 7  # foxglove.PackedElementField.NumericType.FLOAT32
_IMAGE_SHAPES = {"mono8": 1, "mono16": 1, "32FC1": 1, "rgb8": 3, "bgr8": 3}
_IMAGE_DTYPES = {"mono16": "uint16", "32FC1": "float32"}


@dataclass(frozen=True, slots=True)
class ImageStorage:
    """How pictures that were published raw are stored; JPEG bytes stay as they are."""

    form: Literal["jpeg", "raw"] = "jpeg"
    quality: int = 90
    """JPEG quality, 1 to 100."""


class Stored(NamedTuple):
    """A record and its schema. A `tectum.Message` carries its header, others need it beside."""

    schema: str
    pieces: tuple[Buffer, ...]
    """The record, in a row; payloads are views of the message's."""


def stored(message: Message, images: ImageStorage) -> Stored:
    """Return the record of `message`."""
    header = message.header
    make = _MAKERS.get(header.kind)
    well_known = make(message, images) if make is not None and len(header.buffers) == 1 else None
    return well_known or _own(message)


def timestamp(stamp_ns: int) -> dict[str, int]:
    """Return a stamp as the fields of a `google.protobuf.Timestamp`."""
    seconds, nanos = divmod(stamp_ns, 1_000_000_000)
    return {"seconds": seconds, "nanos": nanos}


def _image(message: Message, images: ImageStorage) -> Stored | None:
    header, encoding = message.header, message.header.fields.get("encoding")
    spec = header.buffers[0]
    if encoding == "jpeg" and spec.dtype == "uint8" and len(spec.shape) == 1:
        return _compressed(header, _buffer(message))
    if not isinstance(encoding, str) or not _is_picture(encoding, spec.dtype, spec.shape):
        return None
    if images.form == "jpeg" and encoding in JPEG_ENCODINGS:
        return _compressed(header, encoded(message.array(), encoding, images.quality))
    schema = "foxglove.RawImage"
    height, width = spec.shape[:2]
    small = _small(
        schema, header, width=width, height=height, encoding=encoding, step=spec.nbytes // height
    )
    return Stored(schema, spliced(small, PAYLOAD_FIELD[schema], _buffer(message)))


def _compressed(header: Header, data: Buffer) -> Stored:
    schema = "foxglove.CompressedImage"
    small = _small(schema, header, format="jpeg")
    return Stored(schema, spliced(small, PAYLOAD_FIELD[schema], data))


def _is_picture(encoding: str, dtype: str, shape: tuple[int, ...]) -> bool:
    channels = _IMAGE_SHAPES.get(encoding, 0)
    right_shape = shape[2:] == (channels,) or (len(shape) == 2 and channels == 1)
    return right_shape and min(shape) > 0 and dtype == _IMAGE_DTYPES.get(encoding, "uint8")


def _audio(message: Message, _images: ImageStorage) -> Stored | None:
    header, rate_hz = message.header, message.header.fields.get("rate_hz")
    spec, schema = header.buffers[0], "foxglove.RawAudio"
    if spec.dtype != "int16" or not 1 <= len(spec.shape) <= 2 or not isinstance(rate_hz, int):
        return None
    channels = spec.shape[1] if len(spec.shape) == 2 else 1
    small = message_class(schema)(
        timestamp=timestamp(header.stamp_ns),
        format="pcm-s16",
        sample_rate=rate_hz,
        number_of_channels=channels,
    ).SerializeToString()
    return Stored(schema, spliced(small, PAYLOAD_FIELD[schema], _buffer(message)))


def _points(message: Message, _images: ImageStorage) -> Stored | None:
    header, names = message.header, message.header.fields.get("names")
    spec, schema = header.buffers[0], "foxglove.PointCloud"
    named = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    if spec.dtype != "float32" or len(spec.shape) != 2 or not named:
        return None
    if len(names) != spec.shape[1]:  # type: ignore[arg-type]  # `named` says that it is a sequence
        return None
    fields = [
        {"name": name, "offset": 4 * index, "type": _FLOAT32}
        for index, name in enumerate(names)  # type: ignore[arg-type]
    ]
    pose = {"orientation": {"w": 1.0}, "position": {}}
    small = _small(schema, header, pose=pose, point_stride=4 * spec.shape[1], fields=fields)
    return Stored(schema, spliced(small, PAYLOAD_FIELD[schema], _buffer(message)))


def _pose(message: Message, _images: ImageStorage) -> Stored | None:
    header, child = message.header, message.header.fields.get("child_frame_id")
    if header.buffers[0].dtype != "float64" or header.buffers[0].shape != (7,):
        return None
    numbers = [float(number) for number in message.array()]
    position = dict(zip("xyz", numbers[:3], strict=True))
    rotation = dict(zip("xyzw", numbers[3:], strict=True))
    if isinstance(child, str) and child:
        schema = "foxglove.FrameTransform"
        small = message_class(schema)(
            timestamp=timestamp(header.stamp_ns),
            parent_frame_id=header.frame_id,
            child_frame_id=child,
            translation=position,
            rotation=rotation,
        ).SerializeToString()
        return Stored(schema, (small,))
    schema = "foxglove.PoseInFrame"
    pose = {"position": position, "orientation": rotation}
    return Stored(schema, (_small(schema, header, pose=pose),))


def _own(message: Message) -> Stored:
    header = message.header
    record = message_class(MESSAGE)(header=header_record(header))
    if header.kind in _READABLE:
        for key, number, text in readable(header.fields):
            record.values.add(key=key, number=number, text=text)
    buffers = [_buffer(message, index) for index in range(len(header.buffers))]
    return Stored(MESSAGE, spliced(record.SerializeToString(), PAYLOAD_FIELD[MESSAGE], *buffers))


def _small(schema: str, header: Header, **fields: Any) -> bytes:
    record = message_class(schema)(
        timestamp=timestamp(header.stamp_ns), frame_id=header.frame_id, **fields
    )
    data: bytes = record.SerializeToString()
    return data


def _buffer(message: Message, index: int = 0) -> Buffer:
    array = np.ascontiguousarray(message.array(index))
    return array.data.cast("B") if array.size else b""


_MAKERS: dict[Kind, Callable[[Message, ImageStorage], Stored | None]] = {
    Kind.IMAGE: _image,
    Kind.AUDIO: _audio,
    Kind.POINTS: _points,
    Kind.POSE: _pose,
}
