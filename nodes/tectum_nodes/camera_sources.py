"""Where a camera's pictures come from: a device, a stream (RTSP), MJPEG over HTTP, a pipeline.

Each source is a generator of `Frame`s that ends when it is closed, gives its device back then, and
raises `DeviceError` with the way out when its device is absent, refuses or ends. They are read in a
thread of their own (`tectum_nodes.newest`) and may block as long as their driver does.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any, NamedTuple

from tectum.clock import NS_PER_S, Clock
from tectum.errors import ConfigError, DeviceError
from tectum.message import AnyArray

__all__ = ["Frame", "Wish", "device_frames", "pipeline_frames", "rtsp_frames", "video_devices"]

_V4L = Path("/sys/class/video4linux")


class Frame(NamedTuple):
    """One picture as its source gave it."""

    array: AnyArray
    """bgr8, uint8 H x W x 3; or the bytes of a JPEG file."""
    jpeg: bool
    arrived_ns: int
    """When it was fetched, on the graph clock."""
    device_ns: int | None = None
    """The source's own stamp, on its own clock; None where it gives none."""


class Wish(NamedTuple):
    """What a device is asked for; it may give something else. 0: as it likes."""

    width: int
    height: int
    rate_hz: float
    timeout_ns: int


def device_frames(
    device: int | str, wish: Wish, clock: Clock, offset_ns: int
) -> Generator[Frame, None, None]:
    """Yield the pictures of a V4L2 device (number or path).

    `offset_ns` is the graph clock minus the monotonic clock, by which the driver stamps.

    Raises:
        DeviceError: it is not there, is in use, or gives no pictures any more.
    """
    import cv2  # noqa: PLC0415 - heavy

    api = cv2.CAP_V4L2 if hasattr(cv2, "CAP_V4L2") else cv2.CAP_ANY
    capture = _opened(device, api)
    if not capture.isOpened():
        known = ", ".join(video_devices()) or "none"
        msg = (
            f"camera {device} cannot be opened: is it plugged in, free, and may you read it "
            f"(group video)? Cameras here: {known}"
        )
        raise DeviceError(msg)
    for name, value in (
        (cv2.CAP_PROP_FRAME_WIDTH, wish.width),
        (cv2.CAP_PROP_FRAME_HEIGHT, wish.height),
        (cv2.CAP_PROP_FPS, wish.rate_hz),
    ):
        if value:
            capture.set(name, value)
    for image, position_ms in _fetched(capture, f"camera {device} gives no pictures any more"):
        now_ns = clock.now_ns()
        yield Frame(image, False, now_ns, _driver_stamp_ns(position_ms, now_ns, offset_ns))


def pipeline_frames(pipeline: str, clock: Clock) -> Generator[Frame, None, None]:
    """Yield the pictures of a GStreamer pipeline that ends in `appsink`.

    Raises:
        ConfigError: this OpenCV has no GStreamer.
        DeviceError: the pipeline does not start, or ends.
    """
    import cv2  # noqa: PLC0415 - heavy

    if not cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        msg = (
            "this OpenCV has no GStreamer (the wheels of PyPI have none): use `url` for RTSP, or "
            "an OpenCV that was built with it (Debian's python3-opencv has)"
        )
        raise ConfigError(msg)
    capture = _opened(pipeline, cv2.CAP_GSTREAMER)
    if not capture.isOpened():
        msg = f"the GStreamer pipeline does not start: {pipeline}; try it with gst-launch-1.0"
        raise DeviceError(msg)
    for image, _ in _fetched(capture, f"the GStreamer pipeline has ended: {pipeline}"):
        yield Frame(image, False, clock.now_ns())


def rtsp_frames(url: str, wish: Wish, clock: Clock) -> Generator[Frame, None, None]:
    """Yield the pictures of a stream that FFmpeg opens, with its presentation stamps.

    Raises:
        DeviceError: nobody answers, it is refused, stalls, or ends.
    """
    import av  # noqa: PLC0415 - heavy
    from av.error import FFmpegError  # noqa: PLC0415 - heavy

    shown, timeout_s = without_password(url), wish.timeout_ns / NS_PER_S
    options = {"rtsp_transport": "tcp", "fflags": "nobuffer", "flags": "low_delay"}
    try:
        with av.open(url, options=options, timeout=(timeout_s + 3.0, timeout_s)) as container:
            if not container.streams.video:
                msg = f"{shown} has no pictures"
                raise DeviceError(msg)
            stream = container.streams.video[0]
            stream.codec_context.flags |= 1 << 19  # low delay
            for picture in container.decode(stream):
                image = picture.to_ndarray(format="bgr24")
                own_ns = _presentation_ns(picture)
                yield Frame(image, False, clock.now_ns(), own_ns)
    except FFmpegError as error:
        msg = f"{shown} cannot be read: {error.strerror or type(error).__name__}"
        raise DeviceError(msg) from error
    except OSError as error:
        msg = f"{shown} cannot be reached: {error.strerror or error}"
        raise DeviceError(msg) from error
    msg = f"{shown} has ended"
    raise DeviceError(msg)


def video_devices() -> list[str]:
    """Return the V4L2 devices of this machine, each with its name."""
    found = sorted(_V4L.glob("video*")) if _V4L.is_dir() else []
    return [f"/dev/{path.name} ({_text(path / 'name')})" for path in found]


def without_password(url: str) -> str:
    """Return a URL without the user and password that it may hold."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if rest else url


def _opened(what: int | str, api: int) -> Any:
    import cv2  # noqa: PLC0415 - heavy

    return cv2.VideoCapture(what, api)


def _fetched(capture: Any, ended: str) -> Generator[tuple[AnyArray, float], None, None]:
    import cv2  # noqa: PLC0415 - heavy

    try:
        while True:
            done, image = capture.read()
            if not done:
                raise DeviceError(ended)
            yield image, capture.get(cv2.CAP_PROP_POS_MSEC)
    finally:
        capture.release()


def _driver_stamp_ns(position_ms: float, now_ns: int, offset_ns: int) -> int | None:
    """Return the V4L2 driver's stamp (monotonic clock) on the graph clock, where it makes sense."""
    stamp_ns = round(position_ms * 1e6) + offset_ns
    return stamp_ns if 0 <= now_ns - stamp_ns < NS_PER_S else None


def _presentation_ns(picture: Any) -> int | None:
    if picture.pts is None or picture.time_base is None:
        return None
    return int(round(picture.pts * picture.time_base * NS_PER_S))  # noqa: RUF046 - a Fraction


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return "unnamed"
