"""A head at work: which inputs it takes, what it accepts, and by when it is to answer. Plain data.

Each trigger asks every head of a fusion node; most have one.
"""

from __future__ import annotations

from dataclasses import dataclass

from tectum.pipeline.accept import requirements
from tectum.pipeline.plan import HeadPlan, Plan, Requirement, StagePlan

__all__ = ["Head", "heads_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """One head of a fusion node."""

    index: int
    """In the order of the plan."""
    name: str
    """What its rows carry; empty: it is the only one."""
    stage: StagePlan
    reads: tuple[int, ...]
    """Indices of the inputs that it takes, in graph order."""
    names: tuple[str, ...]
    """Their names."""
    budget_ns: int
    wanted: tuple[Requirement, ...]
    leads: tuple[int, ...]
    """Those of `reads` that no other head needs sooner: a cheaper variant of their encoders is
    given back when this head has time for the better one."""


def heads_of(plan: Plan) -> tuple[Head, ...]:
    """Return the heads of `plan`."""
    return tuple([_head(plan, index, head) for index, head in enumerate(plan.all_heads)])


def _head(plan: Plan, index: int, head: HeadPlan) -> Head:
    reads = [i for i, item in enumerate(plan.inputs) if item.name in head.inputs]
    names = [plan.inputs[i].name for i in reads]
    leads = [i for i in reads if _soonest(plan, plan.inputs[i].name) == head]
    wanted = requirements(plan, head)
    return Head(
        index, head.name, plan.stage(head.stage), tuple(reads), tuple(names), head.budget_ns,
        wanted, tuple(leads),
    )  # fmt: skip


def _soonest(plan: Plan, name: str) -> HeadPlan:
    """Return the head that needs an input soonest, of those that take it."""
    readers = [head for head in plan.all_heads if name in head.inputs]
    return min(readers, key=lambda head: head.budget_ns)
