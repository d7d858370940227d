"""Checks of buffers: what an alignment looks back for is still held when a set is decided."""

from __future__ import annotations

from collections.abc import Iterator

from tectum.pipeline.plan import InputPlan
from tectum.sync.rules import build_alignment
from tectum.units import duration_text, size_text
from tectum_launch.checks.base import Fusion, at_least_size, at_least_text
from tectum_launch.findings import Finding, KeyPath

__all__ = ["buffers_reach_far_enough", "most_held_bytes"]


def buffers_reach_far_enough(fusion: Fusion) -> Iterator[Finding]:
    """Neither the time nor the bytes of a buffer end before what its alignment looks for."""
    for item in fusion.plan.inputs:
        yield from _time(fusion, item)
        yield from _bytes(fusion, item)


def most_held_bytes(fusion: Fusion, item: InputPlan) -> int:
    """Return the most that the buffer of an input will hold; 0: not known."""
    nbytes = fusion.nbytes(item)
    if not (nbytes and item.period_ns):
        return 0
    messages = -(-(item.history_ns + _reach_ns(item)) // item.period_ns) + 1
    return min(item.history_bytes, messages * nbytes)


def _reach_ns(item: InputPlan) -> int:
    return max(0, build_alignment(item.align).reach_ns())


def _time(fusion: Fusion, item: InputPlan) -> Iterator[Finding]:
    """A set may be open until its deadline: so much longer its samples are held."""
    open_ns = fusion.plan.budget_ns
    if item.history_ns < open_ns:
        message = (
            f"a set may stay open for the budget of {duration_text(open_ns)}, but samples are kept "
            f"only {duration_text(item.history_ns)} longer than the alignment looks back: some "
            f"will be gone; buffer: {{duration: {at_least_text(open_ns)}}} would do"
        )
        yield fusion.finding(_keys(item), message)


def _bytes(fusion: Fusion, item: InputPlan) -> Iterator[Finding]:
    nbytes, back_ns = fusion.nbytes(item), _reach_ns(item) + fusion.plan.budget_ns
    if not (nbytes and item.period_ns):
        return
    needed = (-(-back_ns // item.period_ns) + 1) * nbytes
    if needed > item.history_bytes:
        pace = f"{size_text(nbytes)} every {duration_text(item.period_ns)}"
        message = (
            f"a set looks back {duration_text(back_ns)}, its budget included, which is "
            f"{size_text(needed)} of {item.topic} ({pace}), but the buffer keeps "
            f"{size_text(item.history_bytes)}: the oldest will be gone; "
            f"buffer: {{size: {at_least_size(needed)}}} would do"
        )
        yield fusion.finding(_keys(item), message)


def _keys(item: InputPlan) -> KeyPath:
    return ("inputs", item.name, "buffer")
