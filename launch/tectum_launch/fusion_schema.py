"""The keys of a fusion node in a graph file.

The short forms that people write (`trigger: lidar`, `encoder: driving/camera`, `align: exact`)
are brought to one long form here, so that `compile` meets only that.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from tectum.node.base import NodeConfig
from tectum.node.fields import Duration, Rate
from tectum_launch.schema import Budget, Name, PositiveDuration, only_one

__all__ = [
    "AlignConfig",
    "Combination",
    "DeviceConfig",
    "EarlyConfig",
    "Encoder",
    "FusionConfig",
    "HeadConfig",
    "InputConfig",
    "IntermediateConfig",
    "LateConfig",
    "LateOutputConfig",
    "ObjectsConfig",
    "PaintConfig",
    "StageConfig",
    "TrackConfig",
    "Trigger",
    "TriggerConfig",
]


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


def _align(value: Any) -> Any:
    return {value: {}} if isinstance(value, str) else value


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


def _stage(value: Any) -> Any:
    if isinstance(value, str):
        return {"models": [value]}
    if isinstance(value, list):
        return {"models": value}
    if isinstance(value, dict) and isinstance(value.get("run"), str):
        return {"run": value["run"], "parameters": {k: v for k, v in value.items() if k != "run"}}
    msg = (
        f"{value!r} is not an encoder: write a model's name, a list of names (each takes what the "
        "one before gives), or {run: package.module:Class}"
    )
    raise ValueError(msg)


class StageConfig(NodeConfig):
    """An encoder: models in a row, or a callable of the user's own."""

    models: tuple[str, ...] = ()
    """Names (`tectum models list`) or folders; each takes what the one before it gives."""
    run: str = ""
    """`package.module:Class`, instead of models."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """What that class is made with."""


Encoder = Annotated[StageConfig, BeforeValidator(_stage)]
"""A model's name, a list of names, or {run: package.module:Class}."""


class InputConfig(NodeConfig):
    """One input of a fusion node."""

    topic: str
    """`node/output`."""
    align: Annotated[AlignConfig, BeforeValidator(_align)] | None = None
    """Default: exact for the trigger; else nearest within half of the input's period (50 ms where
    that is not known)."""
    encoder: Encoder | None = None
    """Default: the head takes the samples themselves."""
    required: bool | None = None
    """Default: true, or, where `accept` is given, whether every combination has it."""
    offset: Duration = 0
    """Known delay of the sensor's stamps: subtracted from each stamp."""
    reference: Literal["start", "middle", "end"] = "start"
    """The point of a capture that its stamp stands for in alignment."""
    period: PositiveDuration | None = None
    """Expected period; default: what the publishing node's configuration says, else learned."""
    jitter: Annotated[Duration, Field(ge=0)] | None = None
    """Bound on the jitter of stamps; default: learned."""
    max_age: PositiveDuration | None = None
    """How old a cached embedding may be that stands in for a fresh one; default: none does."""
    silent_after: PositiveDuration | None = None
    """Not heard for so long means silent; default: three periods plus jitter, at least 250 ms; of a
    trigger two periods, jitter and half the budget at the most, at least 100 ms."""


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


Trigger = Annotated[TriggerConfig, BeforeValidator(_trigger)]
"""An input's name, a list of names (whichever is new), or {rate: 5Hz}."""


def _rule(value: Any) -> Any:
    return {"rule": value} if isinstance(value, str) else value


Rule = Literal["product", "mean", "vote", "all", "dempster", "stacker"]


class LateOutputConfig(NodeConfig):
    """One result of late fusion and what it is made of."""

    rule: Rule | None = None
    """Default: the head's."""
    parts: Annotated[dict[str, str], Field(alias="from")]
    """Input -> its decision."""


def _for_all(value: Any) -> Any:
    return {"*": value} if isinstance(value, str) else value


