"""What a late fusion head combines with what, as its spec or the names of decisions say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tectum.errors import ConfigError
from tectum.inference.keys import Keys
from tectum.inference.stage import OutputSpec

__all__ = ["Combination", "Inputs", "by_name", "left_over", "named", "need_decisions"]

Inputs = Mapping[str, Sequence[OutputSpec]]

_KIND_OF_ROLE = {"probability": "probability", "grid": "probability", "scores": "scores"}


@dataclass(frozen=True, slots=True)
class Combination:
    """One result and what it is made of."""

    spec: OutputSpec
    rule: str
    parts: Mapping[str, str]
    """Input -> its output."""

    @property
    def kind(self) -> str:
        """Return what its decisions are: `probability` or `scores`."""
        return _KIND_OF_ROLE[self.spec.role]


def need_decisions(inputs: Inputs) -> None:
    """Refuse inputs that decide nothing."""
    for name, outputs in inputs.items():
        if not outputs:
            msg = f"late fusion: input {name!r} has no encoder, so it decides nothing: give it one"
            raise ConfigError(msg)


def by_name(rule: str, inputs: Inputs) -> list[Combination]:
    """Combine what several inputs call the same."""
    parts: dict[str, dict[str, str]] = {}
    specs: dict[str, OutputSpec] = {}
    for name, outputs in inputs.items():
        for output in outputs:
            if output.role in _KIND_OF_ROLE:
                parts.setdefault(output.name, {})[name] = output.name
                _same_kind(specs.setdefault(output.name, output), output, name)
    return [
        Combination(_fused_spec(specs[name]), rule, of) for name, of in parts.items() if len(of) > 1
    ]


def named(keys: Keys, result: str, rule: str, rules: Sequence[str], inputs: Inputs) -> Combination:
    """Combine what the graph says."""
    own_rule = keys.choice("rule", rules, rule)
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
    return Combination(OutputSpec(result, fused.role, fused.labels, fused.facts), own_rule, parts)


def left_over(
    inputs: Inputs, combined: Sequence[Combination]
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
