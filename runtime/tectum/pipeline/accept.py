"""Which combinations of inputs a plan accepts."""

from __future__ import annotations

from collections.abc import Collection

from tectum.pipeline.plan import Plan, Requirement

__all__ = ["accepted", "requirements"]


def requirements(plan: Plan) -> tuple[Requirement, ...]:
    """Return what the plan accepts: its own list, else all required inputs, else any one input."""
    if plan.accept:
        return plan.accept
    required = [item.name for item in plan.inputs if item.required]
    if required:
        return (tuple([((name,), 1) for name in required]),)
    return (((tuple([item.name for item in plan.inputs]), 1),),)


def accepted(wanted: tuple[Requirement, ...], present: Collection[str]) -> bool:
    """Return whether `present` meets one of the requirements."""
    return any(
        all(sum(name in present for name in group) >= least for group, least in requirement)
        for requirement in wanted
    )