class LateConfig(NodeConfig):
    """Fusion of per-modality decisions by a rule."""

    rule: Rule
    """product: product of experts; mean: weighted mean; vote: majority; all: that every one of
    several different facts holds; dempster: with doubt, and the conflict reported; stacker:
    learned, from `file`."""
    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Input -> weight; default 1."""
    outputs: dict[Name, LateOutputConfig] = Field(default_factory=dict)
    """Result -> what it is made of; default: decisions of one name are combined."""
    contribution: bool = False
    """Report how much each input changes each result."""
    discount: Annotated[float, Field(ge=0, lt=1)] | None = None
    """dempster: how often an input is wrong although it is certain; default: 0.1."""
    file: str | None = None
    """stacker: its JSON file, beside the graph or in full."""
    temperature: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """Input -> what the logarithms of its scores are divided by, so that they are as sure as they
    are right; default 1."""
    half_life: Annotated[dict[str, PositiveDuration], BeforeValidator(_for_all)] = Field(
        default_factory=dict
    )
    """An input's decision fades to "not known", by half in this time after its capture; for all
    inputs, or input -> time. Default: nothing fades."""


class IntermediateConfig(NodeConfig):
    """A fusion head over embeddings: an ONNX model."""

    model: str
    """Its name (`tectum models list`) or folder."""
    contribution: bool = False
    """Report how much each input changes each result."""


def _model(value: Any) -> Any:
    return {"model": value} if isinstance(value, str) else value


class TrackConfig(NodeConfig):
    """How tracks begin, go on and end; what is left out has its default."""

    noise_m: Annotated[float, Field(gt=0)] | None = None
    """Standard deviation of a measured position, in metres."""
    acceleration: Annotated[float, Field(gt=0)] | None = None
    """Standard deviation of an object's acceleration, in m/s^2."""
    speed_mps: Annotated[float, Field(gt=0)] | None = None
    """Standard deviation of a new object's velocity."""
    gate: Annotated[float, Field(gt=0)] | None = None
    """Largest squared Mahalanobis distance of a measurement to its track."""
    other_label: Annotated[float, Field(gt=0)] | None = None
    """What another label adds to that."""
    confirm: Annotated[int, Field(ge=1)] | None = None
    """A track counts when it was seen so often."""
    keep_ns: Annotated[PositiveDuration | None, Field(alias="keep")] = None
    """How long an object is followed that is not seen."""
    memory_ns: Annotated[PositiveDuration | None, Field(alias="memory")] = None
    """How late a measurement may come."""


class ObjectsConfig(NodeConfig):
    """Boxes and points associated through the rig."""

    labels: tuple[str, ...] = ()
    """What to keep; default: all that the detector knows."""
    min_score: Annotated[float, Field(ge=0, le=1)] | None = None
    """Boxes below it are left out."""
    lead: tuple[str, ...] = ()
    """What can be the vehicle ahead; default: road vehicles."""
    shrink: float | None = None
    """Share of a box that is left out on each side: road, sky, what stands beside it."""
    depth_m: float | None = None
    """How deep the group of points is that tells the distance, in metres."""
    density: float | None = None
    """A nearer group counts when it has this share of the points of the densest."""
    min_points: Annotated[int, Field(ge=1)] | None = None
    """Fewer points give no distance."""
    covered: float | None = None
    """A box that a surer one covers to this share, at the same distance, is the same thing."""
    same_m: float | None = None
    """What counts as the same distance then, in metres."""
    track: bool | TrackConfig = False
    """true, or rules of its own: follow objects from moment to moment; the result also has their
    velocities, and the closing speed and time to collision of the vehicle ahead."""


class PaintConfig(NodeConfig):
    """Points that get the colour of the pixels that they fall on."""

    points: str
    """The lidar's input."""
    image: str
    """The camera's input."""


class EarlyConfig(NodeConfig):
    """Raw samples made into one before any model sees them."""

    paint: PaintConfig | None = None
    """A lidar's points, coloured by a camera through the rig."""
    stack: dict[str, Literal["mono8", "rgb8", "bgr8"]] | None = None
    """Input -> encoding: images that become the channels of one tensor, in this order."""
    model: str | None = None
    """What looks at the fused sample; default: the sample itself is the result."""

    @model_validator(mode="after")
    def _one_way(self) -> EarlyConfig:
        only_one(self, ("paint", "stack"), "early")
        return self


