"""`tectum replay`: what verification and simulation find, told and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tectum.errors import ConfigError
from tectum.ledger.codec import row_document
from tectum.message import Kind, Message
from tectum.pipeline.events import Arrived
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan, plan_document
from tectum.pipeline.simulate import Simulation, fixed_durations, simulate
from tectum.recording.journal import JournalEncoder
from tectum.recording.writer import LogWriter
from tectum.testing.arrivals import START_NS, Source, arrivals, together
from tectum.testing.messages import make_message
from tectum_launch.cli import main
from tectum_launch.replay import parse_costs

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
OTHER = """\
graph: other
budget: 100ms
nodes:
  camera: {run: plain_nodes:Camera}
  lidar: {run: plain_nodes:Lidar}
  perception:
    run: fusion
    trigger: lidar
    inputs:
      lidar: {topic: lidar/points}
      camera: {topic: camera/image, align: {nearest: {tolerance: 1ms}}, required: false}
    head: {late: product}
"""


@pytest.fixture(scope="module")
def live() -> Simulation:
    """Four seconds of a run, as they were decided."""
    heard = together(
        arrivals(Source("camera", 33 * MS, transit_ns=5 * MS, jitter_ns=2 * MS), 4 * S, seed=1),
        arrivals(Source("lidar", 100 * MS, transit_ns=3 * MS, drop_permille=50), 4 * S, seed=2),
    )
    return simulate(PLAN, heard, fixed_durations({"encode": 9 * MS, "head": 2 * MS}))


def said(topic: str, kind: Kind, **fields) -> Message:
    return make_message(f"perception/{topic}", kind, incarnation=7, **fields)


@pytest.fixture
def log(live: Simulation, tmp_path: Path) -> Path:
    path = tmp_path / "log.mcap"
    with LogWriter(path) as writer:
        plan = {"fact": "plan", "plan": plan_document(PLAN)}
        writer.write(said("result", Kind.LATCHED, **plan), START_NS)
        writer.write(
            said("journal", Kind.JOURNAL, **JournalEncoder().batch(live.journal)), START_NS
        )
        writer.write_run({"nodes": {"lidar": {}}}, START_NS)
        rows = [row_document(row) for row in live.rows]
        writer.write(said("ledger", Kind.LEDGER, rows=rows, notes=[]), START_NS)
    return path


def replay(*arguments: object):
    return CliRunner().invoke(main, ["replay", *map(str, arguments)])


def test_the_recorded_decisions_come_out_again(live, log):
    result = replay(log)
    assert result.exit_code == 0
    assert result.stdout == (
        f"perception: {len(live.journal)} events give the same {len(live.rows)} decisions again, "
        f"digest {live.digest}\n"
    )


def test_a_changed_row_is_told_and_the_exit_code_tells_too(live, tmp_path, log):
    path = tmp_path / "other.mcap"
    with LogWriter(path) as writer:
        plan = {"fact": "plan", "plan": plan_document(PLAN)}
        writer.write(said("result", Kind.LATCHED, **plan), START_NS)
        writer.write(
            said("journal", Kind.JOURNAL, **JournalEncoder().batch(live.journal)), START_NS
        )
        rows = [{**row_document(row), "stamp_ns": row.stamp_ns + 1} for row in live.rows]
        writer.write(said("ledger", Kind.LEDGER, rows=rows, notes=[]), START_NS)
    result = replay(path, "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["ok"] is False
    assert document["fusion"][0]["decisions_sha256"] != document["fusion"][0]["recorded_sha256"]
    assert "stamp_ns" in document["fusion"][0]["difference"]


def test_a_simulation_of_what_was_recorded_gives_the_live_digest(live, log, tmp_path):
    report = tmp_path / "report.json"
    result = replay(log, "--mode", "simulate", "--report", report)
    assert result.exit_code == 0
    assert f"perception: digest {live.digest}" in result.stdout
    assert json.loads(report.read_text())["triggers"] == len(live.rows)


def test_a_stage_that_is_slower_than_its_budget_sheds_in_simulation(live, log):
    result = replay(log, "--mode", "simulate", "--json", "--cost", "encode=300ms")
    assert json.loads(result.stdout)["outcomes"]["complete"] == 0


FAULTS = """\
faults:
  - {input: camera, fault: drop, at: 1s, for: 500ms}
  - {node: lidar, fault: kill, at: 2s}
