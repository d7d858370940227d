"""The rig of a ROS 2 bag: intrinsics from `CameraInfo`, extrinsics from `/tf_static`.

Of each camera the first calibration counts; later ones that differ are counted as a trouble.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from tectum.errors import DataError
from tectum_nodes.importing.base import node_and_output
from tectum_nodes.importing.ros_files import Row
from tectum_nodes.ros2.cdr import Cdr
from tectum_nodes.ros2.rig_messages import CAMERA_INFO, TRANSFORMS, camera_of, frames_of

__all__ = ["CAMERA_INFO", "STATIC_TRANSFORMS", "TRANSFORMS", "ros_rig"]

STATIC_TRANSFORMS = "/tf_static"


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
                frames |= frames_of(Cdr(row.data))
                continue
            name, camera = _camera(row, _is_rectified(row.topic, topics), troubles)
        except DataError as error:
            troubles[f"{row.topic}: {error}"] += 1
            continue
        if camera is not None and cameras.setdefault(name, camera) != camera:
            troubles[f"{row.topic}: the calibration changes; the first is kept"] += 1
    return {"frames": frames, "cameras": cameras} if frames or cameras else None


def _camera(row: Row, rectified: bool, troubles: Counter[str]) -> tuple[str, dict[str, Any] | None]:
    name, _ = node_and_output(row.topic)
    camera, trouble = camera_of(Cdr(row.data), name, rectified=rectified)
    if trouble:
        troubles[f"{row.topic}: {trouble}"] += 1
    return name, camera


def _is_rectified(info: str, topics: Sequence[str]) -> bool:
    """Return whether the pictures beside a calibration are rectified ones only."""
    folder = info.rpartition("/")[0] + "/"
    beside = [name for name in topics if name.startswith(folder) and name != info]
    return bool(beside) and all("rect" in name.removeprefix(folder) for name in beside)
