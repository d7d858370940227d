"""Pictures of results: what was fused, drawn for a person. Arrays in, one bgr8 image out.

Nothing is shown or written here; a caller passes the image to a file, a window or a topic.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Bar", "draw_boxes", "draw_grid", "draw_objects"]

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]
Bar = tuple[str, float]
"""A name and a probability."""

FONT = cv2.FONT_HERSHEY_SIMPLEX
BACKGROUND: Colour = (24, 22, 20)
LEAD: Colour = (80, 220, 120)
FAINT: Colour = (90, 90, 90)
HOT: Colour = (40, 90, 235)
WHITE: Colour = (245, 245, 245)
PALETTE: tuple[Colour, ...] = (
    (80, 170, 255), (235, 170, 80), (110, 110, 245), (200, 120, 220), (190, 200, 90),
)  # fmt: skip
"""Colours of labels, bgr, taken in turn."""
PIXELS_PER_M = 9.0
AHEAD_M, ASIDE_M = 48.0, 16.0
"""How far the view from above reaches forward, and to each side."""


def draw_objects(
    image: NDArray[Any],
    points: NDArray[Any],
    objects: NDArray[Any],
    labels: Sequence[str] = (),
    *,
    lead: int | None = None,
    in_image: NDArray[np.bool_] | None = None,
    title: str = "",
) -> Image:
    """Return the image with boxes and distances, and beside it the lidar seen from above.

    Args:
        image: bgr8 (H, W, 3).
        points: (n, 3+), x forward, y left, z up, in metres.
        objects: (m, 11), columns `tectum.fusion.objects.OBJECT_COLUMNS`.
        labels: names of the label column's values.
        lead: row of the object that is drawn as the one ahead.
        in_image: (m,) which have their box in this image; default: all.
        title: one line along the top.
    """
    annotated = _copied(image)
    boxed = np.ones(len(objects), bool) if in_image is None else in_image
    for row in np.flatnonzero(boxed)[::-1]:  # the surest on top
        _box(annotated, objects[row], _name(objects[row], labels), _colour(objects, row, lead))
    above = _from_above(points)
    for row in range(len(objects) - 1, -1, -1):
        _place(above, objects[row], _colour(objects, row, lead))
    return _beside(annotated, above, title)


def draw_grid(
    image: NDArray[Any],
    points: NDArray[Any],
    grid: NDArray[Any],
    place: Mapping[str, float],
    bars: Sequence[Bar] = (),
    *,
    title: str = "",
) -> Image:
    """Return the image over its bars, and beside it the grid of probabilities from above.

    Args:
        image: bgr8 (H, W, 3).
        points: (n, 3+), x forward, y left, z up, in metres.
        grid: (rows, columns), row `i` from `x_min_m + i * cell_m`, column `j` likewise in y.
        place: `x_min_m`, `y_min_m`, `cell_m`.
        bars: probabilities to be shown.
        title: one line along the top.
    """
    above = _from_above(points, heat=_heat(grid, place))
    return _beside(_over_bars(_copied(image), bars), above, title)


def draw_boxes(
    image: NDArray[Any], boxes: NDArray[Any], bars: Sequence[Bar] = (), *, title: str = ""
) -> Image:
    """Return the image with boxes, and below it bars of probabilities.

    Args:
        image: bgr8 (H, W, 3).
        boxes: (n, 6): x1 y1 x2 y2 in pixels, score, label.
        bars: names and probabilities; NaN where one is not known.
        title: one line along the top.
    """
    annotated = _copied(image)
    for row, box in enumerate(boxes):
        _rectangle(annotated, box, LEAD if row == 0 else FAINT)
    return _beside(_over_bars(annotated, bars), None, title)


def _copied(image: NDArray[Any]) -> Image:
    return np.ascontiguousarray(image[..., :3], np.uint8).copy()


def _over_bars(picture: Image, bars: Sequence[Bar]) -> Image:
    if not bars:
        return picture
    panel = np.full((18 * len(bars) + 12, picture.shape[1], 3), BACKGROUND, np.uint8)
    for row, (name, share) in enumerate(bars):
        _bar(panel, 10 + 18 * row, name, share, LEAD if row == 0 else PALETTE[0])
    return np.concatenate([picture, panel])


def _name(item: NDArray[Any], labels: Sequence[str]) -> str:
    label = int(item[5])
    return labels[label] if label < len(labels) else str(label)


def _colour(objects: NDArray[Any], row: int, lead: int | None) -> Colour:
    return LEAD if row == lead else PALETTE[int(objects[row, 5]) % len(PALETTE)]


def _box(image: Image, item: NDArray[Any], name: str, colour: Colour) -> None:
    _rectangle(image, item, colour)
    distance = f" {item[6]:.1f} m" if np.isfinite(item[6]) else " ?"
    x, y = max(int(item[0]), 0), max(int(item[1]), 14)
    (width, height), _ = cv2.getTextSize(name + distance, FONT, 0.42, 1)
    cv2.rectangle(image, (x, y - height - 6), (x + width + 6, y), colour, cv2.FILLED)
    cv2.putText(image, name + distance, (x + 3, y - 4), FONT, 0.42, (0, 0, 0), 1, cv2.LINE_AA)


def _rectangle(image: Image, item: NDArray[Any], colour: Colour) -> None:
    x1, y1, x2, y2 = (round(float(side)) for side in item[:4])
    cv2.rectangle(image, (x1, y1), (x2, y2), colour, 2, cv2.LINE_AA)


def _from_above(points: NDArray[Any], heat: Image | None = None) -> Image:
    """Return the cloud from above, forward up, brighter where higher; on `heat` if given."""
    size = (round(AHEAD_M * PIXELS_PER_M), round(2 * ASIDE_M * PIXELS_PER_M))
    canvas = np.full((*size, 3), BACKGROUND, np.uint8) if heat is None else heat
    for distance in range(10, int(AHEAD_M) + 1, 10):
        y = _pixel(distance, 0.0)[1]
        cv2.line(canvas, (0, y), (size[1], y), (55, 52, 50), 1)
        cv2.putText(canvas, f"{distance} m", (4, y - 4), FONT, 0.38, FAINT, 1, cv2.LINE_AA)
    columns = (ASIDE_M - points[:, 1]) * PIXELS_PER_M
    rows = (AHEAD_M - points[:, 0]) * PIXELS_PER_M
    seen = (columns >= 0) & (columns < size[1]) & (rows >= 0) & (rows < size[0])
    height = np.clip((points[seen, 2] + 2.0) / 3.5, 0, 1)
    shades = _shades()[(80 + 175 * height).astype(int)]
    canvas[rows[seen].astype(int), columns[seen].astype(int)] = shades
    return canvas


@functools.cache
def _shades() -> Image:
    """Return 256 colours (256, 3), dark to bright."""
    ramp = np.arange(256, dtype=np.uint8)
    return np.asarray(cv2.applyColorMap(ramp, cv2.COLORMAP_BONE), np.uint8).reshape(256, 3)


def _heat(grid: NDArray[Any], place: Mapping[str, float]) -> Image:
    """Return the view from above with each cell of `grid` filled, brighter where more probable."""
    size = (round(AHEAD_M * PIXELS_PER_M), round(2 * ASIDE_M * PIXELS_PER_M))
    canvas = np.full((*size, 3), BACKGROUND, np.uint8)
    cell_m, low = float(place["cell_m"]), np.array(BACKGROUND, np.float64)
    for (i, j), share in np.ndenumerate(grid):
        x_m, y_m = float(place["x_min_m"]) + i * cell_m, float(place["y_min_m"]) + j * cell_m
        colour = low + float(np.clip(share, 0, 1)) * (np.array(HOT) - low)
        left, bottom = _pixel(x_m, y_m + cell_m)
        right, top = _pixel(x_m + cell_m, y_m)
        fill = tuple(float(part) for part in colour)
        cv2.rectangle(canvas, (left, top), (right, bottom), fill, cv2.FILLED)
    return canvas


def _place(above: Image, item: NDArray[Any], colour: Colour) -> None:
    if not np.isfinite(item[6]):
        return
    x, y = _pixel(float(item[7]), float(item[8]))
    cv2.circle(above, (x, y), 6, colour, 2, cv2.LINE_AA)
    cv2.putText(above, f"{item[6]:.1f}", (x + 9, y + 4), FONT, 0.38, colour, 1, cv2.LINE_AA)


def _pixel(forward_m: float, left_m: float) -> tuple[int, int]:
    return round((ASIDE_M - left_m) * PIXELS_PER_M), round((AHEAD_M - forward_m) * PIXELS_PER_M)


def _beside(left: Image, right: Image | None, title: str) -> Image:
    """Return two pictures side by side under a line of text, the shorter one centred."""
    pictures = [left] if right is None else [left, right]
    height = max(picture.shape[0] for picture in pictures)
    width = sum(picture.shape[1] for picture in pictures) + 6 * (len(pictures) - 1)
    canvas = np.full((height + 26, width, 3), BACKGROUND, np.uint8)
    x = 0
    for picture in pictures:
        y = 26 + (height - picture.shape[0]) // 2
        canvas[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
        x += picture.shape[1] + 6
    cv2.putText(canvas, title, (8, 18), FONT, 0.5, WHITE, 1, cv2.LINE_AA)
    return canvas


def _bar(panel: Image, y: int, name: str, share: float, colour: Colour) -> None:
    left, right = 84, panel.shape[1] - 44
    known = share if np.isfinite(share) else 0.0
    cv2.putText(panel, name, (6, y + 8), FONT, 0.38, WHITE, 1, cv2.LINE_AA)
    cv2.rectangle(panel, (left, y), (right, y + 9), (55, 52, 50), cv2.FILLED)
    end = left + round(known * (right - left))
    cv2.rectangle(panel, (left, y), (end, y + 9), colour, cv2.FILLED)
    text = f"{share:.2f}" if np.isfinite(share) else "?"
    cv2.putText(panel, text, (right + 6, y + 8), FONT, 0.38, WHITE, 1, cv2.LINE_AA)
