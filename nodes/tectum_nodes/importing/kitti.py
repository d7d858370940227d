"""KITTI folders of the raw, object, tracking and odometry kinds: `camera`, `lidar`, and labels.

Frames have the folder's own times, else ten a second. The calibration becomes the rig (see
`tectum_nodes.kitti_folder`), so that a log is what the nodes `kitti_camera` and `kitti_lidar` say.
GPS and IMU of a raw recording become `imu/tensor`. Labels of an object folder become `labels/boxes`
(pixels of the camera) and `labels/objects` (where they are, in the camera's frame).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from tectum.clock import NS_PER_S
from tectum.errors import DataError
from tectum.message import Kind
from tectum.node.base import Capture, NodeConfig
from tectum.node.fields import Rate
from tectum_nodes.importing.base import UNDATED_NS, Item, Source, Stream
from tectum_nodes.importing.kitti_labels import LABELS, OBJECT_COLUMNS, Labels, labels_in
from tectum_nodes.kitti import KittiCamera, KittiCameraConfig, KittiConfig, KittiLidar
from tectum_nodes.kitti_folder import (
    CLOUD_FOLDERS,
    DEFAULT_PERIOD_NS,
    IMAGE_FOLDERS,
    KittiFolder,
    calibration_of,
    other_calibrations,
)

__all__ = ["INERTIAL_COLUMNS", "KittiSource", "KittiSourceConfig"]

INERTIAL_COLUMNS = (
    "lat", "lon", "alt", "roll", "pitch", "yaw", "vn", "ve", "vf", "vl", "vu", "ax", "ay", "az",
    "af", "al", "au", "wx", "wy", "wz", "wf", "wl", "wu",
)  # fmt: skip
"""Degrees, metres, radians, m/s, m/s^2, rad/s; as `oxts/dataformat.txt` of a raw recording says."""
_UNIX_NS = 10**9 * NS_PER_S
"""Times before 2001 are not dates but count from the begin of a recording."""


class KittiSourceConfig(NodeConfig):
    """How the frames of a folder are laid in time."""

    rate: Rate | None = None
    """Frames per second; default: as the folder's time stamps say, else 10Hz."""


class _Frames(NamedTuple):
    stream: Stream
    files: Mapping[int, Path]
    load: Callable[[Path], Capture]
    """The capture of a file, its stamp still 0."""


