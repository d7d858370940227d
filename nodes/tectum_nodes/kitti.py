"""Recorded KITTI data as a camera and a lidar: `image` in frame `camera`, `points` in `lidar`.

Both lay their frames on one time line and give the same stamp to what was triggered together (the
camera fires when the turning lidar faces ahead). Give both the same folder, frames and rate.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from tectum.clock import NS_PER_S
from tectum.errors import DataError
from tectum.message import AnyArray, Kind, Value
from tectum.node.base import Announcement, Capture, Context, NodeConfig, SensorNode
from tectum.node.fields import Duration, Rate
from tectum_nodes.kitti_folder import KittiFolder, calibration_of, rig_document
from tectum_nodes.playback import playback_begin_ns
from tectum_nodes.simulation.chance import uniform_one

__all__ = ["KittiCamera", "KittiCameraConfig", "KittiConfig", "KittiLidar"]


class KittiConfig(NodeConfig):
    """A folder of KITTI data and how it is played."""

    folder: str = ""
    """The folder; default: kitti_seq in the folder that TECTUM_DATA names."""
    rate: Rate | None = None
    """Frames per second; default: as the folder's time stamps say, else 10Hz."""
    start: Annotated[int, Field(ge=0)] = 0
    """Number of the first frame."""
    end: Annotated[int, Field(ge=0)] | None = None
    """Number of the frame before which it ends; default: all frames."""
    loop: bool = False
    """Begin again after the last frame."""
    delay: Annotated[Duration, Field(ge=0)] = 0
    """A frame is published so long after its stamp, as by a slow sensor."""
    jitter: Annotated[Duration, Field(ge=0)] = 0
    """And by a random time of at most this later."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    """Of the jitter."""


class KittiCameraConfig(KittiConfig):
    """The left colour camera of a KITTI recording."""

    decode: bool = True
    """Publish bgr8 pictures; otherwise the JPEG files as they are."""


class _Frame(NamedTuple):
    number: int
    path: Path
    offset_ns: int
    """From the beginning of the playback."""


class _KittiSensor(SensorNode):
    """What camera and lidar of a KITTI recording share: the frames and their rhythm."""

    config: KittiConfig
    output: ClassVar[str]
    frame_id: ClassVar[str]

    @classmethod
    def files(cls, folder: KittiFolder) -> dict[int, Path]:
        """Return the sensor's files by frame number."""
        raise NotImplementedError

    @abstractmethod
    def load(self, path: Path) -> tuple[AnyArray, Mapping[str, Value]]:
        """Return the buffer and the fields of a message."""

    @classmethod
    def period_ns_of(cls, config: KittiConfig) -> Mapping[str, int]:
        """Return the period of the frames."""
        return {cls.output: _period_ns(config, *_opened(cls, config))}

    def open(self, context: Context) -> None:
        """Find the files and load the first.

        Raises:
            DataError: there are none, or they cannot be read.
        """
        _, _, frames = _selected(type(self), self.config)
        self.load(frames[0].path)
        context.log.info("%d frames of %s", len(frames), frames[0].path.parent)

    def captures(self, context: Context) -> Iterator[Capture | Announcement]:
        """Yield a frame when it is due; a late start leaves out what has passed."""
        config = self.config
        begin_ns, started_ns = playback_begin_ns(context), context.clock.now_ns()
        for frame in self._frames():
            stamp_ns = begin_ns + frame.offset_ns
            late = uniform_one(config.seed, f"{self.output}/jitter", frame.number)
            due_ns = stamp_ns + config.delay + round(late * config.jitter)
            if due_ns < started_ns - NS_PER_S:
                continue
            array, fields = self.load(frame.path)
            if not context.wait_until_ns(due_ns):
                return
            kind = self.outputs[self.output]
            facts = {**fields, "frame": frame.number}
            yield Capture(
                self.output, kind, (array,), stamp_ns, frame_id=self.frame_id, fields=facts
            )

    def _frames(self) -> Iterator[_Frame]:
        lap_ns, _, frames = _selected(type(self), self.config)
        lap = 0
        while lap == 0 or self.config.loop:
            for frame in frames:
                yield frame._replace(offset_ns=frame.offset_ns + lap * lap_ns)
            lap += 1


