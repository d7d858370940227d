"""The simulated lidar: one sweep of a spinning scanner, ray-cast in a scene.

Rays stop at the first box or the ground, so that what stands behind is not seen. Range noise,
lost returns, and the false returns of rain and fog are drawn from (seed, time). The sweep is a
snapshot at the scene's time.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tectum_nodes.room import Room, own_points
from tectum_nodes.simulation.boxes import Boxes, Kind, join
from tectum_nodes.simulation.chance import Floats, Ints, generator
from tectum_nodes.simulation.config import Weather
from tectum_nodes.simulation.rays import spans
from tectum_nodes.simulation.rig import LidarModel
from tectum_nodes.simulation.road import ROAD_EDGE_M
from tectum_nodes.simulation.shapes import own_colours
from tectum_nodes.simulation.world import Scene

_FINISH = np.array(
    [0.5, 0.5, 0.5, 0.42, 0.42, 0.75, 0.3, 0.5, 0.4, 0.45, 0.35, 1.1, 0.9, 1.1]
)  # what a white one of each kind would reflect, beyond the 3 % of a black one; leaves are bright
_CROWN_M = (3.4, 3.4, 2.3)  # length, width and lower edge of a tree's crown


@dataclass(frozen=True, slots=True)
class Air:
    """What weather does to light pulses; shares are of all pulses."""

    lost: float
    extinction: float
    """Per metre: of a pulse to a range r and back, exp(-2 extinction r) is left."""
    wet: float
    """What wet surfaces reflect, as a share of what they do when they are dry."""
    false: float
    """Share that comes back from drops or fog."""
    false_m: float
    """Typical range of those."""


AIR: dict[Weather, Air] = {
    "day": Air(0.01, 0.0005, 1.0, 0.0, 1.0),
    "dusk": Air(0.01, 0.0005, 1.0, 0.0, 1.0),
    "fog": Air(0.03, 0.028, 0.9, 0.06, 6.0),
    "rain": Air(0.04, 0.006, 0.55, 0.03, 8.0),
}
REACH_M = 17.0
"""Where half of the pulses find a surface that reflects a tenth, in vacuum."""


def sweep(
    scene: Scene, model: LidarModel | None = None, room: Room = own_points
) -> NDArray[np.float32]:
    """One sweep, in memory that `room` gives.

    Returns:
        float32 (n, 4): x, y, z in metres in the lidar frame and intensity 0..1, column by column
        from straight behind, counter-clockwise. n varies and may be 0.
    """
    model = model or LidarModel()
    fault = scene.config.faulty("lidar", scene.t_s)
    if fault == "dropout":
        return own_points((0, 4))
    ranges, reflected = _cast(scene, model)
    rng = generator(scene.config.seed, "lidar", scene.t_ns)
    air = _air_of(scene)
    ranges, reflected = _through_air(ranges, reflected, air, rng)
    ranges = ranges + scene.config.noise * 0.02 * rng.standard_normal(ranges.shape, np.float32)
    reflected = reflected * (1 + scene.config.noise * 0.15 * rng.standard_normal(ranges.shape))
    if fault == "sector":
        ranges[np.abs(model.directions()) < np.radians(40.0)] = np.inf
    return _points(ranges, reflected, model, room)


def _air_of(scene: Scene) -> Air:
    air, noise = AIR[scene.config.weather], scene.config.noise
    if noise == 0.0:
        return Air(0.0, 0.0, np.inf, 0.0, 1.0)
    return replace(air, lost=min(air.lost * noise, 0.9), false=min(air.false * noise, 0.9))


def _cast(scene: Scene, model: LidarModel) -> tuple[Floats, Floats]:
    """Ranges (azimuth, ring), inf where nothing returns, and the reflectivity there."""
    tangent = np.tan(model.elevations())
    distance, surface = _ground(scene, model, tangent)
    boxes, base = _solids(scene.everything(), model.range_m)
    enter, leave = spans(boxes, model.directions())
    column, row = np.nonzero((leave > np.maximum(enter, 0.0)) & (enter > 0.3))
    # Far pairs first: where two write the same beam, the last one, the nearest, stays.
    order = np.argsort(-enter[column, row], kind="stable")
    column, row = column[order], row[order]
    near, far = enter[column, row][:, None], leave[column, row][:, None]
    top, bottom = boxes.height[row][:, None], base[row][:, None]
    at_front = model.z_m + near * tangent
    with np.errstate(divide="ignore", invalid="ignore"):
        at_roof = (top - model.z_m) / tangent
    roof = (at_front > top) & (tangent < 0) & (at_roof <= far)
    hit = roof | ((at_front >= bottom) & (at_front <= top))
    pair, ring = np.nonzero(hit)
    beam = column[pair], ring
    distance[beam] = np.where(roof, at_roof, near)[hit]
    surface[beam] = _reflectivity(boxes)[row[pair]]
    return distance / np.cos(model.elevations()), surface


def _reflectivity(boxes: Boxes) -> Floats:
    """Share of near infrared that comes back: all pigments reflect it but black."""
    bright = own_colours(boxes.kind, boxes.tint).max(axis=1) / 255.0
    return np.asarray(0.03 + _FINISH[boxes.kind] * bright**2)


def _ground(scene: Scene, model: LidarModel, tangent: Floats) -> tuple[Floats, Floats]:
    below = np.where(tangent < -1e-4, tangent, -1e-4)
    flat = -model.z_m / below
    flat[flat > model.range_m] = np.inf
    distance = np.tile(flat, (model.azimuths, 1))
    side = np.abs(np.sin(model.directions())[:, None] * np.minimum(distance, 200.0) + 1.9)
    return distance, np.where(side < ROAD_EDGE_M, 0.08, 0.16)


def _solids(boxes: Boxes, range_m: float) -> tuple[Boxes, Floats]:
    """Boxes within range with their lower edges; a tree is a trunk and a crown."""
    boxes = boxes.where(np.hypot(boxes.x, boxes.y) < range_m + 12.0)
    trees = boxes.where(boxes.kind == Kind.TREE)
    length, width, lower = (np.full(len(trees), value) for value in _CROWN_M)
    crowns = replace(trees, length=length, width=width)
    return join(boxes, crowns), np.concatenate([np.zeros(len(boxes)), lower])


def _through_air(
    ranges: Floats, reflected: Floats, air: Air, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    shape = ranges.shape
    survives = (1.0 - air.lost) * _found(ranges, reflected, air)
    returned = np.where(rng.random(shape, np.float32) < survives, ranges, np.inf).ravel()
    count = int(rng.binomial(ranges.size, air.false))
    where: Ints = rng.integers(0, ranges.size, count)
    drops = 1.0 + rng.exponential(air.false_m, count)
    nearer = drops < ranges.ravel()[where]
    bright = reflected.ravel()
    returned[where[nearer]] = drops[nearer]
    bright[where[nearer]] = 0.05
    return returned.reshape(shape), bright.reshape(shape)


def _found(ranges: Floats, reflected: Floats, air: Air) -> Floats:
    """Probability that a pulse is found again, by the lidar equation.

    Of a surface that fills the beam, power falls with the square of the range and by extinction on
    the way there and back (e.g. Rasshofer, Spies and Spies 2011); around the threshold the
    probability rises with its third power.
    """
    far = np.minimum(ranges, 1e6)
    power = air.wet * reflected / 0.1 * (REACH_M / far) ** 2 * np.exp(-2 * air.extinction * far)
    return np.asarray(1.0 / (1.0 + np.maximum(power, 1e-9) ** -3.0))


def _points(
    ranges: Floats, reflected: Floats, model: LidarModel, room: Room
) -> NDArray[np.float32]:
    column, ring = np.nonzero(ranges < model.range_m)
    far = ranges[column, ring]
    azimuth, elevation = model.directions(), model.elevations()
    flat = far * np.cos(elevation)[ring]
    points: NDArray[np.float32] = room((len(far), 4))
    points[:, 0] = flat * np.cos(azimuth)[column]
    points[:, 1] = flat * np.sin(azimuth)[column]
    points[:, 2] = far * np.sin(elevation)[ring]
    points[:, 3] = np.clip(reflected[column, ring], 0.0, 1.0)
    return points
