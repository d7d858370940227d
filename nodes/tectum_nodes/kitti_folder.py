"""What lies where in a folder of KITTI data, and how its calibration makes a rig.

Read are folders of the object, tracking and odometry kinds (`image_2`, `velodyne`, `calib.txt` or
`calib/000000.txt`, `times.txt`) and of the raw kind (`image_02/data`, `velodyne_points/data`,
`timestamps.txt` in each, `calib_cam_to_cam.txt` and `calib_velo_to_cam.txt` in the folder or above
it). A frame is a number: the name of its file. See Geiger et al., "Vision meets robotics: the KITTI
dataset", 2013.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tectum.clock import NS_PER_S
from tectum.errors import DataError

__all__ = [
    "Calibration",
    "KittiFolder",
    "calibration_of",
    "other_calibrations",
    "rig_document",
]

Floats = NDArray[np.float64]

IMAGE_FOLDERS = ("image_02/data", "image_02", "image_2/data", "image_2")
CLOUD_FOLDERS = (
    "velodyne_fov", "velodyne_points/data", "velodyne/data", "velodyne", "velodyne_full",
)  # fmt: skip
LABEL_FOLDER, INERTIAL_FOLDER = "label_2", "oxts/data"
DEFAULT_PERIOD_NS = NS_PER_S // 10
"""KITTI's sensors were triggered by the turning lidar, ten times a second."""


@dataclass(frozen=True, slots=True)
class KittiFolder:
    """A folder of KITTI data."""

    path: Path

    @classmethod
    def opened(cls, folder: str) -> KittiFolder:
        """Return the folder called `folder`, or `kitti_seq` in TECTUM_DATA where that is empty.

        Raises:
            DataError: there is no such folder.
        """
        data = os.environ.get("TECTUM_DATA", "")
        if not folder and not data:
            msg = (
                "no KITTI folder is named: set `folder`, or set the environment variable "
                "TECTUM_DATA to a folder that has kitti_seq in it"
            )
            raise DataError(msg)
        path = Path(folder).expanduser() if folder else Path(data) / "kitti_seq"
        if not path.is_dir():
            msg = f"there is no KITTI folder at {path}: set `folder` to one that exists"
            raise DataError(msg)
        return cls(path)

    def images(self) -> dict[int, Path]:
        """Return the pictures by frame number.

        Raises:
            DataError: the folder has none.
        """
        return self._frames(IMAGE_FOLDERS, (".png", ".jpg", ".jpeg"), "pictures")

    def clouds(self) -> dict[int, Path]:
        """Return the lidar scans by frame number; those cut to the camera's view where they are.

        Raises:
            DataError: the folder has none.
        """
        return self._frames(CLOUD_FOLDERS, (".bin",), "lidar scans")

    def labels(self) -> dict[int, Path]:
        """Return the files of labelled objects by frame number; empty where there are none."""
        return _numbered(self.path / LABEL_FOLDER)

    def inertial(self) -> dict[int, Path]:
        """Return the files of GPS and IMU of a raw recording by frame number, or nothing."""
        return _numbered(self.path / INERTIAL_FOLDER)

    def times_ns(self, of: Path) -> list[int]:
        """Return the recorded times of all frames as they stand there; empty where there are none.

        Those of a raw recording are Unix time (its clock's zone is not told), others begin at 0.
        """
        return _times_ns(self._times_file(of))

    def stamps_ns(self, of: Path, start: int = 0) -> list[int]:
        """Return the recorded times of all frames by number; empty where there are none.

        `of` is a file of the sensor meant; a raw recording has times for each. All sensors count
        from the same zero: the earliest time of any of them for frame `start`.
        """
        own = _times_ns(self._times_file(of))
        raw = [*self.path.glob("image_*/timestamps.txt"), *self.path.glob("velo*/timestamps.txt")]
        starts = [times[start] for times in (own, *map(_times_ns, raw)) if len(times) > start]
        zero_ns = min(starts, default=0)
        return [time_ns - zero_ns for time_ns in own]

    def period_ns(self, of: Path) -> int:
        """Return the typical time from frame to frame."""
        steps = [after - before for before, after in pairwise(self.stamps_ns(of))]
        return round(median(steps)) if steps else DEFAULT_PERIOD_NS

    def _frames(
        self, folders: Sequence[str], suffixes: Sequence[str], what: str
    ) -> dict[int, Path]:
        for name in folders:
            folder = self.path / name
            files = sorted(folder.iterdir()) if folder.is_dir() else []
            frames = {
                int(file.stem): file
                for file in files
                if file.suffix.lower() in suffixes and file.stem.isdigit()
            }
            if frames:
                return frames
        places = ", ".join(folders)
        msg = f"{self.path} has no {what}: none of {places} has files like 000000{suffixes[0]}"
        raise DataError(msg)

    def _times_file(self, of: Path) -> Path | None:
        beside = [of.parent / "timestamps.txt", of.parent.parent / "timestamps.txt"]
        named = [self.path / "times.txt", *sorted(self.path.glob("timestamps*.txt"))]
        return next((path for path in (*beside, *named) if path.is_file()), None)


