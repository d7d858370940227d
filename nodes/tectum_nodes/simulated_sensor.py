"""What the sensors of the simulated drive share: the drive's parameters and the rhythm.

The world's time is a stamp minus the run's epoch, so that all sensor nodes of a run that have the
same parameters sense the same world. Capture k has a fixed place in the rhythm, also after a
restart of the node; a sensor that cannot keep up leaves captures out, as a real one does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from tectum.errors import ConfigError
from tectum.node.base import Context, NodeConfig
from tectum.node.fields import Duration
from tectum_nodes.simulation import DriveConfig, Fault, Weather
from tectum_nodes.simulation.chance import uniform_one

__all__ = ["FaultConfig", "Rhythm", "SimulatedConfig"]

NS_PER_S = 1_000_000_000


class FaultConfig(NodeConfig):
    """A time in which the sensor misbehaves."""

    kind: Literal["blackout", "blur", "dropout", "sector", "mute", "hum", "silent"]
    """camera: blackout, blur; lidar: dropout, sector; microphone: mute, hum; any: silent."""
    at: Duration
    """Begin, since the run began."""
    lasts: Duration
    """Duration."""
    every: Duration = 0
    """Period of repetition; 0s means once."""


class SimulatedConfig(NodeConfig):
    """Parameters of the drive; give every sensor of a graph the same."""

    sensor: ClassVar[str | None] = None
    """Whose faults these are; the truth has none."""

    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 7
    """Everything random in the world follows from it."""
    weather: Weather = "day"
    """day, dusk, fog or rain."""
    traffic: Annotated[float, Field(ge=0, le=5)] = 1.0
    """Density of road users; 1 is an ordinary street."""
    noise: Annotated[float, Field(ge=0, le=10)] = 1.0
    """Factor on the sensors' noise; 0 is a perfect sensor."""
    siren_every: Duration = 40 * NS_PER_S
    """Mean time between passes of an emergency vehicle, at least 30s; 0s means never."""
    faults: tuple[FaultConfig, ...] = ()
    """Times in which this sensor misbehaves."""

    @model_validator(mode="after")
    def _is_a_drive(self) -> Self:
        try:
            self.drive()
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self

    def drive(self) -> DriveConfig:
        """Return the drive, with the faults of this sensor."""
        faults = tuple(
            Fault(self.sensor, f.kind, f.at / NS_PER_S, f.lasts / NS_PER_S, f.every / NS_PER_S)
            for f in self.faults
            if self.sensor is not None
        )
        siren_s = self.siren_every / NS_PER_S
        return DriveConfig(self.seed, self.weather, self.traffic, self.noise, siren_s, faults)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Stamps of the captures of one sensor, relative to the run's epoch."""

    rate_hz: float
    jitter_ns: int
    """A stamp is off the beat by at most this, either way."""
    seed: int
    sensor: str
    phase_ns: int = 0
    """When capture 0 is due."""

    def due_ns(self, k: int) -> int:
        """Return the stamp of capture `k`."""
        off = self.jitter_ns * (2.0 * uniform_one(self.seed, f"{self.sensor}/jitter", k) - 1.0)
        return self.phase_ns + round(k * NS_PER_S / self.rate_hz) + round(off)

    def follow(self, context: Context) -> Iterator[tuple[int, int]]:
        """Yield (stamp, next stamp) on the graph clock, waiting for each; end with the graph."""
        k = 0
        while True:
            elapsed_ns = context.clock.now_ns() - context.epoch_ns - self.phase_ns
            k = max(k, int((elapsed_ns - self.jitter_ns) * self.rate_hz // NS_PER_S))
            stamp_ns, next_ns = (context.epoch_ns + self.due_ns(i) for i in (k, k + 1))
            if not context.wait_until_ns(stamp_ns):
                return
            yield stamp_ns, next_ns
            k += 1
