"""The plan of one fusion node: everything its decisions depend on besides events. Plain data.

Launch compiles a graph file to a `Plan`; it is written into every recording, so that `verify` and
`simulate` need neither the graph file nor the models. Integers and strings only.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from tectum.errors import ConfigError

__all__ = [
    "AlignPlan",
    "HeadPlan",
    "InputPlan",
    "Plan",
    "Requirement",
    "StagePlan",
    "plan_document",
    "plan_from",
]

Requirement = tuple[tuple[tuple[str, ...], int], ...]
"""An accepted combination: of each group of inputs, at least so many must be present."""


@dataclass(frozen=True, slots=True)
class AlignPlan:
    """The rule that picks, for one input, the sample that belongs to a trigger."""

    rule: str
    """exact, nearest, latest, window, interpolate."""
    before_ns: int = 0
    """nearest, interpolate: how far before the trigger a sample may be."""
    after_ns: int = 0
    """nearest, interpolate: how far after the trigger a sample may be."""
    max_age_ns: int = 0
    """latest: how old a sample may be at the trigger's time."""
    duration_ns: int = 0
    """window: its length."""
    lead_ns: int = 0
    """window: its end, after (+) or before (-) the trigger's time."""
    coverage_permille: int = 1000
    """window: the least share of it that samples must cover."""


@dataclass(frozen=True, slots=True)
class InputPlan:
    """One input of the fusion node."""

    name: str
    topic: str
    align: AlignPlan
    encoder: str = ""
    """Name of its stage; empty: the head takes the samples themselves."""
    required: bool = True
    offset_ns: int = 0
    """Known delay of the sensor's stamps, and by how much the clock that was declared for them is
    ahead (`tectum.sync.clocks`): subtracted from each stamp."""
    reference: str = "start"
    """The point of a capture that its stamp stands for in alignment: start, middle, end."""
    period_ns: int = 0
    """Expected period; 0: learned from what arrives."""
    jitter_ns: int = 0
    """Hand-set bound on the jitter of stamps; 0: learned."""
    silent_after_ns: int = 0
    """Not heard for so long means silent; 0: learned, see `docs/alignment.md`."""
    cache_ns: int = 0
    """How old a cached embedding may be that stands in for a fresh one; 0: none does."""
    history_ns: int = 2_000_000_000
    """How long samples are kept for triggers to come."""
    history_bytes: int = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StagePlan:
    """An encoder or the head."""

    name: str
    variants: tuple[str, ...] = ("default",)
    """Best first; the pipeline degrades to the right."""
    on: str = "trigger"
    """trigger: once per set; sample: every sample or hop of its input, in order."""
    input: str = ""
    """`on: sample`: the input whose samples it takes."""
    hop: int = 0
    """`on: sample` on audio: samples per run; 0: one run per message."""
    stateful: bool = False
    model: str = ""
    """An encoder's model: the runs of those with the same one may share a batch, so none of them
    begins before the others are decided. Empty: it shares with nobody."""


