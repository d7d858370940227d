"""From a fusion node's keys to its `Plan`: durations, defaults and combinations made explicit.

Wiring comes first: the topics of the inputs are known, with their kinds and expected periods.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.pipeline.plan import AlignPlan, HeadPlan, InputPlan, Plan, Requirement
from tectum.sync.clocks import CLOCKS
from tectum_launch.accept_schema import Combination
from tectum_launch.align_schema import AlignConfig
from tectum_launch.fusion_schema import FusionConfig, InputConfig
from tectum_launch.graph import Topic
from tectum_launch.stages import ResolvedStage

__all__ = ["FusionSource", "align_plan", "fusion_plan", "requirement"]

DEFAULT_TOLERANCE_NS = 50 * NS_PER_MS
"""Of `nearest`, where neither the graph nor the input's period says more."""
LEAST_HISTORY_NS = 2 * NS_PER_S


@dataclass(frozen=True, slots=True)
class FusionSource:
    """All that the plan of one fusion node is made from."""

    name: str
    config: FusionConfig
    budgets_ns: Mapping[str, int]
    """Head -> its budget; the only one has no name."""
    topics: Mapping[str, Topic]
    """Input name -> its topic."""
    encoders: Mapping[str, ResolvedStage]
    """Input name -> its encoder, where it has one."""
    heads: Mapping[str, ResolvedStage]
    """Name -> head."""
    cores: int
    """Computations that can be done at a time where it runs."""

    @property
    def budget_ns(self) -> int:
        """Return the budget of the most patient head."""
        return max(self.budgets_ns.values())


def fusion_plan(source: FusionSource) -> Plan:
    """Return the plan of a fusion node whose parts were all found."""
    config = source.config
    resolved = (*source.encoders.values(), *source.heads.values())
    stages = tuple(stage.plan for stage in resolved)
    accept = tuple(requirement(item, config) for item in config.accept)
    trigger = config.trigger
    return Plan(
        name=source.name,
        inputs=tuple(_input_plan(source, name, accept) for name in config.inputs),
        stages=stages,
        head=source.heads[""].plan.name if config.head else "",
        trigger=trigger.input or "",
        also_trigger=trigger.also,
        trigger_period_ns=round(NS_PER_S / trigger.rate) if trigger.rate else 0,
        budget_ns=source.budget_ns,
        accept=accept,
        lanes=config.lanes or max(1, min(source.cores, len(stages))),
        substitute=config.substitute,
        late=config.late,
        margin_ns=config.margin,
        eager=config.eager,
        heads=_head_plans(source),
    )


def _head_plans(source: FusionSource) -> tuple[HeadPlan, ...]:
    """Return the plans of several heads; none where there is only one without a name."""
    config = source.config
    return tuple(
        HeadPlan(
            name=name,
            stage=source.heads[name].plan.name,
            inputs=tuple(item for item in config.inputs if item in (head.inputs or config.inputs)),
            budget_ns=source.budgets_ns[name],
            accept=tuple(requirement(item, config) for item in head.accept),
        )
        for name, head in (config.heads or {}).items()
    )


def requirement(combination: Combination, config: FusionConfig) -> Requirement:
    """Return a combination with its groups replaced by their inputs."""
    return tuple(
        (config.groups.get(name, (name,)), count) for name, count in combination.at_least.items()
    )


def align_plan(align: AlignConfig | None, *, is_trigger: bool, period_ns: int) -> AlignPlan:
    """Return the rule of an input, with the default where the graph gives none."""
    if align is None and is_trigger:
        return AlignPlan("exact")
    if align is None:
        tolerance_ns = -(-period_ns // 2) or DEFAULT_TOLERANCE_NS
        return AlignPlan("nearest", before_ns=tolerance_ns, after_ns=tolerance_ns)
    if align.nearest:
        nearest = align.nearest
        both = nearest.tolerance or 0
        return AlignPlan(
            "nearest", before_ns=nearest.before or both, after_ns=nearest.after or both
        )
    if align.latest:
        return AlignPlan("latest", max_age_ns=align.latest.max_age)
    if align.interpolate:
        reach_ns = align.interpolate.reach
        return AlignPlan("interpolate", before_ns=reach_ns, after_ns=reach_ns)
    if align.window:
        window = align.window
        permille = round(window.coverage * 1000)
        return AlignPlan(
            "window",
            duration_ns=window.duration,
            lead_ns=window.lead,
            coverage_permille=max(1, permille),
        )
    return AlignPlan("exact")


def _input_plan(source: FusionSource, name: str, accept: tuple[Requirement, ...]) -> InputPlan:
    config, topic = source.config.inputs[name], source.topics[name]
    period_ns = config.period or topic.period_ns
    encoder = source.encoders.get(name)
    trigger = source.config.trigger
    alone = name == trigger.input and not trigger.also
    align = align_plan(config.align, is_trigger=alone, period_ns=period_ns)
    return InputPlan(
        name=name,
        topic=topic.name,
        align=align,
        encoder=encoder.plan.name if encoder else "",
        required=_required(config, name, accept),
        offset_ns=config.offset + CLOCKS[config.clock],
        reference=config.reference,
        period_ns=period_ns,
        jitter_ns=config.jitter or 0,
        silent_after_ns=config.silent_after or 0,
        cache_ns=config.max_age or 0,
        history_ns=config.buffer.duration or _history_ns(align, source.budget_ns),
        history_bytes=config.buffer.size,
    )


def _required(config: InputConfig, name: str, accept: tuple[Requirement, ...]) -> bool:
    """Return whether no answer is accepted without the input."""
    if config.required is not None:
        return config.required
    return all(
        any(name in members and count == len(members) for members, count in combination)
        for combination in accept
    )


def _history_ns(align: AlignPlan, budget_ns: int) -> int:
    """Return how long samples can matter: twice the reach of the rule, and the budget."""
    reach_ns = align.before_ns + align.max_age_ns + align.duration_ns + abs(align.lead_ns)
    return max(LEAST_HISTORY_NS, 2 * reach_ns + budget_ns)
