"""Parameters of the simulated drive: what the world is like, and what is wrong with its sensors.

A config is plain data and hashable. Two processes with equal configs simulate the same world.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from tectum.errors import ConfigError, nearest_name

Weather = Literal["day", "dusk", "fog", "rain"]
WEATHERS: tuple[Weather, ...] = get_args(Weather)

FAULT_KINDS = {
    "camera": ("blackout", "blur", "silent"),
    "lidar": ("dropout", "sector", "silent"),
    "microphone": ("mute", "hum", "silent"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A sensor that misbehaves for a while, once or again and again."""

    sensor: str
    """`camera`, `lidar` or `microphone`."""
    kind: str
    """camera: `blackout`, `blur`; lidar: `dropout`, `sector`; microphone: `mute`, `hum`.
    `silent` of any sensor: its node publishes nothing."""
    at_s: float
    """Begin, in seconds of the drive."""
    for_s: float
    """Duration in seconds."""
    every_s: float = 0.0
    """Period of repetition in seconds; 0 means once."""

    def __post_init__(self) -> None:
        _choice("fault.sensor", self.sensor, tuple(FAULT_KINDS))
        _choice("fault.kind", self.kind, FAULT_KINDS[self.sensor])
        _at_least("fault.for_s", self.for_s, 0.0)
        _at_least("fault.every_s", self.every_s, 0.0)

    def active(self, t_s: float) -> bool:
        """Whether the fault holds at a time, in seconds of the drive."""
        since = t_s - self.at_s
        if self.every_s > 0.0 and since >= 0.0:
            since %= self.every_s
        return 0.0 <= since < self.for_s


@dataclass(frozen=True, slots=True)
class DriveConfig:
    """One simulated drive."""

    seed: int = 7
    """Everything that is random in the world follows from it."""
    weather: Weather = "day"
    """`day`, `dusk`, `fog` or `rain`."""
    traffic: float = 1.0
    """Density of road users; 0 is an empty road, 1 an ordinary street, 2 a crowded one."""
    noise: float = 1.0
    """Factor on the noise of all sensors; 0 is a perfect sensor."""
    siren_every_s: float = 40.0
    """Mean time between passes of an emergency vehicle, at least 30; 0 means that none comes."""
    faults: tuple[Fault, ...] = ()
    """Sensor faults, see `Fault`."""

    def __post_init__(self) -> None:
        _choice("weather", self.weather, WEATHERS)
        _at_least("traffic", self.traffic, 0.0)
        _at_least("noise", self.noise, 0.0)
        if self.siren_every_s != 0.0:
            _at_least("siren_every_s", self.siren_every_s, 30.0)

    def faulty(self, sensor: str, t_s: float) -> str | None:
        """The kind of fault that a sensor has at a time, or None."""
        for fault in self.faults:
            if fault.sensor == sensor and fault.active(t_s):
                return fault.kind
        return None


def _choice(key: str, value: str, allowed: tuple[str, ...]) -> None:
    if value in allowed:
        return
    near = nearest_name(value, allowed)
    msg = f"{key}: {value!r} is not known, allowed are {', '.join(allowed)}{near}"
    raise ConfigError(msg)


def _at_least(key: str, value: float, least: float) -> None:
    if not value >= least:  # NaN fails as well
        msg = f"{key}: {value} is not allowed, give a number of at least {least:g}"
        raise ConfigError(msg)
