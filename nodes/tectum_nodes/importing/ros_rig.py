"""The rig of a ROS 2 bag: intrinsics from `CameraInfo`, extrinsics from `/tf_static`.

Of each camera the first calibration counts; later ones that differ are counted as a trouble.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tectum.errors import DataError
from tectum_nodes.importing.base import node_and_output
from tectum_nodes.importing.geometry import pose_matrix
from tectum_nodes.importing.ros_files import Row
from tectum_nodes.ros2.cdr import Cdr

__all__ = ["CAMERA_INFO", "STATIC_TRANSFORMS", "TRANSFORMS", "ros_rig"]

CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
TRANSFORMS = "tf2_msgs/msg/TFMessage"
STATIC_TRANSFORMS = "/tf_static"
_OPENCV_MODELS = ("plumb_bob", "rational_polynomial", "")


def ros_rig(
    rows: Iterable[tuple[Row, str]], topics: Sequence[str], troubles: Counter[str]
) -> dict[str, Any] | None:
    """Return the rig that `rows` (with their types) tell; None where they tell nothing.

    `topics` are all names of the bag: a camera whose pictures are rectified is told by them.
    """
    frames: dict[str, Any] = {}
    cameras: dict[str, Any] = {}
    for row, type_name in rows:
        try:
            if type_name == TRANSFORMS:
                frames |= _transforms(Cdr(row.data))
                continue
            name, camera = _camera(row, _is_rectified(row.topic, topics), troubles)
        except DataError as error:
            troubles[f"{row.topic}: {error}"] += 1
            continue
        if camera is not None and cameras.setdefault(name, camera) != camera:
            troubles[f"{row.topic}: the calibration changes; the first is kept"] += 1
    return {"frames": frames, "cameras": cameras} if frames or cameras else None


def _camera(row: Row, rectified: bool, troubles: Counter[str]) -> tuple[str, dict[str, Any] | None]:
    cdr = Cdr(row.data)
    _, frame = cdr.header()
    height, width, model = cdr.integer(), cdr.integer(), cdr.text()
    distortion = [float(number) for number in cdr.sequence("f8")]
    k, _, p = cdr.floats(9), cdr.floats(9), cdr.floats(12)
    name, _ = node_and_output(row.topic)
    if not k[0] or not width or not height:
        troubles[f"{row.topic}: the camera is not calibrated"] += 1
        return name, None
    camera: dict[str, Any] = {"frame": frame or name, "width": width, "height": height}
    if rectified:
        return name, {**camera, "projection": np.reshape(p, (3, 4)).tolist(), "distortion": []}
    if model not in _OPENCV_MODELS:
        troubles[f"{row.topic}: the distortion model {model!r} is not known and left out"] += 1
        distortion = []
    camera["matrix"] = np.reshape(k, (3, 3)).tolist()
    return name, {**camera, "distortion": distortion if any(distortion) else []}


def _is_rectified(info: str, topics: Sequence[str]) -> bool:
    """Return whether the pictures beside a calibration are rectified ones only."""
    folder = info.rpartition("/")[0] + "/"
    beside = [name for name in topics if name.startswith(folder) and name != info]
    return bool(beside) and all("rect" in name.removeprefix(folder) for name in beside)


def _transforms(cdr: Cdr) -> dict[str, Any]:
    frames: dict[str, Any] = {}
    for _ in range(cdr.integer()):
        _, parent = cdr.header()
        child = cdr.text()
        matrix = pose_matrix(cdr.floats(3), cdr.floats(4))
        frames[child.lstrip("/")] = {"parent": parent.lstrip("/"), "matrix": matrix.tolist()}
    return frames
