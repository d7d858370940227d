"""What an index of nuScenes says: which file of which sensor is of when, and the calibration."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tectum.message import Kind
from tectum.node.base import Capture

__all__ = ["OBJECT_COLUMNS", "Index", "Objects", "Shot", "node_of"]

OBJECT_COLUMNS = ("x", "y", "z", "length", "width", "height", "yaw", "label")
"""Metres and radians; x y z is the middle, `label` an index."""


class Shot(NamedTuple):
    """A file of a sensor."""

    channel: str
    """`CAM_FRONT`."""
    time_ns: int
    """As the data set has it."""
    path: Path


class Objects(NamedTuple):
    """The labelled objects of a keyframe."""

    stamp_ns: int
    frame_id: str
    labels: tuple[str, ...]
    rows: NDArray[np.float32]
    """(n, 8): see `OBJECT_COLUMNS`."""

    def capture(self, stream: str) -> Capture:
        """Return them as a message."""
        fields = {
            "names": ["objects"],
            "columns": list(OBJECT_COLUMNS),
            "labels": list(self.labels),
        }
        return Capture(
            stream, Kind.TENSOR, (self.rows,), self.stamp_ns, frame_id=self.frame_id, fields=fields
        )


@dataclass(slots=True)
class Index:
    """A scene, or a summary."""

    shots: list[Shot] = field(default_factory=list)
    rig: dict[str, Any] = field(default_factory=lambda: {"frames": {}, "cameras": {}})
    poses: list[tuple[int, NDArray[np.float64]]] = field(default_factory=list)
    """Stamp, and x y z with a quaternion x y z w, of the vehicle on the map."""
    labels: list[Objects] = field(default_factory=list)
    troubles: Counter[str] = field(default_factory=Counter)

    def place(self, channel: str, matrix: NDArray[np.float64]) -> None:
        """Say where a sensor sits: `matrix` 4 x 4 takes its points to the vehicle's frame."""
        known = self.rig["frames"].setdefault(
            node_of(channel), {"parent": "ego", "matrix": matrix.tolist()}
        )
        if not np.allclose(known["matrix"], matrix, atol=1e-6):
            self.troubles[f"{channel}: the calibration changes; the first is kept"] += 1

    def is_calibrated(self, channel: str) -> bool:
        """Return whether it is known how a camera projects."""
        return node_of(channel) in self.rig["cameras"]

    def calibrate(self, channel: str, matrix: Any, size: tuple[int, int]) -> None:
        """Say how a camera projects (K, 3 x 3); the data set's pictures are undistorted."""
        name = node_of(channel)
        camera = {
            "frame": name,
            "width": size[0],
            "height": size[1],
            "matrix": matrix,
            "distortion": [],
        }
        self.rig["cameras"].setdefault(name, camera)


def node_of(channel: str) -> str:
    """Return what a sensor is called in a graph: `cam_front`, `lidar`."""
    return "lidar" if channel == "LIDAR_TOP" else channel.lower()
