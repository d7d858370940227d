"""Replay a log without sensors, models and clock: verify its decisions, or simulate others.

`verify_log` feeds the journals back and compares every row. `simulate_log` takes arrivals from the
log and durations from its journal or a table: what comes out is a function of (log, plan, table).
Neither reads a payload.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from tectum.errors import DataError
from tectum.ledger.digest import decision_digest
from tectum.message import Kind, sample_of
from tectum.pipeline.events import (
    Arrived,
    Delivered,
    Ended,
    Event,
    Finished,
    Measured,
    Missed,
    Promised,
    Tick,
)
from tectum.pipeline.plan import Plan
from tectum.pipeline.simulate import Simulation, simulate
from tectum.pipeline.verify import Verification, verify
from tectum.recording.durations import RecordedDurations
from tectum.recording.lives import Life, lives_of
from tectum.recording.reader import LogReader, Record
from tectum.recording.series_reader import open_log
from tectum.sync.fault_line import faulted
from tectum.sync.faults import Fault

__all__ = [
    "LifeReport",
    "Scenario",
    "VerifyReport",
    "arrivals_of",
    "began_ns",
    "scenario_of",
    "simulate_log",
    "verify_log",
]


@dataclass(frozen=True, slots=True)
class LifeReport:
    """What became of one fusion node's journal."""

    node: str
    incarnation: int
    live_digest: str
    """Of the recorded rows."""
    digest: str
    """Of the rows that came out this time."""
    rows: int
    events: int
    difference: str = ""
    """The first difference, in a sentence; empty: all is as it was."""
    event: int = -1
    """Number of the event at which it shows; -1 where there is none."""

    @property
    def ok(self) -> bool:
        """Return whether everything agrees."""
        return not self.difference


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What became of all journals of a log."""

    path: Path
    lives: tuple[LifeReport, ...]
    complaints: tuple[str, ...]
    """What is wrong with the file itself."""

    @property
    def ok(self) -> bool:
        """Return whether everything agrees."""
        return all(life.ok for life in self.lives)


class Scenario(NamedTuple):
    """What a simulation of a log is a function of."""

    plan: Plan
    events: Iterator[Event]
    """What comes from outside: arrivals, promises, ends, gaps, measurements."""
    durations: RecordedDurations

    def simulated(self, faults: Sequence[Fault] = (), *, journal: bool = True) -> Simulation:
        """Return what the plan decides, with `faults` on the way of its inputs; once.

        `journal`: whether all events are kept.
        """
        events = faulted(self.events, faults) if faults else self.events
        return simulate(self.plan, events, self.durations, journal=journal)


def verify_log(path: Path, node: str | None = None) -> VerifyReport:
    """Feed the journals of a log back and compare what is decided with what was.

    Raises:
        DataError: the log cannot be read, or has no journal.
    """
    with open_log(path) as reader:
        lives = tuple(_verified(life) for life in lives_of(reader, node))
        return VerifyReport(path, lives, reader.complaints)


def simulate_log(
    path: Path,
    plan: Plan | None = None,
    *,
    node: str | None = None,
    durations: Mapping[str, int] | None = None,
    claims: Mapping[str, int] | None = None,
    faults: Sequence[Fault] = (),
) -> Simulation:
    """Run a log through a pipeline and return what it decides.

    Args:
        path: the log; with a journal, or not.
        plan: what to run it through; default: the recorded plan.
        node: the recorded fusion node whose journal is used; default: the only one.
        durations: ns by stage or `stage/variant`; goes before what was recorded.
        claims: the same, for stages that were not recorded.
        faults: what goes wrong with the inputs on the way, on the graph clock.

    Raises:
        DataError: the log cannot be read, or has neither a plan nor what the plan's inputs need.
    """
    with open_log(path) as reader:
        scenario = scenario_of(reader, plan, node=node, durations=durations, claims=claims)
        return scenario.simulated(faults)


def began_ns(reader: LogReader) -> int:
    """Return from when the times of faults count: the beginning of the run, or of the log."""
    first_ns, _ = reader.span_ns
    return max(first_ns, int(reader.run.get("epoch_ns", 0)))


def scenario_of(
    reader: LogReader,
    plan: Plan | None = None,
    *,
    node: str | None = None,
    durations: Mapping[str, int] | None = None,
    claims: Mapping[str, int] | None = None,
) -> Scenario:
    """Return what a simulation of a log is a function of; arguments as for `simulate_log`.

    The reader must stay open while the events are taken.

    Raises:
        DataError: as for `simulate_log`.
    """
    life = _life(reader, node, plan)
    recorded = RecordedDurations(durations, claims)
    if life is not None:
        recorded.learn(life.plan, life.recorded())
        plan = plan or life.plan
        if _same_inputs(plan, life.plan):
            outside = _outside(life, plan)
            return Scenario(
                plan, outside if life.gap is None else _bridged(reader, plan, outside), recorded
            )
    assert plan is not None, "without a plan there is a life"
    measured = _measured(reader, plan, {**(claims or {}), **(durations or {})})
    return Scenario(plan, chain(measured, arrivals_of(reader, plan)), recorded)


def arrivals_of(reader: LogReader, plan: Plan) -> Iterator[Event]:
    """Yield what the inputs of `plan` would have heard, from the messages of a log.

    Raises:
        DataError: the log has nothing of an input's topic.
    """
    inputs: dict[str, list[str]] = {}
    for item in plan.inputs:
        inputs.setdefault(item.topic, []).append(item.name)
    missing = [topic for topic in inputs if topic not in reader.topics]
    if missing:
        msg = f"{reader.path} has no topic {missing[0]}; it has: {', '.join(reader.topics)}"
        raise DataError(msg)
    records = heapq.merge(
        reader.messages(list(inputs)), reader.signs(list(inputs)), key=lambda record: record.log_ns
    )
    expected: dict[tuple[str, int], int] = {}
    for record in records:
        for name in inputs[record.message.header.topic]:
            yield from _heard(record, name, expected)


def _heard(record: Record, name: str, expected: dict[tuple[str, int], int]) -> Iterator[Event]:
    """Yield what one message is to the input `name`: a gap before it, and itself."""
    now_ns, header = record.log_ns, record.message.header
    if header.kind is Kind.PROMISE:
        begun = bool(header.fields.get("begun", False))
        yield Promised(now_ns, name, header.stamp_ns, begun)
    elif header.kind is Kind.END:
        yield Ended(now_ns, name)
    elif header.kind is not Kind.LATCHED:
        key = (name, header.incarnation)
        first = expected.get(key, header.seq)
        if header.seq > first:
            missing = header.seq - first
            yield Missed(now_ns, name, header.incarnation, first, missing, "recording")
        expected[key] = header.seq + 1
        yield Arrived(now_ns, sample_of(header, name))


def _verified(life: Life) -> LifeReport:
    live_digest = decision_digest(sorted(life.rows, key=lambda row: row.trigger))
    events: list[Event] = []
    damage = ""
    try:
        events.extend(life.events())
    except DataError as error:
        damage = str(error)
    found = verify(life.plan, events, None if damage else live_digest, life.rows)
    difference, event = found.difference, found.event
    if damage and (found.ok or found.event < 0):
        difference, event = damage + _before(life, found), len(events)
    return _report(life, live_digest, found, difference, event)


def _before(life: Life, found: Verification) -> str:
    """Return what is proven of a life within which the recorder was started again."""
    if life.gap is None:
        return ""
    proven = min(found.rows, len(life.rows))
    text = f": the {proven} decisions before it are the same again"
    return f"{text}, the {life.later} after it cannot be verified"


def _report(
    life: Life, live_digest: str, found: Verification, difference: str, event: int
) -> LifeReport:
    return LifeReport(
        node=life.node,
        incarnation=life.incarnation,
        live_digest=live_digest,
        digest=found.digest,
        rows=found.rows,
        events=found.events,
        difference=difference,
        event=event,
    )


def _life(reader: LogReader, node: str | None, plan: Plan | None) -> Life | None:
    """Return the recorded life to simulate: of several of one node, the first.

    Of several nodes it is the one that `plan` is named after.
    """
    try:
        lives = lives_of(reader, node)
    except DataError:
        if plan is None or node is not None:
            raise
        return None
    nodes = list(dict.fromkeys(life.node for life in lives))
    wanted = plan.name if plan is not None and plan.name in nodes else nodes[0]
    if len(nodes) > 1 and plan is None:
        msg = f"{reader.path} has several fusion nodes: name one of {', '.join(nodes)}"
        raise DataError(msg)
    return next(life for life in lives if life.node == wanted)


def _same_inputs(plan: Plan, recorded: Plan) -> bool:
    """Return whether the recorded journal says all that the inputs of `plan` would hear."""
    known = {item.name: item.topic for item in recorded.inputs}
    return all(known.get(item.name) == item.topic for item in plan.inputs)


def _outside(life: Life, plan: Plan) -> Iterator[Event]:
    """Yield what came from outside the pipeline, as far as it concerns `plan`."""
    inputs = {item.name for item in plan.inputs}
    stages = {(stage.name, variant) for stage in plan.stages for variant in stage.variants}
    for event in life.recorded():
        if isinstance(event, Arrived):
            concerned = event.sample.ref.input in inputs
        elif isinstance(event, Promised | Ended | Missed):
            concerned = event.input in inputs
        elif isinstance(event, Measured):
            concerned = (event.stage, event.variant) in stages
        else:
            concerned = not isinstance(event, Finished | Delivered | Tick)
        if concerned:
            yield event


def _bridged(reader: LogReader, plan: Plan, outside: Iterator[Event]) -> Iterator[Event]:
    """Yield what came from outside where the journal has a gap: from the messages of the log."""
    measured = (event for event in outside if isinstance(event, Measured))
    return heapq.merge(measured, arrivals_of(reader, plan), key=lambda event: event.now_ns)


def _measured(reader: LogReader, plan: Plan, table: Mapping[str, int]) -> list[Event]:
    """Return what seeds the latency model where nothing was measured: the table."""
    first_ns, _ = reader.span_ns
    return [
        Measured(first_ns, stage.name, variant, took_ns)
        for stage in plan.stages
        for variant in stage.variants
        if (took_ns := table.get(f"{stage.name}/{variant}", table.get(stage.name))) is not None
    ]
