"""A head over time: another head's answers, steadied for a display.

The scores that `decision` names are smoothed, or made by a learned head over time of what each
input decides; `shown` is the label that a display shows. Each of
`states` watches one probability: `nobody in view`, `nobody speaking`; while none of those that
`needs` names is there, nothing is believed. All else passes through as the head gives it.

Answers are taken up in the order of their moments; one that comes after a later one changes nothing
and is given what is believed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tectum.errors import ConfigError, nearest_name
from tectum.fusion.over_time import (
    NO,
    UNSURE,
    Belief,
    LabelRules,
    Presence,
    PresenceRules,
    believe,
    follow,
    watch,
)
from tectum.inference.keys import Keys
from tectum.inference.recurrent import RecurrentHead, moment_of
from tectum.inference.session import Session
from tectum.inference.stage import (
    OutputSpec,
    Stage,
    StageArg,
    StageOutput,
    Stopper,
    Tensor,
)
from tectum.message import AnyArray

__all__ = ["OverTime"]

SHOWN = "shown"


@dataclass(frozen=True, slots=True)
class _State:
    """A presence that is watched."""

    spec: OutputSpec
    of: str
    rules: PresenceRules


class OverTime:
    """A stage that steadies the answers of another."""

    def __init__(
        self,
        spec: Mapping[str, Any],
        head: Stage,
        *,
        name: str,
        learned: Callable[[str], RecurrentHead] | None = None,
    ) -> None:
        """Wrap `head`.

        Args:
            spec: `decision` (a result of the head with scores), and optionally `half_life`,
                `margin`, `hold`, `states` (name -> `of`, `yes`, `no`, and optionally `above`,
                `below`, `after`), `needs` (some of the states).
            head: makes the answer of each moment.
            name: of the stage.
            learned: makes, of the decision's name, what takes the place of the smoothing.

        Raises:
            ConfigError: a result is not there or of another role, or a number makes no sense.
        """
        self.name, self._head, self.variants = name, head, head.variants
        keys = Keys(spec, "head", "over_time")
        self._decision = _result(keys, "decision", head.outputs, "scores")
        self._rules = _label_rules(keys)
        self._states = _states(keys, head.outputs)
        self._needs = _needs(keys, self._states)
        keys.finish()
        self._labels = self._decision.labels
        self._learned = learned(self._decision.name) if learned else None
        if self._learned and self._learned.outputs[0].labels != self._labels:
            wanted, given = list(self._labels), list(self._learned.outputs[0].labels)
            msg = f"over_time.model: it knows the labels {given}; the head decides between {wanted}"
            raise ConfigError(msg)
        shown = OutputSpec(SHOWN, "label", (*self._labels, "unsure"))
        self.outputs = (*head.outputs, shown, *(state.spec for state in self._states))
        _check_names(self.outputs)
        self._one_at_a_time = threading.Lock()
        self._belief: Belief | None = None
        self._carried: Mapping[str, Tensor] | None = None
        self._presences: dict[str, Presence] = {}

    @property
    def models(self) -> dict[str, str]:
        """Return the head's models with the hashes of their files."""
        return {**getattr(self._head, "models", {}), **getattr(self._learned, "models", {})}

    @property
    def sessions(self) -> dict[str, Session]:
        """Return the head's sessions, where it has some, else those of what was learned."""
        return dict(getattr(self._head, "sessions", getattr(self._learned, "sessions", {})))

    def warm_up(self, variant: str) -> None:
        """Warm the head up; nothing of it is believed."""
        self._head.warm_up(variant)
        if self._learned:
            self._learned.warm_up(self._learned.variants[0])

    def run(
        self,
        variant: str,
        args: Mapping[str, StageArg],
        state: Mapping[str, Tensor] | None,
        stopper: Stopper,
    ) -> StageOutput:
        """Answer, and steady the answer."""
        answer = self._head.run(variant, args, state, stopper)
        with self._one_at_a_time:  # several lanes may ask at once
            steadied = self._steadied(answer, args, stopper)
        return answer._replace(arrays={**answer.arrays, **steadied})

    def close(self) -> None:
        """Close the head, and what was learned."""
        self._head.close()
        if self._learned:
            self._learned.close()

    def _steadied(
        self, answer: StageOutput, args: Mapping[str, StageArg], stopper: Stopper
    ) -> dict[str, AnyArray]:
        now_ns, belief = moment_of(args), self._belief
        if belief is None or now_ns > belief.stamp_ns:
            self._watch(answer, now_ns)
            if self._nobody():
                self._carried = None
                belief = believe(None, None, now_ns, self._rules, len(self._labels))
            elif self._learned:
                belief = follow(belief, self._recall(args, stopper), now_ns, self._rules)
            else:
                scores = answer.arrays.get(self._decision.name)
                given = None if scores is None else scores.astype(np.float64)
                belief = believe(belief, given, now_ns, self._rules, len(self._labels))
            self._belief = belief
        return self._told(belief)

    def _watch(self, answer: StageOutput, now_ns: int) -> None:
        for state in self._states:
            was = self._presences.get(state.spec.name)
            seen = answer.arrays.get(state.of)
            likely = None if seen is None else float(seen.reshape(-1)[0])
            self._presences[state.spec.name] = watch(was, likely, now_ns, state.rules)

    def _recall(self, args: Mapping[str, StageArg], stopper: Stopper) -> NDArray[np.float64]:
        """Return the scores that the learned head makes of this moment and all before."""
        assert self._learned is not None
        best = self._learned.variants[0]
        output = self._learned.run(best, args, self._carried, stopper)
        self._carried = output.state
        return output.arrays[self._decision.name].astype(np.float64)

    def _nobody(self) -> bool:
        """Return whether none of what is needed is there: who comes next may be somebody else."""
        needed = [self._presences[name].state for name in self._needs if name in self._presences]
        return bool(needed) and all(state == NO for state in needed)

    def _told(self, belief: Belief) -> dict[str, AnyArray]:
        shown = belief.shown
        index = len(self._labels) if shown == UNSURE else shown
        return {
            self._decision.name: belief.scores().astype(np.float32),
            SHOWN: np.array([index], np.float32),
            **{
                name: np.array([presence.state], np.float32)
                for name, presence in self._presences.items()
            },
        }


