"""ROS 2 messages to captures of ours: a table of types, each read after its definition.

Definitions: sensor_msgs, geometry_msgs, nav_msgs, std_msgs (REP 103 for frames and units, as ours:
metres, radians, quaternions x y z w). A message without a stamp has that of its arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tectum.errors import DataError
from tectum.message import AnyArray, Kind, Value
from tectum_nodes.ros2.cdr import Cdr
from tectum_nodes.ros2.pictures import compressed_picture, raw_picture

__all__ = ["IMU_COLUMNS", "READERS", "RosMessage", "read_message"]


IMU_COLUMNS = ("qx", "qy", "qz", "qw", "wx", "wy", "wz", "ax", "ay", "az")
"""Orientation, angular velocity in rad/s, linear acceleration in m/s^2; as of the node `tensor`."""


class RosMessage(NamedTuple):
    """What a message holds."""

    stamp_ns: int
    """0: it has none."""
    frame_id: str
    arrays: tuple[AnyArray, ...]
    fields: Mapping[str, Value] = {}


class _Reader(NamedTuple):
    kind: Kind
    read: Callable[[Cdr], RosMessage]


def read_message(type_name: str, data: bytes | memoryview) -> RosMessage:
    """Return the message of a type in `READERS`.

    Raises:
        DataError: its bytes are not such a message, or are in a form that is not known here.
    """
    return READERS[type_name].read(Cdr(data))


def _image(cdr: Cdr) -> RosMessage:
    stamp_ns, frame = cdr.header()
    height, width, encoding = cdr.integer(), cdr.integer(), cdr.text()
    big_endian, step = bool(cdr.integer("u1")), cdr.integer()
    data = cdr.sequence("u1")
    encoding, picture = raw_picture(data, encoding, (height, width, step), big_endian=big_endian)
    return RosMessage(stamp_ns, frame, (picture,), {"encoding": encoding})


def _compressed_image(cdr: Cdr) -> RosMessage:
    stamp_ns, frame = cdr.header()
    described = cdr.text()
    encoding, picture = compressed_picture(cdr.sequence("u1"), described)
    return RosMessage(stamp_ns, frame, (picture,), {"encoding": encoding})


_NUMERIC = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
"""sensor_msgs/PointField."""
_FLOAT32 = 7
_SINCE_STAMP = {"t": 1e-9, "time": 1.0, "timestamp": 1.0, "time_stamp": 1.0}
"""Names of a point's time -> its unit in s. Unix time is made to count from the stamp."""
_UNIX_S = 1e6


def _points(cdr: Cdr) -> RosMessage:
    stamp_ns, frame = cdr.header()
    height, width = cdr.integer(), cdr.integer()
    columns = [
        (cdr.text(), cdr.integer(), cdr.integer("u1"), cdr.integer()) for _ in range(cdr.integer())
    ]
    order = ">" if cdr.integer("u1") else "<"
    step, row_step, data = cdr.integer(), cdr.integer(), cdr.sequence("u1")
    names, points = _columns(columns, data, (height, width), (step, row_step), order, stamp_ns)
    named: list[Value] = ["time" if name in _SINCE_STAMP else name for name in names]
    return RosMessage(stamp_ns, frame, (_finite(points),), {"names": named})


