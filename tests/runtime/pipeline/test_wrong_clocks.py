"""An input whose stamps are of another clock: recognised, counted, noted once, told with the fix.

camera (10 Hz)   x    x    x    x       stamped 37 s ahead: refused, and called TAI
lidar  (trigger) x    x    x    x       its sets go on without the camera
"""

import re
from collections import Counter
from dataclasses import replace

import pytest

from tectum.clock import NS_PER_MS as MS
from tectum.clock import NS_PER_S
from tectum.ledger.tally import Tally
from tectum.ledger.why import explain, explain_span
from tectum.message import Sample, SampleRef
from tectum.pipeline.events import Arrived, Event
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan
from tectum.pipeline.simulate import Simulation, fixed_durations, simulate
from tectum.sync.clocks import CLOCKS

NOON_NS = 1_795_478_400 * NS_PER_S + 43_390 * NS_PER_S
HOUR_S = 3600
PLAN = Plan(
    "perception",
    (
        InputPlan("camera", "camera/image", AlignPlan("nearest", 40 * MS, 40 * MS), required=False),
        InputPlan("lidar", "lidar/points", AlignPlan("exact")),
    ),
    (StagePlan("head"),),
    "head",
    trigger="lidar",
    budget_ns=100 * MS,
)


def _heard(name: str, ahead_ns: int, begin: int = 0, end: int = 30) -> list[Event]:
    """Every 100 ms a sample that takes 10 ms to arrive and is stamped `ahead_ns` off."""
    events: list[Event] = []
    for seq in range(begin, end):
        true_ns = NOON_NS + seq * 100 * MS
        sample = Sample(SampleRef(name, 1, seq), true_ns + ahead_ns)
        events.append(Arrived(true_ns + 10 * MS, sample))
    return events


def _run(*events: list[Event], offset_ns: int = 0, plan: Plan = PLAN) -> Simulation:
    camera = replace(plan.inputs[0], offset_ns=offset_ns)
    plan = replace(plan, inputs=(camera, *plan.inputs[1:]))
    heard = sorted((e for source in events for e in source), key=lambda e: e.now_ns)
    return simulate(plan, heard, fixed_durations({}))


def _changes(result: Simulation, name: str) -> Counter[str]:
    return Counter(note.change for note in result.notes if note.input == name)


SENTENCES = {
    37 * NS_PER_S: "camera's stamps are 37 s ahead of the graph clock (they are refused): TAI "
    "instead of UTC; set `clock: tai` for this input",
    18 * NS_PER_S: "camera's stamps are 18 s ahead of the graph clock (they are refused): GPS time "
    "instead of UTC; set `clock: gps` for this input",
    2 * HOUR_S * NS_PER_S: "camera's stamps are 2 h ahead of the graph clock (they are refused): "
    "local time (+2 h) instead of UTC; stamp in UTC, or set `offset: 7200s` for this input",
    -5 * HOUR_S * NS_PER_S: "camera's stamps are 5 h behind the graph clock: local time (-5 h) "
    "instead of UTC; stamp in UTC, or set `offset: -18000s` for this input",
    -(NOON_NS - 7 * HOUR_S * NS_PER_S): "camera's stamps are 56.9 years behind the graph clock: a "
    "clock that counts from its own start; stamp with the graph clock, or set `clock: device` at "
    "a node that has it",
    5 * NS_PER_S: "camera's stamps are 5 s ahead of the graph clock (they are refused): no known "
    "offset; set its clock right, or stamp with the graph clock",
}


