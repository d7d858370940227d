"""The simulated camera: a picture rendered from a scene.

A painter's algorithm over the faces of boxes, far things first, with haze by distance; then the
lens and the sensor: halos, rain, blur, noise. A function of (config, time): equal scenes give
equal bytes. Nearer things cover farther ones, so the picture does not show what is hidden.
"""

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tectum_nodes.room import Room, own_pixels
from tectum_nodes.simulation import ground
from tectum_nodes.simulation.boxes import Boxes, Kind
from tectum_nodes.simulation.chance import generator, uniform_one
from tectum_nodes.simulation.faces import Faces, faces_of
from tectum_nodes.simulation.light import LIGHTS, Light
from tectum_nodes.simulation.rig import CameraModel
from tectum_nodes.simulation.world import Scene

Image = NDArray[np.uint8]
PITCH_RAD = np.radians([0.45, 0.4])  # of the fast and of the slow swaying
SHIFT = 4  # binary digits of sub-pixel positions that OpenCV is given


def render(scene: Scene, model: CameraModel | None = None, room: Room = own_pixels) -> Image:
    """The picture of a scene, painted in memory that `room` gives.

    Returns:
        uint8 (height, width, 3), blue, green, red.
    """
    model = _shaken(model or CameraModel(), scene)
    light = LIGHTS[scene.config.weather]
    fault = scene.config.faulty("camera", scene.t_s)
    image: Image = room((model.height, model.width, 3))
    ground.paint(image, scene, model, light)
    if fault == "blackout":
        image[:] = 6
    else:
        _paint(image, scene, model, light)
    _expose(image, scene, light)
    if fault == "blur":
        sigma = model.width / 64
        cv2.GaussianBlur(image, (0, 0), sigma, dst=image)
    return image


def _shaken(model: CameraModel, scene: Scene) -> CameraModel:
    """The camera as the car pitches on its springs, by about half a degree: the horizon moves."""
    turns = scene.t_s * np.array([1.3, 0.37])
    phases = [uniform_one(scene.config.seed, "pitch", k) for k in range(2)]
    pitch = scene.config.noise * float(np.sin(2 * np.pi * (turns + phases)) @ PITCH_RAD)
    return replace(model, cy_px=model.cy_px + model.focal_px * pitch)


def _paint(image: Image, scene: Scene, model: CameraModel, light: Light) -> None:
    boxes = scene.everything()
    boxes = boxes.where(_far_first(boxes, model, light))
    if not len(boxes):
        return
    faces = faces_of(boxes, model, light, scene.t_s)
    shadows = _shadows(boxes, model)
    colour = tuple(int(0.45 * c * light.day) for c in light.asphalt)
    strength = 0.55 if light.sun > 0.1 else 0.3
    _cast_shadows(image, shadows, colour, strength)
    fixed = np.round(faces.corners * (1 << SHIFT)).astype(np.int32)
    for polygon, colour in zip(list(fixed), faces.colour.tolist(), strict=True):
        cv2.fillConvexPoly(image, polygon, colour, cv2.LINE_AA, SHIFT)
    if light.lamps > 0.0:
        _halos(image, faces, light)


def _far_first(boxes: Boxes, model: CameraModel, light: Light) -> NDArray[np.int64]:
    """Indices of what may be in the picture, buildings first, then by distance."""
    distance = np.hypot(boxes.x, boxes.y)
    half = boxes.length / 2 + 2.0
    wide = model.width / 2 / model.focal_px
    inside = (boxes.x + half > 0.5) & (np.abs(boxes.y) - half < wide * (boxes.x + half) + 1.0)
    inside &= distance < min(120.0, 4.5 * light.sight_m)
    found = np.nonzero(inside)[0]
    behind = (boxes.kind[found] == Kind.BUILDING) * 1000.0
    return found[np.argsort(-distance[found] - behind, kind="stable")]


def _shadows(boxes: Boxes, model: CameraModel) -> NDArray[np.int32]:
    """Footprints on the picture, of boxes that are wholly in front, (n, 4, 2) fixed point."""
    corners = boxes.where((boxes.kind != Kind.BUILDING) & (boxes.x < 60.0)).corners()
    corners = corners[(corners[:, :, 0] > model.x_m + 0.8).all(axis=1)]
    ahead = corners[:, :, 0] - model.x_m
    u = model.cx_px - model.focal_px * corners[:, :, 1] / ahead
    v = model.cy_px + model.focal_px * model.z_m / ahead
    return np.round(np.stack([u, v], axis=-1) * (1 << SHIFT)).astype(np.int32)


