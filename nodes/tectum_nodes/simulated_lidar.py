"""The lidar of the simulated drive: sweeps of x, y, z, intensity on `points`, in frame `lidar`.

A sweep is announced when it begins and is out when it ends, as with a spinning scanner.
"""

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
from tectum_nodes.simulation.lidar import sweep
from tectum_nodes.simulation.rig import LidarModel, lidar_rig

__all__ = ["SimulatedLidar", "SimulatedLidarConfig"]


class SimulatedLidarConfig(SimulatedConfig):
    """A lidar of 24 rings on the roof."""

    sensor: ClassVar[str | None] = "lidar"

    rate: Annotated[Rate, Field(gt=0, le=50)] = 10.0
    """Sweeps per second."""
    jitter: Duration = 500_000
    """A sweep is off the beat by at most this."""


class SimulatedLidar(SensorNode):
    """Casts the rays of the drive's lidar."""

    Config: ClassVar[type[NodeConfig]] = SimulatedLidarConfig
    config: SimulatedLidarConfig
    outputs: ClassVar[Mapping[str, Kind]] = {"points": Kind.POINTS}

    @classmethod
    def period_ns_of(cls, config: SimulatedLidarConfig) -> Mapping[str, int]:
        """Return the period of the sweeps."""
        return {"points": round(1e9 / config.rate)}

    @classmethod
    def nbytes_of(cls, config: SimulatedLidarConfig) -> Mapping[str, int]:
        """Return the bytes of a sweep in which every beam returns."""
        del config
        return {"points": LidarModel().rings * LidarModel().azimuths * 16}

    @classmethod
    def rig_of(cls, config: SimulatedLidarConfig) -> Mapping[str, Any]:
        """Return where the lidar sits."""
        del config
        return lidar_rig(LidarModel())

    def captures(self, context: Context) -> Iterator[Capture | Announcement]:
        """Yield an announcement and, when it is done, a sweep per beat.

        A sweep without any return is not published: a scanner sends no packets of nothing.
        """
        config = self.config
        drive = config.drive()
        world, room = World(drive), lent_room(context, "points", "float32")
        rhythm = Rhythm(config.rate, config.jitter, config.seed, "lidar")
        for stamp_ns, next_ns in rhythm.follow(context):
            scene = world.at(stamp_ns - context.epoch_ns)
            silent = drive.faulty("lidar", scene.t_s) == "silent"
            points = None
            if not silent:
                yield Announcement("points", stamp_ns)
                points = sweep(scene, room=room)
            if not context.wait_until_ns(next_ns):
                return
            if points is not None and len(points):
                yield Capture(
                    "points", Kind.POINTS, (points,), stamp_ns, next_ns - stamp_ns,
                    frame_id="lidar", fields={"names": ["x", "y", "z", "intensity"]},
                )  # fmt: skip