class KittiSource(Source):
    """A folder of KITTI data."""

    title = "a KITTI folder (raw, object, tracking, odometry)"
    Config: ClassVar[type[NodeConfig]] = KittiSourceConfig
    config: KittiSourceConfig

    def __init__(self, path: Path, config: Any) -> None:
        """Look what the folder has."""
        super().__init__(path, config)
        self._folder = KittiFolder.opened(str(path))

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether a folder has pictures or scans where KITTI has them."""
        return any((path / name).is_dir() for name in (*IMAGE_FOLDERS, *CLOUD_FOLDERS))

    def streams(self) -> tuple[Stream, ...]:
        """Return camera, lidar and labels, as far as they are there."""
        return tuple(frames.stream for frames in self._frames)

    def items(self, wanted: frozenset[str]) -> Iterator[Item]:
        """Yield frames in the order of time; one that cannot be read is counted."""
        chosen = [frames for frames in self._frames if frames.stream.name in wanted]
        yield from heapq.merge(*map(self._of, chosen), key=lambda item: item.arrived_ns)

    def rig(self) -> Mapping[str, Any] | None:
        """Return the rig that the node `kitti_camera` would give; None without pictures."""
        if all(frames.stream.kind is not Kind.IMAGE for frames in self._frames):
            return None
        rig = KittiCamera.rig_of(KittiCameraConfig(folder=str(self.path)))
        differing = other_calibrations(self._folder)
        if differing:
            self.troubles["frames have another calibration than the first, whose is the rig's"] = (
                differing
            )
        return rig

    def _of(self, frames: _Frames) -> Iterator[Item]:
        for number, file in sorted(frames.files.items()):
            try:
                capture = frames.load(file)
            except DataError as error:
                self.troubles[str(error)] += 1
                continue
            time_ns = self._time_ns(file, number)
            yield Item(time_ns, _stamped(capture, time_ns, number))

    @cached_property
    def _frames(self) -> list[_Frames]:
        folder, found = self._folder, []
        for of, name, content, load in (
            (folder.images, "camera/image", "pictures", self._picture),
            (folder.clouds, "lidar/points", "lidar scans", self._scan),
        ):
            try:
                files = of()
            except DataError:
                continue  # a folder may have only the other
            found.append(_Frames(_stream(name, content, files), files, load))
        if not found:
            folder.images()  # says where they would be
        inertial = folder.inertial()
        if inertial:
            stream = _stream("imu/tensor", "GPS and IMU", inertial)
            found.append(_Frames(stream, inertial, self._inertial))
        labels = folder.labels()
        if labels:
            boxes = _stream("labels/boxes", "labelled objects, in pixels", labels)
            objects = _stream("labels/objects", "labelled objects, in metres", labels)
            found.append(_Frames(boxes, labels, self._boxes))
            found.append(_Frames(objects, labels, self._objects))
        return found

    def _picture(self, file: Path) -> Capture:
        decode = file.suffix.lower() == ".png"
        array, fields = KittiCamera(KittiCameraConfig(decode=decode)).load(file)
        return Capture("camera/image", Kind.IMAGE, (array,), 0, frame_id="camera", fields=fields)

    def _scan(self, file: Path) -> Capture:
        array, fields = KittiLidar(KittiConfig()).load(file)
        return Capture("lidar/points", Kind.POINTS, (array,), 0, frame_id="lidar", fields=fields)

    def _inertial(self, file: Path) -> Capture:
        words = file.read_text(encoding="utf-8", errors="replace").split()
        try:
            values = np.array(words[: len(INERTIAL_COLUMNS)], np.float64)
        except ValueError:
            values = np.zeros(0)
        if len(values) != len(INERTIAL_COLUMNS):
            msg = f"{file} does not hold the {len(INERTIAL_COLUMNS)} numbers of GPS and IMU"
            raise DataError(msg)
        fields = {"names": ["values"], "columns": list(INERTIAL_COLUMNS)}
        return Capture("imu/tensor", Kind.TENSOR, (values,), 0, frame_id="imu", fields=fields)

    def _boxes(self, file: Path) -> Capture:
        found = self._labels(file)
        arrays = (found.boxes, np.ones(len(found.boxes), np.float32), found.label)
        fields = {"labels": list(LABELS)}
        return Capture("labels/boxes", Kind.BOXES, arrays, 0, frame_id="camera", fields=fields)

    def _objects(self, file: Path) -> Capture:
        found = self._labels(file)
        fields = {"names": ["objects"], "columns": list(OBJECT_COLUMNS), "labels": list(LABELS)}
        arrays = (found.objects,)
        return Capture("labels/objects", Kind.TENSOR, arrays, 0, frame_id="camera", fields=fields)

    def _labels(self, file: Path) -> Labels:
        calibration = self._calibration
        shift = np.zeros(3)
        if calibration is not None:  # labels are in the frame of camera 0, pictures of camera 2
            shift = np.linalg.solve(calibration.matrix, calibration.projection[:, 3])
        return labels_in(file, shift)

    @cached_property
    def _calibration(self) -> Any:
        return calibration_of(self._folder)

    def _time_ns(self, file: Path, number: int) -> int:
        times = self._times(file.parent)
        if self.config.rate is not None:
            return UNDATED_NS + round(number * NS_PER_S / self.config.rate)
        if number < len(times):
            return times[number] if times[number] > _UNIX_NS else UNDATED_NS + times[number]
        return UNDATED_NS + number * DEFAULT_PERIOD_NS

    def _times(self, folder: Path) -> list[int]:
        if folder not in self._read_times:
            self._read_times[folder] = self._folder.times_ns(folder / "0")
        return self._read_times[folder]

    @cached_property
    def _read_times(self) -> dict[Path, list[int]]:
        return {}


def _stream(name: str, content: str, files: Mapping[int, Path]) -> Stream:
    kinds = {"image": Kind.IMAGE, "points": Kind.POINTS, "boxes": Kind.BOXES}
    kind = kinds.get(name.partition("/")[2], Kind.TENSOR)
    some = next(iter(files.values()))
    return Stream(name, kind, f"{content} ({some.parent.name}/*{some.suffix})", len(files), name)


def _stamped(capture: Capture, time_ns: int, number: int) -> Capture:
    fields = {**capture.fields, "frame": number}
    return Capture(
        capture.output,
        capture.kind,
        capture.arrays,
        time_ns,
        frame_id=capture.frame_id,
        fields=fields,
    )
