"""Where the sensors of the simulated car sit, and what they can see.

Frames: `ego` has x forward, y left, z up, its origin on the ground under the car's middle.
`camera` is an optical frame (x right, y down, z forward); `lidar` and `microphone` have the axes
of `ego`. All look straight ahead.
"""

from dataclasses import dataclass

import numpy as np

from tectum_nodes.simulation.chance import Floats


@dataclass(frozen=True, slots=True)
class CameraModel:
    """A pinhole camera without distortion."""

    width: int = 320
    height: int = 192
    focal_px: float = 220.0
    cx_px: float = 160.0
    cy_px: float = 84.0
    x_m: float = 0.4
    """Position in the ego frame, forward."""
    z_m: float = 1.45
    """Height above the ground."""

    def scaled(self, factor: float) -> "CameraModel":
        """The same camera with more (or fewer) pixels."""
        size = round(self.width * factor), round(self.height * factor)
        optics = (self.focal_px * factor, self.cx_px * factor, self.cy_px * factor)
        return CameraModel(*size, *optics, self.x_m, self.z_m)

    def matrix(self) -> Floats:
        """The intrinsic matrix K, 3 x 3."""
        f = self.focal_px
        return np.array([[f, 0.0, self.cx_px], [0.0, f, self.cy_px], [0.0, 0.0, 1.0]])

    def ego_from_camera(self) -> Floats:
        """Transform of points, camera to ego frame, 4 x 4."""
        axes = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
        return _transform(axes, self.x_m, self.z_m)


@dataclass(frozen=True, slots=True)
class LidarModel:
    """A spinning lidar: rings of beams over the full circle."""

    rings: int = 24
    azimuths: int = 512
    lowest_deg: float = -17.0
    highest_deg: float = 3.0
    range_m: float = 80.0
    z_m: float = 1.8
    """Height above the ground; the position forward and left is 0."""

    def elevations(self) -> Floats:
        """Elevation of each ring in radians, lowest first, denser around the horizon."""
        u = np.linspace(0.0, 1.0, self.rings)
        degrees = self.lowest_deg + (self.highest_deg - self.lowest_deg) * u**0.62
        return np.asarray(np.radians(degrees))

    def directions(self) -> Floats:
        """Azimuth of each column in radians, from straight behind, counter-clockwise."""
        return -np.pi + 2 * np.pi * (np.arange(self.azimuths) + 0.5) / self.azimuths

    def ego_from_lidar(self) -> Floats:
        """Transform of points, lidar to ego frame, 4 x 4."""
        return _transform(np.eye(3), 0.0, self.z_m)


def camera_rig(model: CameraModel) -> dict[str, dict[str, object]]:
    """The camera's part of a rig document: intrinsics, and its pose in `ego`."""
    intrinsics = {"width": model.width, "height": model.height, "matrix": model.matrix().tolist()}
    return {
        "frames": {"camera": {"parent": "ego", "matrix": model.ego_from_camera().tolist()}},
        "cameras": {"camera": {"frame": "camera", **intrinsics, "distortion": []}},
    }


def lidar_rig(model: LidarModel) -> dict[str, dict[str, object]]:
    """The lidar's part of a rig document: its pose in `ego`."""
    pose = {"parent": "ego", "matrix": model.ego_from_lidar().tolist()}
    return {"frames": {"lidar": pose}}


def _transform(axes: Floats, x_m: float, z_m: float) -> Floats:
    matrix = np.eye(4)
    matrix[:3, :3] = axes
    matrix[:3, 3] = (x_m, 0.0, z_m)
    return matrix
