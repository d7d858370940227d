"""The keys of a fusion node's `head`: what makes the answer of a set."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from tectum.node.base import NodeConfig
from tectum_launch.accept_schema import Accept
from tectum_launch.schema import Budget, Name, PositiveDuration, only_one

__all__ = [
    "EarlyConfig",
    "HeadConfig",
    "IntermediateConfig",
    "LateConfig",
    "LateOutputConfig",
    "NamedHeadConfig",
    "ObjectsConfig",
    "OverTimeConfig",
    "PaintConfig",
    "StateConfig",
    "TrackConfig",
]


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


HalfLives = Annotated[
    dict[str, PositiveDuration],
    BeforeValidator(_for_all, json_schema_input_type=dict[str, PositiveDuration] | str),
]


class LateConfig(NodeConfig):
    """Fusion of per-modality decisions by a rule."""

    rule: Rule
    """product: product of experts; mean: weighted mean; vote: majority; all: that every one of
    several different facts holds; dempster: with doubt, and the conflict reported; stacker:
    learned, from `file` or `model`."""
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
    model: str | None = None
    """stacker: in place of the file a model, by its name or folder."""
    temperature: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """Input -> what the logarithms of its scores are divided by, so that they are as sure as they
    are right; default 1."""
    half_life: HalfLives = Field(default_factory=dict)
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


class StateConfig(NodeConfig):
    """Something that is there or not, told steadily."""

    of: str
    """The head's probability that is watched."""
    yes: str
    """What is said while it is there."""
    no: str
    """What is said while it is not."""
    above: Annotated[float, Field(ge=0, le=1)] | None = None
    """From this probability on it is there, at once; default: 0.6."""
    below: Annotated[float, Field(ge=0, le=1)] | None = None
    """Down from this one it is not, once that has held for `after`; default: 0.4."""
    after: PositiveDuration | None = None
    """Pauses shorter than this are passed over; default: 600ms."""


class OverTimeConfig(NodeConfig):
    """The head's answers steadied for a display."""

    decision: str
    """The head's scores that are smoothed, and of which `shown` names the label to be shown."""
    model: str | None = None
    """A learned head over time, by its name or folder, in place of the smoothing."""
    half_life: PositiveDuration | None = None
    """In so long half of what was believed is replaced by what is seen; default: 800ms."""
    margin: Annotated[float, Field(gt=0, lt=1)] | None = None
    """By so much another label must lead to be shown; default: 0.1."""
    hold: PositiveDuration | None = None
    """For so long it must lead; default: 400ms."""
    states: dict[Name, StateConfig] = Field(default_factory=dict)
    """Result -> what it watches."""
    needs: tuple[Name, ...] = ()
    """While none of these states is there, nothing is believed and `shown` is unsure."""

    @model_validator(mode="after")
    def _one_way(self) -> OverTimeConfig:
        if self.model and self.half_life is not None:
            msg = "`half_life` belongs to the smoothing, and `model` takes its place: leave one out"
            raise ValueError(msg)
        return self


Intermediate = Annotated[
    IntermediateConfig, BeforeValidator(_model, json_schema_input_type=IntermediateConfig | str)
]
Late = Annotated[LateConfig, BeforeValidator(_rule, json_schema_input_type=LateConfig | Rule)]


class HeadConfig(NodeConfig):
    """What makes the answer of a set."""

    intermediate: Intermediate | None = None
    """An ONNX head over embeddings: its model's name, or {model, contribution}."""
    late: Late | None = None
    """A rule over decisions: `product`, `mean`, `vote`, `dempster`, or {rule, weights, outputs}."""
    early: EarlyConfig | None = None
    """Raw samples fused before any model: {paint} or {stack}, and the model."""
    objects: ObjectsConfig | None = None
    """Boxes and points associated through the rig, with its options."""
    run: str | None = None
    """`package.module:Class` of the user's own, with its `parameters`."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """What the class of `run` is made with."""
    over_time: OverTimeConfig | None = None
    """Beside any of these: steady the answers, {decision, half_life, margin, hold, states}."""

    @model_validator(mode="after")
    def _one_head(self) -> HeadConfig:
        kind = only_one(self, ("early", "intermediate", "late", "objects", "run"), "head")
        if self.parameters and kind != "run":
            msg = f"`parameters` belongs to `run`; {kind!r} has its options under its own key"
            raise ValueError(msg)
        return self


class NamedHeadConfig(HeadConfig):
    """One of several heads of a fusion node."""

    inputs: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """The inputs that it takes, and waits for; default: all."""
    budget: Budget | None = None
    """Default: the node's, else the graph's."""
    accept: Accept = ()
    """Accepted combinations of its inputs, best first; default: those that are required."""
