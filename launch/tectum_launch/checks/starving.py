"""Checks of starving: no encoder holds lanes so long that another one is late for its set.

Runs are not interrupted. What is told here is a matter of lanes: with one more, all are in time.
"""

from __future__ import annotations

from collections.abc import Iterator

from tectum.units import duration_text
from tectum_launch.checks.base import Fusion, at_least_text
from tectum_launch.checks.timing import (
    lanes_that_do,
    least_ns,
    needed_ns,
    trigger_costs_ns,
)
from tectum_launch.findings import Finding

__all__ = ["no_encoder_starves_its_set", "no_stream_blocks_a_set"]


def no_encoder_starves_its_set(fusion: Fusion) -> Iterator[Finding]:
    """The encoders of one set, which share the lanes, all end in time."""
    plan, lanes = fusion.plan, lanes_that_do(fusion)
    needed = needed_ns(fusion)
    if not plan.budget_ns or needed <= plan.budget_ns or least_ns(fusion) > plan.budget_ns:
        return
    if not lanes:
        return
    costs = trigger_costs_ns(fusion)
    slow, *others = sorted(costs, key=lambda name: -costs[name])
    message = (
        f"{slow} takes {duration_text(costs[slow])} of {_lanes(plan.lanes)} and starves "
        f"{', '.join(others)}: a complete set takes {duration_text(needed)}, past the budget of "
        f"{duration_text(plan.budget_ns)}; lanes: {lanes} on as many cores would do, or budget: "
        f"{at_least_text(needed)}"
    )
    yield fusion.finding(("lanes",), message)


def no_stream_blocks_a_set(fusion: Fusion) -> Iterator[Finding]:
    """Encoders that run on each sample leave a lane for a set, or are short."""
    plan = fusion.plan
    costs = {
        item.encoder: fusion.latency_ns(item.encoder)
        for item in plan.inputs
        if item.encoder and plan.stage(item.encoder).on == "sample"
    }
    longest = sorted(costs.values(), reverse=True)[: plan.lanes]
    needed = needed_ns(fusion)
    if len(longest) < plan.lanes or not plan.budget_ns or needed > plan.budget_ns:
        return
    if needed + longest[-1] > plan.budget_ns:
        names = ", ".join(sorted(costs, key=lambda name: -costs[name])[: plan.lanes])
        message = (
            f"{names} can hold every lane for {duration_text(longest[-1])}, and a complete set "
            f"takes {duration_text(needed)} more: together past the budget of "
            f"{duration_text(plan.budget_ns)}; lanes: {plan.lanes + 1} would do, or budget: "
            f"{at_least_text(needed + longest[-1])}"
        )
        yield fusion.finding(("lanes",), message)


def _lanes(count: int) -> str:
    return "the one lane" if count == 1 else f"one of {count} lanes"
