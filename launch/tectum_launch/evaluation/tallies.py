"""Counts from which accuracy and calibration follow; they add up over recordings. Pure.

Scores are counted in bins of a thousandth, so that a tally stays small however long the recording
is. Average precision: the area under precision over recall, ties (a bin) taken together.
Calibration: expected calibration error over ten bins (Guo et al., "On Calibration of Modern Neural
Networks", 2017).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ChanceTally", "LabelTally", "Tally"]

_BINS = 1000
Counts = NDArray[np.int64]


@dataclass
class ChanceTally:
    """Probabilities of something that is, or is not: cells of a grid, a siren."""

    yes: Counts = field(default_factory=lambda: np.zeros(_BINS, np.int64))
    """Bin of the score -> how often it was so."""
    no: Counts = field(default_factory=lambda: np.zeros(_BINS, np.int64))

    def add(self, scores: NDArray[Any], truth: NDArray[Any]) -> None:
        """Count `scores` in 0..1 beside what was true, of the same shape; NaN counts as 0."""
        bins = np.clip(np.nan_to_num(scores.ravel()) * _BINS, 0, _BINS - 1).astype(np.int64)
        true = truth.ravel() > 0.5
        self.yes += np.bincount(bins[true], minlength=_BINS)
        self.no += np.bincount(bins[~true], minlength=_BINS)

    def merge(self, other: ChanceTally) -> None:
        """Add what another counted."""
        self.yes += other.yes
        self.no += other.no

    @property
    def score(self) -> float | None:
        """Return the average precision; None where nothing was ever so."""
        positives = self.yes.sum()
        if not positives:
            return None
        hits = np.cumsum(self.yes[::-1])
        found = hits + np.cumsum(self.no[::-1])
        gained = np.diff(hits, prepend=0) / positives
        precision = hits / np.maximum(found, 1)
        return float(np.sum(gained * precision))

    @property
    def calibration(self) -> float | None:
        """Return the expected calibration error; None where nothing was counted."""
        centres = (np.arange(_BINS) + 0.5) / _BINS
        return _calibration_error(centres, self.yes, self.yes + self.no)

    @property
    def count(self) -> int:
        """Return how many probabilities were counted."""
        return int(self.yes.sum() + self.no.sum())


@dataclass
class LabelTally:
    """One of several labels; what was never answered counts as wrong."""

    labels: tuple[str, ...]
    confusion: Counts = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    """(true label, answered label); the last column: no answer."""
    right: Counts = field(default_factory=lambda: np.zeros(_BINS, np.int64))
    """Bin of the best score -> how often it was right."""
    all: Counts = field(default_factory=lambda: np.zeros(_BINS, np.int64))

    def __post_init__(self) -> None:
        """Make room for the labels."""
        if not self.confusion.size:
            count = len(self.labels)
            self.confusion = np.zeros((count, count + 1), np.int64)

    def add(self, scores: NDArray[Any] | None, truth: str) -> None:
        """Count an answer, (labels,) scores or None, where `truth` was so; unknown labels not."""
        if truth not in self.labels:
            return
        true = self.labels.index(truth)
        if scores is None or not np.isfinite(scores).any():
            self.confusion[true, -1] += 1
            return
        best = int(np.nanargmax(scores))
        self.confusion[true, best] += 1
        at = min(_BINS - 1, max(0, int(scores[best] * _BINS)))
        self.all[at] += 1
        self.right[at] += best == true

    def merge(self, other: LabelTally) -> None:
        """Add what another counted of the same labels."""
        self.confusion += other.confusion
        self.right += other.right
        self.all += other.all

    @property
    def score(self) -> float | None:
        """Return the unweighted average recall; None where nothing was counted."""
        of_label = self.confusion.sum(axis=1)
        seen = of_label > 0
        if not seen.any():
            return None
        return float(np.mean(np.diag(self.confusion)[seen] / of_label[seen]))

    @property
    def calibration(self) -> float | None:
        """Return the expected calibration error of the best score."""
        centres = (np.arange(_BINS) + 0.5) / _BINS
        return _calibration_error(centres, self.right, self.all)

    @property
    def count(self) -> int:
        """Return how many moments were counted."""
        return int(self.confusion.sum())


Tally = ChanceTally | LabelTally


def _calibration_error(centres: NDArray[Any], right: Counts, counted: Counts) -> float | None:
    total = counted.sum()
    if not total:
        return None
    tens = np.minimum((centres * 10).astype(int), 9)
    said = np.bincount(tens, centres * counted, 10)
    true = np.bincount(tens, right, 10)
    return float(np.abs(said - true).sum() / total)
