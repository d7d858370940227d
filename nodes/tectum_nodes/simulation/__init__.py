"""The simulated drive: a small world, and the sensors that look at it.

Everything here is pure: a scene is a function of (config, time), a picture, a sweep or a sound is
a function of (config, time) as well, so that sensor processes that share nothing but the
parameters sense the same world. No socket, no thread, no clock; numpy and OpenCV only.
"""

from tectum_nodes.simulation.config import WEATHERS, DriveConfig, Fault, Weather
from tectum_nodes.simulation.world import RoadUser, Scene, SirenState, World

__all__ = [
    "WEATHERS",
    "DriveConfig",
    "Fault",
    "RoadUser",
    "Scene",
    "SirenState",
    "Weather",
    "World",
]
