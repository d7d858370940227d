"""Sky, hills, street and markings: the picture before anything stands in it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from tectum_nodes.simulation.chance import Floats
from tectum_nodes.simulation.light import Light
from tectum_nodes.simulation.rig import CameraModel
from tectum_nodes.simulation.road import LANE_EDGE_M, PAVEMENT_EDGE_M, ROAD_EDGE_M
from tectum_nodes.simulation.world import Scene

Image = NDArray[np.uint8]
SHIFT = 4
_STATIONS = np.concatenate([np.linspace(0.8, 6.0, 8), np.geomspace(7.0, 160.0, 24)])
_DASH_M, _GAP_M = 3.0, 6.0
_LINE: tuple[int, int, int] = (222, 226, 228)
_HILLS = ((0.9, 7.0, 3.0), (2.1, 17.0, 1.6), (4.4, 41.0, 0.7))  # phase, waves per turn, height


def paint(image: Image, scene: Scene, model: CameraModel, light: Light) -> None:
    """Paint sky and ground over the whole picture."""
    _sky(image, scene, model, light)
    image[int(model.cy_px) :] = _dim(light.verge, light)
    street = _street(scene.ego.s)
    place = np.concatenate([polygon for polygon, _ in street])
    pixels = _on_picture(scene, model, place[:, 0], place[:, 1])
    ends = np.cumsum([len(polygon) for polygon, _ in street])
    tones = {"pavement": light.pavement, "asphalt": light.asphalt, "line": _LINE}
    for (_, tone), polygon in zip(street, np.split(pixels, ends[:-1]), strict=True):
        _fill(image, polygon, _dim(tones[tone], light))
    _haze(image, model, light)


def _street(s: float) -> list[tuple[Floats, str]]:
    """Polygons of places (along, left) on the road, with their tones, in painting order."""
    street = [
        (_band(s, -PAVEMENT_EDGE_M, PAVEMENT_EDGE_M), "pavement"),
        (_band(s, -ROAD_EDGE_M, ROAD_EDGE_M), "asphalt"),
    ]
    lines = (0.3 - ROAD_EDGE_M, ROAD_EDGE_M - 0.3, -7.3, 7.3, -0.14, 0.14)
    street += [(_band(s, edge - 0.06, edge + 0.06), "line") for edge in lines]
    return street + [(dash, "line") for dash in _dashes(s)]


def _band(s: float, right: float, left: float) -> Floats:
    along = s + _STATIONS
    out = np.stack([along, np.full_like(along, right)], axis=1)
    home = np.stack([along, np.full_like(along, left)], axis=1)
    return np.concatenate([out, home[::-1]])


def _dashes(s: float) -> list[Floats]:
    period = _DASH_M + _GAP_M
    first = np.ceil((s + 0.8 - _DASH_M) / period) * period
    dashes = []
    for edge in (-LANE_EDGE_M, LANE_EDGE_M):
        for begin in first + period * np.arange(8):
            low, high = max(begin, s + 0.8), begin + _DASH_M
            right, left = edge - 0.07, edge + 0.07
            dashes.append(np.array([(low, right), (high, right), (high, left), (low, left)]))
    return dashes


def _dim(colour: tuple[int, int, int], light: Light) -> tuple[int, ...]:
    return tuple(int(c * light.day) for c in colour)


def _sky(image: Image, scene: Scene, model: CameraModel, light: Light) -> None:
    rows = int(model.cy_px) + 1
    share = np.linspace(0.0, 1.0, rows)[:, None] ** 1.5
    gradient = np.array(light.zenith) * (1 - share) + np.array(light.horizon) * share
    image[:rows] = gradient.astype(np.uint8)[:, None, :]
    column = np.linspace(0, model.width, 41)
    azimuth = scene.ego.yaw + np.arctan((model.cx_px - column) / model.focal_px)
    height = np.full_like(column, 4.5)
    for phase, waves, metres in _HILLS:
        height += metres * np.sin(waves * azimuth + phase)
    edge = model.cy_px - np.maximum(height, 0.5) * model.focal_px / 220.0
    outline = np.stack([column, edge], axis=1)
    low = np.array([[model.width, model.cy_px + 1], [0, model.cy_px + 1]])
    far = 0.45 * min(light.sight_m / 200.0, 1.0)
    hill = np.array(light.verge) * light.day * far + np.array(light.horizon) * (1 - far)
    _fill(image, np.concatenate([outline, low]), tuple(int(c) for c in hill))


def _on_picture(scene: Scene, model: CameraModel, s: Floats, d: Floats) -> Floats:
    x, y, _ = scene.road.seen(scene.ego, s, d)
    ahead = np.maximum(x - model.x_m, 0.4)
    u = model.cx_px - model.focal_px * y / ahead
    return np.stack([u, model.cy_px + model.focal_px * model.z_m / ahead], axis=1)


def _fill(image: Image, polygon: Floats, colour: tuple[int, ...]) -> None:
    limit = 16.0 * image.shape[1]
    fixed = np.round(np.clip(polygon, -limit, limit) * (1 << SHIFT)).astype(np.int32)
    cv2.fillPoly(image, [fixed], colour, cv2.LINE_AA, SHIFT)


def _haze(image: Image, model: CameraModel, light: Light) -> None:
    """The ground fades to the colour of the horizon with distance."""
    horizon = int(model.cy_px)
    rows = np.arange(horizon, model.height) + 0.5 - model.cy_px
    distance = model.focal_px * model.z_m / np.maximum(rows, 0.2)
    clear = np.exp(-distance / light.sight_m).astype(np.float32)[:, None, None]
    below = image[horizon:]
    haze = (np.array(light.horizon, np.float32) * (1 - clear)).astype(np.float32)
    below[:] = cv2.multiply(below, np.broadcast_to(clear, below.shape), dtype=cv2.CV_32F) + haze
