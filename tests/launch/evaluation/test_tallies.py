"""Average precision, recall and calibration, from counts that add up."""

import numpy as np
import pytest

from tectum_launch.evaluation.tallies import ChanceTally, LabelTally


def average_precision(truth, score):
    """By the definition: precision at each hit, in falling order of the scores."""
    order = np.argsort(-score, kind="stable")
    hits = truth[order]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits > 0].mean())


def test_average_precision_is_that_of_the_definition():
    rng = np.random.default_rng(3)
    truth = (rng.random(400) < 0.2).astype(float)
    score = np.round(np.clip(rng.normal(0.3 + 0.3 * truth, 0.2), 0, 0.999), 3)
    score += np.arange(400) % 2 * 0  # in bins of a thousandth
    tally = ChanceTally()
    tally.add(score, truth)
    assert tally.score == pytest.approx(average_precision(truth, score), abs=0.01)


def test_perfect_scores_reach_one_and_nothing_true_has_no_score():
    perfect, never = ChanceTally(), ChanceTally()
    perfect.add(np.array([0.9, 0.1, 0.8]), np.array([1, 0, 1]))
    never.add(np.array([0.5]), np.array([0]))
    assert perfect.score == 1.0
    assert never.score is None


def test_what_is_as_often_so_as_it_was_said_is_calibrated():
    tally = ChanceTally()
    tally.add(np.full(100, 0.7), np.r_[np.ones(70), np.zeros(30)])
    assert tally.calibration == pytest.approx(0, abs=0.01)
    tally.add(np.full(100, 0.7), np.zeros(100))
    assert tally.calibration == pytest.approx(0.35, abs=0.01)


def test_counts_of_two_recordings_add_up():
    rng = np.random.default_rng(5)
    scores, truth = rng.random(200), rng.random(200) < 0.5
    whole, first, second = ChanceTally(), ChanceTally(), ChanceTally()
    whole.add(scores, truth)
    first.add(scores[:80], truth[:80])
    second.add(scores[80:], truth[80:])
    first.merge(second)
    assert first.score == whole.score
    assert first.count == whole.count == 200


def test_scores_that_are_no_numbers_count_as_nothing_seen():
    tally = ChanceTally()
    tally.add(np.array([np.nan, 0.9]), np.array([1, 0]))
    assert tally.count == 2
    assert tally.score == pytest.approx(0.5)


def test_recall_is_the_mean_over_labels_and_no_answer_is_wrong():
    tally = LabelTally(("calm", "glad"))
    for _ in range(3):
        tally.add(np.array([0.8, 0.2]), "calm")
    tally.add(np.array([0.4, 0.6]), "glad")
    tally.add(None, "glad")
    tally.add(np.array([1.0, 0.0]), "angry")  # not one of its labels
    assert tally.score == pytest.approx((1 + 0.5) / 2)
    assert tally.count == 5


def test_labels_of_two_recordings_add_up():
    first, second = LabelTally(("a", "b")), LabelTally(("a", "b"))
    first.add(np.array([0.9, 0.1]), "a")
    second.add(np.array([0.9, 0.1]), "b")
    first.merge(second)
    assert first.score == 0.5
    assert first.calibration == pytest.approx(0.4, abs=0.01)
