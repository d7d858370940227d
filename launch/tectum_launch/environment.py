"""What the process of a node finds in its environment."""

from __future__ import annotations

import os

from tectum_launch.graph import Graph, GraphNode

__all__ = ["environment_of"]


def environment_of(graph: Graph, nodes: tuple[GraphNode, ...]) -> dict[str, str]:
    """Return what the process of `nodes` finds in its environment.

    Classes beside the graph file, and beside files that it includes, are importable, as they were
    when the graph was compiled.
    """
    described = graph.description
    beside = map(str, (described.folder, *described.folders.values()))
    paths = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    own = {key: value for node in nodes for key, value in node.env.items()}
    search = os.pathsep.join([*paths, *beside])
    return {**os.environ, "PYTHONPATH": search, "PYTHONUNBUFFERED": "1", **own}
