"""A region: bytes in mapped memory that tell somebody when the last array on them is gone.

NumPy keeps what an array is a view of alive as long as the array lives, and skips what is of the
array's own class. So a plain array on a region keeps it, whatever views of it are made, and a slot
cannot be given back under the feet of an array that somebody kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tectum.message import AnyArray

__all__ = ["Region", "is_lent", "lent"]


def _nobody() -> None:
    """Be told, and do nothing."""


class Region(np.ndarray[Any, Any]):
    """Bytes that arrays are lent on; `freed` is called once, when the last of them is gone."""

    freed: Callable[[], None] = staticmethod(_nobody)

    def __del__(self) -> None:
        """Say so."""
        self.freed()


def lent(memory: Region, freed: Callable[[], None]) -> AnyArray:
    """Return an array on `memory`, which outlives it, and call `freed` when it is gone."""
    region = memory.view(Region)
    region.freed = freed
    return region.view(np.ndarray)


def is_lent(array: AnyArray) -> bool:
    """Return whether an array is one that `lent` gave, and no view of one."""
    return type(array.base) is Region