class KittiCamera(_KittiSensor):
    """Publishes the pictures of the left colour camera."""

    Config: ClassVar[type[NodeConfig]] = KittiCameraConfig
    config: KittiCameraConfig
    outputs: ClassVar[Mapping[str, Kind]] = {"image": Kind.IMAGE}
    output = "image"
    frame_id = "camera"

    @classmethod
    def files(cls, folder: KittiFolder) -> dict[int, Path]:
        """Return the pictures by frame number."""
        return folder.images()

    @classmethod
    def rig_of(cls, config: KittiCameraConfig) -> Mapping[str, Any] | None:
        """Return the calibration of camera and lidar, or None where the folder has none."""
        folder, files = _opened(cls, config)
        calibration = calibration_of(folder)
        if calibration is None:
            return None
        height, width = _picture(next(iter(files.values()))).shape[:2]
        return rig_document(calibration, (width, height))

    def load(self, path: Path) -> tuple[AnyArray, Mapping[str, Value]]:
        """Return a picture uint8 H x W x 3, or the bytes of its file."""
        if self.config.decode:
            return _picture(path), {"encoding": "bgr8"}
        if path.suffix.lower() == ".png":
            msg = f"{path} is a PNG file, not JPEG: it can only be published with `decode: true`"
            raise DataError(msg)
        return np.fromfile(path, np.uint8), {"encoding": "jpeg"}


class KittiLidar(_KittiSensor):
    """Publishes the scans of the lidar: x, y, z in metres, intensity 0 to 1."""

    Config: ClassVar[type[NodeConfig]] = KittiConfig
    outputs: ClassVar[Mapping[str, Kind]] = {"points": Kind.POINTS}
    output = "points"
    frame_id = "lidar"

    @classmethod
    def files(cls, folder: KittiFolder) -> dict[int, Path]:
        """Return the scans by frame number."""
        return folder.clouds()

    def load(self, path: Path) -> tuple[AnyArray, Mapping[str, Value]]:
        """Return a scan, float32 N x 4."""
        numbers = np.fromfile(path, np.float32)
        if numbers.size % 4 or path.stat().st_size % 4:
            msg = f"{path} is not a lidar scan: its {path.stat().st_size} bytes are not x y z r"
            raise DataError(msg)
        return numbers.reshape(-1, 4), {"names": ["x", "y", "z", "intensity"]}


def _opened(sensor: type[_KittiSensor], config: KittiConfig) -> tuple[KittiFolder, dict[int, Path]]:
    folder = KittiFolder.opened(config.folder)
    return folder, sensor.files(folder)


def _period_ns(config: KittiConfig, folder: KittiFolder, files: Mapping[int, Path]) -> int:
    if config.rate is not None:
        return round(NS_PER_S / config.rate)
    return folder.period_ns(next(iter(files.values())))


def _selected(
    sensor: type[_KittiSensor], config: KittiConfig
) -> tuple[int, KittiFolder, list[_Frame]]:
    """Return the duration of a lap, the folder and the frames that are to be played.

    Raises:
        DataError: no frame lies between start and end.
    """
    folder, files = _opened(sensor, config)
    period_ns = _period_ns(config, folder, files)
    some = next(iter(files.values()))
    recorded = [] if config.rate is not None else folder.stamps_ns(some, config.start)
    end = max(files) + 1 if config.end is None else config.end

    def time_ns(number: int) -> int:
        if number < len(recorded):
            return recorded[number]
        return (number - config.start) * period_ns

    chosen = [number for number in files if config.start <= number < end]
    if not chosen:
        msg = (
            f"{folder.path} has no frames from {config.start} to before {end}: "
            f"it has {min(files)} to {max(files)}"
        )
        raise DataError(msg)
    frames = [_Frame(number, files[number], time_ns(number)) for number in chosen]
    return frames[-1].offset_ns + period_ns, folder, frames


def _picture(path: Path) -> AnyArray:
    import cv2  # noqa: PLC0415 - heavy, and the lidar does not need it

    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        msg = f"{path} is not a picture that can be decoded"
        raise DataError(msg)
    return picture
