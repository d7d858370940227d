"""Proofs about a compiled graph that need no running: can its sets be complete, and in time?

Each check yields findings that name the key and the value that would do. An *error* cannot work
as written; a *warning* can, but not as the graph seems to mean it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tectum_launch.checks.alignment import (
    combinations_agree_with_required,
    rules_reach_a_sample,
    silence_is_longer_than_a_period,
)
from tectum_launch.checks.base import Fusion
from tectum_launch.checks.buffers import buffers_reach_far_enough
from tectum_launch.checks.costs import Costs, NodeCosts
from tectum_launch.checks.load import cores_are_enough, lanes_keep_up, streams_keep_pace
from tectum_launch.checks.machine import Machine, this_machine
from tectum_launch.checks.memory import buffers_fit_in_memory, pools_fit_in_shared_memory
from tectum_launch.checks.models import (
    models_are_whole,
    stages_can_be_built,
    variants_get_cheaper,
)
from tectum_launch.checks.starving import no_encoder_starves_its_set, no_stream_blocks_a_set
from tectum_launch.checks.timing import budget_can_be_met, windows_end_in_time
from tectum_launch.checks.transport import samples_arrive_in_time
from tectum_launch.findings import Finding
from tectum_launch.graph import Graph

__all__ = ["CHECKS", "Machine", "check_graph", "fusions_of", "this_machine"]

Check = Callable[[Fusion], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    rules_reach_a_sample,
    silence_is_longer_than_a_period,
    combinations_agree_with_required,
    buffers_reach_far_enough,
    lanes_keep_up,
    streams_keep_pace,
    variants_get_cheaper,
    models_are_whole,
)
"""A new proof is one function and one line here."""

OF_EACH_HEAD: tuple[Check, ...] = (
    budget_can_be_met,
    samples_arrive_in_time,
    windows_end_in_time,
    no_encoder_starves_its_set,
    no_stream_blocks_a_set,
)
"""Those that are about a budget: each head has its own."""

THOROUGH: tuple[Check, ...] = (*CHECKS, stages_can_be_built)
"""With those that load the models."""


def fusions_of(graph: Graph, costs: Costs) -> list[Fusion]:
    """Return the fusion nodes of `graph` as checks look at them."""
    topics = {topic.name: topic for topic in graph.topics}
    return [
        Fusion(
            node.name,
            node.fusion,
            graph.rig,
            graph.description,
            costs.get(node.name, NodeCosts()),
            topics,
        )
        for node in graph.nodes
        if node.fusion
    ]


def check_graph(
    graph: Graph,
    *,
    thorough: bool = False,
    costs: Costs | None = None,
    machine: Machine | None = None,
) -> list[Finding]:
    """Return every finding about a graph that compiled, in the order of the file.

    Args:
        graph: to prove.
        thorough: load each model and build each stage, as the fusion node will.
        costs: measured or assumed; else the manifests' claims count.
        machine: that it will run on; default: this one.
    """
    found = list(graph.warnings)
    fusions = fusions_of(graph, costs or {})
    for fusion in fusions:
        checks = THOROUGH if thorough else CHECKS
        found += [finding for check in checks for finding in check(fusion)]
        for seen in fusion.by_head:
            found += [finding for check in OF_EACH_HEAD for finding in check(seen)]
    found += _of_all(graph, fusions, machine or this_machine())
    return sorted(found, key=lambda item: (item.place.line, item.place.column))


def _of_all(graph: Graph, fusions: list[Fusion], machine: Machine) -> Iterator[Finding]:
    """Yield what is found about all fusion nodes together."""
    yield from cores_are_enough(fusions, machine.cores)
    yield from buffers_fit_in_memory(fusions, machine)
    yield from pools_fit_in_shared_memory(graph, fusions, machine)
