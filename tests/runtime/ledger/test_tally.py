"""What a run came to: counts add up, phases partition the latency, silence widens the gap."""

from __future__ import annotations

import json

import pytest

from tectum.ledger.row import InputRow, Outcome, Row, Status
from tectum.ledger.tally import PHASES, Tally
from tectum.message import Sample, SampleRef
from tectum.pipeline.events import Arrived, Event, Missed
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan
from tectum.pipeline.simulate import Simulation, fixed_durations, simulate

MS = 1_000_000
BEGIN_NS = 1_000_000 * MS
PLAN = Plan(
    "perception",
    (
        InputPlan(
            "camera",
            "camera/image",
            AlignPlan("nearest", 40 * MS, 40 * MS),
            encoder="cam",
            silent_after_ns=200 * MS,
        ),
        InputPlan("lidar", "lidar/points", AlignPlan("exact"), encoder="lid"),
    ),
    (StagePlan("cam"), StagePlan("lid"), StagePlan("head")),
    "head",
    trigger="lidar",
    budget_ns=100 * MS,
    accept=(((("camera",), 1),), ((("lidar",), 1),)),
    lanes=2,
)


def drive() -> Simulation:
    """Thirty sweeps of 20 ms; the camera is silent from the tenth to the twentieth."""
    events: list[Event] = []
    for seq in range(30):
        stamp_ns = BEGIN_NS + seq * 100 * MS
        lidar = Sample(SampleRef("lidar", 1, seq), stamp_ns, span_ns=20 * MS)
        events.append(Arrived(stamp_ns + 25 * MS, lidar))
        if not 10 <= seq < 20:
            camera = Sample(SampleRef("camera", 1, seq), stamp_ns + 8 * MS)
            events.append(Arrived(stamp_ns + 35 * MS, camera))
    events.append(Missed(BEGIN_NS + 2_500 * MS, "camera", 1, 10, 10, "overtaken"))
    events.sort(key=lambda event: event.now_ns)
    table = {"cam": 8 * MS, "lid": 6 * MS, "head": 2 * MS}
    return simulate(PLAN, events, fixed_durations(table), delivery_ns=MS)


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return drive()


@pytest.fixture
def tally(simulation: Simulation) -> Tally:
    tally = Tally(PLAN)
    for row in simulation.rows:
        tally.add(row)
    return tally


def test_outcomes_and_reasons_add_up_to_triggers(tally: Tally, simulation: Simulation) -> None:
    report = tally.document(counters=simulation.counters, digest="d", unexplained=0)
    assert report["triggers"] == len(simulation.rows) == 30
    assert sum(report["outcomes"].values()) == sum(report["reasons"].values()) == 30
    # ten without the camera, and the one that did not wait because it was still silent
    assert report["outcomes"] == {"complete": 19, "partial": 11, "shed": 0}
    assert report["on_time"] == 1.0


def test_the_phases_partition_the_latency(tally: Tally) -> None:
    report = tally.document(counters={}, digest="", unexplained=0)
    assert tuple(report["phases_ms"]) == PHASES
    # end of capture -> accepted 5, waited 10 for the camera, encoded 8, head 2, delivered 1
    medians = [report["phases_ms"][phase]["p50"] for phase in PHASES]
    assert medians == pytest.approx([5, 10, 8, 2, 1], rel=0.01)
    assert report["latency_ms"]["p50"] == pytest.approx(26, rel=0.01)
    assert report["age_ms"]["p50"] == pytest.approx(46, rel=0.01)


def test_an_input_tells_what_it_gave_and_what_was_lost(
    tally: Tally, simulation: Simulation
) -> None:
    report = tally.document(counters=simulation.counters, digest="", unexplained=0)
    camera = report["inputs"]["camera"]
    assert (camera["received"], camera["used"], camera["fresh"]) == (20, 19, 19)
    assert sum(camera["missing"].values()) == 11
    assert camera["beaten"] == 1
    assert camera["losses"] == {"overtaken": 10}
    assert camera["skew_ms"]["max"] == 8
    assert report["inputs"]["lidar"]["missing"] == {}


def test_a_report_is_json_and_carries_digest_and_unexplained_loss(tally: Tally) -> None:
    report = tally.document(counters={}, digest="abc", unexplained=3)
    again = json.loads(json.dumps(report))
    assert again == report
    assert (again["decisions_sha256"], again["unexplained_loss"]) == ("abc", 3)


def answered(
    trigger: int, delivered_ms: int, *, flags: tuple[str, ...] = (), blame: str = ""
) -> Row:
    stamp_ns = BEGIN_NS + trigger * 100 * MS
    marks = [stamp_ns + ms * MS for ms in (1, 2, 3, 4)]
    return Row(
        trigger,
        stamp_ns,
        Outcome.PARTIAL,
        "input_silent",
        flags,
        (InputRow("camera", Status.CACHED, "silent"), InputRow("lidar", Status.FRESH)),
        0,
        marks[0],
        stamp_ns + 100 * MS,
        marks[1],
        marks[2],
        marks[3],
        delivered_ns=stamp_ns + delivered_ms * MS,
        blame=blame,
    )


def test_an_answer_after_its_deadline_is_late_and_not_on_time() -> None:
    tally = Tally(PLAN)
    tally.add(answered(0, 99))
    tally.add(answered(1, 101, flags=("late",), blame="cam"))
    report = tally.document(counters={}, digest="", unexplained=0)
    assert (report["late"], report["on_time"]) == (1, 0.5)
    assert (report["flags"], report["blame"]) == ({"late": 1}, {"cam": 1})
    assert report["inputs"]["camera"]["cached"] == {"silent": 2}


def test_shed_triggers_are_outcomes_but_no_answers() -> None:
    tally = Tally(PLAN)
    for trigger in range(5):
        row = answered(trigger, 50)
        if trigger in (1, 2):
            row.outcome, row.reason = Outcome.SHED, "no_time"
        tally.add(row)
    report = tally.document(counters={}, digest="", unexplained=0)
    assert report["longest_gap_ms"] == {"outcomes": 100.0, "answers": 300.0}
    assert report["on_time"] == 0.6
    assert tally.latency.count == 3


def test_nothing_is_made_up_before_the_first_row() -> None:
    report = Tally(PLAN).document(counters={}, digest="", unexplained=0)
    assert report["triggers"] == 0
    assert report["latency_ms"] == {"p50": None, "p95": None, "p99": None, "max": None}
