"""Checks of load: the lanes keep up with the rates, alone and with those of other fusion nodes.

A load is in lanes: how many are busy all the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tectum.pipeline.plan import InputPlan
from tectum.units import duration_text
from tectum_launch.checks.base import Fusion, at_least_text
from tectum_launch.checks.timing import trigger_costs_ns
from tectum_launch.findings import Finding

__all__ = ["cores_are_enough", "lanes_keep_up", "load_of", "streams_keep_pace"]


def load_of(fusion: Fusion) -> float:
    """Return how many lanes the rates keep busy, by the best variants."""
    trigger_ns = fusion.trigger_period_ns
    load = _work_ns(fusion) / trigger_ns if trigger_ns else 0.0
    return load + _sample_load(fusion)


def lanes_keep_up(fusion: Fusion) -> Iterator[Finding]:
    """The lanes can do, per second, what the rates ask for."""
    lanes, load = fusion.plan.lanes, load_of(fusion)
    if load > lanes:
        left = lanes - _sample_load(fusion)
        slower = at_least_text(round(_work_ns(fusion) / left)) if left > 0 else ""
        other = f", or a trigger every {slower}" if slower else ""
        message = (
            f"the models keep {load:.1f} lanes busy, but there are {lanes}: triggers will be "
            f"shed; lanes: {int(load) + 1} on as many cores would do{other}"
        )
        yield fusion.finding(("lanes",), message)


def streams_keep_pace(fusion: Fusion) -> Iterator[Finding]:
    """An encoder that takes its samples in order, one after the other, is done before the next."""
    for item, step_ns in _streams(fusion):
        cost_ns = fusion.latency_ns(item.encoder)
        if cost_ns > step_ns:
            message = (
                f"{item.encoder} takes {duration_text(cost_ns)} and runs every "
                f"{duration_text(step_ns)}, in order, on one lane at a time: it falls behind and "
                f"skips; a model that takes at most {duration_text(step_ns)} would do"
            )
            yield fusion.finding(("inputs", item.name, "encoder"), message)


def _work_ns(fusion: Fusion) -> int:
    """Return what all runs of one set take together."""
    heads = [fusion.latency_ns(head.stage) for head in fusion.plan.all_heads]
    return sum(trigger_costs_ns(fusion).values()) + sum(heads)


def _sample_load(fusion: Fusion) -> float:
    """Return how many lanes encoders keep busy that run on each sample, or hop of sound."""
    return sum(fusion.latency_ns(item.encoder) / step_ns for item, step_ns in _streams(fusion))


def _streams(fusion: Fusion) -> list[tuple[InputPlan, int]]:
    """Return the inputs whose encoders run on samples, each with its pace where that is known."""
    plan = fusion.plan
    inputs = [item for item in plan.inputs if item.encoder]
    streams = [item for item in inputs if plan.stage(item.encoder).on == "sample"]
    return [(item, step) for item in streams if (step := fusion.step_ns(item))]


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
