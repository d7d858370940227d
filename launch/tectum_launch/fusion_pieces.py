"""What can be read of a fusion node although some of its keys are wrong.

All errors of a file are to be found at once: a misspelt key in one input must not hide a missing
model in another. So topics, encoders and the head are also taken one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tectum_launch.fusion_schema import FusionConfig, Trigger
from tectum_launch.head_schema import HeadConfig, NamedHeadConfig
from tectum_launch.stage_schema import Encoder, StageConfig

__all__ = ["FusionPieces", "pieces_of"]


@dataclass(frozen=True, slots=True)
class FusionPieces:
    """The parts of a fusion node that are right by themselves."""

    inputs: tuple[str, ...] = ()
    topics: Mapping[str, str] = field(default_factory=dict)
    """Input -> topic."""
    encoders: Mapping[str, StageConfig] = field(default_factory=dict)
    """Input -> encoder."""
    heads: Mapping[str, HeadConfig] = field(default_factory=dict)
    """Name -> head; the only one has none."""
    head_names: tuple[str, ...] = ()
    """Of several heads, also of those that are wrong."""
    trigger: str = ""
    """The input that triggers; empty: a rate, or wrong."""
    also_trigger: tuple[str, ...] = ()
    config: FusionConfig | None = None
    """The whole, where all of it is right."""


def pieces_of(raw: Mapping[str, Any], config: FusionConfig | None) -> FusionPieces:
    """Return the pieces of the fusion node that `raw` describes."""
    entries = raw.get("inputs")
    inputs = {
        name: entry
        for name, entry in (entries.items() if isinstance(entries, dict) else ())
        if isinstance(entry, dict)
    }
    encoders = {name: _piece(Encoder, entry.get("encoder")) for name, entry in inputs.items()}
    topics = {name: entry.get("topic") for name, entry in inputs.items()}
    trigger = _piece(Trigger, raw.get("trigger"))
    return FusionPieces(
        inputs=tuple(inputs),
        topics={name: topic for name, topic in topics.items() if isinstance(topic, str)},
        encoders={name: encoder for name, encoder in encoders.items() if encoder},
        heads=_heads(raw),
        head_names=tuple(raw["heads"]) if isinstance(raw.get("heads"), dict) else (),
        trigger=(trigger.input or "") if trigger else "",
        also_trigger=trigger.also if trigger else (),
        config=config,
    )


def _heads(raw: Mapping[str, Any]) -> dict[str, HeadConfig]:
    entries = raw.get("heads")
    several = entries.items() if isinstance(entries, dict) else ()
    found = {name: _piece(NamedHeadConfig, entry) for name, entry in several}
    found[""] = _piece(HeadConfig, raw.get("head"))
    return {name: head for name, head in found.items() if head}


def _piece(kind: Any, value: Any) -> Any:
    """Return `value` as a `kind`, or None where it is absent or wrong."""
    if value is None:
        return None
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return None
