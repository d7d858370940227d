"""The keys of a fusion node in a graph file.

The short forms that people write (`trigger: lidar`, `encoder: driving/camera`, `align: exact`)
are brought to one long form here and in the schemas of the parts, so that `compile` meets only
that.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from tectum.node.base import NodeConfig
from tectum.node.fields import Duration, Rate, Size
from tectum_launch.accept_schema import Accept
from tectum_launch.align_schema import Align
from tectum_launch.head_schema import HeadConfig, NamedHeadConfig
from tectum_launch.schema import Budget, Name, PositiveDuration, only_one
from tectum_launch.stage_schema import DeviceConfig, Encoder

__all__ = [
    "BufferConfig",
    "FusionConfig",
    "InputConfig",
    "Trigger",
    "TriggerConfig",
]


class BufferConfig(NodeConfig):
    """How much of an input is kept for triggers to come; what goes beyond is let go of."""

    duration: PositiveDuration | None = None
    """Default: twice what the alignment looks back, plus the budget, at least 2 s."""
    size: Size = 256 * 1024 * 1024
    """Bytes of the samples kept."""


def _input_clock(value: Any) -> Any:
    if value == "device":
        msg = (
            "'device' is not a clock of an input (graph, utc, tai or gps): a device's own clock is "
            "put on the graph clock where it is read; set `clock: device` at the node that "
            "publishes the topic (camera, microphone, tensor)"
        )
        raise ValueError(msg)
    return value


class InputConfig(NodeConfig):
    """One input of a fusion node."""

    topic: str
    """`node/output`."""
    align: Align | None = None
    """Default: exact for the trigger; else nearest within half of the input's period (50 ms where
    that is not known)."""
    encoder: Encoder | None = None
    """Default: the head takes the samples themselves."""
    required: bool | None = None
    """Default: true, or, where `accept` is given, whether every combination has it."""
    offset: Duration = 0
    """Known delay of the sensor's stamps: subtracted from each stamp."""
    clock: Annotated[
        Literal["graph", "utc", "tai", "gps"],
        BeforeValidator(_input_clock, json_schema_input_type=Literal["graph", "utc", "tai", "gps"]),
    ] = "graph"
    """What its stamps are of: the graph clock or UTC (also the system's, ROS's, PTP's in UTC), TAI
    (PTP's own, 37 s ahead) or GPS time (18 s ahead); the difference is taken off."""
    reference: Literal["start", "middle", "end"] = "start"
    """The point of a capture that its stamp stands for in alignment."""
    period: PositiveDuration | None = None
    """Expected period; default: what the publishing node's configuration says, else learned."""
    jitter: Annotated[Duration, Field(ge=0)] | None = None
    """Bound on the jitter of stamps; default: learned."""
    max_age: PositiveDuration | None = None
    """How old a cached embedding may be that stands in for a fresh one; default: none does."""
    buffer: BufferConfig = BufferConfig()
    """How much of it is kept: {duration, size}."""
    silent_after: PositiveDuration | None = None
    """Not heard for so long means silent; default: three periods plus jitter, at least 250 ms; of a
    trigger two periods, jitter and as much of a third as the budget spares, at least 100 ms."""


def _trigger(value: Any) -> Any:
    if isinstance(value, list) and value:
        return {"input": value[0], "also": value[1:]}
    return {"input": value} if isinstance(value, str) else value


class TriggerConfig(NodeConfig):
    """What asks for a result."""

    input: str | None = None
    """The messages of this input."""
    also: tuple[str, ...] = ()
    """And of these: whichever is new."""
    rate: Rate | None = None
    """A clock, from the first sample on."""

    @model_validator(mode="after")
    def _one_kind(self) -> TriggerConfig:
        only_one(self, ("input", "rate"), "trigger")
        if self.also and not self.input:
            msg = "`also` goes with `input`; a rate is a trigger by itself"
            raise ValueError(msg)
        return self


Trigger = Annotated[
    TriggerConfig,
    BeforeValidator(_trigger, json_schema_input_type=TriggerConfig | str | list[str]),
]
"""An input's name, a list of names (whichever is new), or {rate: 5Hz}."""


class FusionConfig(NodeConfig):
    """A fusion node."""

    trigger: Trigger
    """The input whose messages ask for results, or {rate: 5Hz}."""
    inputs: Annotated[dict[Name, InputConfig], Field(min_length=1)]
    """Input name -> its topic and how it is taken."""
    head: HeadConfig | None = None
    """What makes the answer."""
    heads: Annotated[dict[Name, NamedHeadConfig], Field(min_length=1)] | None = None
    """Instead of `head`: several of them over the same sets and encoders. Name, which is that of
    the topic of its answers -> the head, with the `inputs` it takes, its `budget` and `accept`."""
    accept: Accept = ()
    """Accepted combinations, best first: lists of inputs, or {at_least: {cameras: 4}}. Default:
    all required inputs."""
    groups: dict[Name, tuple[str, ...]] = Field(default_factory=dict)
    """Group name -> its inputs, for `at_least`."""
    budget: Budget | None = None
    """Default: the graph's."""
    lanes: Annotated[int, Field(ge=1, le=256)] | None = None
    """Computations at a time; default: the cores that it may run on, at most the number of
    stages."""
    substitute: bool = True
    """While the trigger's input is silent, triggers come at its learned period."""
    late: Literal["shed", "deliver"] = "shed"
    """What becomes of an answer that is ready after its deadline."""
    eager: Literal["commit", "guess", "off"] = "commit"
    """commit: encode when a pick is committed; guess: on idle lanes also what is only likely to
    belong to the next trigger; off: when the whole set is there."""
    margin: Annotated[Duration, Field(ge=0)] = 2_000_000
    """Kept free before each deadline for delivery."""
    device: DeviceConfig = DeviceConfig()
    """Where models run."""

    @field_validator("heads")
    @classmethod
    def _free_names(
        cls, heads: dict[str, NamedHeadConfig] | None
    ) -> dict[str, NamedHeadConfig] | None:
        taken = [name for name in heads or () if name in ("ledger", "journal", "health")]
        if taken:
            msg = (
                f"{taken[0]!r} is a topic of every fusion node: give the head another name, "
                "such as 'result'"
            )
            raise ValueError(msg)
        return heads

    @model_validator(mode="after")
    def _one_or_several_heads(self) -> FusionConfig:
        only_one(self, ("head", "heads"), "a fusion node")
        if self.heads and self.accept:
            msg = (
                "`accept` is about the inputs of one head: of several each has its own, under "
                f"`heads: {{{next(iter(self.heads))}: {{accept: ...}}}}`"
            )
            raise ValueError(msg)
        return self
