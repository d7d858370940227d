"""Answers over time, for a display: scores smoothed, a label that does not flicker, who is there.

Pure functions: what was believed and what is seen now in, what is believed now out.

Scores are smoothed in logarithms: `x = r x + (1 - r) log p`, `r = 2 ^ (-dt / half life)`. It is the
steady state of the Kalman filter of a level that wanders (Muth 1960), for moments at any distance,
and a logarithmic opinion pool over time (Genest and Zidek 1986) in which old opinions weigh less.
Where nothing is seen `x` falls to 0, which is to know nothing. Labels and presences change with
hysteresis (Schmitt 1938), and only after what speaks for it has held for some time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "NO",
    "NOT_KNOWN",
    "UNSURE",
    "YES",
    "Belief",
    "LabelRules",
    "Presence",
    "PresenceRules",
    "believe",
    "follow",
    "watch",
]  # fmt: skip

Floats = NDArray[np.float64]

UNSURE = -1
"""No label leads clearly enough to be shown."""
YES, NO, NOT_KNOWN = 0, 1, 2
_LEAST = 1e-3
"""Of a score: one moment that is certain does not outweigh all others."""


@dataclass(frozen=True, slots=True)
class LabelRules:
    """How fast scores follow, and when the label that is shown changes."""

    half_life_ns: int = 800_000_000
    margin: float = 0.1
    """By so much another label must lead; the first, over an even share."""
    hold_ns: int = 400_000_000
    """For so long it must lead."""


@dataclass(frozen=True, slots=True)
class Belief:
    """What is believed at one moment."""

    stamp_ns: int
    logs: Floats
    """(labels,), the smoothed logarithms of the scores, less their mean."""
    shown: int = UNSURE
    rival: int = UNSURE
    """What would be shown instead, if it went on leading."""
    since_ns: int = 0
    """When the rival began to lead."""

    def scores(self) -> Floats:
        """Return (labels,), the sum is 1."""
        raised = np.exp(self.logs - self.logs.max())
        return np.asarray(raised / raised.sum())


def believe(
    before: Belief | None, scores: Floats | None, now_ns: int, rules: LabelRules, labels: int
) -> Belief:
    """Return what is believed at `now_ns`, which is not before the moment of `before`.

    Args:
        before: what was believed; None at the beginning.
        scores: (labels,), the sum is 1; None where nothing decides now.
        now_ns: of this moment.
        rules: how fast.
        labels: how many there are.
    """
    logs = np.zeros(labels) if scores is None else np.log(np.maximum(scores, _LEAST))
    logs = logs - logs.mean()
    before = before or Belief(now_ns, logs, since_ns=now_ns)
    kept = 0.5 ** ((now_ns - before.stamp_ns) / rules.half_life_ns)
    return _shown(before, kept * before.logs + (1 - kept) * logs, now_ns, rules)


def follow(before: Belief | None, scores: Floats, now_ns: int, rules: LabelRules) -> Belief:
    """Return what is believed where a model has made `scores` of all that was seen until now.

    They are not smoothed again; labels change by the same rules.
    """
    logs = np.log(np.maximum(scores, np.finfo(np.float32).tiny))
    before = before or Belief(now_ns, logs, since_ns=now_ns)
    return _shown(before, logs - logs.mean(), now_ns, rules)


def _shown(before: Belief, logs: Floats, now_ns: int, rules: LabelRules) -> Belief:
    """Return the belief with the label that is shown from now on."""
    now = Belief(now_ns, logs)
    rival = _rival(now.scores(), before.shown, rules.margin)
    since_ns = before.since_ns if rival == before.rival else now_ns
    changes = rival != before.shown and now_ns - since_ns >= rules.hold_ns
    return Belief(now_ns, logs, rival if changes else before.shown, rival, since_ns)


def _rival(scores: Floats, shown: int, margin: float) -> int:
    """Return the label that has a right to be shown: another one only if it leads clearly."""
    best, even = int(scores.argmax()), 1 / len(scores)
    if shown == UNSURE:
        return best if scores[best] >= even + margin else UNSURE
    if scores[best] >= scores[shown] + margin:
        return best
    return shown if scores[shown] >= even + margin / 2 else UNSURE


@dataclass(frozen=True, slots=True)
class PresenceRules:
    """When something counts as there, and when no longer."""

    above: float = 0.6
    """A probability from here on: it is there, at once."""
    below: float = 0.4
    """A probability down from here, for `after_ns`: it is not."""
    after_ns: int = 600_000_000
    """Pauses and missed moments shorter than this are passed over."""


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether something is there: `YES`, `NO` or `NOT_KNOWN`."""

    state: int = NOT_KNOWN
    rival: int = NOT_KNOWN
    since_ns: int = 0


def watch(
    before: Presence | None, probability: float | None, now_ns: int, rules: PresenceRules
) -> Presence:
    """Return whether it is there at `now_ns`; `probability` is None where nothing looks for it."""
    before = before or Presence(since_ns=now_ns)
    rival = before.state
    if probability is None:
        rival = NOT_KNOWN
    elif probability >= rules.above:
        return Presence(YES, YES, now_ns)
    elif probability <= rules.below:
        rival = NO
    since_ns = before.since_ns if rival == before.rival else now_ns
    state = rival if now_ns - since_ns >= rules.after_ns else before.state
    return Presence(state, rival, since_ns)
