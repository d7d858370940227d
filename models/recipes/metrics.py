"""Average precision, the area under the precision-recall curve as a step function."""

from __future__ import annotations

import numpy as np


def average_precision(truth: np.ndarray, score: np.ndarray) -> float:
    """Mean precision at the rank of every positive; equal scores share their worst rank.

    A score without information gets the share of positives.
    """
    truth, score = np.ravel(truth) > 0.5, np.ravel(score)
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(truth[order])
    last = np.append(np.diff(score[order]) != 0, True)  # ends of runs of equal scores
    found, seen = hits[last], np.nonzero(last)[0] + 1
    gained = np.diff(np.append(0, found))
    return float((gained * found / seen).sum() / max(int(hits[-1]), 1))
