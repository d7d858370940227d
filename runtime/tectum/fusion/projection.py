"""From points of one sensor to pixels of another: the rig's geometry, pure.

A rig document has `frames` (frame -> `parent`, `matrix` 4 x 4 with x_parent = matrix x_frame) and
`cameras` (name -> `frame`, `width`, `height`, and `matrix` 3 x 3 or `projection` 3 x 4). Camera
frames are optical: x right, y down, z forward. Lens distortion is not undone here: images are
taken to be rectified. Metres and pixels; pixel (0, 0) is the middle of the first pixel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tectum.errors import ConfigError, nearest_name

__all__ = ["camera_from_points", "project", "transform_between"]

Floats = NDArray[np.float64]

NEAREST_M = 0.1
"""Points closer to the image plane than this, or behind it, have no pixel."""


def camera_from_points(rig: Mapping[str, Any], image_frame: str, points_frame: str) -> Floats:
    """Return the 3 x 4 matrix that takes points of one frame to pixels of a camera.

    `pixel = (u / w, v / w)` where `(u, v, w) = P (x, y, z, 1)`, and `w` is the depth in metres.

    Raises:
        ConfigError: the rig has no camera in `image_frame`, or no path between the frames.
    """
    cameras = rig.get("cameras") or {}
    for name, camera in cameras.items():
        if camera.get("frame", name) == image_frame:
            return _projection(camera) @ transform_between(rig, points_frame, image_frame)
    close = nearest_name(image_frame, cameras)
    msg = f"rig: no camera has the frame {image_frame!r}; cameras: {', '.join(cameras)}{close}"
    raise ConfigError(msg)


def transform_between(rig: Mapping[str, Any], source: str, target: str) -> Floats:
    """Return the 4 x 4 transform with x_target = T x_source.

    Raises:
        ConfigError: the frames have no common ancestor.
    """
    from_source, from_target = _to_ancestors(rig, source), _to_ancestors(rig, target)
    for ancestor, up in from_source.items():
        if ancestor in from_target:
            return np.asarray(np.linalg.inv(from_target[ancestor]) @ up)
    known = ", ".join(rig.get("frames") or {}) or "none"
    msg = (
        f"rig: no path from frame {source!r} to {target!r}; frames with a parent: {known}. "
        "Give each sensor's frame its pose under `rig.frames`"
    )
    raise ConfigError(msg)


def project(points: NDArray[Any], projection: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return pixels (n, 2) of points (n, 3+), and which of them lie before the camera.

    Pixels of points that do not are zero; the image's borders are not looked at.
    """
    xyz = np.ascontiguousarray(points[:, :3].T, np.float64)
    u, v, depth = projection[:, :3] @ xyz + projection[:, 3:]
    before = depth > NEAREST_M
    scale = np.where(before, 1.0 / np.where(before, depth, 1.0), 0.0)
    return np.stack([u * scale, v * scale], axis=1), before


def _projection(camera: Mapping[str, Any]) -> Floats:
    if camera.get("projection") is not None:
        return np.asarray(camera["projection"], np.float64).reshape(3, 4)
    intrinsics = np.asarray(camera["matrix"], np.float64).reshape(3, 3)
    return np.concatenate([intrinsics, np.zeros((3, 1))], axis=1)


def _to_ancestors(rig: Mapping[str, Any], frame: str) -> dict[str, Floats]:
    """Return frame -> transform to it, for `frame` and all above it."""
    frames, found = rig.get("frames") or {}, {frame: np.eye(4)}
    while frame in frames:
        up = np.asarray(frames[frame]["matrix"], np.float64).reshape(4, 4) @ found[frame]
        frame = str(frames[frame]["parent"])
        if frame in found:
            msg = f"rig: frame {frame!r} is its own ancestor"
            raise ConfigError(msg)
        found[frame] = up
    return found
