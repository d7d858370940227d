"""The calibration of a camera: read from a file, published as a fact, used to rectify pictures.

The file is YAML with the keys of a camera of a rig: `width`, `height`, `matrix` (K, 3 x 3),
`distortion` (k1, k2, p1, p2, k3 ... in OpenCV's order). What `camera_calibration` of ROS writes
(`image_width`, `camera_matrix: {data: ...}`) is read too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tectum.errors import DataError
from tectum.message import AnyArray
from tectum_nodes.yaml_file import read_yaml

__all__ = ["CameraCalibration", "Rectifier", "calibration_from"]


@dataclass(frozen=True, slots=True)
class CameraCalibration:
    """How a camera projects: pinhole with OpenCV's distortion."""

    width: int
    height: int
    matrix: NDArray[np.float64]
    """K, 3 x 3."""
    distortion: NDArray[np.float64]
    """Empty: none."""

    def scaled(self, width: int, height: int, *, rectified: bool = False) -> CameraCalibration:
        """Return that of pictures of another size, or of rectified ones."""
        scale = np.diag([width / self.width, height / self.height, 1.0])
        distortion = np.zeros(0) if rectified else self.distortion
        return CameraCalibration(width, height, scale @ self.matrix, distortion)

    def rig(self, name: str) -> dict[str, Any]:
        """Return the rig of this camera alone, as the one called `name`, in the frame `name`."""
        camera = {
            "frame": name,
            "width": self.width,
            "height": self.height,
            "matrix": self.matrix.tolist(),
            "distortion": self.distortion.tolist(),
        }
        return {"frames": {}, "cameras": {name: camera}}


class Rectifier:
    """Takes the distortion out of pictures."""

    def __init__(self, calibration: CameraCalibration) -> None:
        """Compute the map of pixels."""
        import cv2  # noqa: PLC0415 - heavy

        matrix, size = calibration.matrix, (calibration.width, calibration.height)
        self._maps: Any = cv2.initUndistortRectifyMap(
            matrix, calibration.distortion, np.eye(3), matrix, size, cv2.CV_16SC2
        )

    def __call__(self, image: AnyArray, into: AnyArray) -> AnyArray:
        """Return `into`, a picture of the calibration's size without distortion."""
        import cv2  # noqa: PLC0415 - heavy

        given: Any = image
        goal: Any = into
        coarse, fine = self._maps
        cv2.remap(given, coarse, fine, cv2.INTER_LINEAR, dst=goal)
        return into


def calibration_from(path: Path) -> CameraCalibration:
    """Read a calibration file.

    Raises:
        DataError: it is not there, or numbers are missing in it.
    """
    document = _document(path)
    try:
        width = int(document.get("width") or document["image_width"])
        height = int(document.get("height") or document["image_height"])
        matrix = _numbers(document, "matrix", "camera_matrix").reshape(3, 3)
    except (KeyError, TypeError, ValueError):
        msg = f"{path}: a calibration has `width`, `height` and `matrix` (3 x 3)"
        raise DataError(msg) from None
    try:
        distortion = _numbers(document, "distortion", "distortion_coefficients").ravel()
    except KeyError:
        distortion = np.zeros(0)
    return CameraCalibration(width, height, matrix, distortion)


def _document(path: Path) -> Mapping[str, Any]:
    found = read_yaml(path, f"the calibration {path}")
    if not isinstance(found, Mapping):
        msg = f"{path}: a calibration is a map with `width`, `height` and `matrix`"
        raise DataError(msg)
    return found


def _numbers(document: Mapping[str, Any], name: str, of_ros: str) -> NDArray[np.float64]:
    found = document[name] if name in document else document[of_ros]["data"]
    return np.array(found, np.float64)
