"""What if, for a person: how much was decided otherwise, in which way, and at which triggers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tectum.ledger.difference import Change, Difference
from tectum.ledger.difference_words import change_words, difference_lines, input_lines
from tectum.ledger.reasons import ROW_REASONS
from tectum_launch.replay import duration_doubts
from tectum_launch.what_if import Compared, WhatIf, later_ms

__all__ = ["what_if_text"]

_ROWS = 20
"""So many triggers are shown unless all are asked for."""
_NOTHING_MS = 0.05


def what_if_text(found: WhatIf, *, everything: bool = False) -> str:
    """Return a summary and the triggers that were decided otherwise: a few, or `everything`."""
    lines = [f"before: {found.before}", f"after:  {found.after}"]
    for item in found.fusion:
        lines += _lines(item, everything=everything)
    return "\n".join(lines)


def _lines(item: Compared, *, everything: bool) -> list[str]:
    found = item.difference
    first, *kinds = difference_lines(found)
    lines = [f"{item.name}: {first}", *kinds]
    lines += [f"  {line}" for line in _totals(item.before.report, item.after.report)]
    lines += [f"  {line}" for line in _later_words(found)]
    lines += [f"  {line}" for line in input_lines(found)]
    lines += [f"  ! {line}" for line in _doubts(item)]
    shown = found.changes if everything else found.changes[:_ROWS]
    lines += [f"  {change_words(change)}" for change in shown]
    if len(shown) < len(found.changes):
        lines.append(f"  ... and {len(found.changes) - len(shown)} more: --all shows them")
    return lines


def _totals(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    outcomes = ", ".join(
        f"{key} {_moved(old['outcomes'][key], new['outcomes'][key])}" for key in old["outcomes"]
    )
    lines = [outcomes, f"on time {_moved(100 * old['on_time'], 100 * new['on_time'], '.1f')} %"]
    for key, name in (("age_ms", "age"), ("latency_ms", "latency")):
        one, other = old[key], new[key]
        parts = [
            f"{quantile} {_moved(one[quantile], other[quantile], '.1f')}"
            for quantile in ("p50", "p95", "max")
            if one[quantile] is not None and other[quantile] is not None
        ]
        lines += [f"{name} {', '.join(parts)} ms"] if parts else []
    for reason in dict.fromkeys([*old["reasons"], *new["reasons"]]):
        counts = old["reasons"].get(reason, 0), new["reasons"].get(reason, 0)
        if reason != "complete" and counts[0] != counts[1]:
            lines.append(f"{_moved(*counts)} x {ROW_REASONS.get(reason, reason)}")
    return lines


def _later_words(found: Difference) -> list[str]:
    later = later_ms(found)
    low, middle, high = later["p5"], later["p50"], later["p95"]
    if low is None or middle is None or high is None or low == high == 0:
        return []
    side = "earlier" if middle < 0 else "later"
    when = "as soon" if abs(middle) < _NOTHING_MS else f"{abs(middle):.1f} ms {side}"
    return [f"the same trigger was answered {when} in the middle (p5 {low:+.1f}, p95 {high:+.1f})"]


def _doubts(item: Compared) -> list[str]:
    """Return what makes the comparison less than it seems."""
    lines = duration_doubts(item.claimed, item.assumed, "--cost or --against-cost")
    found = item.difference
    if not found.alike and found.counts.keys() == {Change.ONLY_BEFORE, Change.ONLY_AFTER}:
        lines.append("no trigger in common: only the totals can be compared")
    return lines


def _moved(old: float, new: float, form: str = "") -> str:
    """Return `3 -> 5`, or `3` where nothing changed."""
    before, after = format(old, form), format(new, form)
    return before if before == after else f"{before} -> {after}"
