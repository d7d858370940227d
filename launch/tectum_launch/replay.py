"""Replay for the command line: what `tectum.recording.replay` finds, as reports and sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tectum.clock import GraphClock
from tectum.errors import ConfigError
from tectum.ledger.recovery import Recovery
from tectum.ledger.row import Row
from tectum.ledger.tally import Tally
from tectum.ledger.words import listed
from tectum.node.run_faults import all_faults, input_faults
from tectum.pipeline.events import Event
from tectum.pipeline.plan import Plan
from tectum.pipeline.simulate import Simulation
from tectum.recording.lives import lives_of
from tectum.recording.reader import LogReader
from tectum.recording.replay import LifeReport, began_ns, scenario_of
from tectum.recording.series_reader import open_log
from tectum.units import parse_duration_ns
from tectum_launch.fault_plan import FaultPlan, read_faults
from tectum_launch.graph import FusionPart, Graph
from tectum_launch.stage_times import StageTimes, stage_times

__all__ = [
    "Simulated",
    "duration_doubts",
    "life_document",
    "life_text",
    "parse_costs",
    "recorded_faults",
    "simulated",
]


def life_text(life: LifeReport) -> str:
    """Return what verification of one life of a fusion node found, for a person."""
    if life.ok:
        return (
            f"{life.node}: {life.events} events give the same {life.rows} decisions again, "
            f"digest {life.digest}"
        )
    return f"{life.node}: event {life.event}: {life.difference}"


def life_document(life: LifeReport) -> dict[str, Any]:
    """Return the same as plain data."""
    return {
        "node": life.node,
        "ok": life.ok,
        "events": life.events,
        "rows": life.rows,
        "event": life.event,
        "difference": life.difference,
        "recorded_sha256": life.live_digest,
        "decisions_sha256": life.digest,
    }


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulation of one fusion node gave."""

    rows: Sequence[Row]
    report: dict[str, Any]
    claimed: tuple[str, ...] = ()
    """Stages of another model than was recorded: they take what its manifest claims."""
    assumed: tuple[str, ...] = ()
    """Stages of which nothing says how long they take."""

    def doubts(self) -> list[str]:
        """Return in sentences which durations are not the recorded ones."""
        return duration_doubts(self.claimed, self.assumed, "--cost")


def duration_doubts(claimed: Sequence[str], assumed: Sequence[str], option: str) -> list[str]:
    """Return in sentences which stages do not take what was recorded, and how to say it better."""
    lines = []
    if claimed:
        lines.append(
            f"{listed(claimed)}: not the recorded model; takes what its manifest claims; "
            f"say it better with {option} STAGE=TIME"
        )
    if assumed:
        lines.append(
            f"{listed(assumed)}: nothing says how long it takes; assumed 1 ms; say it with "
            f"{option} STAGE=TIME"
        )
    return lines


def simulated(
    log: Path,
    graph: Graph | None,
    durations: Mapping[str, int],
    faults: FaultPlan | None = None,
    *,
    rate: float | None = None,
) -> dict[str, Simulated]:
    """Return, by fusion node, what a simulation over `log` gives.

    Args:
        log: a recording; of others, where `graph` is given.
        graph: whose fusion nodes decide; None: the recorded ones.
        durations: ns by stage or `stage/variant`; goes before what was recorded.
        faults: what goes wrong with their inputs on the way.
        rate: how many times faster than it was recorded it may go at most; it decides nothing.

    Raises:
        DataError: the log cannot be read, or lacks what is needed.
        ConfigError: the graph has no fusion node.
    """
    with open_log(log) as reader:
        recorded = _recorded_plans(reader) if graph is None else {}
        began, nodes = began_ns(reader), reader.run.get("nodes", {})
    faults = faults or FaultPlan()
    run = {"faults": faults.records}
    struck = {k: v for k, v in all_faults(run, began).items() if k not in faults.live_only}
    parts = _parts(graph) if graph else {}
    plans = {name: part.plan for name, part in parts.items()} if graph else recorded
    found = {}
    for name, plan in plans.items():
        times = (
            stage_times(parts[name], _stages(nodes.get(name)), durations)
            if graph
            else StageTimes(durations)
        )
        with open_log(log) as reader:
            scenario = scenario_of(
                reader,
                plan,
                node=name if graph is None else None,
                durations=times.table,
                claims=times.claims,
            )
            if rate is not None:
                scenario = scenario._replace(events=_throttled(scenario.events, rate))
            simulation = scenario.simulated(input_faults(run, name, began), journal=False)
        assumed = tuple(sorted(scenario.durations.assumed))
        report = _counted(plan, simulation, Recovery(struck, began) if struck else None)
        found[name] = Simulated(simulation.rows, report, times.claimed, assumed)
    return found


def _counted(plan: Plan, simulation: Simulation, recovery: Recovery | None) -> dict[str, Any]:
    """Return the report of a simulation, with what followed the faults where there were any."""
    tally = Tally(plan)
    for row in simulation.rows:
        tally.add(row)
        if recovery is not None:
            recovery.add(row)
    for note in simulation.notes:
        tally.note(note)
    report = tally.document(counters=simulation.counters, digest=simulation.digest, unexplained=0)
    return report if recovery is None else {**report, "recovery": recovery.document()}


def _throttled(events: Iterable[Event], rate: float) -> Iterator[Event]:
    """Yield events no faster than `rate` times the pace at which they came."""
    clock = GraphClock()
    begun_ns, first_ns = clock.now_ns(), -1
    for event in events:
        first_ns = event.now_ns if first_ns < 0 else first_ns
        clock.sleep_until_ns(begun_ns + round((event.now_ns - first_ns) / rate))
        yield event


def recorded_faults(log: Path, name: str) -> FaultPlan:
    """Return the faults in the file called `name`, for the recorded fusion nodes of `log`.

    Raises:
        ConfigError: there is no such file, or something in it is wrong.
        DataError: the log cannot be read.
    """
    with open_log(log) as reader:
        plans, nodes = _recorded_plans(reader), reader.run.get("nodes", {})
    inputs = {node: [item.name for item in plan.inputs] for node, plan in plans.items()}
    return read_faults(name, inputs, nodes)


def parse_costs(options: Iterable[str]) -> dict[str, int]:
    """Return the table that options such as `encode_camera=12ms`, `head/small=2ms` make.

    Raises:
        ConfigError: an option is not of that form.
    """
    table = {}
    for option in options:
        name, equals, duration = option.partition("=")
        if not equals or not name:
            msg = f"--cost {option}: write STAGE=TIME or STAGE/VARIANT=TIME: encode_camera=12ms"
            raise ConfigError(msg)
        table[name] = parse_duration_ns(duration)
    return table


def _recorded_plans(reader: LogReader) -> dict[str, Plan]:
    """Return the plan of the first life of each recorded fusion node."""
    return {life.node: life.plan for life in reversed(lives_of(reader))}


def _parts(graph: Graph) -> dict[str, FusionPart]:
    parts = {node.name: node.fusion for node in graph.nodes if node.fusion}
    if not parts:
        msg = f"{graph.name} has no fusion node: there is nothing to simulate"
        raise ConfigError(msg)
    return parts


def _stages(node: object) -> Mapping[str, Any]:
    """Return the specs of the stages of a fusion node, as `run.json` has it."""
    config = node.get("config") if isinstance(node, Mapping) else None
    stages = config.get("stages") if isinstance(config, Mapping) else None
    return stages if isinstance(stages, Mapping) else {}
