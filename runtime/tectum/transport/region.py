"""A region: bytes in mapped memory that tell somebody when the last array on them is gone.

NumPy keeps the owner of an array's memory alive as long as any view of it lives. So a slot cannot
be given back under the feet of an array that somebody kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tectum.message import AnyArray
from tectum.transport.payload import WIRE_DTYPES

__all__ = ["Region"]


class Region:
    """Owner of the memory of arrays; calls `freed` once, when the last of them is gone."""

    __slots__ = ("__array_interface__", "__weakref__", "_freed", "_keep")

    def __init__(
        self,
        address: int,
        dtype: str,
        shape: tuple[int, ...],
        keep: object,
        *,
        writable: bool,
        freed: Callable[[], None],
    ) -> None:
        """Stand for an array at `address` in memory that `keep` keeps mapped."""
        self.__array_interface__: dict[str, Any] = {
            "version": 3,
            "shape": shape,
            "typestr": WIRE_DTYPES[dtype].str,
            "data": (address, not writable),
        }
        self._keep, self._freed = keep, freed

    def array(self) -> AnyArray:
        """Return the array."""
        return np.asarray(self)

    def __del__(self) -> None:
        """Give the bytes back."""
        self._freed()
