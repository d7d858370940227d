"""`tectum replay --against`: one recording under two graphs, and what they decide differently."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tectum.message import Kind
from tectum.recording.writer import LogWriter
from tectum.testing.arrivals import START_NS
from tectum.testing.messages import make_message
from tectum_launch.cli import main

MS = 1_000_000
GRAPH = """\
graph: small
budget: 100ms
nodes:
  camera: {run: plain_nodes:Camera}
  lidar: {run: plain_nodes:Lidar}
  perception:
    run: fusion
    trigger: lidar
    inputs:
      lidar: {topic: lidar/points}
      camera: {topic: camera/image, align: {nearest: {tolerance: 40ms}}, required: false}
    head: {late: product}
"""
TOLERANCE = "nodes.perception.inputs.camera.align.nearest.tolerance"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Eleven sweeps; each has a picture 2 ms before or, every second one, 10 ms after it."""
    path = tmp_path / "log.mcap"
    with LogWriter(path) as writer:
        for seq in range(11):
            stamp_ns = START_NS + seq * 100 * MS
            seen_ns = stamp_ns + (10 if seq % 2 else -2) * MS
            common = {"seq": seq, "incarnation": 1}
            sweep = make_message("lidar/points", Kind.TENSOR, stamp_ns=stamp_ns, **common)
            picture = make_message("camera/image", Kind.TENSOR, stamp_ns=seen_ns, **common)
            writer.write(picture, stamp_ns + 15 * MS)
            writer.write(sweep, stamp_ns + 20 * MS)
    return path


def replay(*arguments: object):
    return CliRunner().invoke(main, ["replay", *map(str, arguments)])


def test_another_tolerance_loses_the_pictures_that_it_refuses(log, write_graph):
    graph = write_graph(GRAPH)
    result = replay(log, graph, "--against-set", f"{TOLERANCE}=5ms", "--json")
    assert result.exit_code == 0, result.stderr
    fusion = json.loads(result.stdout)["fusion"]["perception"]
    assert (fusion["alike"], fusion["changes"]) == (6, {"thinner": 5})
    assert fusion["inputs"]["camera"]["missing_after"] == {"out_of_tolerance": 5}
    assert fusion["inputs"]["camera"]["lost"] == 5
    assert fusion["outcomes_moved"] == {"complete -> partial": 5}
    changed = [row["before"]["trigger"] for row in fusion["triggers"]]
    assert changed == [1, 3, 5, 7, 9]
    assert fusion["before"]["outcomes"]["complete"] == 11
    assert fusion["after"]["outcomes"]["complete"] == 6


def test_another_graph_is_compared_whole(log, write_graph):
    before = write_graph(GRAPH)
    after = before.with_name("after.yaml")
    after.write_text(GRAPH.replace("{nearest: {tolerance: 40ms}}", "{latest: {max_age: 150ms}}"))
    result = replay(log, before, "--against", after)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[:2] == [f"before: {before}", f"after:  {after}"]
    assert lines[2] == "perception: 6 of 11 triggers decided alike"
    assert "  5 re-paired: answered from another sample of an input" in lines
    assert "  camera: 5 re-paired" in lines
    assert any("re-paired: camera #1 10 ms after -> #0 102 ms before" in line for line in lines)


def test_a_graph_against_itself_differs_in_nothing(log, write_graph):
    graph = write_graph(GRAPH)
    result = replay(log, graph, "--against", graph, "--json")
    fusion = json.loads(result.stdout)["fusion"]["perception"]
    assert (fusion["alike"], fusion["changes"], fusion["triggers"]) == (11, {}, [])
    assert fusion["before"] == fusion["after"]


def test_a_slower_stage_sheds_what_it_makes_late(log, write_graph):
    result = replay(log, write_graph(GRAPH), "--against-cost", "head=90ms", "--json")
    fusion = json.loads(result.stdout)["fusion"]["perception"]
    assert fusion["before"]["outcomes"]["shed"] == 0
    assert fusion["changes"]["lost"] == fusion["after"]["outcomes"]["shed"] > 0
    assert fusion["assumed_durations"] == ["head"]


def test_stages_of_which_nothing_is_known_are_named(log, write_graph):
    graph = write_graph(GRAPH)
    result = replay(log, graph, "--against", graph)
    assert "head: nothing says how long it takes; assumed 1 ms" in result.stdout
    alone = replay(log, graph, "--mode", "simulate")
    assert (
        "! head: nothing says how long it takes; assumed 1 ms; say it with --cost" in alone.stdout
    )


def test_only_some_triggers_are_shown_unless_all_are_asked_for(log, write_graph, monkeypatch):
    monkeypatch.setattr("tectum_launch.what_if_text._ROWS", 2)
    asked = (log, write_graph(GRAPH), "--against-set", f"{TOLERANCE}=5ms")
    assert "... and 3 more: --all shows them" in replay(*asked).stdout
    shown = replay(*asked, "--all").stdout
    assert "more" not in shown.replace("an input more", "")
    assert shown.count("thinner: complete -> partial (input out of tolerance)") == 5


def test_triggers_that_have_nothing_in_common_are_said_to_be_so(log, write_graph):
    graph = write_graph(GRAPH)
    result = replay(log, graph, "--against-set", "nodes.perception.trigger=camera")
    assert "no trigger in common: only the totals can be compared" in result.stdout


def test_both_sides_suffer_the_same_faults(log, write_graph, tmp_path):
    faults = tmp_path / "faults.yaml"
    faults.write_text("faults:\n  - {input: camera, fault: drop, at: 0s, for: 500ms}\n")
    graph = write_graph(GRAPH)
    result = replay(log, graph, "--against", graph, "--faults", faults, "--json")
    fusion = json.loads(result.stdout)["fusion"]["perception"]
    lost = [fusion[side]["inputs"]["camera"]["losses"]["injected"] for side in ("before", "after")]
    assert lost[0] == lost[1] > 0


def test_a_comparison_is_a_simulation(log, write_graph):
    graph = write_graph(GRAPH)
    result = replay(log, graph, "--against", graph, "--mode", "verify")
    assert result.exit_code == 2
    assert "--against simulates both graphs: leave out --mode verify" in result.stderr


def test_graphs_without_a_common_fusion_node_cannot_be_compared(log, write_graph):
    twice = GRAPH + GRAPH[GRAPH.index("  perception:") :].replace("perception", "second")
    graph = write_graph(twice)
    other = graph.with_name("other.yaml")
    other.write_text(twice.replace("perception:", "one:").replace("second:", "two:"))
    result = replay(log, graph, "--against", other)
    assert result.exit_code == 2
    assert "no fusion node in common: perception and second against one and two" in result.stderr
