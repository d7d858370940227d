"""Whose answers an evaluation judges: those of one head of one fusion node."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from tectum.errors import ConfigError
from tectum.pipeline.plan import Plan
from tectum_launch.embedding import fusion_node
from tectum_launch.graph import Graph, GraphNode

__all__ = ["Judged", "judged_of", "with_budget"]


class Judged(NamedTuple):
    """A head of a fusion node."""

    node: GraphNode
    head: str
    """Empty: its only one."""


def judged_of(graph: Graph, wanted: str) -> Judged:
    """Return the head called `wanted`: `NODE`, or `NODE/HEAD` where that has several.

    Raises:
        ConfigError: there is none, or several.
    """
    name, _, head = wanted.partition("/")
    node = fusion_node(graph, name)
    assert node.fusion is not None, "it is a fusion node"
    heads = [item.name for item in node.fusion.plan.heads]
    if head in heads or not (head or heads):
        return Judged(node, head)
    choices = ", ".join(f"{node.name}/{item}" for item in heads) or node.name
    has = f"no head '{head}'" if head else "several heads, and one is judged at a time"
    msg = f"{graph.source}: '{node.name}' has {has}; choose with --node one of: {choices}"
    raise ConfigError(msg)


def with_budget(plan: Plan, head: str, budget_ns: int) -> Plan:
    """Return `plan` with another budget of one head; the others keep theirs."""
    if not plan.heads:
        return replace(plan, budget_ns=budget_ns)
    heads = [
        replace(item, budget_ns=budget_ns) if item.name == head else item for item in plan.heads
    ]
    return replace(plan, heads=tuple(heads))
