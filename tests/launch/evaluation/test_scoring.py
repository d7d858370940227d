"""Offline scores answers at what they are about; streaming also makes latency cost."""

import numpy as np
import pytest

from tectum.errors import DataError
from tectum_launch.evaluation.scoring import Answer, scored
from tectum_launch.evaluation.truth import LabelSpans, Moments, read_truth

MS = 1_000_000


def truth_of(cells):
    """A cell that is occupied or not, every 100 ms from 0 on."""
    values = tuple({"cell": np.array([value], np.float32)} for value in cells)
    return Moments(tuple(100 * MS * index for index in range(len(cells))), values)


def answers_of(cells, late_ms):
    return [
        Answer(100 * MS * i, (100 * i + late_ms) * MS, {"cell": np.array([value], np.float32)})
        for i, value in enumerate(cells)
        if value is not None
    ]


def test_answers_that_are_right_and_at_once_score_full_marks():
    cells = [0, 1, 1, 0, 1]
    scores = scored(answers_of(cells, late_ms=0), truth_of(cells))
    assert scores.offline["cell"].score == scores.streaming["cell"].score == 1.0


def test_latency_costs_streaming_accuracy_and_not_offline_accuracy():
    cells = [0, 1, 0, 1, 0, 1]
    scores = scored(answers_of(cells, late_ms=100), truth_of(cells))
    assert scores.offline["cell"].score == 1.0
    assert scores.streaming["cell"].score < 0.7


def test_moments_before_the_first_answer_are_moments_in_which_nothing_was_seen():
    scores = scored(answers_of([None, None, 1, 1], late_ms=0), truth_of([0, 1, 1, 1]))
    assert scores.offline["cell"].count == 2
    assert scores.streaming["cell"].count == 2  # a run begins with its first answer
    late = [answer.__class__(0, answer.given_ns, answer.outputs) for answer in
            answers_of([None, None, 1, 1], late_ms=0)]  # fmt: skip
    assert scored(late, truth_of([0, 1, 1, 1])).streaming["cell"].count == 4


def test_outputs_of_another_shape_or_name_are_not_compared():
    answers = [Answer(0, 0, {"cell": np.zeros(3, np.float32), "other": np.zeros(1, np.float32)})]
    scores = scored(answers, truth_of([1]))
    assert scores.offline == scores.streaming == {}


SPANS = LabelSpans(((0, 300 * MS, "calm"), (300 * MS, 600 * MS, "glad")))


def said(about_ms, given_ms, label):
    scores = np.array([label == "calm", label == "glad"], np.float32)
    return Answer(about_ms * MS, given_ms * MS, {"mood": scores}, {"mood": ("calm", "glad")})


def test_labels_are_scored_while_they_hold():
    answers = [said(0, 0, "calm"), said(300, 300, "glad")]
    scores = scored(answers, SPANS)
    assert scores.streaming["mood"].score == 1.0
    late = scored([said(0, 0, "calm"), said(300, 500, "glad")], SPANS)
    assert late.offline["mood"].score == 1.0
    assert late.streaming["mood"].score == pytest.approx((1 + 1 / 3) / 2)


def test_outputs_without_any_of_the_labels_are_not_scored():
    answers = [Answer(0, 0, {"x": np.ones(1, np.float32)}, {"x": ("cat",)})]
    assert scored(answers, SPANS).streaming == {}


def test_a_table_with_a_wrong_line_is_told_with_its_line(tmp_path, short_log):
    path = tmp_path / "labels.csv"
    path.write_text("start,end,label\n0,1,calm\n1,x,glad\n")
    with pytest.raises(DataError, match=r"labels\.csv:3: expected the columns start, end"):
        read_truth(short_log, str(path))


def test_a_table_counts_seconds_from_the_beginning_of_the_recording(tmp_path, short_log):
    path = tmp_path / "labels.csv"
    path.write_text("start,end,label\n0,1.5,calm\n1.5,2,glad\n")
    truth = read_truth(short_log, str(path))
    assert truth.labels == ("calm", "glad")
    begin = truth.spans[0][0]
    assert truth.at(begin) == "calm"
    assert truth.at(begin + 1500 * MS) == "glad"
    assert truth.at(begin + 2000 * MS) is None


def test_a_recording_without_truth_says_what_to_name(short_log):
    with pytest.raises(DataError, match="has no topic of truth: name one, or a CSV file"):
        read_truth(short_log, "")
