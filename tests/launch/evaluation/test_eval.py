"""`tectum eval` over a recorded drive: real answers, scored, with each sensor alone and fused."""

import json

import pytest
from click.testing import CliRunner

from tectum_launch.cli import main

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """A folder with a graph and a recording of two seconds of it, truth included."""
    folder = tmp_path_factory.mktemp("drive")
    graph = folder / "graph.yaml"
    graph.write_text(
        "graph: judged\ninclude: driving\nnodes: {truth: {run: simulated_truth, rate: 10Hz}}\n"
    )
    log = folder / "drive.mcap"
    done = CliRunner().invoke(
        main, ["launch", str(graph), "--duration", "2s", "--record", str(log)]
    )
    assert log.is_file(), done.output
    return folder


def test_fused_answers_are_scored_beside_each_sensor_alone(drive):
    file, plots = drive / "eval.json", drive / "plots"
    done = CliRunner().invoke(
        main,
        [
            "eval", str(drive / "drive.mcap"), "--graph", str(drive / "graph.yaml"), "--claimed",
            "--json", str(file), "--plots", str(plots), "--try", "modalities", "--workers", "1",
        ],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "occupancy (average precision, %)" in done.stdout
    assert "best single sensor" in done.stdout
    (found,) = json.loads(file.read_text())["graphs"].values()
    conditions = {item["name"]: item for item in found["conditions"]}
    fused = conditions["as it is"]
    assert fused["outcomes"].get("complete", 0) > 0
    assert 0.5 < fused["offline"]["occupancy"]["score"] <= 1
    assert fused["streaming"]["occupancy"]["score"] <= fused["offline"]["occupancy"]["score"]
    assert conditions["only siren"]["answered"] == 0
    lone = conditions["only lidar"]["streaming"]["occupancy"]["score"]
    assert found["best_single"]["occupancy"]["score"] >= lone
    assert (plots / "occupancy-modalities.png").stat().st_size > 1000


def test_two_graphs_and_worse_stamps_are_compared_by_several_processes(drive):
    file = drive / "offsets.json"
    one, two = str(drive / "graph.yaml"), str(drive / "late.yaml")
    (drive / "late.yaml").write_text("graph: late\ninclude: graph.yaml\nbudget: 60ms\nnodes: {}\n")
    done = CliRunner().invoke(
        main,
        [
            "eval", str(drive / "drive.mcap"), "--graph", one, "--graph", two, "--claimed",
            "--json", str(file), "--try", "budgets", "--workers", "2",
        ],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    graphs = json.loads(file.read_text())["graphs"]
    assert list(graphs) == [one, two]
    amounts = [item["amount"] for item in graphs[one]["conditions"]]
    assert amounts == [0, 25, 50, 75, 150]


def test_of_several_heads_one_is_judged_under_its_own_budgets(drive):
    graph, file = drive / "heads.yaml", drive / "heads.json"
    graph.write_text(
        "graph: heads\ninclude: [driving]\nnodes:\n  perception:\n    head: null\n    accept: []\n"
        "    heads:\n"
        "      result:  {intermediate: driving/head, accept: [[camera], [lidar]]}\n"
        "      warning: {late: product, inputs: [siren], budget: 60ms}\n"
    )
    words = ["eval", str(drive / "drive.mcap"), "--graph", str(graph), "--claimed"]
    none = CliRunner().invoke(main, words)
    assert none.exit_code == 2, none.stderr
    assert (
        "'perception' has several heads, and one is judged at a time; choose with --node one of: "
        "perception/result, perception/warning"
    ) in none.stderr
    done = CliRunner().invoke(
        main,
        [
            *words, "--node", "perception/warning", "--json", str(file), "--try", "budgets",
            "--workers", "1",
        ],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    (found,) = json.loads(file.read_text())["graphs"].values()
    assert [item["amount"] for item in found["conditions"]] == [0, 15, 30, 45, 90]
    triggers = {sum(item["outcomes"].values()) for item in found["conditions"]}
    assert len(triggers) == 1


def test_a_recording_without_truth_is_told(drive):
    done = CliRunner().invoke(
        main,
        ["eval", str(drive / "drive.mcap"), "--graph", "driving", "--truth", "camera/truth"],
    )
    assert done.exit_code == 1
    assert "has no topic 'camera/truth'; it has: " in done.stderr
