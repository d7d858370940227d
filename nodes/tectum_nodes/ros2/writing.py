"""Messages of ours to ROS 2's: a table of types, each written after its definition.

Definitions: sensor_msgs, geometry_msgs, std_msgs, diagnostic_msgs, rosgraph_msgs; vision_msgs 4
(ROS 2 Humble and newer). Stamps are kept to the nanosecond.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tectum.errors import DataError
from tectum.message import Kind, Message
from tectum.recording.jpeg import JPEG_ENCODINGS, encoded
from tectum_nodes.ros2.cdr_writer import CdrWriter
from tectum_nodes.ros2.detections import write_detections
from tectum_nodes.ros2.diagnostics import write_diagnostics, write_health
from tectum_nodes.ros2.reading import IMU_COLUMNS
from tectum_nodes.ros2.result_json import result_json

__all__ = ["CLOCK", "DEFAULTS", "SHAPES", "WRITERS", "clock_message", "write_message"]

CLOCK = "rosgraph_msgs/msg/Clock"
_QUALITY = 90
_FLOAT32 = 7

Write = Callable[[Message, int, str], bytes]
"""From message, stamp in ns and frame to CDR."""


class _Writer(NamedTuple):
    kinds: Mapping[Kind, Write]


def write_message(type_name: str, message: Message, stamp_ns: int, frame_id: str) -> bytes:
    """Return a message as one of a type in `WRITERS`.

    Raises:
        DataError: its kind or form has no such message, and which has.
    """
    header = message.header
    kinds = WRITERS[type_name].kinds
    if header.kind not in kinds:
        fitting = [_short(name) for name, writer in WRITERS.items() if header.kind in writer.kinds]
        can = f"write type: {' or '.join(fitting)}" if fitting else "nothing in ROS 2 is like it"
        msg = f"{header.topic} is of kind {header.kind}, which no {_short(type_name)} holds: {can}"
        raise DataError(msg)
    return kinds[header.kind](message, stamp_ns, frame_id)


def clock_message(now_ns: int) -> bytes:
    """Return a `rosgraph_msgs/Clock`."""
    cdr = CdrWriter()
    cdr.stamp(now_ns)
    return cdr.data()


def _image(message: Message, stamp_ns: int, frame_id: str) -> bytes:
    encoding, picture = str(message.header.fields["encoding"]), message.array()
    if encoding == "jpeg":
        msg = f"{message.header.topic} has JPEG pictures: write type: CompressedImage"
        raise DataError(msg)
    cdr = CdrWriter()
    cdr.header(stamp_ns, frame_id)
    cdr.number("I", *picture.shape[:2])
    cdr.text(encoding)
    cdr.number("B", 0)
    cdr.number("I", picture.nbytes // picture.shape[0])
    cdr.bytes_of(picture)
    return cdr.data()


def _compressed_image(message: Message, stamp_ns: int, frame_id: str) -> bytes:
    encoding, picture = str(message.header.fields["encoding"]), message.array()
    if encoding in JPEG_ENCODINGS:
        picture = np.frombuffer(encoded(picture, encoding, _QUALITY), np.uint8)
    elif encoding != "jpeg":
        msg = f"{message.header.topic} has {encoding} pictures, which no JPEG holds: type: Image"
        raise DataError(msg)
    cdr = CdrWriter()
    cdr.header(stamp_ns, frame_id)
    cdr.text("jpeg")
    cdr.bytes_of(picture)
    return cdr.data()


def _points(message: Message, stamp_ns: int, frame_id: str) -> bytes:
    points, names = message.array(), _names(message, "names")
    cdr = CdrWriter()
    cdr.header(stamp_ns, frame_id)
    cdr.number("I", 1, points.shape[0])
    cdr.number("I", len(names))
    for index, name in enumerate(names):
        cdr.text(name)
        cdr.number("I", 4 * index)
        cdr.number("B", _FLOAT32)
        cdr.number("I", 1)
    cdr.number("B", 0)
    cdr.number("I", 4 * len(names), points.nbytes)
    cdr.bytes_of(points)
    cdr.number("B", 1)
    return cdr.data()


def _imu(message: Message, stamp_ns: int, frame_id: str) -> bytes:
    columns, values = _names(message, "columns"), np.asarray(message.array(), np.float64).ravel()
    if columns != list(IMU_COLUMNS) or len(values) != len(IMU_COLUMNS):
        msg = (
            f"{message.header.topic} has the columns {', '.join(columns) or 'none'}, and an Imu "
            f"is made of {', '.join(IMU_COLUMNS)}"
        )
        raise DataError(msg)
    known = bool(np.isfinite(values[:4]).all())
    cdr = CdrWriter()
    cdr.header(stamp_ns, frame_id)
    cdr.floats(values[:4] if known else (0.0, 0.0, 0.0, 1.0))
    cdr.floats((0.0 if known else -1.0, *(0.0,) * 8))
    for part in (values[4:7], values[7:10]):
        cdr.floats(part)
        cdr.floats((0.0,) * 9)
    return cdr.data()


def _pose(message: Message, stamp_ns: int, frame_id: str) -> bytes:
    pose: NDArray[np.float64] = np.asarray(message.array(), np.float64)
    cdr = CdrWriter()
    cdr.header(stamp_ns, frame_id)
    cdr.floats(pose)
    return cdr.data()


def _text(message: Message, stamp_ns: int, frame_id: str) -> bytes:
    del stamp_ns, frame_id
    return _string(str(message.header.fields["text"]))


def _json(message: Message, stamp_ns: int, frame_id: str) -> bytes:
    del stamp_ns, frame_id
    return _string(result_json(message))


def _string(text: str) -> bytes:
    cdr = CdrWriter()
    cdr.text(text)
    return cdr.data()


def _names(message: Message, field: str) -> list[str]:
    given = message.header.fields.get(field)
    return [str(name) for name in given] if isinstance(given, (list, tuple)) else []


def _short(type_name: str) -> str:
    return type_name.rpartition("/")[2]


WRITERS: Mapping[str, _Writer] = {
    "sensor_msgs/msg/Image": _Writer({Kind.IMAGE: _image}),
    "sensor_msgs/msg/CompressedImage": _Writer({Kind.IMAGE: _compressed_image}),
    "sensor_msgs/msg/PointCloud2": _Writer({Kind.POINTS: _points}),
    "sensor_msgs/msg/Imu": _Writer({Kind.TENSOR: _imu}),
    "geometry_msgs/msg/PoseStamped": _Writer({Kind.POSE: _pose}),
    "std_msgs/msg/String": _Writer({Kind.TEXT: _text, Kind.RESULT: _json}),
    "diagnostic_msgs/msg/DiagnosticArray": _Writer(
        {Kind.RESULT: write_diagnostics, Kind.HEALTH: write_health}
    ),
    "vision_msgs/msg/Detection3DArray": _Writer({Kind.RESULT: write_detections}),
}
"""Type -> how messages of which kinds become it."""

DEFAULTS: Mapping[Kind, str] = {
    Kind.IMAGE: "sensor_msgs/msg/Image",
    Kind.POINTS: "sensor_msgs/msg/PointCloud2",
    Kind.TENSOR: "sensor_msgs/msg/Imu",
    Kind.POSE: "geometry_msgs/msg/PoseStamped",
    Kind.TEXT: "std_msgs/msg/String",
    Kind.RESULT: "diagnostic_msgs/msg/DiagnosticArray",
    Kind.HEALTH: "diagnostic_msgs/msg/DiagnosticArray",
}
"""Kind -> its type where none is given."""

SHAPES: Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "vision_msgs/msg/Detection3DArray": (
        ("vision_msgs/msg/Detection3D", ("header", "results", "bbox", "id")),
        ("vision_msgs/msg/ObjectHypothesisWithPose", ("hypothesis", "pose")),
        ("vision_msgs/msg/BoundingBox3D", ("center", "size")),
    ),
}
"""Types whose definition has changed between distributions -> the fields that are written."""