def _cast_shadows(
    image: Image, shadows: NDArray[np.int32], colour: tuple[int, ...], strength: float
) -> None:
    below = image[image.shape[0] * 2 // 5 :]
    shade = below.copy()
    offset = np.array([0, (image.shape[0] * 2 // 5) << SHIFT], np.int32)
    for polygon in shadows:
        cv2.fillConvexPoly(shade, polygon - offset, colour, cv2.LINE_AA, SHIFT)
    cv2.addWeighted(shade, strength, below, 1.0 - strength, 0.0, dst=below)


def _halos(image: Image, faces: Faces, light: Light) -> None:
    """Light spreads around lamps: blurred copies of the glowing faces are added."""
    small = np.zeros((image.shape[0] // 4, image.shape[1] // 4, 3), np.uint8)
    fixed = np.round(faces.corners[faces.glows] * (1 << SHIFT) / 4).astype(np.int32)
    for polygon, colour in zip(fixed, faces.colour[faces.glows].tolist(), strict=True):
        cv2.fillConvexPoly(small, polygon, colour, cv2.LINE_AA, SHIFT)
    sigma = image.shape[1] / 160
    halo = cv2.GaussianBlur(small, (0, 0), sigma)
    grown = cv2.resize(halo, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
    cv2.scaleAdd(grown, 1.6 * light.lamps, image, dst=image)


def _expose(image: Image, scene: Scene, light: Light) -> None:
    rng = generator(scene.config.seed, "camera", scene.t_ns)
    noise = scene.config.noise
    if light.streaks and noise > 0.0:
        _rain(image, rng, light.streaks)
    if light.drops and noise > 0.0:
        _wet_lens(image, scene, light.drops)
    if noise > 0.0:
        grain = _grain(image.shape, light.noise * noise, rng)
        cv2.add(image, grain, dst=image, dtype=cv2.CV_8U)


def _rain(image: Image, rng: np.random.Generator, count: int) -> None:
    height, width = image.shape[:2]
    start = rng.random((count, 2)) * (width, height)
    length = (0.03 + 0.07 * rng.random(count)) * height
    end = start + np.stack([-0.12 * length, length], axis=1)
    lines = np.round(np.stack([start, end], axis=1)).astype(np.int32)
    veil = image.copy()
    thick = max(1, width // 640)
    cv2.polylines(veil, list(lines), False, (205, 200, 196), thick, cv2.LINE_AA)
    cv2.addWeighted(veil, 0.4, image, 0.6, 0.0, dst=image)


def _wet_lens(image: Image, scene: Scene, count: int) -> None:
    """Drops on the lens, through which nothing is sharp; the wiper comes every two seconds."""
    height, width = image.shape[:2]
    draw = generator(scene.config.seed, "drops", scene.t_ns // 2_000_000_000).random((count, 3))
    mask = np.zeros((height, width), np.uint8)
    for u, v, size in draw:
        radius = round((0.012 + 0.035 * size**2) * width)
        cv2.circle(mask, (int(u * width), int(v * height)), radius, 255, cv2.FILLED)
    cv2.copyTo(cv2.GaussianBlur(image, (0, 0), width / 80), mask, image)


def _grain(shape: tuple[int, ...], sigma: float, rng: np.random.Generator) -> NDArray[np.int16]:
    """Pixel noise: a cut, at a random place, from a tile of noise that is drawn once."""
    height, width = shape[:2]
    top, left = rng.integers(0, 96, 2)
    return _tile(height + 96, width + 96, sigma)[top : top + height, left : left + width]


@lru_cache(maxsize=8)
def _tile(height: int, width: int, sigma: float) -> NDArray[np.int16]:
    """Normal noise; the tile is the same for all drives, the cuts are not."""
    draw = generator(0, "grain").standard_normal((height, width, 3), np.float32)
    return np.round(draw * sigma).astype(np.int16)
