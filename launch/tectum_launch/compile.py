"""From a graph file to a compiled `Graph`; every error of the file is found before it is refused.

The steps: read, put in what comes from outside (`include`, `--set`, `${name}`), validate the parts,
wire them, resolve models, make the plans.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tectum.node.scheduling import Scheduling
from tectum_launch.document import Document, read_document
from tectum_launch.draft import Draft, draft_node
from tectum_launch.fault_plan import FaultPlan, plan_faults, read_faults
from tectum_launch.fusion_part import FusionCompiler
from tectum_launch.graph import FusionPart, Graph, GraphNode, fusion_config
from tectum_launch.hosts import hosts_of
from tectum_launch.inclusion import include_files
from tectum_launch.overrides import Addition, add_nodes, apply_overrides
from tectum_launch.parameters import declared_parameters, fill_parameters
from tectum_launch.process_schema import RestartConfig
from tectum_launch.processes import check_processes
from tectum_launch.replaced import Recording, replace_sources
from tectum_launch.rig import graph_rig, merged_rig
from tectum_launch.schema import GraphConfig
from tectum_launch.shipped import find_graph
from tectum_launch.validation import validated
from tectum_launch.wiring import Wiring, wire

__all__ = ["compile_document", "load_graph"]


def load_graph(
    name: str,
    settings: Iterable[str] = (),
    *,
    additions: Iterable[Addition] = (),
    replay: Recording | None = None,
    cores: int | None = None,
    host: str = "",
    faults: str = "",
) -> Graph:
    """Return the graph called `name` (a path, or a shipped one), with `settings` put in.

    `host` says which of its hosts this is; without it everything runs here. `faults` names a file
    of faults (a path, or a shipped one).

    Raises:
        ConfigError: there is no such file.
        GraphError: something in it is wrong; all findings at once.
    """
    document = read_document(find_graph(name))
    graph = compile_document(document, settings, additions=additions, replay=replay, cores=cores)
    if faults:
        inputs = {node.name: _input_names(node.fusion) for node in graph.nodes if node.fusion}
        names = [node.name for node in graph.nodes]
        graph = replace(graph, faults=read_faults(faults, inputs, names, graph.faults))
    return replace(graph, hosts=graph.hosts.seen_from(host)) if host else graph


def compile_document(
    document: Document,
    settings: Iterable[str] = (),
    *,
    additions: Iterable[Addition] = (),
    replay: Recording | None = None,
    cores: int | None = None,
) -> Graph:
    """Return the graph that `document` describes.

    Args:
        document: the file; changed in place by `settings` and by its parameters.
        settings: `a.b=c` each, put in before anything is validated.
        additions: nodes that an option of the command line adds.
        replay: a recording that stands in for sensors.
        cores: computations at a time that plans may count on; default: this process's cores.

    Raises:
        GraphError: something in it is wrong; all findings at once.
    """
    include_files(document)
    declared_parameters(document)
    apply_overrides(document, settings)
    for folder in (document.folder, *document.folders.values()):
        _make_importable(folder)
    _name_twins(document)
    player = [replace_sources(document, replay)] if replay else []
    fill_parameters(document)
    add_nodes(document, [*player, *additions])
    graph = validated(document, (), GraphConfig, document.tree)
    drafts, broken = _drafts(document)
    check_processes(document, drafts)
    wiring = wire(document, drafts, broken)
    stated = document.tree.get("rig")
    own = None if stated is None else graph_rig(document, ("rig",), stated)
    rig = merged_rig([own, *(draft.rig for draft in drafts)])
    parts = _fusion_parts(document, wiring, drafts, graph, cores)
    hosts = hosts_of(document, graph, wiring.topics) if graph else None
    faults = FaultPlan()
    if graph and len(parts) == sum(draft.fusion is not None for draft in drafts):
        inputs = {name: _input_names(part) for name, part in parts.items()}
        faults = plan_faults(document, graph.faults, graph.checks, inputs, graph.nodes)
    document.raise_errors()
    assert graph is not None, "an invalid graph has findings"
    assert hosts is not None, "as above"
    first = next(iter(hosts.addresses), "")
    nodes = tuple(_node(draft, wiring, parts.get(draft.name), rig, first) for draft in drafts)
    source = Path(document.source)
    return Graph(graph.graph, source, nodes, rig, graph.budget or 0, document, hosts, faults)


def _input_names(part: FusionPart) -> list[str]:
    return [item.name for item in part.plan.inputs]


def _name_twins(document: Document) -> None:
    """Say of a node that stands twice what that would mean."""
    for index, finding in enumerate(document.findings):
        if len(finding.path) == 2 and finding.path[0] == "nodes":
            message = f"{finding.message}; two nodes cannot publish the same topics"
            document.findings[index] = replace(finding, message=message)


def _make_importable(folder: Path) -> None:
    """Let `run: my_nodes:Class` find `my_nodes.py` beside the graph file, after all else."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _drafts(document: Document) -> tuple[list[Draft], list[str]]:
    """Return the nodes whose class was found, and the names of those of unknown outputs."""
    raw = document.tree.get("nodes")
    drafts, broken = [], []
    for name, entry in raw.items() if isinstance(raw, dict) else ():
        draft = draft_node(document, name, entry) if isinstance(entry, dict) else None
        if draft:
            drafts.append(draft)
        if draft is None or (draft.config is None and not draft.outputs):
            broken.append(name)
    return drafts, broken


def _fusion_parts(
    document: Document,
    wiring: Wiring,
    drafts: Iterable[Draft],
    graph: GraphConfig | None,
    cores: int | None,
) -> dict[str, FusionPart]:
    """Return the compiled parts of the fusion nodes that have no errors."""
    available = cores or len(os.sched_getaffinity(0))
    compiler = FusionCompiler(document, wiring, graph)
    parts = {
        draft.name: compiler.part(draft.name, draft.fusion, _cores_of(draft, available))
        for draft in drafts
        if draft.fusion
    }
    return {name: part for name, part in parts.items() if part}


def _cores_of(draft: Draft, available: int) -> int:
    """Return how many cores the process of a node may run on."""
    own = draft.entry.cpu if draft.entry else None
    return min(available, len(own)) if own else available


def _node(
    draft: Draft,
    wiring: Wiring,
    fusion: FusionPart | None,
    rig: dict[str, Any] | None,
    first_host: str,
) -> GraphNode:
    assert draft.config is not None, "a wrong configuration has findings"
    assert draft.entry is not None, "a wrong entry has findings"
    own = draft.config.model_dump(mode="json", by_alias=True)
    return GraphNode(
        name=draft.name,
        target=draft.target,
        config=fusion_config(fusion, rig) if fusion else own,
        process=draft.entry.process or draft.name,
        on_exit=draft.on_exit,
        restart=(draft.entry.restart or RestartConfig()).rule(),
        hang=draft.entry.hang.rule(draft.on_exit),
        scheduling=Scheduling(draft.entry.cpu or (), draft.entry.nice, draft.entry.realtime or 0),
        env=draft.entry.env,
        publishes=wiring.published_by(draft.name),
        subscribes=wiring.hears[draft.name],
        fusion=fusion,
        host=draft.entry.host or first_host,
    )
