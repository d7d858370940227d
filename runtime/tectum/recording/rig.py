"""The rig of a graph as Foxglove's calibrations and transforms, for viewers of a log.

A rig is `{"frames": {name: {"parent", "matrix": 4 x 4}}, "cameras": {name: {"frame", "width",
"height", "matrix": 3 x 3, "distortion": [...]}}}`, where the matrix of a frame takes its points to
the parent. Parts that lack their numbers are left out: the rig itself is kept whole with the run,
and mistakes in it are refused where it is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tectum.message import AnyArray
from tectum.recording.schemas import message_class
from tectum.recording.store import timestamp

__all__ = ["quaternion", "rig_records"]

TRANSFORMS_TOPIC = "rig/transforms"


def rig_records(rig: Mapping[str, Any], stamp_ns: int) -> Iterator[tuple[str, str, bytes]]:
    """Yield (topic, schema, record) for each camera of `rig` and for its frames."""
    for name, camera in _entries(rig, "cameras"):
        record = _calibration(name, camera, stamp_ns)
        if record is not None:
            yield f"rig/{name}", "foxglove.CameraCalibration", record
    frames = _entries(rig, "frames")
    transforms = [found for name, frame in frames if (found := _transform(name, frame, stamp_ns))]
    if transforms:
        schema = "foxglove.FrameTransforms"
        record = message_class(schema)(transforms=transforms).SerializeToString()
        yield TRANSFORMS_TOPIC, schema, record


def quaternion(rotation: AnyArray) -> tuple[float, float, float, float]:
    """Return the quaternion x y z w of a rotation matrix 3 x 3.

    From the eigenvector of its largest eigenvalue (Bar-Itzhack 2000), which is stable for every
    angle and takes the nearest rotation where the matrix is slightly off.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation.astype(np.float64)
    k = np.array(
        [
            [xx - yy - zz, yx + xy, zx + xz, zy - yz],
            [yx + xy, yy - xx - zz, zy + yz, xz - zx],
            [zx + xz, zy + yz, zz - xx - yy, yx - xy],
            [zy - yz, xz - zx, yx - xy, xx + yy + zz],
        ]
    )
    vector = np.linalg.eigh(k / 3.0).eigenvectors[:, -1]
    x, y, z, w = (float(number) for number in (vector if vector[3] >= 0 else -vector))
    return x, y, z, w


def _entries(rig: Mapping[str, Any], part: str) -> list[tuple[str, Mapping[str, Any]]]:
    entries = rig.get(part)
    if not isinstance(entries, Mapping):
        return []
    return [(name, entry) for name, entry in entries.items() if isinstance(entry, Mapping)]


def _calibration(name: str, camera: Mapping[str, Any], stamp_ns: int) -> bytes | None:
    matrix = _matrix(camera, (3, 3))
    if matrix is None:
        return None
    record = message_class("foxglove.CameraCalibration")(
        timestamp=timestamp(stamp_ns),
        frame_id=str(camera.get("frame") or name),
        width=int(camera.get("width", 0)),
        height=int(camera.get("height", 0)),
        distortion_model="plumb_bob",
        D=[float(number) for number in camera.get("distortion") or (0.0,) * 5],
        K=matrix.ravel().tolist(),
        R=np.eye(3).ravel().tolist(),
        P=np.concatenate([matrix, np.zeros((3, 1))], axis=1).ravel().tolist(),
    )
    data: bytes = record.SerializeToString()
    return data


def _transform(name: str, frame: Mapping[str, Any], stamp_ns: int) -> dict[str, Any] | None:
    matrix = _matrix(frame, (4, 4))
    if matrix is None or "parent" not in frame:
        return None
    x, y, z, w = quaternion(matrix[:3, :3])
    return {
        "timestamp": timestamp(stamp_ns),
        "parent_frame_id": str(frame["parent"]),
        "child_frame_id": name,
        "translation": dict(zip("xyz", matrix[:3, 3].tolist(), strict=True)),
        "rotation": {"x": x, "y": y, "z": z, "w": w},
    }


def _matrix(entry: Mapping[str, Any], shape: tuple[int, int]) -> AnyArray | None:
    try:
        matrix: AnyArray = np.array(entry.get("matrix"), np.float64).reshape(shape)
    except (TypeError, ValueError):
        return None
    return matrix
