from __future__ import annotations

import numpy as np
import pytest

from tectum.fusion.fading import faded

S = 1_000_000_000


def test_half_of_the_confidence_is_left_after_a_half_life() -> None:
    assert faded(np.array([0.9]), S, S, "probability") == pytest.approx([0.7])
    assert faded(np.array([1.0, 0, 0, 0]), S, S, "scores") == pytest.approx([0.625, *[0.125] * 3])


def test_after_long_nothing_is_known() -> None:
    assert faded(np.array([0.9, 0.1]), 100 * S, S, "scores") == pytest.approx([0.5, 0.5])


def test_scores_keep_their_sum_and_their_order() -> None:
    p = np.array([[0.6, 0.3, 0.1]])
    old = faded(p, 3 * S, 2 * S, "scores")
    assert old.sum() == pytest.approx(1)
    assert np.all(np.diff(old) < 0)


def test_what_is_new_or_comes_early_or_does_not_fade_is_unchanged() -> None:
    p = np.array([0.9])
    assert faded(p, 0, S, "probability") == pytest.approx([0.9])
    assert faded(p, -S, S, "probability") == pytest.approx([0.9])
    assert faded(p, 100 * S, 0, "probability") is p
