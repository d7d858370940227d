"""Answers beside what was true: offline, and as a robot meets them. Pure.

*Offline* scores each answer at the instant that it is about. *Streaming* scores every instant of
truth with the newest answer that had been given by then, however old what it is about (Li, Wang
and Ramanan, "Towards Streaming Perception", 2020): latency and missing answers cost.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tectum.clock import NS_PER_MS
from tectum.message import AnyArray
from tectum_launch.evaluation.tallies import ChanceTally, LabelTally, Tally
from tectum_launch.evaluation.truth import LabelSpans, Moments

__all__ = ["Answer", "Scores", "scored"]

_NEAR_NS = 60 * NS_PER_MS
_STEP_NS = 100 * NS_PER_MS
"""Between the instants at which labels are compared."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said of an instant, and when."""

    about_ns: int
    given_ns: int
    outputs: Mapping[str, AnyArray]
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Output -> its labels, where it has some."""


@dataclass
class Scores:
    """Tallies of the outputs of which the truth is known."""

    offline: dict[str, Tally] = field(default_factory=dict)
    streaming: dict[str, Tally] = field(default_factory=dict)

    def merge(self, other: Scores) -> None:
        """Add what was counted on another recording."""
        for own, more in ((self.offline, other.offline), (self.streaming, other.streaming)):
            for name, tally in more.items():
                if name in own:
                    own[name].merge(tally)  # type: ignore[arg-type]  # one output, one kind
                else:
                    own[name] = tally


def scored(answers: Sequence[Answer], truth: Moments | LabelSpans) -> Scores:
    """Return how good `answers`, in the order in which they were given, were."""
    if isinstance(truth, Moments):
        return _of_moments(answers, truth)
    return _of_labels(answers, truth)


def _of_moments(answers: Sequence[Answer], truth: Moments) -> Scores:
    scores = Scores()
    for answer in answers:
        found = truth.nearest(answer.about_ns, _NEAR_NS)
        for name, score, true in _pairs(answer, found):
            _chance(scores.offline, name).add(score, true)
    given = [answer.given_ns for answer in answers]
    shapes = {name: array for answer in answers for name, array in answer.outputs.items()}
    begin_ns = min((answer.about_ns for answer in answers), default=0)
    for stamp_ns, values in zip(truth.stamps_ns, truth.values, strict=True):
        if stamp_ns < begin_ns:
            continue
        index = bisect_right(given, stamp_ns) - 1
        if index >= 0:
            for name, score, true in _pairs(answers[index], values):
                _chance(scores.streaming, name).add(score, true)
            continue
        for name, true in values.items():  # nothing had been said: nothing was seen
            if name in shapes and shapes[name].shape == true.shape:
                _chance(scores.streaming, name).add(np.zeros(true.shape), true)
    return scores


def _pairs(answer: Answer, truth: Mapping[str, AnyArray] | None) -> Iterable[tuple[str, Any, Any]]:
    for name, true in (truth or {}).items():
        array = answer.outputs.get(name)
        if array is not None and array.shape == true.shape:
            yield name, array, true


def _chance(tallies: dict[str, Tally], name: str) -> ChanceTally:
    found = tallies.setdefault(name, ChanceTally())
    assert isinstance(found, ChanceTally), "one output, one kind"
    return found


def _of_labels(answers: Sequence[Answer], truth: LabelSpans) -> Scores:
    scores = Scores()
    wanted = set(truth.labels)
    known = {
        name: labels
        for answer in answers
        for name, labels in answer.labels.items()
        if wanted & set(labels)
    }
    given = [answer.given_ns for answer in answers]
    for name, labels in known.items():
        offline, streaming = LabelTally(labels), LabelTally(labels)
        for answer in answers:
            label = truth.at(answer.about_ns)
            if label is not None:
                offline.add(answer.outputs.get(name), label)
        for begin_ns, end_ns, label in truth.spans:
            for instant_ns in range(begin_ns, end_ns, _STEP_NS):
                index = bisect_right(given, instant_ns) - 1
                newest = answers[index].outputs.get(name) if index >= 0 else None
                streaming.add(newest, label)
        scores.offline[name], scores.streaming[name] = offline, streaming
    return scores
