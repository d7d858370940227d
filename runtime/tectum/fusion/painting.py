"""Early fusion: raw aligned inputs made into one, before any model. Pure NumPy.

Painting gives each point of a lidar the pixel that it falls on, through the rig (after Vora et
al., "PointPainting", CVPR 2020, which paints with class scores; here the paint is colour).
Stacking puts aligned arrays of one height and width on top of each other as channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tectum.errors import DataError
from tectum.fusion.projection import project

__all__ = ["PAINT_COLUMNS", "paint", "stack"]

Floats = NDArray[np.float64]

PAINT_COLUMNS = ("red", "green", "blue", "painted")
"""What painting adds to a point: colour from 0 to 1, and whether a pixel was there (1 or 0)."""


def paint(
    points: NDArray[Any], image: NDArray[np.uint8] | None, projection: Floats
) -> NDArray[np.float32]:
    """Return float32 (n, c + 4): the points, then `PAINT_COLUMNS`.

    Args:
        points: (n, c), x y z first.
        image: (h, w, 3) RGB; None: there is none, and no point is painted.
        projection: 3 x 4, points to pixels; see `camera_from_points`.
    """
    colours = np.zeros((len(points), len(PAINT_COLUMNS)), np.float32)
    if image is not None:
        pixels, before = project(points, projection)
        columns, rows = np.rint(pixels).astype(np.int64).T
        height, width = image.shape[:2]
        seen = before & (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
        colours[seen, :3] = image[rows[seen], columns[seen]] / np.float32(255)
        colours[seen, 3] = 1
    return np.concatenate([points.astype(np.float32, copy=False), colours], axis=1)


def stack(layers: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    """Return float32 (h, w, sum of channels): the layers, (h, w) or (h, w, c), in order.

    Raises:
        DataError: their heights and widths differ.
    """
    shapes = [layer.shape for layer in layers]
    if len({shape[:2] for shape in shapes}) != 1:
        msg = f"only arrays of one height and width can be stacked; these are {shapes}"
        raise DataError(msg)
    deep = [layer if layer.ndim == 3 else layer[..., None] for layer in layers]
    return np.concatenate([layer.astype(np.float32, copy=False) for layer in deep], axis=-1)