class HeadConfig(NodeConfig):
    """What makes the answer of a set."""

    intermediate: Annotated[IntermediateConfig, BeforeValidator(_model)] | None = None
    """An ONNX head over embeddings: its model's name, or {model, contribution}."""
    late: Annotated[LateConfig, BeforeValidator(_rule)] | None = None
    """A rule over decisions: `product`, `mean`, `vote`, `dempster`, or {rule, weights, outputs}."""
    early: EarlyConfig | None = None
    """Raw samples fused before any model: {paint} or {stack}, and the model."""
    objects: ObjectsConfig | None = None
    """Boxes and points associated through the rig, with its options."""
    run: str | None = None
    """`package.module:Class` of the user's own, with its `parameters`."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """What the class of `run` is made with."""

    @model_validator(mode="after")
    def _one_head(self) -> HeadConfig:
        kind = only_one(self, ("early", "intermediate", "late", "objects", "run"), "head")
        if self.parameters and kind != "run":
            msg = f"`parameters` belongs to `run`; {kind!r} has its options under its own key"
            raise ValueError(msg)
        return self


class Combination(NodeConfig):
    """An accepted combination of inputs: of each group or input, at least so many."""

    at_least: dict[str, Annotated[int, Field(ge=1)]]
    """Name of an input or of a group -> how many must be present."""


def _combination(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return {"at_least": dict.fromkeys(value, 1)}
    return value


def _accept(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


DeviceName = Literal["tensorrt", "cuda", "webgpu", "cpu"]


class DeviceConfig(NodeConfig):
    """Where models run, and with how many threads each."""

    prefer: tuple[DeviceName, ...] = ("tensorrt", "cuda", "cpu")
    """The first that can be used is; where none can, the CPU."""
    require: Literal["", "gpu", DeviceName] = ""
    """Refuse to run elsewhere: on `gpu`, one of the preferred devices that is not the CPU, or on
    the device named."""
    options: dict[DeviceName, dict[str, str | int | float | bool]] = Field(default_factory=dict)
    """Device -> options passed on to its provider of ONNX Runtime, as they are."""
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    """Threads of one model; more than one costs the other models their time."""
    spinning: bool = False
    """Wait for work on a busy core: a little faster, at the cost of that core."""


class FusionConfig(NodeConfig):
    """A fusion node."""

    trigger: Trigger
    """The input whose messages ask for results, or {rate: 5Hz}."""
    inputs: Annotated[dict[Name, InputConfig], Field(min_length=1)]
    """Input name -> its topic and how it is taken."""
    head: HeadConfig
    """What makes the answer."""
    accept: Annotated[
        tuple[Annotated[Combination, BeforeValidator(_combination)], ...], BeforeValidator(_accept)
    ] = ()
    """Accepted combinations, best first: lists of inputs, or {at_least: {cameras: 4}}. Default:
    all required inputs."""
    groups: dict[Name, tuple[str, ...]] = Field(default_factory=dict)
    """Group name -> its inputs, for `at_least`."""
    budget: Budget | None = None
    """Default: the graph's."""
    lanes: Annotated[int, Field(ge=1, le=256)] | None = None
    """Computations at a time; default: the processor's cores, at most the number of stages."""
    substitute: bool = True
    """While the trigger's input is silent, triggers come at its learned period."""
    late: Literal["shed", "deliver"] = "shed"
    """What becomes of an answer that is ready after its deadline."""
    eager: Literal["commit", "off"] = "commit"
    """commit: encode when a pick is committed; off: when the whole set is."""
    margin: Annotated[Duration, Field(ge=0)] = 2_000_000
    """Kept free before each deadline for delivery."""
    device: DeviceConfig = DeviceConfig()
    """Where models run."""
