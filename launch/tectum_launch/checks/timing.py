"""Checks of time: the budget can be kept, and windows end in time.

Costs are measured or assumed, else those that model manifests claim, on the CPU; a stage of which
nothing is known counts nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from tectum.clock import NS_PER_MS
from tectum.pipeline.accept import requirements
from tectum.pipeline.plan import Requirement
from tectum.units import duration_text
from tectum_launch.checks.base import Fusion, at_least_text
from tectum_launch.findings import Finding, KeyPath

__all__ = ["budget_can_be_met", "least_ns", "needed_ns", "windows_end_in_time"]


def needed_ns(fusion: Fusion) -> int:
    """Return the time from the last sample to the complete result, by the best variants.

    Encoders share the lanes; the head and the delivery follow.
    """
    plan = fusion.plan
    stages = dict.fromkeys(item.encoder for item in plan.inputs if item.encoder)
    costs = [fusion.latency_ns(name) for name in stages if plan.stage(name).on == "trigger"]
    shared = -(-sum(costs) // plan.lanes)
    return max(shared, max(costs, default=0)) + fusion.latency_ns(plan.head) + plan.margin_ns


def least_ns(fusion: Fusion) -> int:
    """Return the time that the cheapest accepted combination needs, by the cheapest variants."""
    plan = fusion.plan
    encoding = min(_least_encoding_ns(fusion, item) for item in requirements(plan))
    return encoding + fusion.least_ns(plan.head) + plan.margin_ns


def budget_can_be_met(fusion: Fusion) -> Iterator[Finding]:
    """What must follow the last sample of a set fits in the budget."""
    plan = fusion.plan
    least, needed = least_ns(fusion), needed_ns(fusion)
    if not plan.budget_ns or needed <= plan.budget_ns:
        return
    costs = ", ".join(
        f"{name} {duration_text(fusion.latency_ns(name))}" for name in fusion.part.stages
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


def windows_end_in_time(fusion: Fusion) -> Iterator[Finding]:
    """A window that ends after the trigger leaves time to encode it."""
    plan = fusion.plan
    for item in plan.inputs:
        lead_ns = item.align.lead_ns
        cost_ns = fusion.least_ns(item.encoder) + fusion.least_ns(plan.head) + plan.margin_ns
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
