"""The folder of a run as launch keeps it: `run.json` with the effective graph, pids and endpoints.

Written before the first process starts, again with the process ids, and once more when the graph
begins: `epoch_ns` is that instant. Removed at the end, with the sockets in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tectum.clock import GraphClock
from tectum.rundir import create_run, read_run, reap, remove_run, write_run
from tectum.transport.endpoint import ipc_endpoint
from tectum_launch.graph import Graph, GraphNode

__all__ = ["RunFolder", "hearers"]


def hearers(graph: Graph, node: str) -> list[str]:
    """Return the nodes that connect to `node`, in the order of the graph."""
    owners = {topic.name: topic.node for topic in graph.topics}
    return [
        other.name
        for other in graph.nodes
        if other.name != node
        and any(owners.get(topic, topic.partition("/")[0]) == node for topic in other.subscribes)
    ]


@dataclass(slots=True)
class RunFolder:
    """The folder of one run of `graph`."""

    graph: Graph
    clock: GraphClock
    path: Path
    document: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def create(cls, graph: Graph, clock: GraphClock) -> RunFolder:
        """Make the folder of a new run, after clearing away what dead runs left.

        Raises:
            ConfigError: no private folder can be made, or its path is too long for a socket.
        """
        reap()
        path = create_run(graph.name)
        folder = cls(graph, clock, path, read_run(path))
        try:
            folder._fill()
        except BaseException:
            remove_run(path)
            raise
        return folder

    def began(self, epoch_ns: int) -> None:
        """Note when the graph began."""
        self.document["epoch_ns"] = epoch_ns
        write_run(self.path, self.document)

    def started(self, pids: dict[str, int], alive: Iterable[str]) -> None:
        """Note process ids, and wait from now on only for those subscribers that are `alive`."""
        living = {*alive, *(n.name for n in self.graph.nodes if n not in self.graph.here)}
        for name, record in self.document["nodes"].items():
            record["pid"] = pids.get(name, 0)
            record["subscribers"] = [
                other for other in hearers(self.graph, name) if other in living
            ]
        write_run(self.path, self.document)

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        remove_run(self.path)

    def _fill(self) -> None:
        now_ns = self.clock.now_ns()
        self.document |= {
            "started_ns": now_ns,
            "epoch_ns": now_ns,
            "offset_ns": self.clock.offset_ns,
            "description": self.graph.document(),
            "nodes": {node.name: self._record(node) for node in self.graph.nodes},
            "topics": {
                topic.name: {"node": topic.node, "kind": topic.kind.value}
                for topic in self.graph.topics
            },
            "hosts": self.graph.hosts.document(),
            "faults": [dict(record) for record in self.graph.faults.records],
        }
        write_run(self.path, self.document)

    def _record(self, node: GraphNode) -> dict[str, Any]:
        own = f"{node.name}/"
        names = hearers(self.graph, node.name)
        others = [other for other in self.graph.nodes if other.name in names]
        return {
            "class": node.target,
            "config": dict(node.config),
            "endpoint": ipc_endpoint(self.path, node.name),
            "outputs": {topic.name.removeprefix(own): topic.kind.value for topic in node.publishes},
            "subscribes": list(node.subscribes),
            "subscribers": names,
            "pid": 0,
            "scheduling": node.scheduling.document(),
            **self.graph.hosts.record(self.graph, node, others),
        }
