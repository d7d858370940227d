"""What came to the inputs: the moment and the number of every sample, for those who explain rows.

A row names the best sample until the set was settled. Whether a later one lay nearer, just outside
the tolerance, only the arrivals tell; so they are kept beside the rows, for the inputs whose rule
looks for the nearest sample. Decisions do not depend on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tectum.message import Sample
from tectum.pipeline.events import Arrived, Event
from tectum.pipeline.plan import InputPlan, Plan

__all__ = ["Came", "came", "moment_ns"]

Came = Mapping[str, Sequence[Sequence[int]]]
"""Input -> [instant that a sample stands for, its sequence number] of each sample that came."""

_RULES = ("nearest", "exact")


def came(events: Iterable[Event], plan: Plan) -> dict[str, list[list[int]]]:
    """Return what came by `events` to the inputs that look for the nearest sample."""
    wanted = {item.name: item for item in plan.inputs if item.align.rule in _RULES}
    found: dict[str, list[list[int]]] = {}
    for event in events:
        if isinstance(event, Arrived) and event.sample.ref.input in wanted:
            sample = event.sample
            at_ns = moment_ns(wanted[sample.ref.input], sample)
            found.setdefault(sample.ref.input, []).append([at_ns, sample.ref.seq])
    return found


def moment_ns(plan: InputPlan, sample: Sample) -> int:
    """Return the instant that a sample stands for: its reference point, less the offset."""
    share = {"start": 0, "middle": sample.span_ns // 2, "end": sample.span_ns}
    return sample.stamp_ns - plan.offset_ns + share[plan.reference]
