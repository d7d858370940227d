"""What a check looks at: one fusion node, its plan, its stages, and their costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.pipeline.plan import InputPlan, Plan
from tectum_launch.checks.costs import NodeCosts
from tectum_launch.document import Document
from tectum_launch.findings import Finding, KeyPath
from tectum_launch.graph import FusionPart, Topic

__all__ = ["Fusion", "at_least_size", "at_least_text"]


@dataclass(frozen=True, slots=True)
class Fusion:
    """One fusion node under examination."""

    name: str
    part: FusionPart
    rig: Mapping[str, Any] | None
    document: Document
    costs: NodeCosts = field(default_factory=NodeCosts)
    """Measured or assumed; they go before the manifests."""
    topics: Mapping[str, Topic] = field(default_factory=dict)
    """Of the whole graph, by name."""

    @property
    def plan(self) -> Plan:
        """Return its plan."""
        return self.part.plan

    @property
    def trigger_period_ns(self) -> int:
        """Return the expected time between triggers; 0: not known."""
        plan = self.plan
        return plan.input(plan.trigger).period_ns if plan.trigger else plan.trigger_period_ns

    def finding(self, keys: KeyPath, message: str, *, level: str = "warning") -> Finding:
        """Return a finding about the key path `keys` of this node."""
        path = ("nodes", self.name, *keys)
        return Finding(self.document.place(path), path, message, level=level)

    def latency_ns(self, stage: str) -> int:
        """Return what one run of the best variant costs; 0: not known, or there is no stage."""
        known = self._known_ns(stage)
        return known[0] if known else self.part.stages[stage].latency_ns if stage else 0

    def least_ns(self, stage: str) -> int:
        """Return what one run of the cheapest variant costs."""
        known = self._known_ns(stage)
        return min(known) if known else self.part.stages[stage].least_ns if stage else 0

    def step_ns(self, item: InputPlan) -> int:
        """Return from one run to the next of an encoder that runs on samples; 0: not known."""
        hop = self.plan.stage(item.encoder).hop
        manifests = self.part.stages[item.encoder].manifests
        rates = [tensor.rate_hz for manifest in manifests for tensor in manifest.inputs]
        rate_hz = max(rates, default=0)
        return hop * NS_PER_S // rate_hz if hop and rate_hz else item.period_ns

    def way_ns(self, item: InputPlan) -> int:
        """Return the time from the end of a capture to its arrival; 0: not known."""
        return self.costs.transport.get(item.name, 0)

    def nbytes(self, item: InputPlan) -> int:
        """Return the bytes of a message of an input; 0: not known."""
        topic = self.topics.get(item.topic)
        return self.costs.nbytes.get(item.name) or (topic.nbytes if topic else 0)

    def _known_ns(self, stage: str) -> list[int]:
        """Return the costs of its variants that are measured or assumed, best variant first."""
        variants = self.plan.stage(stage).variants if stage else ()
        keys = [f"{stage}/{variant}" for variant in variants]
        return [self.costs.stages[key] for key in keys if key in self.costs.stages]

    def stage_path(self, stage: str) -> KeyPath:
        """Return the key path, inside this node, that names the stage's models."""
        inputs = [item.name for item in self.plan.inputs if item.encoder == stage]
        return ("inputs", inputs[0], "encoder") if inputs else ("head",)


def at_least_text(duration_ns: int) -> str:
    """Return a duration of at least `duration_ns` as one writes it in a graph file."""
    if duration_ns and duration_ns % NS_PER_S == 0:
        return f"{duration_ns // NS_PER_S}s"
    return f"{-(-duration_ns // NS_PER_MS)}ms"


def at_least_size(nbytes: int) -> str:
    """Return a size of at least `nbytes` as one writes it in a graph file."""
    return f"{-(-nbytes // 10**6)}MB"