@dataclass(frozen=True, slots=True)
class Calibration:
    """The colour camera and the lidar of a KITTI recording."""

    projection: Floats
    """P2, 3 x 4: from rectified coordinates of camera 0 to pixels of camera 2."""
    rectified_from_lidar: Floats
    """4 x 4: from the lidar's frame to rectified coordinates of camera 0."""

    @property
    def matrix(self) -> Floats:
        """Return the intrinsics K of camera 2, 3 x 3."""
        return self.projection[:, :3]

    @property
    def camera_from_lidar(self) -> Floats:
        """Return the transform from the lidar's frame to that of camera 2, 4 x 4.

        P2 = K [I | b]: b moves camera 0 to camera 2. Folded in here, K alone projects.
        """
        shift = np.eye(4)
        shift[:3, 3] = np.linalg.solve(self.matrix, self.projection[:, 3])
        return shift @ self.rectified_from_lidar


def calibration_of(folder: KittiFolder) -> Calibration | None:
    """Return the folder's calibration, or None where it has none.

    Raises:
        DataError: there is one, but numbers are missing in it.
    """
    path = folder.path
    single = [path / "calib.txt", *sorted((path / "calib").glob("*.txt"))[:1]]
    for file in single:
        if file.is_file():
            return _object_calibration(file)
    for place in (path, path.parent):
        cameras, lidar = place / "calib_cam_to_cam.txt", place / "calib_velo_to_cam.txt"
        if cameras.is_file() and lidar.is_file():
            return _raw_calibration(cameras, lidar)
    return None


def other_calibrations(folder: KittiFolder) -> int:
    """Return how many frames of an object folder have another calibration than the first."""
    first, *others = sorted((folder.path / "calib").glob("*.txt")) or [Path()]
    if not others or (folder.path / "calib.txt").is_file():
        return 0
    kept = first.read_bytes()
    return sum(1 for file in others if file.read_bytes() != kept)


def rig_document(calibration: Calibration, size: tuple[int, int]) -> dict[str, Any]:
    """Return the rig of frames `camera` and `lidar`; `size` is the pictures' width and height."""
    frame = {"parent": "camera", "matrix": calibration.camera_from_lidar.tolist()}
    camera = {
        "frame": "camera",
        "width": size[0],
        "height": size[1],
        "matrix": calibration.matrix.tolist(),
        "distortion": [],
    }
    return {"frames": {"lidar": frame}, "cameras": {"camera": camera}}


def _object_calibration(file: Path) -> Calibration:
    values = _values(file)
    rectify = np.eye(4)
    name = "R0_rect" if "R0_rect" in values else "R_rect"
    if name in values:  # the odometry kind has none: its lidar calibration is rectified
        rectify[:3, :3] = _matrix(file, values, name, (3, 3))
    found = next((name for name in ("Tr_velo_to_cam", "Tr_velo_cam", "Tr") if name in values), "")
    lidar = np.vstack([_matrix(file, values, found or "Tr_velo_to_cam", (3, 4)), [0, 0, 0, 1]])
    return Calibration(_matrix(file, values, "P2", (3, 4)), rectify @ lidar)


def _raw_calibration(cameras: Path, lidar: Path) -> Calibration:
    camera_values, lidar_values = _values(cameras), _values(lidar)
    rectify, transform = np.eye(4), np.eye(4)
    rectify[:3, :3] = _matrix(cameras, camera_values, "R_rect_00", (3, 3))
    transform[:3, :3] = _matrix(lidar, lidar_values, "R", (3, 3))
    transform[:3, 3] = _matrix(lidar, lidar_values, "T", (3,))
    projection = _matrix(cameras, camera_values, "P_rect_02", (3, 4))
    return Calibration(projection, rectify @ transform)


def _numbered(folder: Path) -> dict[int, Path]:
    files = sorted(folder.glob("*.txt")) if folder.is_dir() else []
    return {int(file.stem): file for file in files if file.stem.isdigit()}


def _values(file: Path) -> dict[str, str]:
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = (line.replace(":", " ", 1).split(None, 1) for line in lines if line.strip())
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def _matrix(file: Path, values: dict[str, str], name: str, shape: tuple[int, ...]) -> Floats:
    try:
        return np.array(values[name].split(), np.float64).reshape(shape)
    except (KeyError, ValueError):
        count = " x ".join(str(extent) for extent in shape)
        msg = f"{file}: {name} must stand there with {count} numbers"
        raise DataError(msg) from None


def _times_ns(file: Path | None) -> list[int]:
    if file is None:
        return []
    lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
    try:
        return [_time_ns(line.strip()) for line in lines if line.strip()]
    except ValueError:
        msg = f"{file}: lines must be seconds, or times like 2011-09-26 14:30:15.002263428"
        raise DataError(msg) from None


def _time_ns(text: str) -> int:
    if "-" not in text:
        return round(float(text) * NS_PER_S)
    moment, _, fraction = text.partition(".")
    at = datetime.fromisoformat(f"{moment}+00:00")
    return int(at.timestamp()) * NS_PER_S + int(fraction[:9].ljust(9, "0"))
