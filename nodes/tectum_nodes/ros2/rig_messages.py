"""The parts of a rig in ROS 2's messages: a camera in `CameraInfo`, frames in `TFMessage`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tectum_nodes.importing.geometry import pose_matrix
from tectum_nodes.ros2.cdr import Cdr

__all__ = ["CAMERA_INFO", "TRANSFORMS", "camera_of", "frames_of"]

CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
TRANSFORMS = "tf2_msgs/msg/TFMessage"
_OPENCV_MODELS = ("plumb_bob", "rational_polynomial", "")


def camera_of(cdr: Cdr, name: str, *, rectified: bool) -> tuple[dict[str, Any] | None, str]:
    """Return a camera of a rig and what is wrong with it; None: it is not calibrated.

    Args:
        cdr: a `CameraInfo`.
        name: the camera's, which is its frame where it names none.
        rectified: whether its pictures are, so that P holds and not K.

    Raises:
        DataError: it is no such message.
    """
    _, frame = cdr.header()
    height, width, model = cdr.integer(), cdr.integer(), cdr.text()
    distortion = [float(number) for number in cdr.sequence("f8")]
    k, _, p = cdr.floats(9), cdr.floats(9), cdr.floats(12)
    if not k[0] or not width or not height:
        return None, "the camera is not calibrated"
    camera: dict[str, Any] = {"frame": frame or name, "width": width, "height": height}
    if rectified:
        return {**camera, "projection": np.reshape(p, (3, 4)).tolist(), "distortion": []}, ""
    trouble = ""
    if model not in _OPENCV_MODELS:
        trouble = f"the distortion model {model!r} is not known and left out"
        distortion = []
    camera["matrix"] = np.reshape(k, (3, 3)).tolist()
    return {**camera, "distortion": distortion if any(distortion) else []}, trouble


def frames_of(cdr: Cdr) -> dict[str, Any]:
    """Return the frames of a `TFMessage`: name -> parent and 4 x 4 matrix.

    Raises:
        DataError: it is no such message, or a rotation is none.
    """
    frames: dict[str, Any] = {}
    for _ in range(cdr.integer()):
        _, parent = cdr.header()
        child = cdr.text()
        matrix = pose_matrix(cdr.floats(3), cdr.floats(4))
        frames[child.lstrip("/")] = {"parent": parent.lstrip("/"), "matrix": matrix.tolist()}
    return frames
