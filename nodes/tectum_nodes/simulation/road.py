"""The road and the ego vehicle on it.

The road is the graph of a smooth function over the plane, endless in both directions. A place on
it is (s, d): metres along, and metres left of the centre line. The ego drives on the right, in
the lane next to the centre, with a gently changing speed.
"""

from dataclasses import dataclass

import numpy as np

from tectum_nodes.simulation.chance import Floats, uniform_one

EGO_OFFSET_M = -1.9
LANE_EDGE_M = 3.7
ROAD_EDGE_M = 9.2
PAVEMENT_EDGE_M = 12.8

# Bends: amplitude in metres and wave number per metre. Slopes stay below 0.1 together.
_BENDS = ((9.0, 2 * np.pi / 890.0), (2.2, 2 * np.pi / 310.0))
_SWAY = ((9.0, 2 * np.pi / 23.0), (5.0, 2 * np.pi / 41.0))
_CRUISE_MPS = 9.0


@dataclass(frozen=True, slots=True)
class Ego:
    """Where the ego vehicle is."""

    s: float
    """Metres along the road."""
    speed_mps: float
    x: float
    """Position on the plane, metres."""
    y: float
    yaw: float
    """Direction on the plane, radians."""


@dataclass(frozen=True, slots=True)
class Road:
    """The road of one seed."""

    phases: tuple[float, ...]

    @classmethod
    def of(cls, seed: int) -> "Road":
        """The road that a seed has."""
        return cls(tuple(2 * np.pi * uniform_one(seed, "road", i) for i in range(4)))

    def ego(self, t_s: float) -> Ego:
        """The ego vehicle at a time."""
        s, speed = self.travelled(t_s)
        slope = float(self.slope(np.array(s)))
        yaw = float(np.arctan(slope))
        y = float(self.centre(np.array(s))) + EGO_OFFSET_M
        return Ego(s, speed, s, y, yaw)

    def travelled(self, t_s: float) -> tuple[float, float]:
        """Metres along the road and the speed, at a time."""
        s, speed = _CRUISE_MPS * t_s, _CRUISE_MPS
        for (amplitude, rate), phase in zip(_SWAY, self.phases[2:], strict=True):
            s += amplitude * float(np.sin(rate * t_s + phase))
            speed += amplitude * rate * float(np.cos(rate * t_s + phase))
        return s, speed

    def centre(self, s: Floats) -> Floats:
        """Ordinate of the centre line on the plane."""
        y = np.zeros_like(s)
        for (amplitude, rate), phase in zip(_BENDS, self.phases, strict=False):
            y = y + amplitude * np.sin(rate * s + phase)
        return y

    def slope(self, s: Floats) -> Floats:
        """Derivative of the centre line."""
        slope = np.zeros_like(s)
        for (amplitude, rate), phase in zip(_BENDS, self.phases, strict=False):
            slope = slope + amplitude * rate * np.cos(rate * s + phase)
        return slope

    def seen(self, ego: Ego, s: Floats, d: Floats) -> tuple[Floats, Floats, Floats]:
        """Places on the road as the ego sees them: x forward, y left, direction of the road."""
        dx, dy = s - ego.x, self.centre(s) + d - ego.y
        cos, sin = np.cos(ego.yaw), np.sin(ego.yaw)
        x, y = cos * dx + sin * dy, cos * dy - sin * dx
        return x, y, np.arctan(self.slope(s)) - ego.yaw
