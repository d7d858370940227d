"""Passes of an emergency vehicle with its siren on.

Time is cut into turns; in each, a vehicle comes from behind or from ahead, passes between the
lanes, and goes away. Its distance along the road relative to the ego is linear in time, which
keeps the sound (see `siren.py`) a closed formula.
"""

from dataclasses import dataclass

import numpy as np

from tectum_nodes.simulation.boxes import Boxes, Kind
from tectum_nodes.simulation.chance import uniform_one
from tectum_nodes.simulation.road import EGO_OFFSET_M, Ego, Road
from tectum_nodes.simulation.traffic import Movers, nobody

REACH_M = 180.0
APPROACH_M = 140.0
GAP_M = -EGO_OFFSET_M
"""Sideways distance between the vehicle, on the centre line, and the ego."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass of an emergency vehicle."""

    turn: int
    middle_s: float
    """When it is beside the ego, in seconds of the drive."""
    speed_mps: float
    """Along the road relative to the ego; negative comes from ahead."""
    wail: bool
    """A rising and falling tone; otherwise two tones."""
    pitch: float
    """Factor on all frequencies."""

    def ahead_m(self, t_s: float) -> float:
        """Distance along the road, ahead of the ego."""
        return self.speed_mps * (t_s - self.middle_s)

    def heard(self, t_s: float) -> bool:
        """Whether the siren is on."""
        return abs(self.ahead_m(t_s)) < REACH_M

    def approaching(self, t_s: float) -> bool:
        """Whether it comes nearer, and is near enough to matter."""
        return t_s < self.middle_s and abs(self.ahead_m(t_s)) < APPROACH_M


def pass_of_turn(seed: int, every_s: float, turn: int) -> Pass | None:
    """The pass of a turn, if the turn has one (four in five do)."""
    if every_s == 0.0 or uniform_one(seed, "siren/fill", turn) >= 0.8:
        return None
    behind = uniform_one(seed, "siren/behind", turn) < 0.5
    draw = uniform_one(seed, "siren/speed", turn)
    speed = 12.5 + 4.0 * draw if behind else -(22.0 + 8.0 * draw)
    middle = (turn + 0.5 + 0.1 * (uniform_one(seed, "siren/middle", turn) - 0.5)) * every_s
    pitch = 0.99 + 0.02 * uniform_one(seed, "siren/pitch", turn)
    return Pass(turn, middle, speed, uniform_one(seed, "siren/wail", turn) < 0.4, pitch)


def pass_at(seed: int, every_s: float, t_s: float) -> Pass | None:
    """The pass that is on at a time; turns do not overlap."""
    if every_s == 0.0:
        return None
    found = pass_of_turn(seed, every_s, int(np.floor(t_s / every_s)))
    return found if found is not None and found.heard(t_s) else None


def vehicle(passing: Pass | None, road: Road, ego: Ego, t_s: float) -> Boxes:
    """The emergency vehicle of a pass, as a box."""
    if passing is None:
        return nobody()
    kind = np.array([Kind.AMBULANCE], np.int64)
    ident = np.array([(passing.turn << 6) | 63], np.int64)
    s = np.array([ego.s + passing.ahead_m(t_s)])
    speed = np.array([ego.speed_mps + passing.speed_mps])
    half = np.array([0.5])
    return Movers(kind, ident, s, 0.0 * half, speed, half, half).seen(road, ego)
