"""The vehicle ahead, among tracks: which it is, how fast it comes nearer, when it would be reached.

Pure NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tectum.fusion.tracks import Tracks

__all__ = ["lead_track", "time_to_collision"]

LEAST_CLOSING_MPS = 0.1
"""Slower than this is not coming nearer."""


def lead_track(
    tracks: Tracks, labels: Sequence[int], confirm: int, half_width_m: float = 1.5
) -> int | None:
    """Return the row of the nearest track straight ahead with one of `labels`, or None.

    Only tracks that were seen `confirm` times count; one that is not seen at the moment does.
    """
    ahead = (
        np.isin(tracks.labels, labels)
        & (tracks.seen >= confirm)
        & (np.abs(tracks.means[:, 1]) <= half_width_m)
        & (tracks.means[:, 0] > 0)
    )
    rows = np.flatnonzero(ahead)
    return int(rows[tracks.means[rows, 0].argmin()]) if len(rows) else None


def time_to_collision(distance_m: float, closing_mps: float) -> float:
    """Return seconds until the distance is gone at this speed; infinite where it stays."""
    return distance_m / closing_mps if closing_mps > LEAST_CLOSING_MPS else float("inf")
