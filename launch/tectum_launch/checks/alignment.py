"""Checks of alignment: each rule can find a sample, and combinations mean what they seem to."""

from __future__ import annotations

from collections.abc import Iterator

from tectum.pipeline.plan import InputPlan
from tectum.units import duration_text
from tectum_launch.checks.base import Fusion, at_least_text
from tectum_launch.findings import Finding, KeyPath

__all__ = [
    "combinations_agree_with_required",
    "longest_step_ns",
    "rules_reach_a_sample",
    "silence_is_longer_than_a_period",
]


def rules_reach_a_sample(fusion: Fusion) -> Iterator[Finding]:
    """A rule reaches as far as from sample to sample, else some triggers find nothing."""
    for item in fusion.plan.inputs:
        if item.period_ns and item.name != fusion.plan.trigger:
            yield from _reach(fusion, item)


def _reach(fusion: Fusion, item: InputPlan) -> Iterator[Finding]:
    align, longest_ns = item.align, longest_step_ns(item)
    keys: KeyPath = ("inputs", item.name, "align")
    pace = _pace(item)
    half = at_least_text(-(-longest_ns // 2))
    if align.rule == "nearest" and align.before_ns + align.after_ns < longest_ns:
        reach = duration_text(align.before_ns + align.after_ns)
        message = (
            f"{pace}, but the tolerance spans only {reach} in all: some triggers will find no "
            f"sample; tolerance: {half} would do"
        )
        yield fusion.finding((*keys, "nearest"), message)
    elif align.rule == "latest" and align.max_age_ns < longest_ns + _later_ns(fusion, item):
        later_ns = _later_ns(fusion, item)
        way = f", {duration_text(later_ns)} later than the trigger" if later_ns else ""
        least = at_least_text(longest_ns + later_ns)
        message = (
            f"{pace}{way}, but may be no older than {duration_text(align.max_age_ns)}: some "
            f"triggers will find no sample; max_age: {least} would do"
        )
        yield fusion.finding((*keys, "latest", "max_age"), message)
    elif align.rule == "interpolate" and align.before_ns < longest_ns:
        message = (
            f"{pace}, but samples are sought only {duration_text(align.before_ns)} on either side: "
            f"some triggers will find none; reach: {at_least_text(longest_ns)} would do"
        )
        yield fusion.finding((*keys, "interpolate", "reach"), message)
    elif align.rule == "exact" and fusion.trigger_period_ns not in (0, item.period_ns):
        message = (
            f"{pace}, not at the pace of the trigger: few samples will have exactly its stamp; "
            f"align: {{nearest: {{tolerance: {half}}}}} would do"
        )
        yield fusion.finding(keys, message)


def longest_step_ns(item: InputPlan) -> int:
    """Return the longest time from one stamp of an input to the next; 0: not known."""
    return item.period_ns + item.jitter_ns if item.period_ns else 0


def _pace(item: InputPlan) -> str:
    jitter = f", give or take {duration_text(item.jitter_ns)}" if item.jitter_ns else ""
    return f"{item.topic} comes every {duration_text(item.period_ns)}{jitter}"


def _later_ns(fusion: Fusion, item: InputPlan) -> int:
    """Return how much longer its samples are on their way than those that ask for a result."""
    trigger = fusion.plan.trigger
    asks_ns = fusion.way_ns(fusion.plan.input(trigger)) if trigger else 0
    return max(0, fusion.way_ns(item) - asks_ns)


def silence_is_longer_than_a_period(fusion: Fusion) -> Iterator[Finding]:
    """An input is not called silent between two of its samples."""
    for item in fusion.plan.inputs:
        least_ns = 2 * item.period_ns + item.jitter_ns
        if item.period_ns and 0 < item.silent_after_ns < least_ns:
            message = (
                f"{_pace(item)}: one late sample would count as silence; silent_after: "
                f"{at_least_text(least_ns)} would do"
            )
            yield fusion.finding(("inputs", item.name, "silent_after"), message)


def combinations_agree_with_required(fusion: Fusion) -> Iterator[Finding]:
    """No accepted combination lacks an input that is called required."""
    for item in fusion.plan.inputs:
        lacking = [
            combination
            for combination in fusion.plan.accept
            if not any(item.name in members for members, _ in combination)
        ]
        if item.required and lacking:
            message = (
                f"{item.name!r} is required, but `accept` has a combination without it: write "
                "required: false, or name it in every combination"
            )
            yield fusion.finding(("inputs", item.name, "required"), message, level="error")
