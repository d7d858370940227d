"""How long a stage takes, measured on the sample that it warms up with.

The first runs are thrown away: memory is allocated and caches are filled in them. The numbers are
of this machine, with whatever else it does; manifests keep the median as `latency_ms`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tectum.clock import NS_PER_MS, Clock
from tectum.inference.stage import Stage

__all__ = ["Latency", "measure", "no_faster"]

THROWN_AWAY = 3


@dataclass(frozen=True, slots=True)
class Latency:
    """Durations of the runs of one variant, shortest first."""

    stage: str
    variant: str
    runs_ns: tuple[int, ...]

    def quantile_ns(self, share: float) -> int:
        """Return the duration that `share` of the runs (0 to 1) did not exceed."""
        index = min(int(share * len(self.runs_ns)), len(self.runs_ns) - 1)
        return self.runs_ns[index]

    @property
    def median_ms(self) -> float:
        """Return the median in ms, as a manifest has it."""
        return round(self.quantile_ns(0.5) / NS_PER_MS, 3)


def no_faster(latencies: Sequence[Latency]) -> list[tuple[str, str]]:
    """Return the variants that save no time, each with the one before it; `latencies` best first.

    Half precision is such a one on most processors, which compute in single precision all the same.
    """
    return [
        (cheaper.variant, better.variant)
        for better, cheaper in pairwise(latencies)
        if cheaper.quantile_ns(0.5) >= better.quantile_ns(0.5)
    ]


def measure(stage: Stage, variant: str, clock: Clock, repeats: int = 20) -> Latency:
    """Return how long `repeats` runs of `variant` took, one after the other."""
    for _ in range(THROWN_AWAY):
        stage.warm_up(variant)
    instants = [clock.now_ns()]
    for _ in range(repeats):
        stage.warm_up(variant)
        instants.append(clock.now_ns())
    runs = sorted(end - begin for begin, end in pairwise(instants))
    return Latency(stage.name, variant, tuple(runs))
