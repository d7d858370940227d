"""A late fusion head: the decisions of several inputs, combined by a rule.

Without `outputs`, decisions of one name are combined: probabilities, grids and scores that two or
more inputs give under that name. With `outputs`, each result says which decision of which input it
is made of. Whatever no rule takes passes through unchanged, as does a decision that only one input
still gives. Missing inputs are left out of the rule; a result with none left is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tectum.errors import ConfigError, ModelError
from tectum.fusion.contribution import contributions
from tectum.fusion.late import RULES, belief, fuse
from tectum.fusion.stacker import Stacker
from tectum.inference.confidence import Confidence
from tectum.inference.keys import Keys
from tectum.inference.stacker_file import read_stacker
from tectum.inference.stage import OutputSpec, StageArg, StageOutput, Stopper, Tensor
from tectum.message import AnyArray, Value

__all__ = ["LateHead"]

Inputs = Mapping[str, Sequence[OutputSpec]]

STACKER = "stacker"
RULE_NAMES = (*RULES, STACKER)
DISCOUNT = 0.1
"""How often an expert is taken to be wrong about its own certainty, by Dempster's rule."""
_KIND_OF_ROLE = {"probability": "probability", "grid": "probability", "scores": "scores"}


@dataclass(frozen=True, slots=True)
class _Combination:
    """One result and what it is made of."""

    spec: OutputSpec
    rule: str
    parts: Mapping[str, str]
    """Input -> its output."""

    @property
    def kind(self) -> str:
        """Return what its decisions are: `probability` or `scores`."""
        return _KIND_OF_ROLE[self.spec.role]


