"""A late fusion head: the decisions of several inputs, combined by a rule.

Without `outputs`, decisions of one name are combined: probabilities, grids and scores that two or
more inputs give under that name. With `outputs`, each result says which decision of which input it
is made of. Whatever no rule takes passes through unchanged, as does a decision that only one input
still gives, unless a stacker has learned what to make of it. Missing inputs are left out of the
rule; a result with none left is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tectum.errors import ModelError
from tectum.fusion.contribution import contributions
from tectum.fusion.late import RULES, belief, fuse
from tectum.inference.confidence import Confidence
from tectum.inference.keys import Keys
from tectum.inference.late_parts import (
    Combination,
    Inputs,
    by_name,
    left_over,
    named,
    need_decisions,
)
from tectum.inference.session import Session
from tectum.inference.stacker_file import FileStacker
from tectum.inference.stacker_model import ModelStacker
from tectum.inference.stacking import Stacking
from tectum.inference.stage import StageArg, StageOutput, Stopper, Tensor
from tectum.message import AnyArray, Value

__all__ = ["LateHead"]

STACKER = "stacker"
RULE_NAMES = (*RULES, STACKER)
DISCOUNT = 0.1
"""How often an expert is taken to be wrong about its own certainty, by Dempster's rule."""


class LateHead:
    """A stage that combines decisions."""

    def __init__(
        self,
        spec: Mapping[str, Any],
        *,
        name: str,
        inputs: Inputs,
        learned: ModelStacker | None = None,
    ) -> None:
        """Decide what is combined with what.

        Args:
            spec: `rule`, and optionally `weights` (input -> weight, default 1), `outputs`
                (result -> `rule`, `from`: input -> output), `contribution` (true: report how
                much each input changes each result), `discount` (rule dempster), `file` (rule
                stacker, without `learned`) and what `Confidence` reads.
            name: of the stage.
            inputs: what the encoder of each input of the graph gives.
            learned: the model of the rule stacker.

        Raises:
            ConfigError: a name is unknown, or decisions that are to be combined do not match.
        """
        self.name, self._learned = name, learned
        self.variants: tuple[str, ...] = learned.variants if learned else ("default",)
        keys = Keys(spec, "head", "late")
        rule = keys.choice("rule", RULE_NAMES)
        self._weights = _weights(keys.below("weights"), inputs)
        self._trust = 1 - keys.get("discount", float, DISCOUNT)
        self._confidence = Confidence(keys, tuple(inputs))
        file = keys.get("file", str, "")
        wanted = keys.below("outputs")
        self._contribution = keys.get("contribution", bool, False)
        keys.finish()
        need_decisions(inputs)
        self._combined = tuple(
            named(Keys(value, "head", wanted.at(key)), key, rule, RULE_NAMES, inputs)
            for key, value in wanted.rest().items()
        ) or tuple(by_name(rule, inputs))
        self._stacker = _stacker(learned, file, self._combined, keys)
        self._passed = left_over(inputs, self._combined)
        self.outputs = (
            *(item.spec for item in self._combined),
            *(output for _, output in self._passed),
        )

    @property
    def models(self) -> dict[str, str]:
        """Return the name of the model of the stacker with the hash of its file."""
        return self._learned.models if self._learned else {}

    @property
    def sessions(self) -> dict[str, Session]:
        """Return the sessions of the model of the stacker."""
        return self._learned.sessions if self._learned else {}

    def warm_up(self, variant: str) -> None:
        """Warm up the model of the stacker; the first run of a rule costs what later ones cost."""
        if self._learned:
            self._learned.warm_up(variant)

    def run(
        self,
        variant: str,
        args: Mapping[str, StageArg],
        state: Mapping[str, Tensor] | None,
        stopper: Stopper,
    ) -> StageOutput:
        """Combine what is there."""
        del state
        present = {name: arg for name, arg in args.items() if isinstance(arg, StageOutput)}
        arrays = self._fuse(present, variant, stopper)
        facts: dict[str, Value] = {"present": list(present), **self._conflicts(present)}
        if self._contribution:
            facts["contribution"] = contributions(
                arrays, present, lambda some: self._fuse(some, variant, stopper)
            )
        for name, output in self._passed:
            if name in present and output.name in present[name].arrays:
                arrays[output.name] = present[name].arrays[output.name]
        return StageOutput(arrays, facts)

    def close(self) -> None:
        """Give back the sessions of the stacker."""
        if self._learned:
            self._learned.close()

    def _fuse(
        self, present: Mapping[str, StageOutput], variant: str, stopper: Stopper
    ) -> dict[str, AnyArray]:
        arrays: dict[str, AnyArray] = {}
        for item in self._combined:
            decisions = self._decisions(item, present)
            if any(self._weights[name] > 0 for name in decisions):
                _same_shape(self.name, item, decisions)
                if self._stacker is not None and item.rule == STACKER:
                    ages_ns = {name: present[name].age_ns for name in decisions}
                    fused = self._stacker.fuse(decisions, ages_ns, variant, stopper)
                else:
                    fused = self._decide(item, decisions)
                arrays[item.spec.name] = fused
        return arrays

    def _decisions(
        self, item: Combination, present: Mapping[str, StageOutput]
    ) -> dict[str, AnyArray]:
        """Return what the inputs that are there decide, as sure as they have a right to be."""
        return {
            name: self._confidence.of(
                name, present[name].arrays[output], present[name].age_ns, item.kind
            )
            for name, output in item.parts.items()
            if name in present and output in present[name].arrays
        }

    def _decide(self, item: Combination, decisions: Mapping[str, AnyArray]) -> AnyArray:
        if len(decisions) == 1:
            return next(iter(decisions.values()))
        fused = fuse(item.rule, *self._weighed(item, decisions), item.kind)
        return fused.astype(np.float32)

    def _weighed(
        self, item: Combination, decisions: Mapping[str, AnyArray]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return decisions and weights as arrays; by Dempster's rule weights are reliabilities."""
        weights = np.array([self._weights[name] for name in decisions])
        if item.rule == "dempster":
            weights = np.minimum(weights, 1) * self._trust
        return np.stack([array.astype(np.float64) for array in decisions.values()]), weights

    def _conflicts(self, present: Mapping[str, StageOutput]) -> dict[str, Value]:
        """Return the fact `conflict`: how much inputs contradict each other, 0 to 1, by result."""
        found: dict[str, Value] = {}
        for item in self._combined:
            decisions = self._decisions(item, present)
            if item.rule == "dempster" and len(decisions) > 1:
                together = belief(*self._weighed(item, decisions), item.kind)
                found[item.spec.name] = float(np.mean(together.conflict))
        return {"conflict": found} if found else {}


def _weights(keys: Keys, inputs: Inputs) -> dict[str, float]:
    weights = {name: keys.get(name, float, 1.0) for name in inputs}
    keys.finish()
    for name, weight in weights.items():
        if weight < 0:
            raise keys.error(weight, name, "0 or more")
    return weights


def _stacker(
    learned: ModelStacker | None, file: str, combined: Sequence[Combination], keys: Keys
) -> Stacking | None:
    """Return what was learned, checked against what it is to combine."""
    stacked = [item for item in combined if item.rule == STACKER]
    if not stacked:
        return None
    if not (learned or file):
        what = "the path of a stacker's JSON file, which the rule needs where `model` names none"
        raise keys.error(file, "file", what)
    stacker: Stacking = learned or FileStacker(file)
    for item in stacked:
        stacker.check(item)
    return stacker


def _same_shape(name: str, item: Combination, decisions: Mapping[str, AnyArray]) -> None:
    shapes = {of: array.shape for of, array in decisions.items()}
    if len(set(shapes.values())) > 1:
        msg = f"{name}: {item.spec.name!r} cannot be combined: shapes {shapes}"
        raise ModelError(msg)
