"""A canvas to draw reports on, with OpenCV alone: lines, boxes, bars, text, pictures.

Positions are in pixels of the final image. Everything is drawn twice as large and made smaller at
the end, which gives smooth edges to OpenCV's plain fonts.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Canvas", "Colour"]

Colour = tuple[int, int, int]
"""Blue, green, red."""
Image = NDArray[np.uint8]

_FONT = cv2.FONT_HERSHEY_DUPLEX
_SCALE = 2


class Canvas:
    """An image that grows stroke by stroke."""

    def __init__(self, width: int, height: int, background: Colour) -> None:
        """Begin with nothing but the background."""
        self._image = np.full((height * _SCALE, width * _SCALE, 3), background, np.uint8)

    def finished(self) -> Image:
        """Return the image, bgr8 (height, width, 3)."""
        height, width = (extent // _SCALE for extent in self._image.shape[:2])
        small = cv2.resize(self._image, (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8)

    def line(
        self, begin: tuple[float, float], end: tuple[float, float], colour: Colour, width: float = 1
    ) -> None:
        """Draw a straight line."""
        thickness = max(1, round(width * _SCALE))
        cv2.line(self._image, _at(*begin), _at(*end), colour, thickness, cv2.LINE_AA)

    def dashes(self, begin_x: float, end_x: float, y: float, colour: Colour) -> None:
        """Draw a dashed level line."""
        for x in np.arange(begin_x, end_x, 10):
            self.line((float(x), y), (min(float(x) + 5, end_x), y), colour)

    def curve(
        self, points: Sequence[tuple[float, float]], colour: Colour, width: float = 1.5
    ) -> None:
        """Draw straight pieces from point to point."""
        for begin, end in pairwise(points):
            self.line(begin, end, colour, width)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Fill a rectangle; right and bottom are not part of it."""
        x1, y1 = _at(left, top)
        x2, y2 = _at(right, bottom)
        self._image[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)] = colour

    def text(
        self,
        x: float,
        y: float,
        words: str,
        colour: Colour,
        *,
        size: float = 13,
        align: Literal["left", "middle", "right"] = "left",
    ) -> float:
        """Write `words` with their baseline at `y`; return where they end."""
        factor = size / 22 * _SCALE
        (width, _), _ = cv2.getTextSize(words, _FONT, factor, 1)
        shift = {"left": 0.0, "middle": width / 2, "right": float(width)}[align]
        begin = x - shift / _SCALE
        thickness = 2 if size > 16 else 1
        cv2.putText(
            self._image, words, _at(begin, y), _FONT, factor, colour, thickness, cv2.LINE_AA
        )
        return begin + float(width) / _SCALE

    def picture(self, left: float, top: float, width: float, image: NDArray[Any]) -> None:
        """Place a bgr8 image so wide."""
        columns = round(width * _SCALE)
        rows = round(columns * image.shape[0] / image.shape[1])
        small, size = np.asarray(image, np.uint8), (columns, rows)
        x, y = _at(left, top)
        self._image[y : y + rows, x : x + columns] = cv2.resize(
            small, size, interpolation=cv2.INTER_CUBIC
        )

    def triangle(self, x: float, y: float, size: float, colour: Colour) -> None:
        """Fill a triangle that points up, its tip at (x, y)."""
        corners = [_at(x, y), _at(x - size, y + 1.6 * size), _at(x + size, y + 1.6 * size)]
        cv2.fillPoly(self._image, [np.array(corners, np.int32)], colour, cv2.LINE_AA)


def _at(x: float, y: float) -> tuple[int, int]:
    return round(x * _SCALE), round(y * _SCALE)