def _result(keys: Keys, key: str, outputs: Sequence[OutputSpec], role: str) -> OutputSpec:
    """Return the head's result that is named at `key`, which must have a role."""
    name = keys.need(key, str)
    usable = {output.name: output for output in outputs if output.role == role}
    if name not in usable:
        known = ", ".join(usable) or "none"
        close = nearest_name(name, usable)
        raise keys.error(name, key, f"a result of the head with role {role} ({known}){close}")
    found = usable[name]
    if role == "scores" and len(found.labels) < 2:
        raise keys.error(name, key, "a result with labels, of which there are at least two")
    return found


def _label_rules(keys: Keys) -> LabelRules:
    rules = LabelRules()
    margin = keys.get("margin", float, rules.margin)
    if not 0 < margin < 1:
        raise keys.error(margin, "margin", "between 0 and 1")
    return LabelRules(
        keys.duration_ns("half_life", rules.half_life_ns), margin,
        keys.duration_ns("hold", rules.hold_ns),
    )  # fmt: skip


def _states(keys: Keys, outputs: Sequence[OutputSpec]) -> tuple[_State, ...]:
    wanted, found = keys.below("states"), []
    for name, entry in wanted.rest().items():
        row = Keys(entry, "head", wanted.at(name))
        of, rules = _result(row, "of", outputs, "probability"), PresenceRules()
        labels = (row.need("yes", str), row.need("no", str), "not known")
        above, below = (row.get(key, float, getattr(rules, key)) for key in ("above", "below"))
        if not 0 <= below < above <= 1:
            raise row.error(below, "below", f"from 0 to less than `above` ({above:g})")
        own = PresenceRules(above, below, row.duration_ns("after", rules.after_ns))
        row.finish()
        found.append(_State(OutputSpec(name, "label", labels), of.name, own))
    return tuple(found)


def _needs(keys: Keys, states: Sequence[_State]) -> tuple[str, ...]:
    names, known = keys.texts("needs"), [state.spec.name for state in states]
    for name in names:
        if name not in known:
            what = f"one of `states` ({', '.join(known) or 'none'}){nearest_name(name, known)}"
            raise keys.error(name, "needs", what)
    return names


def _check_names(outputs: Sequence[OutputSpec]) -> None:
    names = [output.name for output in outputs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = f"over_time: the head gives a result {twice[0]!r} already: name the state otherwise"
        raise ConfigError(msg)
