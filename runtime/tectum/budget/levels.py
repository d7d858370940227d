"""In which variant each stage runs at present, and when that changes: hysteresis.

A stage that had to be degraded stays so until the better variant would leave a quarter of the
budget free: it goes back one step at a time, so a load at the edge does not make it flap.
"""

from __future__ import annotations

from collections.abc import Sequence

from tectum.budget.latency import Estimate

__all__ = ["Levels"]

_FREE = 4
"""One in so many parts of the budget must be free to go back."""


class Levels:
    """The present variant of each stage, as an index: 0 is the best."""

    __slots__ = ("_of",)

    def __init__(self) -> None:
        """Run everything at its best."""
        self._of: dict[str, int] = {}

    def of(self, stage: str) -> int:
        """Return the index of the variant in which the stage runs at present."""
        return self._of.get(stage, 0)

    def chosen(
        self, stage: str, costs: Sequence[Estimate], variant: int, slack_ns: int, budget_ns: int
    ) -> bool:
        """Take up what was chosen for a set that is left `slack_ns`; return whether it matters.

        Args:
            stage: its name.
            costs: what it takes in each variant.
            variant: the one that was chosen.
            slack_ns: from when the set is expected to be answered to when it must be.
            budget_ns: what its head has in all.
        """
        level = self.of(stage)
        if variant > level:
            self._of[stage] = variant
            return True
        if level == 0:
            return False
        more_ns = _mostly_ns(costs[level - 1]) - _mostly_ns(costs[level])
        if (slack_ns - more_ns) * _FREE <= budget_ns:
            return False
        self._of[stage] = level - 1
        return True


def _mostly_ns(cost: Estimate) -> int:
    """Return what nine of ten runs keep to: a variant that often takes longer is no slack."""
    return cost.typical_ns + cost.spread_ns
