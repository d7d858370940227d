"""Light and air of each weather, as the camera sees them."""

from dataclasses import dataclass

from tectum_nodes.simulation.config import Weather
from tectum_nodes.simulation.shapes import Colour


@dataclass(frozen=True, slots=True)
class Light:
    """One kind of light."""

    zenith: Colour
    horizon: Colour
    """Also the colour that distance fades to."""
    sight_m: float
    """Contrast at a distance r is exp(-r / sight_m)."""
    day: float
    """Brightness of what does not glow."""
    sun: float
    """How much brighter a face towards the sun is."""
    noise: float
    """Standard deviation of the pixel noise, in grey levels."""
    lamps: float
    """Strength of the halo around lights."""
    streaks: int
    """Rain streaks in a picture of 320 x 192."""
    drops: int
    """Drops on the lens."""
    asphalt: Colour = (96, 93, 92)
    verge: Colour = (88, 128, 98)
    pavement: Colour = (142, 146, 150)


LIGHTS: dict[Weather, Light] = {
    "day": Light((225, 165, 95), (235, 222, 200), 260.0, 1.0, 0.38, 2.5, 0.0, 0, 0),
    "dusk": Light((34, 20, 17), (38, 44, 66), 160.0, 0.15, 0.08, 9.0, 1.0, 0, 0),
    "fog": Light((208, 206, 202), (206, 204, 200), 21.0, 0.9, 0.06, 6.0, 0.35, 0, 0),
    "rain": Light((128, 120, 112), (158, 152, 146), 55.0, 0.55, 0.08, 7.5, 0.5, 90, 16),
}
