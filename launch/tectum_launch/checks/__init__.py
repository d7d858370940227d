"""Proofs about a compiled graph that need no running: can its sets be complete, and in time?

Each check yields findings that name the key and the value that would do. An *error* cannot work
as written; a *warning* can, but not as the graph seems to mean it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from tectum_launch.checks.alignment import (
    combinations_agree_with_required,
    rules_reach_a_sample,
    silence_is_longer_than_a_period,
)
from tectum_launch.checks.base import Fusion
from tectum_launch.checks.costs import Costs
from tectum_launch.checks.load import cores_are_enough, lanes_keep_up, no_long_run_blocks_a_set
from tectum_launch.checks.models import models_are_whole, stages_can_be_built
from tectum_launch.checks.timing import budget_can_be_met, windows_end_in_time
from tectum_launch.findings import Finding
from tectum_launch.graph import Graph

__all__ = ["CHECKS", "check_graph", "fusions_of"]

Check = Callable[[Fusion], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    rules_reach_a_sample,
    silence_is_longer_than_a_period,
    combinations_agree_with_required,
    budget_can_be_met,
    windows_end_in_time,
    lanes_keep_up,
    no_long_run_blocks_a_set,
    models_are_whole,
)
"""A new proof is one function and one line here."""

THOROUGH: tuple[Check, ...] = (*CHECKS, stages_can_be_built)
"""With those that load the models."""


def fusions_of(graph: Graph, costs: Costs) -> list[Fusion]:
    """Return the fusion nodes of `graph` as checks look at them."""
    return [
        Fusion(node.name, node.fusion, graph.rig, graph.description, costs.get(node.name, {}))
        for node in graph.nodes
        if node.fusion
    ]


def check_graph(
    graph: Graph, *, thorough: bool = False, costs: Costs | None = None, cores: int | None = None
) -> list[Finding]:
    """Return every finding about a graph that compiled, in the order of the file.

    Args:
        graph: to prove.
        thorough: load each model and build each stage, as the fusion node will.
        costs: of stages, measured or assumed; else the manifests' claims count.
        cores: of the machine that it will run on; default: those of this process.
    """
    found = list(graph.warnings)
    fusions = fusions_of(graph, costs or {})
    for fusion in fusions:
        checks = THOROUGH if thorough else CHECKS
        found += [finding for check in checks for finding in check(fusion)]
    found += cores_are_enough(fusions, cores or len(os.sched_getaffinity(0)))
    return sorted(found, key=lambda item: (item.place.line, item.place.column))