@pytest.mark.parametrize("ahead_ns", SENTENCES)
def test_a_wrong_clock_is_counted_noted_once_and_told_with_its_name_and_fix(ahead_ns: int) -> None:
    result = _run(_heard("camera", ahead_ns), _heard("lidar", 0))
    change = "clock_ahead" if ahead_ns > 0 else "clock_behind"
    assert _changes(result, "camera")[change] == 1
    assert result.counters["camera"][change] == 28  # all but the two before it was sure
    assert {row.outcome for row in result.rows} == {"partial"}
    assert SENTENCES[ahead_ns] in explain_span(result.rows, PLAN, result.notes)
    (line,) = explain(result.rows[20], PLAN, notes=result.notes).split("\n  ")[-1:]
    assert line == SENTENCES[ahead_ns]
    tally = Tally(PLAN)
    for note in result.notes:
        tally.note(note)
    report = tally.document(counters={}, digest="", unexplained=0)
    assert report["clocks"] == {"camera": SENTENCES[ahead_ns]}


@pytest.mark.parametrize(("unit_ns", "name"), [(1_000_000, "milli"), (1_000, "micro")])
def test_stamps_in_another_unit_are_told(unit_ns: int, name: str) -> None:
    stamped = [
        event._replace(sample=event.sample._replace(stamp_ns=event.sample.stamp_ns // unit_ns))
        for event in _heard("camera", 0)
        if isinstance(event, Arrived)
    ]
    result = _run(stamped, _heard("lidar", 0))
    assert _changes(result, "camera")["clock_behind"] == 1
    sentences = explain_span(result.rows, PLAN, result.notes)
    assert any(f"{name}seconds instead of nanoseconds" in sentence for sentence in sentences)


def test_stamps_in_seconds_are_told_although_most_repeat() -> None:
    stamped = [
        event._replace(sample=event.sample._replace(stamp_ns=event.sample.stamp_ns // NS_PER_S))
        for event in _heard("camera", 0, end=60)
        if isinstance(event, Arrived)
    ]
    result = _run(stamped, _heard("lidar", 0, end=60))
    sentences = explain_span(result.rows, PLAN, result.notes)
    assert any("seconds instead of nanoseconds; multiply" in sentence for sentence in sentences)


@pytest.mark.parametrize("clock", CLOCKS)
def test_what_is_declared_is_taken_off_and_every_set_is_complete(clock: str) -> None:
    ahead_ns = CLOCKS[clock]
    result = _run(_heard("camera", ahead_ns), _heard("lidar", 0), offset_ns=ahead_ns)
    assert {row.reason for row in result.rows} == {"complete"}
    assert _changes(result, "camera") == {"first_heard": 1, "ended": 1}


def test_a_clock_that_was_declared_wrongly_is_told() -> None:
    result = _run(_heard("camera", 0), _heard("lidar", 0), offset_ns=CLOCKS["tai"])
    plan = replace(PLAN, inputs=(replace(PLAN.inputs[0], offset_ns=CLOCKS["tai"]), PLAN.inputs[1]))
    assert (
        "camera's stamps are 37 s behind the graph clock: UTC where TAI is declared; take "
        "`clock: tai` or its like off this input"
    ) in explain_span(result.rows, plan, result.notes)


@pytest.mark.parametrize("ahead_ns", [37 * NS_PER_S, -HOUR_S * NS_PER_S])
def test_a_clock_that_is_set_right_while_the_graph_runs_is_used_without_a_restart(
    ahead_ns: int,
) -> None:
    wrong, right = _heard("camera", ahead_ns, end=15), _heard("camera", 0, begin=15, end=40)
    result = _run(wrong, right, _heard("lidar", 0, end=40))
    assert _changes(result, "camera")["clock_agrees"] == 1
    assert {row.reason for row in result.rows[17:]} == {"complete"}
    later = explain(result.rows[30], PLAN, result.rows[:30], notes=result.notes)
    assert "graph clock" not in later


def test_a_trigger_of_another_clock_is_told_although_there_is_no_trigger() -> None:
    result = _run(_heard("camera", 0), _heard("lidar", 37 * NS_PER_S))
    assert result.rows == []
    first, second = explain_span([], PLAN, result.notes)
    assert first == "no triggers: lidar, which triggers, has never been heard on lidar/points"
    assert re.match("lidar's stamps are 37 s ahead of the graph clock .*: TAI instead", second)
