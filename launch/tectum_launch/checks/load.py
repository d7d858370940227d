"""Checks of load: the lanes keep up with the rates, alone and with those of other fusion nodes.

A load is in lanes: how many are busy all the time. Runs are not interrupted, so a long one on
every lane also makes others wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tectum.units import duration_text
from tectum_launch.checks.base import Fusion, at_least_text
from tectum_launch.checks.timing import needed_ns
from tectum_launch.findings import Finding

__all__ = ["cores_are_enough", "lanes_keep_up", "load_of", "no_long_run_blocks_a_set"]


def load_of(fusion: Fusion) -> float:
    """Return how many lanes the rates keep busy, by the best variants."""
    plan, trigger_ns = fusion.plan, fusion.trigger_period_ns
    load = fusion.latency_ns(plan.head) / trigger_ns if trigger_ns else 0.0
    for item in plan.inputs:
        on_sample = item.encoder and plan.stage(item.encoder).on == "sample"
        pace_ns = item.period_ns if on_sample else trigger_ns
        load += fusion.latency_ns(item.encoder) / pace_ns if pace_ns else 0.0
    return load


def lanes_keep_up(fusion: Fusion) -> Iterator[Finding]:
    """The lanes can do, per second, what the rates ask for."""
    plan, load = fusion.plan, load_of(fusion)
    if load > plan.lanes:
        message = (
            f"the models keep {load:.1f} lanes busy, but there are {plan.lanes}: triggers will be "
            f"shed; lanes: {int(load) + 1} on as many cores would do, or a slower trigger"
        )
        yield fusion.finding(("lanes",), message)


def no_long_run_blocks_a_set(fusion: Fusion) -> Iterator[Finding]:
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


def cores_are_enough(fusions: Sequence[Fusion], cores: int) -> Iterator[Finding]:
    """The fusion nodes of a graph together ask for no more than the machine has.

    Those that have to run on another device than the CPU are left out.
    """
    here = [fusion for fusion in fusions if fusion.part.device.get("require", "") in ("", "cpu")]
    loads = {fusion.name: min(load_of(fusion), fusion.plan.lanes) for fusion in here}
    total = sum(loads.values())
    if len(loads) < 2 or total <= cores:
        return
    heaviest = max(here, key=lambda fusion: loads[fusion.name])
    told = ", ".join(f"{name} {load:.1f}" for name, load in loads.items())
    slower_ns = round(heaviest.trigger_period_ns * _factor(loads, heaviest.name, cores))
    way_out = (
        f"a result of {heaviest.name} every {at_least_text(slower_ns)} would do"
        if slower_ns
        else "run one of them on another machine"
    )
    message = (
        f"the fusion nodes keep {total:.1f} cores busy together ({told}), but there are {cores}: "
        f"triggers will be shed; {way_out}"
    )
    yield heaviest.finding(("trigger",), message)


def _factor(loads: dict[str, float], name: str, cores: int) -> float:
    """Return how much slower `name` must be for all to fit; 0: that alone does not do."""
    left = cores - (sum(loads.values()) - loads[name])
    return loads[name] / left if left > 0 else 0.0
