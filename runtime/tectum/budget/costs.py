"""Costs: what the stages of a fusion node take, by input and variant, as far as is known."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

from tectum.budget.latency import Estimate, LatencyModel
from tectum.pipeline.head import Head
from tectum.pipeline.plan import StagePlan
from tectum.pipeline.port import Port

__all__ = ["Costs", "cheapest", "spread_ns"]


class Costs:
    """Estimates of the encoders, per input, and of the heads."""

    __slots__ = ("_model", "encoders", "heads")

    def __init__(self, heads: Sequence[Head], ports: Sequence[Port], model: LatencyModel) -> None:
        """Look at `model`, which somebody else feeds."""
        self._model = model
        self.heads = [self.of(head.stage) for head in heads]
        """Per head, what it costs in each variant."""
        self.encoders = [self.of(p.encoder if p.hops is None else None) for p in ports]
        """Per input, what its encoder costs in each variant; nothing where a set runs none."""

    def of(self, stage: StagePlan | None) -> tuple[Estimate, ...]:
        """Return what a stage takes in each variant."""
        if stage is None:
            return ()
        return tuple([self._model.of(stage.name, variant) for variant in stage.variants])

    def encode_ns(self, index: int, variant: int) -> int:
        """Return what the encoder of the input at `index` typically takes; 0 without one."""
        costs = self.encoders[index]
        return costs[variant].typical_ns if costs else 0

    def head_ns(self, head: Head, variant: int) -> int:
        """Return what a head typically takes."""
        return self.heads[head.index][variant].typical_ns


def cheapest(costs: Sequence[Estimate], at_least: int) -> int:
    """Return the variant that takes the least time, of those not better than `at_least`."""
    if len(costs) <= 1:
        return at_least
    return min(range(at_least, len(costs)), key=lambda variant: costs[variant].typical_ns)


def spread_ns(*chain: Estimate) -> int:
    """Return what to keep free for runs that take longer than typical."""
    return isqrt(sum([estimate.spread_ns * estimate.spread_ns for estimate in chain]))
