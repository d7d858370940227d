"""The camera of the simulated drive: bgr8 pictures on `image`, in frame `camera`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from tectum.message import Kind
from tectum.node.base import Announcement, Capture, Context, NodeConfig, SensorNode
from tectum.node.fields import Duration, Rate
from tectum_nodes.room import lent_room
from tectum_nodes.simulated_sensor import Rhythm, SimulatedConfig
from tectum_nodes.simulation import World
from tectum_nodes.simulation.rig import CameraModel, camera_rig

__all__ = ["SimulatedCamera", "SimulatedCameraConfig"]


class SimulatedCameraConfig(SimulatedConfig):
    """A camera that looks ahead, 320 x 192 pixels."""

    sensor: ClassVar[str | None] = "camera"

    rate: Annotated[Rate, Field(gt=0, le=200)] = 15.0
    """Pictures per second."""
    jitter: Duration = 3_000_000
    """A picture is off the beat by at most this."""
    exposure: Duration = 8_000_000
    """Duration of an exposure."""
    scale: Annotated[float, Field(ge=0.25, le=6)] = 1.0
    """Factor on width and height."""


class SimulatedCamera(SensorNode):
    """Renders the drive; a picture is out when its exposure ends."""

    Config: ClassVar[type[NodeConfig]] = SimulatedCameraConfig
    config: SimulatedCameraConfig
    outputs: ClassVar[Mapping[str, Kind]] = {"image": Kind.IMAGE}

    @classmethod
    def period_ns_of(cls, config: SimulatedCameraConfig) -> Mapping[str, int]:
        """Return the period of the pictures."""
        return {"image": round(1e9 / config.rate)}

    @classmethod
    def nbytes_of(cls, config: SimulatedCameraConfig) -> Mapping[str, int]:
        """Return the bytes of a picture."""
        model = CameraModel().scaled(config.scale)
        return {"image": model.width * model.height * 3}

    @classmethod
    def rig_of(cls, config: SimulatedCameraConfig) -> Mapping[str, Any]:
        """Return where the camera sits and how it projects."""
        return camera_rig(CameraModel().scaled(config.scale))

    def captures(self, context: Context) -> Iterator[Capture | Announcement]:
        """Yield a picture per beat."""
        from tectum_nodes.simulation.camera import render  # noqa: PLC0415 - imports OpenCV

        config = self.config
        drive = config.drive()
        world, model = World(drive), CameraModel().scaled(config.scale)
        room = lent_room(context, "image", "uint8")
        for stamp_ns, _ in Rhythm(config.rate, config.jitter, config.seed, "camera").follow(
            context
        ):
            scene = world.at(stamp_ns - context.epoch_ns)
            silent = drive.faulty("camera", scene.t_s) == "silent"
            image = None if silent else render(scene, model, room)
            if not context.wait_until_ns(stamp_ns + config.exposure):
                return
            if image is not None:
                yield Capture(
                    "image", Kind.IMAGE, (image,), stamp_ns, config.exposure,
                    frame_id="camera", fields={"encoding": "bgr8"},
                )  # fmt: skip
