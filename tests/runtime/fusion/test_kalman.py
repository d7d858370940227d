from __future__ import annotations

import numpy as np
import pytest

from tectum.fusion.kalman import distances, predicted, started, updated


def test_prediction_moves_by_the_velocity_and_loses_certainty() -> None:
    means, covariances = np.array([[1.0, 2, 3, -1]]), np.eye(4)[None] * 0.01
    ahead, spread = predicted(means, covariances, 0.5, 1.0)
    assert ahead[0].tolist() == [2.5, 1.5, 3, -1]
    # by hand: P + t^2 V + a^2 t^4 / 4
    assert spread[0, 0, 0] == pytest.approx(0.01 + 0.25 * 0.01 + 0.5**4 / 4)
    assert spread[0, 0, 2] == pytest.approx(0.5 * 0.01 + 0.5**3 / 2)


def test_an_update_weighs_by_certainty() -> None:
    means, covariances = np.zeros((1, 4)), np.eye(4)[None] * 3.0
    after, spread = updated(means, covariances, np.array([[4.0, -8.0]]), 1.0)
    assert after[0, :2] == pytest.approx([3, -6])  # gain 3 / (3 + 1)
    assert spread[0, 0, 0] == pytest.approx(0.75)  # 3 * 1 / (3 + 1)


def test_many_objects_at_once_are_each_by_itself() -> None:
    rng = np.random.default_rng(0)
    means, roots = rng.normal(size=(7, 4)), rng.normal(size=(7, 4, 4))
    covariances, seen = roots @ roots.transpose(0, 2, 1), rng.normal(size=(7, 2))
    together = updated(*predicted(means, covariances, 0.1, 2.0), seen, 0.3)
    for k in range(7):
        one = predicted(means[k : k + 1], covariances[k : k + 1], 0.1, 2.0)
        alone = updated(*one, seen[k : k + 1], 0.3)
        assert together[0][k] == pytest.approx(alone[0][0])
        assert together[1][k] == pytest.approx(alone[1][0])


def test_a_sequence_equals_the_least_squares_fit_where_nothing_accelerates() -> None:
    # Without process noise and with a vague start, filtering is regression of a line.
    times = np.arange(20) * 0.1
    line = 5 - 2 * times + np.random.default_rng(1).normal(0, 0.2, 20)
    means, covariances = started(np.array([[line[0], 0.0]]), 0.2, 1e4)
    for value in line[1:]:
        means, covariances = predicted(means, covariances, 0.1, 0.0)
        means, covariances = updated(means, covariances, np.array([[value, 0.0]]), 0.2)
    slope, start = np.polyfit(times, line, 1)
    assert means[0, 2] == pytest.approx(slope, abs=1e-4)
    assert means[0, 0] == pytest.approx(start + slope * times[-1], abs=1e-4)


def test_covariances_stay_symmetric_and_positive() -> None:
    means, covariances = started(np.zeros((3, 2)), 0.1, 8.0)
    for _ in range(500):
        means, covariances = predicted(means, covariances, 0.1, 2.0)
        means, covariances = updated(means, covariances, np.zeros((3, 2)), 0.1)
    assert covariances == pytest.approx(covariances.transpose(0, 2, 1))
    assert np.all(np.linalg.eigvalsh(covariances) > 0)


def test_distances_count_in_standard_deviations() -> None:
    means, covariances = started(np.array([[0.0, 0.0], [10.0, 0.0]]), 3.0, 1.0)
    squared = distances(means, covariances, np.array([[5.0, 0.0]]), 4.0)  # sigma 5 together
    assert squared == pytest.approx(np.array([[1.0], [1.0]]))