assert:
  outcomes: {complete: COMPLETE}
  recovery: {within: 1s, to: answer}
"""


def test_what_was_recorded_is_simulated_with_faults_on_its_way(live, log, tmp_path):
    faults = tmp_path / "faults.yaml"
    faults.write_text(FAULTS.replace("COMPLETE", "50%"))
    first, second = (
        replay(log, "--mode", "simulate", "--faults", faults, "--json") for _ in range(2)
    )
    assert first.exit_code == 0, first.stdout
    assert first.stdout == second.stdout
    document = json.loads(first.stdout)
    (camera,) = (document["inputs"]["camera"]["losses"][cause] for cause in ("injected",))
    heard = [event for event in live.journal if isinstance(event, Arrived)]
    eyes = [event for event in heard if event.sample.ref.input == "camera"]
    struck = [e for e in eyes if 1 * S <= e.now_ns - START_NS < 1.5 * S]
    assert camera == len(struck)
    assert document["inputs"]["camera"]["received"] == len(eyes) - len(struck)
    assert document["recovery"]["drop on camera"]["ended"] == 1
    assert len(document["assertions"]) == 2


def test_a_broken_promise_of_a_simulation_shows_in_the_exit_code(log, tmp_path):
    faults = tmp_path / "faults.yaml"
    faults.write_text(FAULTS.replace("COMPLETE", "99%"))
    result = replay(log, "--mode", "simulate", "--faults", faults)
    assert result.exit_code == 1
    assert "assert.outcomes.complete does not hold" in result.stdout
    assert "left out, as nothing lives here: kill of lidar" in result.stdout


def test_decisions_that_were_made_cannot_be_struck(log):
    result = replay(log, "--faults", "driving")
    assert result.exit_code == 2
    assert "what was decided cannot be changed; use --mode simulate or play" in result.stderr


def test_another_graph_is_simulated_on_what_arrived(live, log, write_graph):
    result = replay(log, write_graph(OTHER), "--mode", "simulate", "--json")
    assert result.exit_code == 0, result.stderr
    fusion = json.loads(result.stdout)["fusion"]["perception"]
    assert fusion["triggers"] == len(live.rows)
    assert fusion["inputs"]["camera"]["missing"]["out_of_tolerance"] > 0


def test_a_graph_without_a_fusion_node_cannot_be_simulated(log, write_graph):
    graph = write_graph("graph: g\nnodes:\n  a: {run: plain_nodes:Camera}\n")
    result = replay(log, graph, "--mode", "simulate")
    assert result.exit_code == 2
    assert result.stderr == "tectum: g has no fusion node: there is nothing to simulate\n"


def test_a_log_without_a_journal_is_told_with_what_it_is_good_for(tmp_path):
    path = tmp_path / "others.mcap"
    with LogWriter(path) as writer:
        writer.write(make_message("a/b", Kind.TEXT, text=""), START_NS)
    result = replay(path)
    assert result.exit_code == 1
    assert "has no journal: it can be played and simulated, not verified" in result.stderr


def test_a_log_whose_graph_is_not_here_cannot_be_played_without_naming_one(log):
    result = replay(log, "--mode", "play")
    assert result.exit_code == 2
    assert "is not here (unknown): name GRAPH" in result.stderr


@pytest.mark.parametrize("option", ["encode", "=3ms", "encode=3"])
def test_a_cost_needs_a_stage_and_a_unit(option):
    with pytest.raises(ConfigError):
        parse_costs([option])


def test_costs_are_read_with_their_units():
    assert parse_costs(["a=3ms", "a/b=1s"]) == {"a": 3 * MS, "a/b": S}
