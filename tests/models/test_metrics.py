import runpy
from pathlib import Path

import numpy as np
import pytest

RECIPES = Path(__file__).parents[2] / "models" / "recipes"
average_precision = runpy.run_path(str(RECIPES / "metrics.py"))["average_precision"]


@pytest.mark.parametrize(
    ("truth", "score", "expected"),
    [
        ([1, 1, 0, 0], [4, 3, 2, 1], 1.0),
        ([0, 0, 1, 1], [4, 3, 2, 1], (1 / 3 + 2 / 4) / 2),
        ([1, 0, 1, 0], [4, 3, 2, 1], (1 + 2 / 3) / 2),
        ([1, 0, 0, 0], [1, 1, 1, 1], 0.25),
    ],
)
def test_average_precision_is_the_mean_precision_at_the_positives(truth, score, expected):
    assert average_precision(np.array(truth), np.array(score)) == pytest.approx(expected)


def test_scores_without_information_get_the_share_of_positives():
    rng = np.random.default_rng(1)
    truth = rng.random(100_000) < 0.1
    assert average_precision(truth, rng.random(100_000)) == pytest.approx(0.1, abs=0.01)
