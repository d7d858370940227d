"""Room: memory in which a sensor finishes what it captures, and from which that is published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tectum.node.base import Context

__all__ = ["Room", "lent_room", "own_pixels", "own_points"]

Room = Callable[[tuple[int, ...]], NDArray[Any]]
"""Returns an array of a shape, to be written whole and published; its content is undefined."""


def lent_room(context: Context, output: str, dtype: str) -> Room:
    """Return what lends memory of the transport, where it has some to lend: nothing is copied."""

    def room(shape: tuple[int, ...]) -> NDArray[Any]:
        return context.loan(output, dtype, shape)

    return room


def own_points(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return memory of this process for float32 points."""
    return np.empty(shape, np.float32)


def own_pixels(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return memory of this process for uint8 pixels."""
    return np.empty(shape, np.uint8)