def _finite(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the points that have a place; the same array where all have, which is quickly seen."""
    if np.isfinite(points).all():
        return points
    x, y, z = (np.isfinite(points[:, column]) for column in range(3))
    seen = x & y & z
    return points if seen.all() else points[seen]


def _columns(
    columns: list[tuple[str, int, int, int]],
    data: AnyArray,
    size: tuple[int, int],
    steps: tuple[int, int],
    order: str,
    stamp_ns: int,
) -> tuple[list[str], NDArray[np.float32]]:
    """Return names and float32 (points, names), x y z first; a view where the cloud is just that.

    Raises:
        DataError: the bytes do not hold the fields, or there are no x, y and z.
    """
    step, row_step = steps
    packed = _rows(data, size, step, row_step, _layout(columns, order, step))
    given = [name for name in packed.dtype.names or () if packed.dtype[name].shape == ()]
    if not {"x", "y", "z"} <= set(given):
        msg = f"a cloud has the fields {', '.join(given) or 'none'}, and not x, y and z"
        raise DataError(msg)
    names = ["x", "y", "z", *(name for name in given if name not in ("x", "y", "z"))]
    plain = [(name, 4 * index, _FLOAT32, 1) for index, name in enumerate(names)]
    if columns == plain and step == 4 * len(names) and not _SINCE_STAMP.keys() & set(names):
        view: NDArray[np.float32] = packed.view(order + "f4").reshape(-1, len(names))
        return names, view.astype(np.float32, copy=False)
    points = np.empty((len(packed), len(names)), np.float32)
    for index, name in enumerate(names):
        points[:, index] = _column(name, packed[name], stamp_ns)
    return names, points


def _layout(columns: list[tuple[str, int, int, int]], order: str, step: int) -> np.dtype[Any]:
    if any(datatype not in _NUMERIC for _, _, datatype, _ in columns):
        msg = f"a cloud has fields of unknown types: {columns}"
        raise DataError(msg)
    formats = [
        (order + _NUMERIC[datatype], (count,)) if count > 1 else order + _NUMERIC[datatype]
        for _, _, datatype, count in columns
    ]
    names, offsets = [column[0] for column in columns], [column[1] for column in columns]
    try:
        return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": step})
    except (TypeError, ValueError) as error:
        msg = f"a cloud has points of {step} bytes that do not hold its fields: {error}"
        raise DataError(msg) from error


def _rows(
    data: AnyArray, size: tuple[int, int], step: int, row_step: int, layout: np.dtype[Any]
) -> NDArray[Any]:
    height, width = size
    if not step or height * width == 0:
        return np.zeros(0, layout)
    row_step = row_step or width * step
    if data.size < height * row_step or row_step < width * step:
        msg = f"a cloud of {height} x {width} points of {step} bytes has {data.size} bytes"
        raise DataError(msg)
    rows = data[: height * row_step].reshape(height, row_step)[:, : width * step]
    return np.ascontiguousarray(rows).reshape(-1).view(layout)


def _column(name: str, numbers: AnyArray, stamp_ns: int) -> AnyArray:
    if name not in _SINCE_STAMP:
        return numbers
    seconds = numbers.astype(np.float64) * (
        _SINCE_STAMP[name] if numbers.dtype.kind in "f" or name == "t" else 1e-9
    )
    if len(seconds) and abs(seconds[0]) > _UNIX_S:
        seconds = seconds - stamp_ns / 1e9
    return np.asarray(seconds, np.float32)


def _imu(cdr: Cdr) -> RosMessage:
    stamp_ns, frame = cdr.header()
    orientation = cdr.floats(4)
    known = cdr.floats(9)[0] >= 0  # a covariance that begins with -1: there is no orientation
    angular, _, linear, _ = cdr.floats(3), cdr.floats(9), cdr.floats(3), cdr.floats(9)
    numbers = [*(orientation if known else [np.nan] * 4), *angular, *linear]
    return RosMessage(
        stamp_ns,
        frame,
        (np.array(numbers, np.float64),),
        {"names": ["values"], "columns": list(IMU_COLUMNS)},
    )


def _pose(cdr: Cdr) -> RosMessage:
    stamp_ns, frame = cdr.header()
    return RosMessage(stamp_ns, frame, (np.array(cdr.floats(7), np.float64),))


def _odometry(cdr: Cdr) -> RosMessage:
    stamp_ns, frame = cdr.header()
    child = cdr.text()
    pose = np.array(cdr.floats(7), np.float64)
    return RosMessage(stamp_ns, frame, (pose,), {"child_frame_id": child})


def _text(cdr: Cdr) -> RosMessage:
    return RosMessage(0, "", (), {"text": cdr.text()})


READERS: Mapping[str, _Reader] = {
    "sensor_msgs/msg/Image": _Reader(Kind.IMAGE, _image),
    "sensor_msgs/msg/CompressedImage": _Reader(Kind.IMAGE, _compressed_image),
    "sensor_msgs/msg/PointCloud2": _Reader(Kind.POINTS, _points),
    "sensor_msgs/msg/Imu": _Reader(Kind.TENSOR, _imu),
    "geometry_msgs/msg/PoseStamped": _Reader(Kind.POSE, _pose),
    "nav_msgs/msg/Odometry": _Reader(Kind.POSE, _odometry),
    "std_msgs/msg/String": _Reader(Kind.TEXT, _text),
}
"""Type -> what its messages become. Velodyne scans are packets: see `ros_scans`."""
