"""The world of a drive: `World(config).at(t_ns)` is all there is to see at that time.

A pure function: no call changes a later one, any time may be asked for, and equal configs give
equal scenes, bit for bit, in every process of the same environment.
"""

from dataclasses import dataclass

import numpy as np

from tectum_nodes.simulation import siren_pass, traffic
from tectum_nodes.simulation.boxes import LABELS, Boxes, Kind, join
from tectum_nodes.simulation.config import DriveConfig
from tectum_nodes.simulation.road import Ego, Road


@dataclass(frozen=True, slots=True)
class RoadUser:
    """Somebody on the road, in the ego frame: x metres forward, y metres left."""

    label: str
    ident: int
    x_m: float
    y_m: float
    heading_rad: float
    length_m: float
    width_m: float
    height_m: float
    vx_mps: float
    """Velocity over ground."""
    vy_mps: float


@dataclass(frozen=True, slots=True)
class SirenState:
    """The emergency vehicle."""

    active: bool
    """A siren is on within earshot."""
    approaching: bool
    """It comes nearer and is within 140 m."""
    ahead_m: float
    """Where it is along the road; negative is behind. 0 if not active."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The world at one time, in the ego frame."""

    config: DriveConfig
    t_ns: int
    road: Road
    ego: Ego
    users: Boxes
    scenery: Boxes
    siren: SirenState

    @property
    def t_s(self) -> float:
        """Seconds of the drive."""
        return self.t_ns / 1e9

    def everything(self) -> Boxes:
        """Users and scenery, users first."""
        return join(self.users, self.scenery)

    def road_users(self) -> tuple[RoadUser, ...]:
        """The users one by one."""
        return tuple(_road_user(self.users, i) for i in range(len(self.users)))


class World:
    """The world of one drive."""

    def __init__(self, config: DriveConfig) -> None:
        self.config = config
        self._road = Road.of(config.seed)

    def at(self, t_ns: int) -> Scene:
        """The scene at a time, in nanoseconds since the drive began; any integer is fine."""
        config, road, t_s = self.config, self._road, t_ns / 1e9
        ego = road.ego(t_s)
        passing = siren_pass.pass_at(config.seed, config.siren_every_s, t_s)
        users, things = traffic.street(config.seed, config.traffic, road, ego, t_s)
        users = join(users, siren_pass.vehicle(passing, road, ego, t_s))
        around = join(traffic.scenery(config.seed, road, ego, t_s), things)
        return Scene(config, t_ns, road, ego, users, around, _siren_state(passing, t_s))


def _siren_state(passing: siren_pass.Pass | None, t_s: float) -> SirenState:
    if passing is None:
        return SirenState(active=False, approaching=False, ahead_m=0.0)
    return SirenState(True, passing.approaching(t_s), passing.ahead_m(t_s))


def _road_user(users: Boxes, i: int) -> RoadUser:
    values = (users.x, users.y, users.heading, users.length, users.width, users.height)
    x, y, heading, length, width, height = (float(column[i]) for column in values)
    heading = float(np.arctan2(np.sin(heading), np.cos(heading)))
    label = LABELS[Kind(int(users.kind[i]))]
    speed = float(users.vx[i]), float(users.vy[i])
    return RoadUser(label, int(users.ident[i]), x, y, heading, length, width, height, *speed)
