"""A camera: `image`, always the newest picture, stamped as well as its source allows.

One of `device` (V4L2; by default the first), `url` (rtsp:// or MJPEG over http://), `path` (a video
file, played in real time) and `pipeline` (GStreamer) says where pictures come from. It may be
absent at start, be unplugged, stall or restart: that is said, and it is tried again. What
`stamp_ns` is depends on `clock`: `device` lays the source's own stamps on the graph clock by the
least late pictures; `system` takes them as they are, for a camera whose clock is kept right;
`arrival` stamps what arrives. `error_ns` bounds the chance in it; what nobody here can know is the
least time from light to arrival: measure it and say it as `delay`. Field `skipped` of a message:
pictures of the source since the last message that were not published, because they were overtaken
or not wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.errors import ConfigError, DataError, DeviceError
from tectum.message import AnyArray, Kind, Value
from tectum.node.base import Announcement, Capture, Context, NodeConfig, SensorNode
from tectum_nodes.camera_calibration import CameraCalibration, Rectifier, calibration_from
from tectum_nodes.camera_config import CameraConfig
from tectum_nodes.camera_sources import (
    Frame,
    Wish,
    device_frames,
    pipeline_frames,
    rtsp_frames,
    video_devices,
)
from tectum_nodes.camera_stamps import Stamper
from tectum_nodes.mjpeg import mjpeg_frames
from tectum_nodes.newest import Newest
from tectum_nodes.pace import Pace
from tectum_nodes.picture_file import decoded_jpeg
from tectum_nodes.reconnecting import reconnected
from tectum_nodes.room import Room, lent_room

__all__ = ["CameraConfig", "CameraNode"]

_POLL_NS = 100 * NS_PER_MS
_OPENING_NS = 3 * NS_PER_S
"""The first picture may take so much longer."""


class CameraNode(SensorNode):
    """Publishes the newest pictures of a camera."""

    Config: ClassVar[type[NodeConfig]] = CameraConfig
    config: CameraConfig
    outputs: ClassVar[Mapping[str, Kind]] = {"image": Kind.IMAGE}
    _last_shape: tuple[int, ...] | None = None
    """Of the last picture that was decoded here."""

    @classmethod
    def devices(cls) -> list[str]:
        """Return the cameras of this machine."""
        return video_devices()

    @classmethod
    def period_ns_of(cls, config: CameraConfig) -> Mapping[str, int]:
        """Return the period of the pictures where a rate is wanted."""
        return {"image": round(NS_PER_S / config.rate)} if config.rate else {}

    @classmethod
    def nbytes_of(cls, config: CameraConfig) -> Mapping[str, int]:
        """Return the bytes of a picture where its size is wanted."""
        nbytes = config.width * config.height * 3
        return {"image": nbytes} if nbytes else {}

    def open(self, context: Context) -> None:
        """Read the calibration, or see that the file is there; a camera may come later.

        Raises:
            TectumError: something that waiting would not help.
        """
        if self.config.path:
            from tectum_nodes.media import media_facts  # noqa: PLC0415 - heavy

            if not media_facts(Path(self.config.path).expanduser()).video:
                msg = f"{self.config.path} has sound only: use the node `microphone` for it"
                raise ConfigError(msg)
        self._calibration = _calibration(self.config)
        self._frame_id = self.config.frame or context.name

    def run(self, context: Context) -> None:
        """Say how the camera projects, then publish."""
        if self._calibration is not None:
            final = self._calibration.scaled(
                self._calibration.width, self._calibration.height, rectified=self.config.rectify
            )
            rig = final.rig(self._frame_id)
            context.latch("image", {"fact": "calibration", "rig": rig})
        super().run(context)

    def captures(self, context: Context) -> Iterator[Capture | Announcement]:
        """Yield the newest picture whenever there is one."""
        if self.config.path:
            yield from self._played(context)
        else:
            yield from reconnected(context, lambda: self._live(context))

    def _live(self, context: Context) -> Iterator[Capture]:
        """Yield pictures of a live source.

        Raises:
            DeviceError: it is absent, stalls or has gone.
        """
        stamper, pace = Stamper(self.config, context), Pace(self.config.rate)
        room = lent_room(context, "image", "uint8")
        damaged, counted = 0, 0
        with Newest(self._source(context), f"{context.name} source") as newest:
            for frame in self._frames(newest, context):
                stamp_ns, error_ns = stamper.stamp(frame)
                if not pace.wants(stamp_ns):
                    continue
                missed = newest.skipped + pace.left_out + damaged - counted
                try:
                    capture = self._capture(frame, stamp_ns, error_ns, missed, room)
                except DataError:  # a picture that was damaged on its way
                    damaged += 1
                    continue
                counted += missed
                yield capture

    def _frames(self, newest: Newest[Frame], context: Context) -> Iterator[Frame]:
        """Yield what is newest, as long as there is something new."""
        heard_ns, patience_ns = context.clock.now_ns(), self.config.stall + _OPENING_NS
        while not context.stopping:
            frame = newest.take(_POLL_NS / NS_PER_S)
            if frame is not None:
                yield frame
                heard_ns, patience_ns = context.clock.now_ns(), self.config.stall
            elif newest.ended:
                msg = f"{context.name}: the camera has ended"
                raise DeviceError(msg)
            elif context.clock.now_ns() - heard_ns >= patience_ns:
                msg = f"{context.name}: no picture for {patience_ns / NS_PER_S:.1f} s"
                raise DeviceError(msg)

    def _source(self, context: Context) -> Generator[Frame, None, None]:
        config, clock = self.config, context.clock
        wish = Wish(config.width, config.height, config.rate or 0.0, config.stall)
        if config.device is not None:
            offset_ns = int(context.run.get("offset_ns", 0))
            return device_frames(config.device, wish, clock, offset_ns)
        if config.pipeline:
            return pipeline_frames(config.pipeline, clock)
        make: Callable[..., Generator[Frame, None, None]] = (
            mjpeg_frames if config.url.startswith("http") else rtsp_frames
        )
        return make(config.url, wish, clock)

    def _played(self, context: Context) -> Iterator[Capture]:
        """Yield the pictures of a file, each at its stamp; nothing is chance in them."""
        from tectum_nodes.video import VideoConfig, VideoReader  # noqa: PLC0415 - heavy

        config, pace = self.config, Pace(self.config.rate)
        player = VideoReader(VideoConfig(path=config.path, audio=False, loop=config.loop))
        player.open(context)
        room = lent_room(context, "image", "uint8")
        counted = 0
        for capture in player.captures(context):
            if isinstance(capture, Capture) and pace.wants(capture.stamp_ns):
                missed, counted = pace.left_out - counted, pace.left_out
                frame = Frame(capture.arrays[0], False, capture.stamp_ns)
                yield self._capture(frame, capture.stamp_ns, 0, missed, room)

    def _capture(
        self, frame: Frame, stamp_ns: int, error_ns: int, missed: int, room: Room
    ) -> Capture:
        fields: dict[str, Value] = {"encoding": "bgr8", "skipped": missed}
        array = frame.array
        if not self.config.decode:
            fields["encoding"] = "jpeg"
        else:
            array = self._finished(self._decoded(array, room) if frame.jpeg else array, room)
        return Capture(
            "image", Kind.IMAGE, (array,), stamp_ns, self.config.exposure, error_ns,
            self._frame_id, fields,
        )  # fmt: skip

    def _decoded(self, data: AnyArray, room: Room) -> AnyArray:
        """Return a picture in memory that is published, where it is as large as the last one.

        The header of a damaged picture may ask for any room, and one that is to be changed needs
        none there.
        """
        changed = self.config.rectify or self.config.width
        size = None if changed else self._last_shape
        image = decoded_jpeg(data, None if size is None else lambda: room(size), size)
        self._last_shape = image.shape
        return image

    def _finished(self, image: AnyArray, room: Room) -> AnyArray:
        """Return a picture of the wanted size, rectified where that is wanted.

        What changes it last does so in memory that is published.
        """
        size = (self.config.width, self.config.height)
        if self.config.width and image.shape[1::-1] != size:
            import cv2  # noqa: PLC0415 - heavy

            given: Any = image
            shape = (*size[::-1], *image.shape[2:])
            goal: Any = np.empty(shape, image.dtype) if self.config.rectify else room(shape)
            cv2.resize(given, size, goal, interpolation=cv2.INTER_LINEAR)
            image = goal
        if self.config.rectify and self._calibration is not None:
            expected = (self._calibration.width, self._calibration.height)
            if image.shape[1::-1] != expected:
                msg = (
                    f"the calibration is of pictures of {expected[0]} x {expected[1]}, the camera "
                    f"gives {image.shape[1]} x {image.shape[0]}: set `width` and `height`"
                )
                raise ConfigError(msg)
            image = self._rectifier(image, room(image.shape))
        return image

    @cached_property
    def _rectifier(self) -> Rectifier:
        assert self._calibration is not None, "`rectify` needs a `calibration`"
        return Rectifier(self._calibration)


def _calibration(config: CameraConfig) -> CameraCalibration | None:
    if not config.calibration:
        return None
    found = calibration_from(Path(config.calibration).expanduser())
    if config.width:
        return found.scaled(config.width, config.height)
    return found
