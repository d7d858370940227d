"""Timing proofs from costs that were measured, here or elsewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tectum.errors import ConfigError
from tectum.testing.nets import write_encoder, write_head
from tectum_launch.checks import Machine, check_graph
from tectum_launch.checks.costs import costs_text, read_costs
from tectum_launch.checks.measuring import measured_costs
from tectum_launch.cli import main
from tectum_launch.compile import load_graph

TEXT = """\
graph: proof
budget: 100ms
nodes:
  camera: {run: plain_nodes:Camera, rate: 10Hz}
  thermal: {run: plain_nodes:Camera, rate: 10Hz}
  perception:
    run: fusion
    trigger: camera
    inputs:
      camera: {topic: camera/image, encoder: ./camera}
      thermal: {topic: thermal/image, encoder: ./thermal}
    head: {intermediate: ./head}
    lanes: 1
"""
GUARD = """\
  guard:
    run: fusion
    trigger: camera
    inputs: {camera: {topic: camera/image, encoder: ./camera}}
    head: {intermediate: ./alone}
    lanes: 1
"""
ON_SAMPLE = """\
class Slow:
    variants = ("default",)
    on = "sample"

    def __init__(self, *, name, inputs):
        pass
"""


@pytest.fixture
def graph_path(write_graph, tmp_path: Path):
    """Return a function that writes the graph with two nets and a head beside it."""
    for seed, name in enumerate(("camera", "thermal")):
        write_encoder(tmp_path / name, name, seed=seed)
    write_head(tmp_path / "head", ("camera", "thermal"))
    write_head(tmp_path / "alone", ("camera",))
    return lambda more="": write_graph(TEXT + more)


@pytest.fixture
def findings(graph_path, tmp_path: Path):
    """Return a function: the texts of what is found with assumed costs."""

    def of(costs: str, more: str = "", cores: int = 4) -> list[str]:
        graph = load_graph(str(graph_path(more)), cores=cores)
        file = tmp_path / "costs.yaml"
        file.write_text(costs)
        assumed = read_costs(file, graph)
        return [item.message for item in check_graph(graph, costs=assumed, machine=Machine(cores))]

    return of


def tectum(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_assumed_costs_go_before_what_manifests_claim(findings) -> None:
    assert findings("perception: {encode_camera: 1ms}") == []
    (text,) = findings("perception: {encode_camera: {fp32: 120ms}, head: 5ms}\n")[:1]
    assert text.startswith("100.0 ms cannot be kept by any accepted combination: the cheapest")
    assert "(encode_camera 120.0 ms, encode_thermal 0 us, head 5.0 ms)" in text


def test_the_lanes_that_assumed_costs_need_are_told(findings) -> None:
    texts = findings("perception: {encode_camera: 60ms, encode_thermal: 60ms}")
    assert texts == [
        "the models keep 1.2 lanes busy, but there are 1: triggers will be shed; lanes: 2 on as "
        "many cores would do, or a trigger every 120ms",
        "encode_camera takes 60.0 ms of the one lane and starves encode_thermal: a complete set "
        "takes 122.0 ms, past the budget of 100.0 ms; lanes: 2 on as many cores would do, or "
        "budget: 122ms",
    ]


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        ("percepton: {head: 1ms}", r"costs\.yaml: percepton: unknown key .*did you mean 'percep"),
        ("perception: {haed: 1ms}", r"perception\.haed: unknown key .*did you mean 'head'"),
        ("perception: {head: {fp23: 1ms}}", r"perception\.head\.fp23: unknown key .*'fp32'"),
        ("perception: {head: 12}", r"perception\.head: 12 is not a duration, such as 12ms"),
        ("perception: [", r"costs\.yaml is not YAML"),
    ],
)
def test_what_is_wrong_in_a_file_of_costs_is_named(findings, costs: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        findings(costs)


def test_fusion_nodes_that_ask_for_more_cores_than_there_are_together_are_doubtful(
    findings,
) -> None:
    costs = "perception: {encode_camera: 80ms}\nguard: {encode_camera: 70ms}"
    assert findings(costs, GUARD, cores=2) == []
    (text,) = findings(costs, GUARD, cores=1)
    assert text == (
        "the fusion nodes keep 1.5 cores busy together (perception 0.8, guard 0.7), but there are "
        "1: triggers will be shed; a result of perception every 267ms would do"
    )


def test_an_encoder_that_runs_on_each_sample_and_holds_every_lane_is_doubtful(
    findings, tmp_path: Path
) -> None:
    nodes = tmp_path / "slow_nodes.py"
    nodes.write_text(ON_SAMPLE)
    guard = GUARD.replace("head: {intermediate: ./alone}", "head: {late: product}").replace(
        "inputs: {camera: {topic: camera/image, encoder: ./camera}}",
        "inputs:\n"
        "      camera: {topic: camera/image, encoder: ./camera}\n"
        "      thermal: {topic: thermal/image, align: {latest: {max_age: 1s}}, "
        "encoder: {run: slow_nodes:Slow}}",
    )
    costs = "guard: {encode_camera: 20ms, encode_thermal: 78ms, head: 1ms}"
    assert findings(costs, guard) == [
        "encode_thermal can hold every lane for 78.0 ms, and a complete set takes 23.0 ms more: "
        "together past the budget of 100.0 ms; lanes: 2 would do, or budget: 101ms"
    ]
    assert findings(costs, guard.replace("lanes: 1", "lanes: 2")) == []


def test_costs_can_be_measured_here_and_assumed_elsewhere(graph_path, tmp_path: Path) -> None:
    graph = load_graph(str(graph_path()), cores=1)
    costs = measured_costs(graph, repeats=3)
    keys = ["encode_camera/fp32", "encode_thermal/fp32", "head/fp32"]
    assert list(costs["perception"].stages) == keys
    assert all(cost > 0 for cost in costs["perception"].stages.values())
    file = tmp_path / "costs.yaml"
    file.write_text(costs_text(costs))
    again = read_costs(file, graph)
    for key in keys:
        assert again["perception"].stages[key] == pytest.approx(
            costs["perception"].stages[key], rel=0.1
        )


def test_the_command_measures_saves_and_assumes(graph_path, tmp_path: Path) -> None:
    path, file = str(graph_path()), tmp_path / "costs.yaml"
    measured = tectum("check", path, "--measure", "--save", str(file))
    assert measured.exit_code == 0
    assert re.search(
        r"after its last sample, [\d.]+ (us|ms) on its way, measured here, on 1 lane",
        measured.output,
    )
    assert re.search(r"transport: {camera: [\d.]+(us|ms), thermal:", file.read_text())
    file.write_text("perception: {head: 200ms}\n")
    assumed = tectum("check", path, "--assume", str(file), "--json")
    assert assumed.exit_code == 2
    found = json.loads(assumed.stdout)["findings"]
    assert "the cheapest takes 202.0 ms" in found[0]["message"]
    assert tectum("check", path, "--assume", str(file), "--measure").exit_code == 2


def test_nothing_is_measured_unless_it_is_asked_for(graph_path) -> None:
    output = tectum("check", str(graph_path())).output
    assert "a complete set takes 2.0 ms of 100.0 ms after its last sample, by the manifests" in (
        output
    )
