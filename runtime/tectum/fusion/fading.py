"""Confidence that fades with age: what was seen long ago says less of now. Pure NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["faded"]

Floats = NDArray[np.float64]


def faded(p: Floats, age_ns: int, half_life_ns: int, kind: str) -> Floats:
    """Return `p` moved towards not knowing: `r p + (1 - r) even`, `r = 2 ^ (-age / half life)`.

    `even` is one half for a probability and the same score for each label. It is Shafer's
    discounting (1976) with a reliability that halves every `half_life_ns`; an age below 0 counts
    as 0, and a half life of 0 means that nothing fades.
    """
    if half_life_ns <= 0:
        return p
    kept = 0.5 ** (max(0, age_ns) / half_life_ns)
    even = 1 / p.shape[-1] if kind == "scores" else 0.5
    return np.asarray(kept * p + (1 - kept) * even)
