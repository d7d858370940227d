from __future__ import annotations

import numpy as np
import pytest

from tectum.fusion.calibration import brier, expected_error, fit_temperature, tempered


def _drawn(sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose logarithms are `sharpness` times what they should be, and true labels."""
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 1.5, (6000, 4))
    right = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = (right.cumsum(1) < rng.random((len(right), 1))).sum(1)
    return tempered(right, 1 / sharpness, "scores"), truth


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_that_undoes_a_sharpening_is_found(sharpness: float) -> None:
    scores, truth = _drawn(sharpness)
    assert fit_temperature(scores, truth) == pytest.approx(sharpness, rel=0.1)


def test_calibrating_lowers_the_expected_error_and_never_changes_the_choice() -> None:
    scores, truth = _drawn(3.0)
    calm = tempered(scores, fit_temperature(scores, truth), "scores")
    assert expected_error(scores, truth) > 0.1
    assert expected_error(calm, truth) < 0.03
    assert np.array_equal(calm.argmax(1), scores.argmax(1))
    assert brier(calm, truth) < brier(scores, truth)


def test_a_probability_is_tempered_in_log_odds() -> None:
    # odds 9 at temperature 2 are odds 3
    assert tempered([0.9], 2.0, "probability") == pytest.approx([0.75])


def test_expected_error_by_hand() -> None:
    # two answers of confidence 0.8, one of them right: |0.8 - 0.5|
    assert expected_error([[0.8, 0.2], [0.8, 0.2]], [0, 1]) == pytest.approx(0.3)


def test_brier_by_hand() -> None:
    assert brier([[0.8, 0.2]], [1]) == pytest.approx(0.64 + 0.64)
