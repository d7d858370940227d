"""What is asked of a camera: where pictures come from, which are wanted, how they are stamped."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.node.base import NodeConfig
from tectum.node.fields import Duration, Rate

__all__ = ["CameraConfig"]


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
