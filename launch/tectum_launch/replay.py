"""Replay without sensors, models or waiting: verify what was decided, or decide anew.

`verify_log` feeds the journal back and compares; `simulate_log` takes the recorded arrivals and a
table of durations through a plan, the recorded one or another graph's. Both are functions of the
log (and the plan, and the table) alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tectum.errors import ConfigError, DataError
from tectum.ledger.digest import decision_digest
from tectum.ledger.row import Row
from tectum.ledger.tally import Tally
from tectum.pipeline.plan import Plan
from tectum.pipeline.simulate import simulate
from tectum.pipeline.verify import Verification, verify
from tectum_launch.arrivals import arrivals_of
from tectum_launch.costs import Costs, recorded_costs
from tectum_launch.graph import Graph
from tectum_launch.logged import LoggedFusion, read_fusions

__all__ = ["Simulated", "Verified", "simulate_log", "verify_log"]


@dataclass(frozen=True, slots=True)
class Verified:
    """What came of feeding one recorded life back."""

    node: str
    verification: Verification

    def sentence(self) -> str:
        """Return it for a person."""
        found = self.verification
        if found.ok:
            return (
                f"{self.node}: {found.events} events give the same {found.rows} decisions again, "
                f"digest {found.digest}"
            )
        return f"{self.node}: after {found.events} events: {found.difference}"

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        found = self.verification
        return {
            "node": self.node,
            "ok": found.ok,
            "events": found.events,
            "rows": found.rows,
            "difference": found.difference,
            "event": found.event,
            "row": found.row,
            "decisions_sha256": found.digest,
        }


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulation of one fusion node gave."""

    node: str
    rows: list[Row]
    report: dict[str, Any]
    """As a fusion node's own (docs/results.md)."""


def verify_log(log: Path) -> list[Verified]:
    """Return, for every life of every fusion node in `log`, whether its decisions come out again.

    Raises:
        DataError: there is no such recording, or no journal in it.
    """
    lives = [life for life in read_fusions(log) if life.batches]
    if not lives:
        msg = f"{log} has no journal: record the topics perception/journal and perception/ledger"
        raise DataError(msg)
    return [Verified(life.node, _verified(life)) for life in lives]


def simulate_log(
    log: Path, graph: Graph | None = None, table: Mapping[str, int] | None = None
) -> list[Simulated]:
    """Return what the fusion nodes of `graph` (default: the recorded ones) decide over `log`.

    Args:
        log: a recording of a graph, or of others where `graph` is given.
        graph: whose plans are used.
        table: `stage` or `stage/variant` -> duration in ns, in front of what was recorded.

    Raises:
        DataError: there is no such recording, or it lacks what the graph needs.
        ConfigError: nothing says how long a stage takes.
    """
    recorded = _recorded(log, needed=graph is None)
    plans = _plans(graph) if graph else {life.node: life.plan for life in recorded.values()}
    return [
        _simulated(name, plan, log, recorded.get(name), table or {}) for name, plan in plans.items()
    ]


def _verified(life: LoggedFusion) -> Verification:
    rows = life.rows or None
    try:
        return verify(life.plan, life.events(), rows=rows)
    except DataError as error:
        number = next((int(word) for word in str(error).split() if word.isdigit()), -1)
        return Verification("", max(0, number), 0, f"{error}", number)


def _recorded(log: Path, *, needed: bool) -> dict[str, LoggedFusion]:
    """Return the first life of each recorded fusion node that has a journal."""
    try:
        lives = [life for life in read_fusions(log) if life.batches]
    except DataError:
        if needed:
            raise
        lives = []
    if needed and not lives:
        msg = f"{log} has no journal: name the GRAPH to simulate"
        raise DataError(msg)
    return {life.node: life for life in reversed(lives)}


def _plans(graph: Graph) -> dict[str, Plan]:
    plans = {node.name: node.fusion.plan for node in graph.nodes if node.fusion}
    if not plans:
        msg = f"{graph.name} has no fusion node: there is nothing to simulate"
        raise ConfigError(msg)
    return plans


def _simulated(
    name: str, plan: Plan, log: Path, life: LoggedFusion | None, table: Mapping[str, int]
) -> Simulated:
    costs = recorded_costs(life.plan, life.events(), table) if life else Costs(table)
    simulation = simulate(plan, arrivals_of(plan, log, life), costs)
    tally = Tally(plan)
    for row in simulation.rows:
        tally.add(row)
    report = tally.document(counters=simulation.counters, digest=simulation.digest, unexplained=0)
    assert simulation.digest == decision_digest(simulation.rows), "one digest, two ways"
    return Simulated(name, simulation.rows, report)
