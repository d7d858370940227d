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
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.errors import ConfigError, DataError, DeviceError
from tectum.message import AnyArray, Kind, Value
from tectum.node.base import Announcement, Capture, Context, NodeConfig, SensorNode
from tectum.node.fields import Duration, Rate
from tectum_nodes.camera_calibration import CameraCalibration, Rectifier, calibration_from
from tectum_nodes.camera_sources import (
    Frame,
    Wish,
    device_frames,
    pipeline_frames,
    rtsp_frames,
    video_devices,
)
from tectum_nodes.device_clock import DeviceClock, offset_name
from tectum_nodes.mjpeg import mjpeg_frames
from tectum_nodes.newest import Newest
from tectum_nodes.picture_file import decoded_jpeg
from tectum_nodes.reconnecting import reconnected
from tectum_nodes.room import Room, lent_room

__all__ = ["CameraConfig", "CameraNode"]

_POLL_NS = 100 * NS_PER_MS
_OPENING_NS = 3 * NS_PER_S
"""The first picture may take so much longer."""
_SURE_NS = NS_PER_MS
"""Of a stamp that the driver or the camera itself gave on a known clock."""


class CameraConfig(NodeConfig):
    """Where pictures come from, which are wanted, and how they are stamped."""

    device: int | str | None = None
    """Number or path (/dev/video0) of a V4L2 device; default, without another source: 0."""
    url: str = ""
    """rtsp:// or rtsps:// (a stream), http:// or https:// (MJPEG)."""
    path: str = ""
    """A video file, played in real time."""
    pipeline: str = ""
    """A GStreamer pipeline that ends in appsink, where OpenCV was built with GStreamer."""
    width: Annotated[int, Field(ge=0, le=16_384)] = 0
    """Of the pictures; the device is asked for it, others are scaled. 0: as they come."""
    height: Annotated[int, Field(ge=0, le=16_384)] = 0
    """As `width`; give both or neither."""
    rate: Rate | None = None
    """Pictures per second at most; default: all."""
    decode: bool = True
    """Publish bgr8 pictures; otherwise JPEG as it comes (MJPEG only)."""
    clock: Literal["device", "system", "arrival"] = "device"
    """What stamps are made of; see above."""
    delay: Annotated[Duration, Field(ge=0)] = 0
    """Least time from light to arrival; stamps are earlier by it."""
    exposure: Annotated[Duration, Field(ge=0)] = 0
    """How long a picture takes; the span of the messages."""
    stall: Annotated[Duration, Field(ge=100 * NS_PER_MS)] = 2 * NS_PER_S
    """After so long without a picture the camera counts as gone, and is opened anew."""
    loop: bool = False
    """Of a video file: begin again at the end."""
    calibration: str = ""
    """YAML file with width, height, matrix (K) and distortion; published as a fact."""
    rectify: bool = False
    """Take the distortion out of the pictures."""
    frame: str = ""
    """Coordinate frame of the camera; default: the node's name."""

    @model_validator(mode="before")
    @classmethod
    def _first_device(cls, given: Any) -> Any:
        if isinstance(given, dict) and not any(
            given.get(key) for key in ("url", "path", "pipeline")
        ):
            return {**given, "device": 0 if given.get("device") is None else given["device"]}
        return given

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        sources = {"device": self.device is not None, "url": self.url, "path": self.path}
        given = [name for name, has in {**sources, "pipeline": self.pipeline}.items() if has]
        if len(given) != 1:
            found = ", ".join(given)
            msg = f"a camera takes exactly one of device, url, path, pipeline; found {found}"
            raise ValueError(msg)
        scheme = self.url.partition("://")[0]
        if self.url and scheme not in ("rtsp", "rtsps", "http", "https"):
            msg = f"url must begin with rtsp://, rtsps://, http:// or https://; found {self.url!r}"
            raise ValueError(msg)
        if (self.width == 0) != (self.height == 0):
            msg = "give `width` and `height`, or neither"
            raise ValueError(msg)
        if not self.decode and (not scheme.startswith("http") or self.width or self.rectify):
            msg = "`decode: false` is for MJPEG (http://) as it comes: not scaled, not rectified"
            raise ValueError(msg)
        if self.rectify and not self.calibration:
            msg = "`rectify` needs a `calibration`"
            raise ValueError(msg)
        return self


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
        stamper, pace = _Stamper(self.config, context), _Pace(self.config.rate)
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

        config, pace = self.config, _Pace(self.config.rate)
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


class _Stamper:
    """Stamps frames as the configuration says."""

    def __init__(self, config: CameraConfig, context: Context) -> None:
        self._config, self._context = config, context
        self._clock = DeviceClock(config.delay)
        self._period_ns = 0
        self._last_ns = -1
        self._warned = False

    def stamp(self, frame: Frame) -> tuple[int, int]:
        """Return (stamp, error)."""
        config, arrived_ns = self._config, frame.arrived_ns
        if frame.device_ns is None or config.clock == "arrival":
            return arrived_ns - config.delay, self._arrival_error_ns(arrived_ns)
        if config.clock == "system" or config.device is not None:
            self._doubt(frame.device_ns - arrived_ns, arrived_ns)
            return frame.device_ns, _SURE_NS
        return self._clock.stamp(frame.device_ns, arrived_ns)

    def _arrival_error_ns(self, arrived_ns: int) -> int:
        """Return a period: a picture may have waited so long before it was fetched."""
        if self._last_ns >= 0:
            self._period_ns = min(self._period_ns or NS_PER_S, arrived_ns - self._last_ns)
        self._last_ns = arrived_ns
        return self._period_ns or NS_PER_S // 30

    def _doubt(self, offset_ns: int, now_ns: int) -> None:
        """Say once that a clock that is taken at its word is far off, and by what."""
        if not self._warned and abs(offset_ns) > NS_PER_S // 2:
            self._warned = True
            text = "the camera's clock is off by %s; set `clock: device`, or set its clock right"
            self._context.log.warning(text, offset_name(offset_ns, now_ns))


class _Pace:
    """Leaves pictures out of a source that is faster than wanted."""

    def __init__(self, rate_hz: float | None) -> None:
        self.left_out = 0
        self._period_ns = round(NS_PER_S / rate_hz) if rate_hz else 0
        self._next_ns: int | None = None

    def wants(self, stamp_ns: int) -> bool:
        """Return whether a picture with this stamp is published."""
        due_ns = stamp_ns if self._next_ns is None else self._next_ns
        if abs(stamp_ns - due_ns) > 2 * self._period_ns:
            due_ns = stamp_ns  # the source has paused or started anew
        if stamp_ns < due_ns - self._period_ns // 4:
            self.left_out += 1
            return False
        self._next_ns = due_ns + self._period_ns
        return True


def _calibration(config: CameraConfig) -> CameraCalibration | None:
    if not config.calibration:
        return None
    found = calibration_from(Path(config.calibration).expanduser())
    if config.width:
        return found.scaled(config.width, config.height)
    return found
