"""How long the stages of a graph take in a simulation, where the log does not say it of them.

A recorded duration counts for the model that it was measured on. A stage whose model is another
than in the recorded run takes what that model's manifest claims, unless a table given by hand says
it; so does a stage that never ran.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tectum_launch.graph import FusionPart

__all__ = ["StageTimes", "stage_times"]

_NAMES = ("folder", "model", "file", "run")
"""Keys of a stage's spec that name a model, a file or a class."""


@dataclass(frozen=True, slots=True)
class StageTimes:
    """`stage` or `stage/variant` -> ns."""

    table: Mapping[str, int] = field(default_factory=dict)
    """Goes before what was recorded."""
    claims: Mapping[str, int] = field(default_factory=dict)
    """Counts where nothing was recorded."""
    claimed: tuple[str, ...] = ()
    """Stages that are another model than was recorded, and take what its manifest claims."""


def stage_times(
    part: FusionPart, recorded: Mapping[str, Any], given: Mapping[str, int]
) -> StageTimes:
    """Return what is known of the stages of a fusion node beside the log.

    Args:
        part: the compiled fusion node.
        recorded: stage -> its spec in the recorded run; of those that are not in it nothing is
            said, as in the log of others.
        given: by hand; goes before everything.
    """
    claims: dict[str, int] = {}
    table: dict[str, int] = {}
    claimed = []
    for name, stage in part.stages.items():
        of_stage = {f"{name}/{key}": ns for key, ns in stage.claims_ns().items() if ns}
        claims |= of_stage
        other = name in recorded and _models(recorded[name]) != _models(stage.spec)
        if other and of_stage and not any(key.partition("/")[0] == name for key in given):
            table |= of_stage
            claimed.append(name)
    return StageTimes({**table, **given}, claims, tuple(claimed))


def _models(spec: object) -> tuple[str, ...]:
    """Return what a spec runs, wherever it is installed: `driving/camera`."""
    return tuple("/".join(Path(name).parts[-2:]) for name in _named(spec))


def _named(spec: object) -> Iterator[str]:
    if isinstance(spec, Mapping):
        for key, value in spec.items():
            if key in _NAMES and isinstance(value, str):
                yield value
            else:
                yield from _named(value)
    elif isinstance(spec, list | tuple):
        for value in spec:
            yield from _named(value)