class LateHead:
    """A stage that combines decisions."""

    variants: tuple[str, ...] = ("default",)

    def __init__(self, spec: Mapping[str, Any], *, name: str, inputs: Inputs) -> None:
        """Decide what is combined with what.

        Args:
            spec: `rule`, and optionally `weights` (input -> weight, default 1), `outputs`
                (result -> `rule`, `from`: input -> output), `contribution` (true: report how
                much each input changes each result), `discount` (rule dempster), `file` (rule
                stacker) and what `Confidence` reads.
            name: of the stage.
            inputs: what the encoder of each input of the graph gives.

        Raises:
            ConfigError: a name is unknown, or decisions that are to be combined do not match.
        """
        self.name = name
        keys = Keys(spec, "head", "late")
        rule = keys.choice("rule", RULE_NAMES)
        self._weights = _weights(keys.below("weights"), inputs)
        self._trust = 1 - keys.get("discount", float, DISCOUNT)
        self._confidence = Confidence(keys, tuple(inputs))
        file = keys.get("file", str, "")
        wanted = keys.below("outputs")
        self._contribution = keys.get("contribution", bool, False)
        keys.finish()
        _need_decisions(inputs)
        named = wanted.rest()
        self._combined = tuple(
            _named(Keys(value, "head", wanted.at(key)), key, rule, inputs)
            for key, value in named.items()
        ) or tuple(_by_name(rule, inputs))
        self._stacker = _stacker(file, self._combined, keys)
        self._passed = _left_over(inputs, self._combined)
        self.outputs = (
            *(item.spec for item in self._combined),
            *(output for _, output in self._passed),
        )

    def warm_up(self, variant: str) -> None:
        """Do nothing: the first run costs what later ones cost."""

    def run(
        self,
        variant: str,
        args: Mapping[str, StageArg],
        state: Mapping[str, Tensor] | None,
        stopper: Stopper,
    ) -> StageOutput:
        """Combine what is there."""
        del variant, state, stopper
        present = {name: arg for name, arg in args.items() if isinstance(arg, StageOutput)}
        arrays = self._fuse(present)
        facts: dict[str, Value] = {"present": list(present), **self._conflicts(present)}
        if self._contribution:
            facts["contribution"] = contributions(arrays, present, self._fuse)
        for name, output in self._passed:
            if name in present and output.name in present[name].arrays:
                arrays[output.name] = present[name].arrays[output.name]
        return StageOutput(arrays, facts)

    def close(self) -> None:
        """Do nothing: nothing is held."""

    def _fuse(self, present: Mapping[str, StageOutput]) -> dict[str, AnyArray]:
        arrays: dict[str, AnyArray] = {}
        for item in self._combined:
            decisions = self._decisions(item, present)
            if any(self._weights[name] > 0 for name in decisions):
                arrays[item.spec.name] = self._decide(item, decisions)
        return arrays

    def _decisions(
        self, item: _Combination, present: Mapping[str, StageOutput]
    ) -> dict[str, AnyArray]:
        """Return what the inputs that are there decide, as sure as they have a right to be."""
        return {
            name: self._confidence.of(
                name, present[name].arrays[output], present[name].age_ns, item.kind
            )
            for name, output in item.parts.items()
            if name in present and output in present[name].arrays
        }

    def _decide(self, item: _Combination, decisions: Mapping[str, AnyArray]) -> AnyArray:
        shapes = {name: array.shape for name, array in decisions.items()}
        if len(set(shapes.values())) > 1:
            msg = f"{self.name}: {item.spec.name!r} cannot be combined: shapes {shapes}"
            raise ModelError(msg)
        if self._stacker is not None and item.rule == STACKER:
            return self._stacker.fuse(decisions).astype(np.float32)
        if len(decisions) == 1:
            return next(iter(decisions.values()))
        fused = fuse(item.rule, *self._weighed(item, decisions), item.kind)
        return fused.astype(np.float32)

    def _weighed(
        self, item: _Combination, decisions: Mapping[str, AnyArray]
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


def _stacker(file: str, combined: Sequence[_Combination], keys: Keys) -> Stacker | None:
    """Return what was learned, checked against what it is to combine."""
    stacked = [item for item in combined if item.rule == STACKER]
    if not stacked:
        return None
    if not file:
        raise keys.error(file, "file", "the path of a stacker's JSON file, which the rule needs")
    stacker = read_stacker(file)
    for item in stacked:
        unknown = [name for name in item.parts if name not in stacker.weights]
        if unknown or item.kind != "scores" or len(item.spec.labels) not in {0, len(stacker.bias)}:
            msg = (
                f"{file}: learned to combine {len(stacker.bias)} scores of "
                f"{', '.join(stacker.weights)}; {item.spec.name!r} is {item.spec.role} of "
                f"{', '.join(item.parts)} with {len(item.spec.labels)} labels"
            )
            raise ConfigError(msg)
    return stacker


def _need_decisions(inputs: Inputs) -> None:
    for name, outputs in inputs.items():
        if not outputs:
            msg = f"late fusion: input {name!r} has no encoder, so it decides nothing: give it one"
            raise ConfigError(msg)


def _by_name(rule: str, inputs: Inputs) -> list[_Combination]:
    """Combine what several inputs call the same."""
    parts: dict[str, dict[str, str]] = {}
    specs: dict[str, OutputSpec] = {}
    for name, outputs in inputs.items():
        for output in outputs:
            if output.role in _KIND_OF_ROLE:
                parts.setdefault(output.name, {})[name] = output.name
                _same_kind(specs.setdefault(output.name, output), output, name)
    return [
        _Combination(_fused_spec(specs[name]), rule, of)
        for name, of in parts.items()
        if len(of) > 1
    ]


def _named(keys: Keys, result: str, rule: str, inputs: Inputs) -> _Combination:
    """Combine what the graph says."""
    own_rule = keys.choice("rule", RULE_NAMES, rule)
    of = keys.below("from")
    parts: dict[str, str] = {}
    first: OutputSpec | None = None
    for name, outputs in inputs.items():
        usable = {output.name: output for output in outputs if output.role in _KIND_OF_ROLE}
        wanted = of.get(name, str, "")
        if wanted:
            of_name = Keys({name: wanted}, "head", of.path)
            spec = usable[of_name.choice(name, tuple(usable))]
            first = first or spec
            _same_kind(first, spec, name)
            parts[name] = wanted
    of.finish()
    keys.finish()
    if first is None:
        raise of.error({}, "", f"a mapping of inputs ({', '.join(inputs)}) to their outputs")
    fused = _fused_spec(first)
    return _Combination(OutputSpec(result, fused.role, fused.labels, fused.facts), own_rule, parts)


def _same_kind(first: OutputSpec, other: OutputSpec, name: str) -> None:
    mine, theirs = _KIND_OF_ROLE[first.role], _KIND_OF_ROLE[other.role]
    if mine != theirs or first.labels != other.labels:
        msg = (
            f"late fusion: {other.name!r} of input {name!r} ({other.role}, labels "
            f"{list(other.labels)}) cannot be combined with {first.name!r} ({first.role}, labels "
            f"{list(first.labels)})"
        )
        raise ConfigError(msg)


def _fused_spec(spec: OutputSpec) -> OutputSpec:
    facts = {key: value for key, value in spec.facts.items() if key != "modality"}
    return OutputSpec(spec.name, spec.role, spec.labels, facts)


def _left_over(
    inputs: Inputs, combined: Sequence[_Combination]
) -> tuple[tuple[str, OutputSpec], ...]:
    """Return the outputs that are no embedding or state and that no rule takes."""
    taken = {(name, output) for item in combined for name, output in item.parts.items()}
    names = {item.spec.name for item in combined}
    passed: list[tuple[str, OutputSpec]] = []
    for name, outputs in inputs.items():
        for output in outputs:
            if output.role in {"embedding", "state"} or (name, output.name) in taken:
                continue
            if output.name in names:
                msg = f"late fusion: {output.name!r} is given twice; the second by input {name!r}"
                raise ConfigError(msg)
            names.add(output.name)
            passed.append((name, output))
    return tuple(passed)
