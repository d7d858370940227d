"""Checks of transport: what belongs to a set is there early enough to be computed with.

Times of ways are those that 99 of 100 samples keep, measured here or assumed; where neither was
done they count nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tectum.budget.schedule import place
from tectum.pipeline.plan import InputPlan
from tectum.units import duration_text
from tectum_launch.checks.alignment import longest_step_ns
from tectum_launch.checks.base import Fusion, at_least_text
from tectum_launch.checks.timing import needed_ns
from tectum_launch.findings import Finding

__all__ = ["answered_ns", "later_than_trigger_ns", "samples_arrive_in_time"]


def samples_arrive_in_time(fusion: Fusion) -> Iterator[Finding]:
    """What can only begin when a sample has arrived still ends before the deadline."""
    plan = fusion.plan
    if not plan.budget_ns or needed_ns(fusion) > plan.budget_ns:
        return  # that is another finding
    comes_ns = {item.name: _comes_ns(fusion, item) for item in plan.inputs}
    whole = answered_ns(fusion, comes_ns)
    if whole > plan.budget_ns:
        last = max(plan.inputs, key=lambda item: comes_ns[item.name])
        message = (
            f"{last.topic} {_lateness(fusion, last)}: a complete set is answered "
            f"{duration_text(whole)} after the trigger, past the budget of "
            f"{duration_text(plan.budget_ns)}; budget: {at_least_text(whole)} would do"
        )
        yield fusion.finding(("budget",), message)


def answered_ns(fusion: Fusion, comes_ns: Mapping[str, int]) -> int:
    """Return when a set is answered whose samples come at `comes_ns`, by input.

    Each encoder begins when its sample is there and a lane is free, or, with `eager: off`, when
    all are there.
    """
    plan, last_ns = fusion.plan, max(comes_ns.values())
    begins: dict[str, int] = {}
    ends = [last_ns]
    for item in plan.inputs:
        if not item.encoder:
            continue
        if plan.stage(item.encoder).on == "sample":
            ends.append(comes_ns[item.name] + fusion.latency_ns(item.encoder))
        else:
            begin_ns = last_ns if plan.eager == "off" else comes_ns[item.name]
            begins[item.encoder] = max(begin_ns, begins.get(item.encoder, 0))
    free_at = [0] * plan.lanes
    order = sorted(begins, key=lambda name: (begins[name], -fusion.latency_ns(name)))
    ends += [place(free_at, begins[name], [fusion.latency_ns(name)]) for name in order]
    return max(ends) + fusion.latency_ns(plan.head) + plan.margin_ns


def later_than_trigger_ns(item: InputPlan) -> int:
    """Return how much later than the trigger the sample may be that a set has to wait for.

    `nearest` takes an earlier one where its tolerance is sure to reach it; a window's end is
    checked by itself, see `windows_end_in_time`.
    """
    align, step_ns = item.align, longest_step_ns(item)
    if align.rule == "interpolate":
        return min(align.after_ns, step_ns or align.after_ns)
    if align.rule == "nearest" and step_ns:
        return min(align.after_ns, max(0, step_ns - align.before_ns))
    return 0


def _comes_ns(fusion: Fusion, item: InputPlan) -> int:
    """Return when its sample is there, after the trigger; `latest` is content with what is."""
    if item.align.rule == "latest" or item.align.lead_ns > 0:
        return 0
    return later_than_trigger_ns(item) + fusion.way_ns(item)


def _lateness(fusion: Fusion, item: InputPlan) -> str:
    later_ns, way_ns = later_than_trigger_ns(item), fusion.way_ns(item)
    parts = []
    if later_ns:
        parts.append(f"may be captured {duration_text(later_ns)} after the trigger")
    if way_ns:
        parts.append(f"takes {duration_text(way_ns)} to arrive")
    return " and ".join(parts)
