"""Kalman filtering of many objects at once: positions and velocities on a plane. Pure NumPy.

The state of an object is (x, y, vx, vy) in metres and metres per second, its motion a constant
velocity disturbed by white acceleration (Kalman 1960; Bar-Shalom, Li and Kirubarajan, "Estimation
with applications to tracking and navigation", 2001, chapter 6). `n` objects are `means` (n, 4) and
`covariances` (n, 4, 4); every function returns new arrays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["distances", "predicted", "started", "updated"]

Floats = NDArray[np.float64]

SEEN = np.eye(2, 4)
"""A measurement is a position: H."""


def started(positions: Floats, noise_m: float, speed_mps: float) -> tuple[Floats, Floats]:
    """Return states at `positions`, (n, 2), with unknown velocity of this standard deviation."""
    variances = np.array([noise_m, noise_m, speed_mps, speed_mps]) ** 2
    means = np.concatenate([positions, np.zeros_like(positions)], axis=1)
    return means, np.tile(np.diag(variances), (len(positions), 1, 1))


def predicted(
    means: Floats, covariances: Floats, seconds: float, acceleration: float
) -> tuple[Floats, Floats]:
    """Return the states `seconds` later; `acceleration` is its standard deviation in m/s^2.

    `x = F x`, `P = F P F' + Q`, with `Q = a^2 g g'` on each axis and `g = (t^2 / 2, t)`.
    """
    step = np.eye(4) + seconds * np.eye(4, k=2)
    gain = np.array([[seconds**2 / 2, 0, seconds, 0], [0, seconds**2 / 2, 0, seconds]])
    return means @ step.T, step @ covariances @ step.T + acceleration**2 * gain.T @ gain


def distances(means: Floats, covariances: Floats, positions: Floats, noise_m: float) -> Floats:
    """Return (n, m): the squared Mahalanobis distance of every state to every position, (m, 2)."""
    spread = covariances[:, :2, :2] + noise_m**2 * np.eye(2)
    off = positions[None] - means[:, None, :2]
    return np.asarray(np.einsum("nmi,nij,nmj->nm", off, np.linalg.inv(spread), off))


def updated(
    means: Floats, covariances: Floats, positions: Floats, noise_m: float
) -> tuple[Floats, Floats]:
    """Return the states after each was seen at its position, (n, 2).

    `K = P H' (H P H' + R)^-1`, `x += K (z - H x)`, `P = (I - K H) P (I - K H)' + K R K'`: Joseph's
    form, which keeps the covariance symmetric and positive.
    """
    noise = noise_m**2 * np.eye(2)
    spread = covariances[:, :2, :2] + noise
    gain = covariances[:, :, :2] @ np.linalg.inv(spread)
    off = positions - means[:, :2]
    kept = np.eye(4) - gain @ SEEN
    turned = gain.transpose(0, 2, 1)
    after = kept @ covariances @ kept.transpose(0, 2, 1) + gain @ noise @ turned
    return means + (gain @ off[..., None])[..., 0], after
