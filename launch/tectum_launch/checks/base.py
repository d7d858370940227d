"""What a check looks at: one fusion node, its plan, its stages, and their costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
    head: str = ""
    """The head that is looked at, of several; `plan` is as it sees it. Empty: the only one, or the
    node as a whole."""
    urgent: tuple[Plan, ...] = ()
    """The plans of heads that are served before it, as each sees it."""

    @property
    def by_head(self) -> tuple[Fusion, ...]:
        """Return the node as each of its heads sees it, the most urgent first."""
        plan = self.plan
        if not plan.heads:
            return (self,)
        order = sorted(plan.heads, key=lambda head: head.budget_ns)
        plans = [plan.seen_by(head.name) for head in order]
        return tuple(
            replace(
                self,
                part=replace(self.part, plan=plans[i]),
                head=head.name,
                urgent=tuple(plans[:i]),
            )
            for i, head in enumerate(order)
        )

    @property
    def plan(self) -> Plan:
        """Return its plan."""
        return self.part.plan

    @property
    def device(self) -> str:
        """Return where its models have to run: the CPU, unless the graph refuses that."""
        require = str(self.part.device.get("require", ""))
        preferred = [name for name in self.part.device.get("prefer", ()) if name != "cpu"]
        return next(iter(preferred), "cpu") if require == "gpu" else require or "cpu"

    @property
    def trigger_period_ns(self) -> int:
        """Return the expected time between triggers; 0: not known."""
        plan = self.plan
        return plan.input(plan.trigger).period_ns if plan.trigger else plan.trigger_period_ns

    def finding(self, keys: KeyPath, message: str, *, level: str = "warning") -> Finding:
        """Return a finding about the key path `keys` of this node."""
        if self.head and keys == ("budget",):
            keys = ("heads", self.head, "budget")
        path = ("nodes", self.name, *keys)
        return Finding(self.document.place(path), path, message, level=level)

    def latency_ns(self, stage: str) -> int:
        """Return what one run of the best variant costs; 0: not known, or there is no stage."""
        return next(iter(self.costs_ns(stage).values()), 0)

    def least_ns(self, stage: str) -> int:
        """Return what one run of the cheapest variant costs."""
        return min(filter(None, self.costs_ns(stage).values()), default=0)

    def costs_ns(self, stage: str) -> dict[str, int]:
        """Return what one run costs by variant, best first: measured, assumed or claimed."""
        if not stage:
            return {}
        claims = self.part.stages[stage].claims_ns(self.device)
        known = self.costs.stages
        return {
            variant: known.get(f"{stage}/{variant}", claims.get(variant, 0))
            for variant in self.part.stages[stage].plan.variants
        }

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

    def stage_path(self, stage: str) -> KeyPath:
        """Return the key path, inside this node, that names the stage's models."""
        inputs = [item.name for item in self.plan.inputs if item.encoder == stage]
        if inputs:
            return ("inputs", inputs[0], "encoder")
        heads = [head.name for head in self.plan.heads if head.stage == stage]
        return ("heads", heads[0]) if heads else ("head",)


def at_least_text(duration_ns: int) -> str:
    """Return a duration of at least `duration_ns` as one writes it in a graph file."""
    if duration_ns and duration_ns % NS_PER_S == 0:
        return f"{duration_ns // NS_PER_S}s"
    return f"{-(-duration_ns // NS_PER_MS)}ms"


def at_least_size(nbytes: int) -> str:
    """Return a size of at least `nbytes` as one writes it in a graph file."""
    return f"{-(-nbytes // 10**6)}MB"
