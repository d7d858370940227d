"""How much each input contributed to an answer: the change when it is left out.

Leave-one-out is exact for the question it asks and says nothing of redundancy: of two inputs that
tell the same, neither changes the answer alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np

from tectum.message import AnyArray

__all__ = ["contributions"]

T = TypeVar("T")


def contributions(
    whole: Mapping[str, AnyArray],
    present: Mapping[str, T],
    fuse: Callable[[Mapping[str, T]], Mapping[str, AnyArray]],
) -> dict[str, dict[str, float]]:
    """Return output -> input -> mean absolute change of the output without that input.

    Args:
        whole: the answer with all of `present`.
        present: the inputs that were there.
        fuse: gives the answer of some of them.
    """
    shares: dict[str, dict[str, float]] = {name: {} for name in whole}
    for left_out in present:
        rest = {name: value for name, value in present.items() if name != left_out}
        without = fuse(rest)
        for name, array in whole.items():
            if name in without and without[name].shape == array.shape:
                change = np.abs(array.astype(np.float64) - without[name].astype(np.float64))
                shares[name][left_out] = float(change.mean())
    return shares
