"""Which combinations of inputs a plan accepts, or one of its heads does."""

from __future__ import annotations

from collections.abc import Collection

from tectum.pipeline.plan import HeadPlan, Plan, Requirement

__all__ = ["accepted", "requirements"]


def requirements(plan: Plan, head: HeadPlan | None = None) -> tuple[Requirement, ...]:
    """Return what a head accepts: its own list, else all required inputs, else any one input.

    Args:
        plan: the fusion node's.
        head: one of its heads; None: the only one.
    """
    asked = head or plan.all_heads[0]
    if asked.accept:
        return asked.accept
    required = [item.name for item in plan.inputs if item.required and item.name in asked.inputs]
    if required:
        return (tuple([((name,), 1) for name in required]),)
    return (((asked.inputs, 1),),)


def accepted(wanted: tuple[Requirement, ...], present: Collection[str]) -> bool:
    """Return whether `present` meets one of the requirements."""
    return any(
        all(sum(name in present for name in group) >= least for group, least in requirement)
        for requirement in wanted
    )