@dataclass(frozen=True, slots=True)
class HeadPlan:
    """One of several heads of a fusion node: what it answers from, and by when."""

    name: str
    """Of its answers: rows and results carry it. Empty: the only head of its node."""
    stage: str
    """Name of the stage that makes the answer."""
    inputs: tuple[str, ...]
    """The inputs that it takes; it waits for no others."""
    budget_ns: int = 0
    """From the end of the trigger's capture to the delivered answer; 0: none."""
    accept: tuple[Requirement, ...] = ()
    """Accepted combinations of its inputs, best first; empty: those of them that are required."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A fusion node."""

    name: str
    inputs: tuple[InputPlan, ...]
    stages: tuple[StagePlan, ...]
    head: str
    """Name of the stage that makes the answer; empty where there are several: `heads`."""
    trigger: str = ""
    """The input whose messages ask for results; empty: `trigger_period_ns`."""
    also_trigger: tuple[str, ...] = ()
    """More inputs whose messages ask for results: whichever is new does. While all of them are
    silent, stand-ins come at the pace of `trigger`."""
    trigger_period_ns: int = 0
    """A result every so often, from the first sample on; 0: `trigger`."""
    budget_ns: int = 0
    """From the end of the trigger's capture to the delivered result; 0: none. Of several heads
    that of the most patient."""
    accept: tuple[Requirement, ...] = ()
    """Accepted combinations, best first; empty: all required inputs. Several heads have theirs."""
    lanes: int = 1
    substitute: bool = True
    late: str = "shed"
    """What becomes of an answer that is ready after its deadline: shed, deliver."""
    margin_ns: int = 2_000_000
    """Kept free before each deadline for delivery."""
    eager: str = "commit"
    """commit: encode when a pick is committed; off: when the whole set is."""
    heads: tuple[HeadPlan, ...] = ()
    """Several heads over the same sets and encoders; empty: only `head`."""

    @property
    def all_heads(self) -> tuple[HeadPlan, ...]:
        """Return the heads; `head`, where it is the only one, takes every input."""
        names = tuple([item.name for item in self.inputs])
        return self.heads or (HeadPlan("", self.head, names, self.budget_ns, self.accept),)

    def seen_by(self, head: str) -> Plan:
        """Return this plan as if the head called `head` were the only one.

        It has the inputs and stages that this head uses; who made the trigger may not be among
        them. All that explains a row needs no more.
        """
        found = next((item for item in self.heads if item.name == head), None)
        if found is None:
            return self
        inputs = tuple([item for item in self.inputs if item.name in found.inputs])
        used = (found.stage, *[item.encoder for item in inputs])
        stages = tuple([stage for stage in self.stages if stage.name in used])
        return replace(
            self, inputs=inputs, stages=stages, head=found.stage, heads=(),
            budget_ns=found.budget_ns, accept=found.accept,
        )  # fmt: skip

    @property
    def answers(self) -> dict[str, str]:
        """Return, per head, the output on which its answers go: `result`, or the head's name."""
        return {head.name: head.name or "result" for head in self.all_heads}

    def input(self, name: str) -> InputPlan:
        """Return the input called `name`."""
        return next(item for item in self.inputs if item.name == name)

    def stage(self, name: str) -> StagePlan:
        """Return the stage called `name`."""
        return next(item for item in self.stages if item.name == name)


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return `plan` as plain data for MessagePack, JSON or YAML."""
    document = asdict(plan)
    if not plan.heads:
        del document["heads"]
    return document


def plan_from(document: dict[str, Any]) -> Plan:
    """Return the plan that `plan_document` gave.

    Raises:
        ConfigError: a field is missing or unknown, as in a plan of another version.
    """
    fields = dict(document)
    try:
        inputs = tuple(_input_from(item) for item in fields.pop("inputs"))
        stages = tuple(_stage_from(item) for item in fields.pop("stages"))
        accept = tuple(_requirement_from(item) for item in fields.pop("accept"))
        also = tuple(fields.pop("also_trigger", ()))
        heads = tuple(_head_from(item) for item in fields.pop("heads", ()))
        return Plan(
            inputs=inputs, stages=stages, accept=accept, also_trigger=also, heads=heads, **fields
        )
    except (KeyError, TypeError) as error:
        msg = f"this is not a plan of this version of Tectum: {error}"
        raise ConfigError(msg) from error


def _input_from(item: dict[str, Any]) -> InputPlan:
    fields = dict(item)
    return InputPlan(align=AlignPlan(**fields.pop("align")), **fields)


def _stage_from(item: dict[str, Any]) -> StagePlan:
    fields = dict(item)
    return StagePlan(variants=tuple(fields.pop("variants")), **fields)


def _head_from(item: dict[str, Any]) -> HeadPlan:
    fields = dict(item)
    accept = tuple(_requirement_from(each) for each in fields.pop("accept"))
    return HeadPlan(inputs=tuple(fields.pop("inputs")), accept=accept, **fields)


def _requirement_from(item: Any) -> Requirement:
    return tuple((tuple(names), count) for names, count in item)
