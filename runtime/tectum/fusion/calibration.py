"""Calibration: scores that mean what they say, by one number. Pure NumPy.

Temperature scaling divides the logarithms of scores by T (Guo et al., "On calibration of modern
neural networks", ICML 2017). It never changes which label is highest. T is found on labelled data
that the model was not trained on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["brier", "expected_error", "fit_temperature", "tempered"]

Floats = NDArray[np.float64]

EPSILON = 1e-6
COLDEST, HOTTEST = 0.05, 20.0
GOLDEN = (5**0.5 - 1) / 2


def tempered(p: ArrayLike, temperature: float, kind: str) -> Floats:
    """Return `softmax(log p / T)` for scores, `sigmoid(logit p / T)` for probabilities."""
    clipped = np.clip(np.asarray(p, np.float64), EPSILON, 1 - EPSILON)
    if kind == "scores":
        raised = clipped ** (1 / temperature)
        return np.asarray(raised / raised.sum(axis=-1, keepdims=True))
    logit = np.log(clipped) - np.log1p(-clipped)
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logit / temperature)))


def fit_temperature(scores: ArrayLike, truth: ArrayLike) -> float:
    """Return the T with the least negative log-likelihood; golden-section search over log T.

    Args:
        scores: (n, k), rows that sum to one.
        truth: (n,) indices of the true labels.
    """
    p, rows = np.asarray(scores, np.float64), np.asarray(truth, np.int64)

    def loss(log_t: float) -> float:
        right = tempered(p, float(np.exp(log_t)), "scores")[np.arange(len(rows)), rows]
        return -float(np.log(right).mean())

    low, high = np.log(COLDEST), np.log(HOTTEST)
    for _ in range(40):
        inner = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        if loss(inner[0]) < loss(inner[1]):
            high = inner[1]
        else:
            low = inner[0]
    return float(np.exp((low + high) / 2))


def expected_error(scores: ArrayLike, truth: ArrayLike, bins: int = 10) -> float:
    """Return the expected calibration error: |confidence - accuracy|, weighted over equal bins.

    Naeini et al., AAAI 2015. `scores` (n, k), `truth` (n,); 0 is best.
    """
    p, rows = np.asarray(scores, np.float64), np.asarray(truth, np.int64)
    confidence, right = p.max(axis=1), p.argmax(axis=1) == rows
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(bin_of, confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / max(1, len(rows)))


def brier(scores: ArrayLike, truth: ArrayLike) -> float:
    """Return the mean squared distance of scores to the truth (Brier 1950); 0 is best, 2 worst."""
    p, rows = np.asarray(scores, np.float64), np.asarray(truth, np.int64)
    return float(((p - np.eye(p.shape[1])[rows]) ** 2).sum(axis=1).mean())
