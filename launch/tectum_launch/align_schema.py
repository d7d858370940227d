"""The keys of an input's `align`: which of its samples belongs to a trigger."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from tectum.node.base import NodeConfig
from tectum.node.fields import Duration
from tectum_launch.schema import PositiveDuration, only_one

__all__ = ["Align", "AlignConfig"]


class NearestConfig(NodeConfig):
    """The sample closest to the trigger, if it is close enough."""

    tolerance: Annotated[Duration, Field(ge=0)] | None = None
    """How far from the trigger a sample may be, on both sides."""
    before: Annotated[Duration, Field(ge=0)] | None = None
    """How far before the trigger; with `after`, instead of `tolerance`."""
    after: Annotated[Duration, Field(ge=0)] | None = None
    """How far after the trigger."""

    @model_validator(mode="after")
    def _one_form(self) -> NearestConfig:
        sides = (self.before is not None, self.after is not None)
        if (self.tolerance is None and not all(sides)) or (self.tolerance and any(sides)):
            msg = "nearest takes `tolerance: 40ms`, or both `before: 40ms` and `after: 20ms`"
            raise ValueError(msg)
        return self


class InterpolateConfig(NodeConfig):
    """The value at the trigger's very time, between the samples on either side (poses, tensors)."""

    reach: PositiveDuration
    """How far from the trigger each of the two may be."""


class LatestConfig(NodeConfig):
    """The newest sample not after the trigger."""

    max_age: PositiveDuration
    """How old it may be at the trigger's time."""


class WindowConfig(NodeConfig):
    """All samples of a stretch of time, cut to the sample where they are audio."""

    duration: PositiveDuration
    """Its length."""
    lead: Duration = 0
    """Its end, after (+) or before (-) the trigger's time."""
    coverage: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The least share of it that samples must cover: 0.8 is four fifths."""


class ExactConfig(NodeConfig):
    """The sample with exactly the trigger's stamp."""


class AlignConfig(NodeConfig):
    """The rule that picks, for one input, the sample that belongs to a trigger."""

    exact: ExactConfig | None = None
    nearest: NearestConfig | None = None
    latest: LatestConfig | None = None
    window: WindowConfig | None = None
    interpolate: InterpolateConfig | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> AlignConfig:
        only_one(self, ("exact", "nearest", "latest", "window", "interpolate"), "align")
        return self


def _align(value: Any) -> Any:
    return {value: {}} if isinstance(value, str) else value


Align = Annotated[
    AlignConfig, BeforeValidator(_align, json_schema_input_type=AlignConfig | Literal["exact"])
]
"""A rule with its settings, `{nearest: {tolerance: 40ms}}`, or the name of one without: `exact`."""
