"""What if: one recording simulated under two graphs, and what they decide differently.

Both sides are functions of (log, graph, durations, faults), so a difference is the graphs'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tectum.errors import ConfigError
from tectum.ledger.codec import row_document
from tectum.ledger.difference import Difference, RowChange, difference_of
from tectum.ledger.difference_words import change_words
from tectum.ledger.words import listed
from tectum_launch.fault_plan import FaultPlan
from tectum_launch.graph import Graph
from tectum_launch.replay import Simulated, simulated

__all__ = ["Compared", "Side", "WhatIf", "later_ms", "what_if"]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two graphs."""

    title: str
    graph: Graph | None
    """None: the recorded plans."""
    durations: Mapping[str, int]
    faults: FaultPlan


@dataclass(frozen=True, slots=True)
class Compared:
    """One fusion node on both sides."""

    name: str
    before: Simulated
    after: Simulated
    difference: Difference

    @property
    def claimed(self) -> list[str]:
        """Return the stages that take what a manifest claims, as their model is another."""
        return sorted({*self.before.claimed, *self.after.claimed})

    @property
    def assumed(self) -> list[str]:
        """Return the stages of which nothing says how long they take."""
        return sorted({*self.before.assumed, *self.after.assumed})


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The same recording under two graphs."""

    log: Path
    before: str
    """What each side is called."""
    after: str
    fusion: tuple[Compared, ...]

    def document(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return {
            "mode": "against",
            "log": str(self.log),
            "before": self.before,
            "after": self.after,
            "fusion": {item.name: _document(item) for item in self.fusion},
        }


def what_if(log: Path, before: Side, after: Side) -> WhatIf:
    """Return what `after` decides otherwise than `before`, over the same recording.

    Raises:
        DataError: the log cannot be read, or lacks what is needed.
        ConfigError: the graphs have no fusion node in common.
    """
    old, new = (simulated(log, side.graph, side.durations, side.faults) for side in (before, after))
    pairs = _pairs(old, new)
    compared = tuple(
        Compared(name, old[name], new[other], difference_of(old[name].rows, new[other].rows))
        for name, other in pairs.items()
    )
    return WhatIf(log, before.title, after.title, compared)


def _pairs(old: Mapping[str, Simulated], new: Mapping[str, Simulated]) -> dict[str, str]:
    """Return which fusion nodes belong together: those of one name, or the only ones."""
    if len(old) == len(new) == 1:
        return {next(iter(old)): next(iter(new))}
    common = {name: name for name in old if name in new}
    if not common:
        msg = (
            f"the graphs have no fusion node in common: {listed(list(old))} against "
            f"{listed(list(new))}; give one of the other's nodes the same name"
        )
        raise ConfigError(msg)
    return common


def _document(item: Compared) -> dict[str, Any]:
    found = item.difference
    return {
        "alike": found.alike,
        "changes": {change.value: count for change, count in sorted(found.counts.items())},
        "outcomes_moved": {f"{a} -> {b}": n for (a, b), n in sorted(found.moved.items())},
        "inputs": {
            name: {
                "used": [part.used_before, part.used_after],
                "gained": part.gained,
                "lost": part.lost,
                "re_paired": part.re_paired,
                "missing_before": dict(part.missing_before.most_common()),
                "missing_after": dict(part.missing_after.most_common()),
            }
            for name, part in found.inputs.items()
        },
        "later_ms": later_ms(found),
        "before": item.before.report,
        "after": item.after.report,
        "claimed_durations": item.claimed,
        "assumed_durations": item.assumed,
        "triggers": [_change_document(change) for change in found.changes],
    }


def later_ms(found: Difference) -> dict[str, float | None]:
    """Return quantiles of how much later the same trigger was answered, in ms."""
    quantiles = {"p5": 0.05, "p50": 0.5, "p95": 0.95}
    if not found.later.count:
        return dict.fromkeys(quantiles)
    return {key: found.later.quantile_ns(share) / 1e6 for key, share in quantiles.items()}


def _change_document(change: RowChange) -> dict[str, Any]:
    return {
        "change": change.change.value,
        "stamp_ns": change.stamp_ns,
        "words": change_words(change),
        "before": row_document(change.before) if change.before else None,
        "after": row_document(change.after) if change.after else None,
    }
