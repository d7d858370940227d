"""Recordings again: verified, simulated, and damaged on purpose."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tectum.errors import ConfigError, DataError
from tectum.ledger.codec import row_document
from tectum.message import Header, Kind, Message
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan, plan_document
from tectum.pipeline.simulate import Simulation, fixed_durations, simulate
from tectum.recording.journal import JournalEncoder
from tectum.recording.writer import LogWriter
from tectum.testing.arrivals import START_NS, Source, arrivals, together
from tectum_launch.cli import main
from tectum_launch.costs import parse_costs
from tectum_launch.replay import simulate_log, verify_log

MS, S = 1_000_000, 1_000_000_000
PLAN = Plan(
    "perception",
    (
        InputPlan("camera", "camera/image", AlignPlan("nearest", 20 * MS, 20 * MS), "encode"),
        InputPlan("lidar", "lidar/points", AlignPlan("exact")),
    ),
    (StagePlan("encode", ("full", "half")), StagePlan("head")),
    "head",
    trigger="lidar",
    budget_ns=100 * MS,
)


@pytest.fixture(scope="module")
def live() -> Simulation:
    """Four seconds of a run, as they were decided."""
    heard = together(
        arrivals(Source("camera", 33 * MS, transit_ns=5 * MS, jitter_ns=2 * MS), 4 * S, seed=1),
        arrivals(Source("lidar", 100 * MS, transit_ns=3 * MS, drop_permille=50), 4 * S, seed=2),
    )
    return simulate(PLAN, heard, fixed_durations({"encode": 9 * MS, "head": 2 * MS}))


def header(topic: str, kind: Kind, seq: int, incarnation: int = 7, **fields) -> Message:
    return Message(
        Header(f"perception/{topic}", kind, seq, START_NS, incarnation=incarnation, fields=fields)
    )


def write_log(path: Path, *lives: Simulation, change=lambda events: events) -> Path:
    with LogWriter(path) as log:
        fact = header("result", Kind.LATCHED, 0, fact="plan", plan=plan_document(PLAN))
        log.write(fact, START_NS)
        for number, life in enumerate(lives):
            encoder = JournalEncoder()
            for seq, begin in enumerate(range(0, len(life.journal), 50)):
                batch = encoder.batch(life.journal[begin : begin + 50])
                batch = {**batch, "events": change(batch["events"])}
                message = header("journal", Kind.JOURNAL, seq, number, **batch)
                log.write(message, START_NS + number * 60 * S + seq)
            rows = [row_document(row) for row in life.rows]
            log.write(
                header("ledger", Kind.LEDGER, 0, number, rows=rows), START_NS + number * 60 * S + S
            )
    return path


def test_the_recorded_decisions_come_out_again(live, tmp_path):
    (verified,) = verify_log(write_log(tmp_path / "a.mcap", live))
    assert verified.verification.ok
    assert verified.verification.digest == live.digest
    assert verified.verification.rows == len(live.rows) > 30


def test_each_life_of_a_node_that_was_brought_back_is_verified(live, tmp_path):
    lives = verify_log(write_log(tmp_path / "a.mcap", live, live))
    assert [item.verification.digest for item in lives] == [live.digest] * 2


def test_a_changed_event_is_caught_at_that_event(live, tmp_path):
    def later(events):
        return [
            [row[0], row[1] + 1, *row[2:]] if number == 20 else row
            for number, row in enumerate(events)
        ]

    (verified,) = verify_log(write_log(tmp_path / "a.mcap", live, change=later))
    assert not verified.verification.ok
    assert verified.verification.event == 20
    assert "event 20 of the journal is not what was written" in verified.sentence()


def test_a_simulation_is_a_function_of_the_log_and_the_table(live, tmp_path):
    log = write_log(tmp_path / "a.mcap", live)
    first, second = (simulate_log(log)[0] for _ in range(2))
    assert first.report == second.report
    assert first.report["decisions_sha256"] == live.digest


def test_a_table_of_durations_comes_before_what_was_recorded(live, tmp_path):
    log = write_log(tmp_path / "a.mcap", live)
    (slow,) = simulate_log(log, table={"encode": 300 * MS, "head": MS})
    assert slow.report["outcomes"]["complete"] == 0
    assert slow.report["triggers"] == len(live.rows)


def test_another_graph_is_simulated_on_what_arrived(live, tmp_path, write_graph):
    log = write_log(tmp_path / "a.mcap", live)
    graph = write_graph(
        "graph: other\nbudget: 100ms\nnodes:\n"
        "  camera: {run: plain_nodes:Camera}\n  lidar: {run: plain_nodes:Lidar}\n"
        "  perception:\n    run: fusion\n    trigger: cloud\n    inputs:\n"
        "      cloud: {topic: lidar/points}\n"
        "      eye: {topic: camera/image, align: {nearest: {tolerance: 1ms}}, required: false}\n"
        "    head: {late: product}\n"
    )
    result = CliRunner().invoke(
        main, ["replay", str(log), str(graph), "--mode", "simulate", "--json"]
    )
    assert result.exit_code == 0, result.stderr
    fusion = json.loads(result.stdout)["fusion"]["perception"]
    assert fusion["triggers"] == len(live.rows)
    assert set(fusion["inputs"]) == {"cloud", "eye"}
    assert fusion["inputs"]["eye"]["missing"]["out_of_tolerance"] > 0


def test_messages_alone_are_enough_where_a_graph_is_given(tmp_path, write_graph):
    path = tmp_path / "others.mcap"
    with LogWriter(path) as log:
        for seq in range(10):
            stamp_ns = START_NS + seq * 100 * MS
            message = Message(Header("lidar/points", Kind.TEXT, seq, stamp_ns, fields={"text": ""}))
            log.write(message, stamp_ns + 5 * MS)
    graph = write_graph(
        "graph: other\nbudget: 100ms\nnodes:\n  lidar: {run: plain_nodes:Lidar}\n"
        "  perception: {run: fusion, trigger: cloud, inputs: {cloud: {topic: lidar/points}}, "
        "head: {late: product}}\n"
    )
    arguments = ["replay", str(path), str(graph), "--mode", "simulate", "--json"]
    result = CliRunner().invoke(main, [*arguments, "--cost", "head=2ms"])
    assert json.loads(result.stdout)["triggers"] == 10
    unknown = CliRunner().invoke(main, arguments)
    assert unknown.exit_code == 2
    assert unknown.stderr == (
        "tectum: nothing says how long head/default takes: give --cost head=TIME\n"
    )


def test_a_log_of_others_has_nothing_to_verify(tmp_path):
    path = tmp_path / "others.mcap"
    with LogWriter(path) as log:
        log.write(Message(Header("a/b", Kind.TEXT, 0, START_NS, fields={"text": ""})), START_NS)
    with pytest.raises(DataError, match="has no plan of a fusion node"):
        verify_log(path)


def test_verify_says_so_and_its_exit_code_tells(live, tmp_path):
    good = write_log(tmp_path / "good.mcap", live)
    bad = write_log(tmp_path / "bad.mcap", live, change=lambda events: events[::-1])
    runner = CliRunner()
    assert runner.invoke(main, ["replay", str(good)]).exit_code == 0
    result = runner.invoke(main, ["replay", str(bad), "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["fusion"][0]["ok"] is False


def test_rows_that_were_altered_are_caught(live, tmp_path):
    rows = list(live.rows)
    rows[5] = dataclasses.replace(rows[5], stamp_ns=rows[5].stamp_ns + 1)
    altered = dataclasses.replace(live, rows=rows)
    (verified,) = verify_log(write_log(tmp_path / "a.mcap", altered))
    assert verified.verification.row == 5


@pytest.mark.parametrize("option", ["encode", "=3ms", "encode=3"])
def test_a_cost_needs_a_stage_and_a_unit(option):
    with pytest.raises(ConfigError):
        parse_costs([option])


def test_costs_are_read_with_their_units():
    assert parse_costs(["a=3ms", "a/b=1s"]) == {"a": 3 * MS, "a/b": S}
