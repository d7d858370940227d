"""A recorded run is verified to the event, and simulated as a function of log, plan and table."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tectum.clock import NS_PER_MS as MS
from tectum.errors import DataError
from tectum.ledger.codec import row_document
from tectum.message import Kind, Message, Sample
from tectum.pipeline.events import (
    Arrived,
    Delivered,
    Ended,
    Event,
    Finished,
    Measured,
    Missed,
    Stopped,
)
from tectum.pipeline.orders import Start
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan, plan_document
from tectum.pipeline.simulate import Simulation, simulate
from tectum.recording.journal import JournalEncoder
from tectum.recording.reader import LogReader
from tectum.recording.replay import arrivals_of, simulate_log, verify_log
from tectum.recording.writer import LogWriter
from tectum.testing.arrivals import START_NS, Source, arrivals, together
from tectum.testing.messages import make_message

PLAN = Plan(
    "fusion",
    (
        InputPlan("camera", "camera/image", AlignPlan("nearest", 40 * MS, 40 * MS), "eye"),
        InputPlan("lidar", "lidar/points", AlignPlan("exact"), "shape"),
        InputPlan(
            "siren", "mic/audio", AlignPlan("window", duration_ns=200 * MS, coverage_permille=900),
            "ear", required=False,
        ),
    ),
    (StagePlan("eye"), StagePlan("shape"), StagePlan("ear"), StagePlan("head")),
    head="head",
    trigger="lidar",
    budget_ns=100 * MS,
    lanes=2,
)  # fmt: skip
SOURCES = (
    Source("camera", 33 * MS, transit_ns=15 * MS, jitter_ns=MS, drop_permille=50, nbytes=3),
    Source("lidar", 100 * MS, transit_ns=20 * MS, jitter_ns=2 * MS, nbytes=12),
    Source("siren", 20 * MS, transit_ns=2 * MS, span_ns=20 * MS, rate_hz=16_000, nbytes=640),
)
TOPICS = {item.name: item.topic for item in PLAN.inputs}
WARM_UP = [Measured(START_NS, name, "default", 5 * MS) for name in ("eye", "shape", "ear", "head")]


def uneven(start: Start) -> int:
    """Return how long a run takes: something that depends on what it is run on."""
    return 3 * MS + 700_000 * len(start.stage) + start.run % 13 * 200_000


def heard() -> list[Event]:
    streams = [arrivals(source, 2_000 * MS, seed=5) for source in SOURCES]
    return [*WARM_UP, *together(*streams), Stopped(START_NS + 2_050 * MS)]


@dataclass
class Recorded:
    """A run that was recorded, and where."""

    path: Path
    run: Simulation


def message_of(sample: Sample) -> Message:
    topic = TOPICS[sample.ref.input]
    common: dict[str, Any] = {
        "seq": sample.ref.seq, "stamp_ns": sample.stamp_ns, "span_ns": sample.span_ns,
        "incarnation": sample.ref.incarnation,
    }  # fmt: skip
    if sample.ref.input == "siren":
        samples = np.zeros((sample.count, 1), np.int16)
        return make_message(
            topic, Kind.AUDIO, samples, **common, rate_hz=sample.rate_hz, first=sample.first
        )
    return make_message(topic, Kind.TENSOR, np.zeros(sample.nbytes, np.uint8), **common)


def record(
    path: Path,
    run: Simulation,
    *,
    change: Callable[[list[dict[str, Any]]], None] | None = None,
    node: str = "fusion",
    incarnation: int = 9,
) -> Recorded:
    """Write a log as the fusion node and the recorder do; `change` is let loose on the journal."""
    encoder = JournalEncoder()
    batches = [encoder.batch(run.journal[at : at + 7]) for at in range(0, len(run.journal), 7)]
    batches = copy.deepcopy(batches)
    if change is not None:
        change(batches)
    with LogWriter(path) as writer:
        plan = {"fact": "plan", "plan": plan_document(PLAN)}
        writer.write(said(f"{node}/result", Kind.LATCHED, incarnation, **plan), START_NS)
        for event in run.journal:
            if isinstance(event, Arrived):
                writer.write(message_of(event.sample), event.now_ns)
        for batch in batches:
            writer.write(said(f"{node}/journal", Kind.JOURNAL, incarnation, **batch), START_NS)
        for row in run.rows:
            rows = [row_document(row)]
            ledger = said(f"{node}/ledger", Kind.LEDGER, incarnation, rows=rows, notes=[])
            writer.write(ledger, START_NS)
    return Recorded(path, run)


def said(topic: str, kind: Kind, incarnation: int, **fields: Any) -> Message:
    return make_message(topic, kind, incarnation=incarnation, **fields)


@pytest.fixture
def live(tmp_path: Path) -> Recorded:
    return record(tmp_path / "log.mcap", simulate(PLAN, heard(), uneven))


def arrivals_in(events: Iterable[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, Arrived)]


# -- verify


def test_a_journal_fed_back_gives_the_live_digest(live: Recorded) -> None:
    report = verify_log(live.path)

    [life] = report.lives
    assert report.ok
    assert report.complaints == ()
    assert (life.node, life.incarnation, life.event) == ("fusion", 9, -1)
    assert life.digest == life.live_digest == live.run.digest
    assert (life.rows, life.events) == (len(live.run.rows), len(live.run.journal))
    assert life.rows == 20


@pytest.mark.parametrize("number", [0, 4, 100, 101, 250])
def test_a_changed_event_is_caught_at_that_event(live: Recorded, number: int) -> None:
    def change(batches: list[dict[str, Any]]) -> None:
        row = batches[number // 7]["events"][number % 7]
        row[1] += 1

    record(live.path.with_name("changed.mcap"), live.run, change=change)
    report = verify_log(live.path.with_name("changed.mcap"))

    [life] = report.lives
    assert not report.ok
    assert life.event == number
    assert f"event {number} of the journal is not what was written" in life.difference


def test_a_changed_event_with_marks_to_match_is_caught_by_its_rows(
    live: Recorded, tmp_path: Path
) -> None:
    """As if somebody had written the journal anew: then only the decisions can tell."""
    journal = list(live.run.journal)
    number = next(
        i for i, e in enumerate(journal)
        if isinstance(e, Arrived) and e.sample.ref.input == "lidar" and e.sample.ref.seq == 11
    )  # fmt: skip
    sample = journal[number].sample  # type: ignore[union-attr]
    moved = sample._replace(stamp_ns=sample.stamp_ns + MS)
    journal[number] = journal[number]._replace(sample=moved)  # type: ignore[call-arg]
    forged = record(tmp_path / "forged.mcap", replace(live.run, journal=journal))

    [life] = verify_log(forged.path).lives

    assert not life.ok
    assert life.difference.startswith("trigger 11: ")
    assert life.event > number


def test_a_changed_row_is_caught(live: Recorded, tmp_path: Path) -> None:
    rows = copy.deepcopy(live.run.rows)
    rows[3].stamp_ns += 1
    forged = record(tmp_path / "forged.mcap", replace(live.run, rows=rows))

    [life] = verify_log(forged.path).lives

    assert "trigger 3: stamp_ns was recorded as" in life.difference
    assert life.digest != life.live_digest


def test_a_missing_batch_is_caught(live: Recorded, tmp_path: Path) -> None:
    cut = record(tmp_path / "cut.mcap", live.run, change=lambda batches: batches.pop(5))

    [life] = verify_log(cut.path).lives

    assert life.difference == "events 35 to 42 of the journal are missing"
    assert life.event == 35


def test_a_log_cut_by_a_crash_is_verified_as_far_as_it_goes(live: Recorded, tmp_path: Path) -> None:
    half = len(live.run.journal) // 2
    closed = simulate_journal(live.run.journal[:half])
    cut = replace(live.run, journal=live.run.journal[:half], rows=live.run.rows[:closed])
    record(tmp_path / "cut.mcap", cut)

    [life] = verify_log(tmp_path / "cut.mcap").lives

    assert life.ok
    assert 0 < life.rows < 20


def simulate_journal(journal: list[Event]) -> int:
    """Return how many rows a part of a journal closes."""
    from tectum.pipeline.verify import verify

    return verify(PLAN, journal).rows


def test_each_life_of_a_node_is_verified_by_itself(live: Recorded, tmp_path: Path) -> None:
    path = tmp_path / "two.mcap"
    encoders = {1: JournalEncoder(), 2: JournalEncoder()}
    plan = {"fact": "plan", "plan": plan_document(PLAN)}
    with LogWriter(path) as writer:
        for incarnation, encoder in encoders.items():
            writer.write(said("fusion/result", Kind.LATCHED, incarnation, **plan), 5)
            fields = encoder.batch(live.run.journal)
            writer.write(said("fusion/journal", Kind.JOURNAL, incarnation, **fields), 6)

    report = verify_log(path)

    assert [life.incarnation for life in report.lives] == [1, 2]
    assert {life.digest for life in report.lives} == {live.run.digest}


def test_what_cannot_be_verified_is_said(live: Recorded, tmp_path: Path) -> None:
    path = tmp_path / "sensors.mcap"
    with LogWriter(path) as writer:
        writer.write(message_of(heard()[4].sample), 5)  # type: ignore[union-attr]

    with pytest.raises(DataError, match="has no journal: it can be played and simulated"):
        verify_log(path)
    with pytest.raises(DataError, match="no journal of 'fusio'; did you mean 'fusion'"):
        verify_log(live.path, "fusio")


# -- simulate


def test_the_same_log_simulates_to_one_digest(live: Recorded) -> None:
    first, second = simulate_log(live.path), simulate_log(live.path)

    assert first.digest == second.digest
    assert [row.outcome for row in first.rows] == [row.outcome for row in second.rows]


def test_recorded_durations_bring_the_recorded_decisions_back(live: Recorded) -> None:
    """Same arrivals, and each stage takes what it took on the same samples."""
    found = simulate_log(live.path)

    assert found.digest == live.run.digest
    recorded = [event for event in live.run.journal if isinstance(event, Finished)]
    again = [event for event in found.journal if isinstance(event, Finished)]
    assert [event.compute_ns for event in again] == [event.compute_ns for event in recorded]


def test_the_journal_of_another_version_is_simulated_all_the_same(
    live: Recorded, tmp_path: Path
) -> None:
    """Its pipeline decided otherwise: what it was told then makes no sense to this one."""
    middle = len(live.run.journal) // 2
    nonsense = [Delivered(live.run.journal[middle].now_ns, 1000), Finished(START_NS, 999, "ok", 1)]
    for event in nonsense:
        journal = [*live.run.journal[:middle], event, *live.run.journal[middle:]]
        other = record(
            tmp_path / f"{type(event).__name__}.mcap", replace(live.run, journal=journal)
        )
        found = simulate_log(other.path)
        assert [row.stamp_ns for row in found.rows] == [row.stamp_ns for row in live.run.rows]
        (life,) = verify_log(other.path).lives
        assert life.difference


def test_a_table_goes_before_what_was_recorded(live: Recorded) -> None:
    slow = simulate_log(live.path, durations={"eye": 90 * MS})

    assert slow.digest != live.run.digest
    assert {row.outcome for row in slow.rows} > {"shed"} or any(row.reason for row in slow.rows)


def test_another_plan_is_simulated_on_the_same_log(live: Recorded) -> None:
    camera = replace(PLAN.inputs[0], align=AlignPlan("nearest", MS, MS))
    strict = replace(PLAN, inputs=(camera, *PLAN.inputs[1:]))

    found = simulate_log(live.path, strict)

    assert found.digest != live.run.digest
    assert len(found.rows) == len(live.run.rows)
    assert sum(row.outcome == "shed" for row in found.rows) > 10


def test_a_plan_without_an_input_hears_nothing_of_it(live: Recorded) -> None:
    smaller = replace(PLAN, inputs=PLAN.inputs[:2], stages=PLAN.stages[:2] + PLAN.stages[3:])

    found = simulate_log(live.path, smaller)

    assert [item.name for item in found.rows[0].inputs] == ["camera", "lidar"]
    assert sum(row.outcome == "complete" for row in found.rows) >= 18


def test_messages_stand_in_for_a_journal(live: Recorded) -> None:
    """An input under another name: the journal cannot say what it heard, the messages can."""
    eye = replace(PLAN.inputs[0], name="eye_input")
    renamed = replace(PLAN, inputs=(eye, *PLAN.inputs[1:]))

    found = simulate_log(live.path, renamed, durations={"eye": 4 * MS, "head": 2 * MS})

    assert sum(row.outcome == "complete" for row in found.rows) >= 17
    assert simulate_log(live.path, renamed).digest == simulate_log(live.path, renamed).digest


def test_arrivals_are_those_of_the_messages_with_their_gaps(live: Recorded) -> None:
    with LogReader(live.path) as reader:
        found = list(arrivals_of(reader, PLAN))

    assert arrivals_in(found) == arrivals_in(live.run.journal)
    cameras = [e.sample.ref.seq for e in arrivals_in(found) if e.sample.ref.input == "camera"]  # type: ignore[union-attr]
    holes = set(range(cameras[0], cameras[-1])) - set(cameras)
    missed = [event for event in found if isinstance(event, Missed) and event.input == "camera"]
    assert sum(event.missing for event in missed) == len(holes) > 0
    assert {event.cause for event in missed} == {"recording"}


def test_promises_and_ends_of_a_log_are_heard(live: Recorded, tmp_path: Path) -> None:
    path = tmp_path / "sensors.mcap"
    with LogWriter(path) as writer:
        for event in arrivals_in(live.run.journal):
            writer.write(message_of(event.sample), event.now_ns)  # type: ignore[union-attr]
        end_ns = START_NS + 3_000 * MS
        writer.write(make_message("lidar/points", Kind.PROMISE, stamp_ns=end_ns), end_ns)
        writer.write(make_message("lidar/points", Kind.END), end_ns)

    with LogReader(path) as reader:
        *_, promise, end = arrivals_of(reader, PLAN)
    assert (promise.input, promise.stamp_ns) == ("lidar", end_ns)  # type: ignore[union-attr]
    assert end == Ended(end_ns, "lidar")


def test_of_several_fusion_nodes_the_one_is_simulated_that_is_meant(
    live: Recorded, tmp_path: Path
) -> None:
    path = tmp_path / "two.mcap"
    with LogWriter(path) as writer:
        for node in ("fusion", "guard"):
            plan = {"fact": "plan", "plan": plan_document(replace(PLAN, name=node))}
            writer.write(said(f"{node}/result", Kind.LATCHED, 1, **plan), 5)
            events = live.run.journal if node == "fusion" else live.run.journal[:40]
            fields = JournalEncoder().batch(events)
            writer.write(said(f"{node}/journal", Kind.JOURNAL, 1, **fields), 6)

    with pytest.raises(DataError, match="has several fusion nodes: name one of fusion, guard"):
        simulate_log(path)
    assert len(simulate_log(path, node="guard").rows) < len(simulate_log(path, PLAN).rows) == 20


def test_a_log_without_journal_needs_a_plan_and_its_topics(tmp_path: Path) -> None:
    path = tmp_path / "log.mcap"
    with LogWriter(path) as writer:
        for event in arrivals_in(heard()):
            writer.write(message_of(event.sample), event.now_ns)  # type: ignore[union-attr]

    with pytest.raises(DataError, match="has no journal"):
        simulate_log(path)
    assert len(simulate_log(path, PLAN, durations={"head": MS}).rows) == 20
    lost = replace(PLAN, inputs=(replace(PLAN.inputs[0], topic="rear/image"), *PLAN.inputs[1:]))
    with pytest.raises(DataError, match=r"has no topic rear/image; it has: camera/image, lidar"):
        simulate_log(path, lost)
