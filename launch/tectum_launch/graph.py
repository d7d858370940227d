"""A compiled graph: what runs, who hears whom, and the plan of each fusion node. Plain data.

Nothing is started here: it can be checked, printed and drawn. `document` is the effective graph
that a run, and every recording of it, keeps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tectum.message import Kind
from tectum.node.scheduling import Scheduling
from tectum.pipeline.plan import Plan, plan_document
from tectum_launch.document import Document
from tectum_launch.fault_plan import FaultPlan
from tectum_launch.findings import Finding
from tectum_launch.hosts import Hosts
from tectum_launch.members import HangRule, RestartRule
from tectum_launch.stages import ResolvedStage

__all__ = ["FusionPart", "Graph", "GraphNode", "Topic", "fusion_config"]


@dataclass(frozen=True, slots=True)
class Topic:
    """A named stream of a graph."""

    name: str
    kind: Kind
    node: str
    """The node that publishes it."""
    period_ns: int = 0
    """Expected period; 0: not known."""
    nbytes: int = 0
    """Bytes of a message; 0: not known."""


@dataclass(frozen=True, slots=True)
class FusionPart:
    """What a fusion node has beside other nodes."""

    plan: Plan
    stages: Mapping[str, ResolvedStage]
    """Stage name -> where its models are."""
    device: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One node of a graph, ready to be started."""

    name: str
    target: str
    """`package.module:Class`."""
    config: Mapping[str, Any]
    """What its `Config` is validated from."""
    process: str
    """Nodes with the same name here share one process."""
    on_exit: str
    """stop, continue, restart."""
    restart: RestartRule = field(default_factory=RestartRule)
    hang: HangRule = field(default_factory=HangRule)
    scheduling: Scheduling = field(default_factory=Scheduling)
    env: Mapping[str, str] = field(default_factory=dict)
    publishes: tuple[Topic, ...] = ()
    subscribes: tuple[str, ...] = ()
    """Topics, patterns resolved, in the order of the graph."""
    fusion: FusionPart | None = None
    host: str = ""
    """Where it runs, in a graph over several hosts."""

    def document(self) -> dict[str, Any]:
        """Return the node as plain data."""
        return {
            "run": self.target,
            "config": dict(self.config),
            "process": self.process,
            "on_exit": self.on_exit,
            "restart": dataclasses.asdict(self.restart),
            "hang": dataclasses.asdict(self.hang),
            "scheduling": self.scheduling.document(),
            "env": dict(self.env),
            "publishes": {topic.name: topic.kind.value for topic in self.publishes},
            "subscribes": list(self.subscribes),
        }


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph, compiled."""

    name: str
    source: Path
    nodes: tuple[GraphNode, ...]
    """In the order of the file."""
    rig: Mapping[str, Any] | None
    budget_ns: int
    description: Document
    """The file, for findings that name a place in it."""
    hosts: Hosts = field(default_factory=Hosts)
    """Where its nodes run."""
    faults: FaultPlan = field(default_factory=FaultPlan)
    """What goes wrong on purpose, and what must hold all the same."""

    @property
    def here(self) -> tuple[GraphNode, ...]:
        """Return the nodes that run on this host."""
        return tuple(node for node in self.nodes if self.hosts.is_here(node.host))

    @property
    def topics(self) -> Iterator[Topic]:
        """Return every topic of the graph, in the order of its nodes."""
        return (topic for node in self.nodes for topic in node.publishes)

    @property
    def processes(self) -> dict[str, tuple[GraphNode, ...]]:
        """Return the nodes of each process of this host, in the order of the graph."""
        names = dict.fromkeys(node.process for node in self.here)
        return {name: tuple(n for n in self.here if n.process == name) for name in names}

    @property
    def warnings(self) -> list[Finding]:
        """Return what is doubtful but no error."""
        return [item for item in self.description.findings if item.level == "warning"]

    def document(self) -> dict[str, Any]:
        """Return the effective graph as plain data for JSON, MessagePack or YAML."""
        return {
            "graph": self.name,
            "source": str(self.source),
            "budget_ns": self.budget_ns,
            "rig": self.rig,
            "nodes": {node.name: node.document() for node in self.nodes},
        }


def fusion_config(part: FusionPart, rig: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the configuration that the fusion node itself reads."""
    return {
        "plan": plan_document(part.plan),
        "stages": {name: stage.spec for name, stage in part.stages.items()},
        "rig": None if rig is None else dict(rig),
        "device": dict(part.device),
    }
