"""Checks of compute: the budget can be kept, and windows end in time.

Costs are measured or assumed, else those that model manifests claim, on the CPU; a stage of which
nothing is known counts nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from tectum.budget.schedule import place
from tectum.clock import NS_PER_MS
from tectum.pipeline.accept import requirements
from tectum.pipeline.plan import Plan, Requirement
from tectum.units import duration_text
from tectum_launch.checks.base import Fusion, at_least_text
from tectum_launch.findings import Finding, KeyPath

__all__ = [
    "budget_can_be_met",
    "lanes_that_do",
    "least_ns",
    "needed_ns",
    "trigger_costs_ns",
    "windows_end_in_time",
]


def needed_ns(fusion: Fusion) -> int:
    """Return the time from the last sample to the complete result, by the best variants.

    Encoders share the lanes as the planner places them; the head and the delivery follow. Of
    several heads those with a shorter budget go first, with the encoders that they take.
    """
    return needed_on_ns(fusion, fusion.plan.lanes)


def needed_on_ns(fusion: Fusion, lanes: int) -> int:
    """Return the same on so many lanes."""
    free_at, ends = [0] * lanes, {"": 0}
    answered_ns = 0
    for plan in (*fusion.urgent, fusion.plan):
        costs = {name: fusion.latency_ns(name) for name in _per_set(plan)}
        for name in sorted(costs, key=lambda name: -costs[name]):
            if name not in ends:
                ends[name] = place(free_at, 0, [costs[name]])
        encoded_ns = max([ends[name] for name in ("", *costs)])
        answered_ns = place(free_at, encoded_ns, [fusion.latency_ns(plan.head)])
    return answered_ns + fusion.plan.margin_ns


def trigger_costs_ns(fusion: Fusion) -> dict[str, int]:
    """Return what each encoder costs that runs once per set, by its best variant."""
    return {name: fusion.latency_ns(name) for name in _per_set(fusion.plan)}


def _per_set(plan: Plan) -> list[str]:
    """Return the encoders that run once per set."""
    names = dict.fromkeys(item.encoder for item in plan.inputs if item.encoder)
    return [name for name in names if plan.stage(name).on == "trigger"]


def least_ns(fusion: Fusion) -> int:
    """Return the time that the cheapest accepted combination needs, by the cheapest variants."""
    plan = fusion.plan
    encoding = min(_least_encoding_ns(fusion, item) for item in requirements(plan))
    return encoding + fusion.least_ns(plan.head) + plan.margin_ns


def lanes_that_do(fusion: Fusion) -> int:
    """Return the fewest lanes on which a complete set is in time; 0: no number of them does."""
    stages = len(trigger_costs_ns(fusion)) + len(fusion.urgent)
    fitting = (
        lanes
        for lanes in range(1, stages + 1)
        if needed_on_ns(fusion, lanes) <= fusion.plan.budget_ns
    )
    return next(fitting, 0)


def budget_can_be_met(fusion: Fusion) -> Iterator[Finding]:
    """What must follow the last sample of a set fits in the budget, on lanes enough."""
    plan = fusion.plan
    least, needed = least_ns(fusion), needed_ns(fusion)
    if not plan.budget_ns or needed <= plan.budget_ns:
        return
    if least <= plan.budget_ns and lanes_that_do(fusion):
        return  # told of the lanes
    costs = ", ".join(
        f"{name} {duration_text(fusion.latency_ns(name))}" for name in _counted(fusion)
    )
    budget, way_out = duration_text(plan.budget_ns), f"budget: {at_least_text(needed)} would do"
    if least > plan.budget_ns:
        message = (
            f"{budget} cannot be kept by any accepted combination: the cheapest takes "
            f"{duration_text(least)} ({costs}); {way_out}"
        )
        yield fusion.finding(("budget",), message, level="error")
    else:
        message = (
            f"{budget} leaves no time for a complete set: on {plan.lanes} lane(s) it takes "
            f"{duration_text(needed)} ({costs}), so answers will be partial or degraded; {way_out}"
        )
        yield fusion.finding(("budget",), message)


def _counted(fusion: Fusion) -> list[str]:
    """Return the stages that a set of a head needs or waits for, in the order of the plan."""
    used = {stage.name for plan in (*fusion.urgent, fusion.plan) for stage in plan.stages}
    return [name for name in fusion.part.stages if name in used]


def windows_end_in_time(fusion: Fusion) -> Iterator[Finding]:
    """A window that ends after the trigger leaves time to encode it."""
    plan = fusion.plan
    for item in plan.inputs:
        lead_ns = item.align.lead_ns
        cost_ns = fusion.least_ns(item.encoder) + fusion.least_ns(plan.head) + plan.margin_ns
        cost_ns += fusion.way_ns(item)
        if not plan.budget_ns or lead_ns <= 0 or lead_ns + cost_ns <= plan.budget_ns:
            continue
        would_do = max(0, plan.budget_ns - cost_ns) // NS_PER_MS
        message = (
            f"the window ends {duration_text(lead_ns)} after the trigger and takes "
            f"{duration_text(cost_ns)} more, past the budget of {duration_text(plan.budget_ns)}; "
            f"lead: {would_do}ms would do"
        )
        path: KeyPath = ("inputs", item.name, "align", "window", "lead")
        yield fusion.finding(path, message, level="error" if item.required else "warning")


def _least_encoding_ns(fusion: Fusion, combination: Requirement) -> int:
    """Return what the dearest of the cheapest members of each group costs."""
    dearest = 0
    for members, count in combination:
        costs = sorted(fusion.least_ns(fusion.plan.input(name).encoder) for name in members)
        dearest = max(dearest, costs[count - 1])
    return dearest
