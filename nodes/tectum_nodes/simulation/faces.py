"""From boxes to painted polygons on the picture.

All parts of all boxes are turned, culled, projected and coloured at once; only polygons that
reach behind the lens are cut one by one.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tectum_nodes.simulation.boxes import Boxes, Kind
from tectum_nodes.simulation.chance import Floats, Ints
from tectum_nodes.simulation.light import Light
from tectum_nodes.simulation.rig import CameraModel
from tectum_nodes.simulation.shapes import BLUE_LIGHT, OWN, SHAPES, own_colours

NEAR_M = 0.35
_SUN = np.array([-0.55, 0.75])  # direction to the sun on the plane, in the ego frame

# Corners of a cuboid as picks of (along, across, up), and faces as corners, seen from outside.
_PICK = np.array([(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)])
_FACES = np.array([(4, 6, 7, 5), (0, 1, 3, 2), (2, 3, 7, 6), (0, 4, 5, 1), (1, 5, 7, 3)])
_NORMALS = np.array(
    [(1.0, 0.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, -1.0, 0.0), (0, 0, 1)]
)


@dataclass(frozen=True, slots=True)
class Faces:
    """Polygons to paint, in order."""

    corners: Floats
    """(n, 4, 2) pixels."""
    colour: Floats
    """(n, 3) blue, green, red, 0..255."""
    glows: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Table:
    """The parts of all kinds as columns; those of a kind are consecutive."""

    first: Ints
    count: Ints
    corners: Floats
    """(parts, 8, 3) in shares of the box."""
    mask: NDArray[np.bool_]
    """(parts, 5): which faces there are."""
    colour: Floats
    own: NDArray[np.bool_]
    glows: NDArray[np.bool_]
    blinks: NDArray[np.bool_]
    near_only: NDArray[np.bool_]


@cache
def _table() -> _Table:
    parts = [part for kind in Kind for part in SHAPES[kind]]
    count = np.array([len(SHAPES[kind]) for kind in Kind])
    extents = np.array([(p.along, p.across, p.up) for p in parts], float)
    corners = extents[:, np.arange(3), _PICK]
    mask = np.array([[bool(p.faces >> k & 1) for k in range(5)] for p in parts])
    return _Table(
        np.cumsum(count) - count, count, corners, mask,
        np.array([p.colour for p in parts], float),
        np.array([p.colour == OWN for p in parts]), np.array([p.glows for p in parts]),
        np.array([p.colour == BLUE_LIGHT for p in parts]),
        np.array([p.near_only for p in parts]),
    )  # fmt: skip


def faces_of(boxes: Boxes, model: CameraModel, light: Light, t_s: float) -> Faces:
    """The visible faces of boxes, in the order of the boxes and of their parts."""
    box, part = _parts_of(boxes)
    table = _table()
    corners = _turned(boxes, box, table.corners[part])
    shown = table.mask[part] & _facing(boxes, box, corners, model)
    row, face = np.nonzero(shown)
    polygons = corners[row[:, None], _FACES[face]]
    colour = _colours(boxes, box, part, t_s)[row]
    glows = table.glows[part][row]
    shade = _shade(boxes.heading[box[row]], face, light)
    colour = colour * np.where(glows, max(light.day, 0.95), light.day * shade)[:, None]
    distance = np.hypot(boxes.x, boxes.y)[box[row]]
    clear = np.exp(-distance / (light.sight_m * np.where(glows, 2.0, 1.0)))[:, None]
    colour = np.clip(colour * clear + np.array(light.horizon) * (1 - clear), 0, 255)
    return _projected(polygons, colour, glows, model)


def _parts_of(boxes: Boxes) -> tuple[Ints, Ints]:
    """Pairs (box, part), without the parts that would be specks."""
    table = _table()
    count = table.count[boxes.kind]
    box = np.repeat(np.arange(len(boxes)), count)
    start = np.repeat(np.cumsum(count) - count, count)
    part = np.repeat(table.first[boxes.kind], count) + np.arange(len(box)) - start
    keep = ~(table.near_only[part] & (np.hypot(boxes.x, boxes.y)[box] > 45.0))
    return box[keep], part[keep]


def _turned(boxes: Boxes, box: Ints, shares: Floats) -> Floats:
    """Corners of parts in the ego frame, (parts, 8, 3)."""
    along = shares[..., 0] * (boxes.length[box] / 2)[:, None]
    across = shares[..., 1] * (boxes.width[box] / 2)[:, None]
    cos, sin = np.cos(boxes.heading[box])[:, None], np.sin(boxes.heading[box])[:, None]
    x = boxes.x[box][:, None] + cos * along - sin * across
    y = boxes.y[box][:, None] + sin * along + cos * across
    return np.stack([x, y, shares[..., 2] * boxes.height[box][:, None]], axis=-1)


def _facing(boxes: Boxes, box: Ints, corners: Floats, model: CameraModel) -> NDArray[np.bool_]:
    """Which faces look towards the camera and reach in front of it, (parts, 5)."""
    cos, sin = np.cos(boxes.heading[box])[:, None], np.sin(boxes.heading[box])[:, None]
    nx, ny = (
        _NORMALS[:, 0] * cos - _NORMALS[:, 1] * sin,
        _NORMALS[:, 0] * sin + _NORMALS[:, 1] * cos,
    )
    middle = corners[:, _FACES].mean(axis=2)
    to_lens = np.array([model.x_m, 0.0, model.z_m]) - middle
    towards = nx * to_lens[..., 0] + ny * to_lens[..., 1] + _NORMALS[:, 2] * to_lens[..., 2] > 0
    ahead = (corners[:, _FACES, 0] > model.x_m + NEAR_M).any(axis=2)
    return np.asarray(towards & ahead)


def _colours(boxes: Boxes, box: Ints, part: Ints, t_s: float) -> Floats:
    table = _table()
    own = own_colours(boxes.kind[box], boxes.tint[box])
    colour = np.where(table.own[part][:, None], own, table.colour[part])
    # Blue lights flash three times a second, left and right in turn.
    lit = np.floor(t_s * 6.0 + (table.corners[part, 0, 1] > 0)) % 2 == 0
    colour[table.blinks[part] & ~lit] *= 0.45
    return colour


def _shade(heading: Floats, face: Ints, light: Light) -> Floats:
    cos, sin = np.cos(heading), np.sin(heading)
    nx = _NORMALS[face, 0] * cos - _NORMALS[face, 1] * sin
    ny = _NORMALS[face, 0] * sin + _NORMALS[face, 1] * cos
    sun = np.maximum(nx * _SUN[0] + ny * _SUN[1], 0.0)
    return np.where(face == 4, 1.0, 0.66 + light.sun * sun)


def _projected(
    polygons: Floats, colour: Floats, glows: NDArray[np.bool_], model: CameraModel
) -> Faces:
    ahead = polygons[..., 0] - model.x_m
    cut = np.nonzero((ahead < NEAR_M).any(axis=1))[0]
    for row in cut:
        polygons[row] = _clipped(polygons[row], model.x_m + NEAR_M)
    ahead = np.maximum(polygons[..., 0] - model.x_m, NEAR_M)
    u = model.cx_px - model.focal_px * polygons[..., 1] / ahead
    v = model.cy_px + model.focal_px * (model.z_m - polygons[..., 2]) / ahead
    limit = 16.0 * model.width
    corners = np.clip(np.stack([u, v], axis=-1), -limit, limit)
    low, high = corners.min(axis=1), corners.max(axis=1)
    size = np.array([model.width, model.height])
    shown = ((high > 0) & (low < size)).all(axis=1) & ((high - low).max(axis=1) > 0.8)
    return Faces(corners[shown], colour[shown], glows[shown])


def _clipped(polygon: Floats, near: float) -> Floats:
    """A four-sided polygon with its corners behind x = near moved along its edges to it."""
    moved = polygon.copy()
    for k in range(4):
        if polygon[k, 0] >= near:
            continue
        for other in (polygon[k - 1], polygon[(k + 1) % 4]):
            if other[0] > near:
                share = (near - polygon[k, 0]) / (other[0] - polygon[k, 0])
                moved[k] = polygon[k] + share * (other - polygon[k])
                break
        else:
            moved[k, 0] = near
    return moved
