"""YuNet's candidates: prior boxes over four strides, decoded to faces with five landmarks.

Source: Wu, Peng, Yu: YuNet: a tiny millisecond-level face detector (2023), its first version with
priors as in SSD (Liu et al. 2016), as OpenCV 4.5.4 ran it.
"""

from __future__ import annotations

import functools
from itertools import product

import numpy as np
from numpy.typing import NDArray

__all__ = ["LANDMARKS", "candidates", "priors"]

Floats = NDArray[np.float32]

STRIDES = (8, 16, 32, 64)
SIDES: tuple[tuple[int, ...], ...] = ((10, 16, 24), (32, 48), (64, 96), (128, 192, 256))
"""Of the priors of each stride, in pixels of the input."""
CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
LANDMARKS = 5
"""Right eye, left eye, tip of the nose, right and left corner of the mouth: of the person."""


@functools.cache
def priors(height: int, width: int) -> Floats:
    """Return the priors (n, 4) of an input: centre x, centre y, width, height, in shares of it.

    Row by row of each stride's map, which halves the one before, rounding down.
    """
    rows, columns = (height + 1) // 2 // 2, (width + 1) // 2 // 2
    found = []
    for stride, sides in zip(STRIDES, SIDES, strict=True):
        rows, columns = rows // 2, columns // 2
        found += [
            ((x + 0.5) * stride / width, (y + 0.5) * stride / height, side / width, side / height)
            for y, x, side in product(range(rows), range(columns), sides)
        ]
    return np.array(found, np.float32)


def candidates(loc: Floats, conf: Floats, iou: Floats, size: tuple[int, int]) -> Floats:
    """Return all candidates, float32 (n, 16), in shares of the input.

    Columns: x1 y1 x2 y2, score, label 0, then x y of each landmark. The score is the geometric mean
    of the class's probability and the overlap that the net expects of its own box.

    Args:
        loc: (n, 14), offsets of centre and size, then of the landmarks.
        conf: (n, 2), probabilities of background and face.
        iou: (n, 1).
        size: height and width of the input.
    """
    prior = priors(*size)
    centre = prior[:, :2] + loc[:, :2] * CENTRE_VARIANCE * prior[:, 2:]
    half = 0.5 * prior[:, 2:] * np.exp(loc[:, 2:4] * SIZE_VARIANCE)
    score = np.sqrt(conf[:, 1:2] * np.clip(iou, 0, 1))
    offsets = loc[:, 4:].reshape(-1, LANDMARKS, 2) * CENTRE_VARIANCE * prior[:, None, 2:]
    marks = (prior[:, None, :2] + offsets).reshape(-1, 2 * LANDMARKS)
    found = [centre - half, centre + half, score, np.zeros_like(score), marks]
    return np.concatenate(found, axis=1).astype(np.float32, copy=False)
