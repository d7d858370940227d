"""Proofs about compiled graphs: each names the key and the value that would do."""

import dataclasses
from pathlib import Path

import pytest

from tectum.inference.manifest import Variant, read_manifest
from tectum.pipeline.plan import StagePlan
from tectum_launch.checks import CHECKS, check_graph
from tectum_launch.compile import load_graph
from tectum_launch.stages import ResolvedStage
from tectum_models.catalogue import find

TEXT = """\
graph: proof
budget: 100ms
nodes:
  camera: {run: plain_nodes:Camera, rate: 10Hz}
  thermal: {run: plain_nodes:Camera, rate: 10Hz}
  microphone: {run: plain_nodes:Microphone}
  perception:
    run: fusion
    trigger: camera
    inputs:
      camera: {topic: camera/image, encoder: {run: plain_nodes:Encoder}}
      thermal: {topic: thermal/image}
      sound: {topic: microphone/audio, align: {window: {duration: 1s}}, required: false}
    head: {late: product}
    lanes: 1
"""


@pytest.fixture
def proof(write_graph):
    """Return a function: the texts of what is found in the graph after replacements."""

    def of(*replacements, costs_ms=None):
        text = TEXT
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        path = write_graph(text)
        graph = costly(load_graph(str(path), cores=2), costs_ms or {})
        return [
            f"{finding.level}: {finding.text}".replace(str(path), "graph.yaml")
            for finding in check_graph(graph)
        ]

    return of


def costly(graph, costs_ms):
    """Return `graph` with the latencies that its models' manifests would claim."""
    fusion = graph.nodes[-1].fusion
    manifest = read_manifest(find("third_party/ultraface"))
    stages = {
        name: dataclasses.replace(stage, manifests=(claiming(manifest, costs_ms[name]),))
        if name in costs_ms
        else stage
        for name, stage in fusion.stages.items()
    }
    part = dataclasses.replace(fusion, stages=stages)
    nodes = (*graph.nodes[:-1], dataclasses.replace(graph.nodes[-1], fusion=part))
    return dataclasses.replace(graph, nodes=nodes)


def claiming(manifest, costs):
    variants = tuple(
        dataclasses.replace(manifest.variants[0], name=name, latency_ms={"cpu": cost})
        for name, cost in zip(("full", "half"), costs, strict=False)
    )
    return dataclasses.replace(manifest, variants=variants)


@pytest.fixture(autouse=True)
def _models_are_elsewhere(monkeypatch, request):
    """Costs are lent from a model that need not be here: do not look for its file."""
    if "models" not in request.node.name:
        kept = tuple(check for check in CHECKS if check.__name__ != "models_are_whole")
        monkeypatch.setattr("tectum_launch.checks.CHECKS", kept)


def test_a_graph_that_can_work_has_no_findings(proof):
    assert proof() == []


def test_a_tolerance_below_half_the_period_is_doubtful(proof):
    rule = "thermal/image, align: {nearest: {tolerance: 30ms}}"
    assert proof(("thermal/image", rule)) == [
        "warning: graph.yaml:12:56: nodes.perception.inputs.thermal.align.nearest: thermal/image "
        "comes every 100.0 ms, but the tolerance spans only 60.0 ms in all: some triggers will "
        "find no sample; tolerance: 50ms would do"
    ]


def test_an_age_below_the_period_is_doubtful(proof):
    rule = "thermal/image, align: {latest: {max_age: 60ms}}"
    (text,) = proof(("thermal/image", rule))
    assert text.endswith(
        "thermal/image comes every 100.0 ms, but may be no older than 60.0 ms: some triggers will "
        "find no sample; max_age: 100ms would do"
    )


def test_a_reach_below_the_period_is_doubtful(proof):
    rule = "thermal/image, align: {interpolate: {reach: 60ms}}"
    (text,) = proof(("thermal/image", rule))
    assert text.endswith(
        "thermal/image comes every 100.0 ms, but samples are sought only 60.0 ms on either side: "
        "some triggers will find none; reach: 100ms would do"
    )


def test_an_exact_match_between_different_paces_is_doubtful(proof):
    (text,) = proof(
        ("thermal/image", "thermal/image, align: exact"),
        (
            "thermal: {run: plain_nodes:Camera, rate: 10Hz}",
            "thermal: {run: plain_nodes:Camera, rate: 4Hz}",
        ),
    )
    assert text.endswith("align: {nearest: {tolerance: 125ms}} would do")


def test_a_silence_shorter_than_two_periods_is_doubtful(proof):
    (text,) = proof(("thermal/image", "thermal/image, silent_after: 150ms"))
    assert "inputs.thermal.silent_after: thermal/image comes every 100.0 ms" in text
    assert text.endswith("silent_after: 200ms would do")


def test_a_required_input_that_a_combination_lacks_is_an_error(proof):
    (text,) = proof(
        ("    lanes: 1\n", "    lanes: 1\n    accept: [[camera]]\n"),
        ("thermal/image", "thermal/image, required: true"),
    )
    assert text.startswith("error: graph.yaml:12:49: nodes.perception.inputs.thermal.required")
    assert text.endswith("write required: false, or name it in every combination")


def test_a_budget_below_the_cheapest_combination_is_an_error(proof):
    (text,) = proof(("rate: 10Hz", "rate: 5Hz"), costs_ms={"encode_camera": [130.0, 120.0]})
    assert text == (
        "error: graph.yaml:8:5: nodes.perception.budget: 100.0 ms cannot be kept by any accepted "
        "combination: the cheapest takes 122.0 ms (encode_camera 130.0 ms, head 0 us); "
        "budget: 132ms would do"
    )


def test_a_budget_that_only_a_cheaper_variant_keeps_is_doubtful(proof):
    (text,) = proof(("rate: 10Hz", "rate: 5Hz"), costs_ms={"encode_camera": [130.0, 40.0]})
    assert text.startswith("warning: ")
    assert "leaves no time for a complete set: on 1 lane(s) it takes 132.0 ms" in text


def test_lanes_that_cannot_keep_up_are_doubtful(proof):
    (text,) = proof(("budget: 100ms", "budget: 500ms"), costs_ms={"encode_camera": [130.0, 60.0]})
    assert text == (
        "warning: graph.yaml:15:12: nodes.perception.lanes: the models keep 1.3 lanes busy, but "
        "there are 1: triggers will be shed; lanes: 2 on as many cores would do, or a trigger "
        "every 130ms"
    )


def test_a_window_that_ends_after_the_budget_is_doubtful(proof):
    (text,) = proof(("{duration: 1s}", "{duration: 1s, lead: 150ms}"))
    assert "inputs.sound.align.window.lead: the window ends 150.0 ms after the trigger" in text
    assert text.endswith("past the budget of 100.0 ms; lead: 98ms would do")


def test_models_that_are_cut_short_are_told(write_graph, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.yaml").write_text(
        "model: mine\nversion: 1\nmodality: camera\nlicence: MIT\n"
        "inputs: [{name: x, kind: image, dtype: uint8, shape: [4, 4, 3]}]\n"
        "outputs: [{name: y, role: probability, dtype: float32, shape: [1]}]\n"
        f"variants: [{{name: fp32, file: m.onnx, sha256: '{'0' * 64}'}}]\n"
    )
    (folder / "m.onnx").write_bytes(b"half of it")
    path = write_graph(TEXT.replace("{run: plain_nodes:Encoder}", "./model"))
    (finding,) = check_graph(load_graph(str(path), cores=2))
    assert finding.level == "error"
    assert finding.text.startswith(
        f"{path}:11:46: nodes.perception.inputs.camera.encoder: {folder / 'm.onnx'} (10 bytes)"
    )


def test_models_that_take_another_kind_of_sample_are_refused(write_graph):
    from tectum_launch.findings import GraphError

    path = write_graph(TEXT.replace("{run: plain_nodes:Encoder}", "third_party/silero"))
    with pytest.raises(GraphError) as caught:
        load_graph(str(path), cores=2)
    assert str(caught.value) == (
        f"{path}:11:46: nodes.perception.inputs.camera.encoder: third_party/silero takes audio, "
        "but camera/image carries image"
    )


def test_the_cost_of_a_stage_is_that_of_its_models_on_the_cpu():
    manifest = claiming(read_manifest(find("third_party/ultraface")), [8.0, 3.0])
    plan = StagePlan("encode", ("full", "half"))
    stage = ResolvedStage(plan, spec={}, manifests=(manifest, manifest))
    assert stage.claims_ns() == {"full": 16_000_000, "half": 6_000_000}
    assert stage.claims_ns("cuda") == stage.claims_ns()
    assert isinstance(manifest.variants[0], Variant)
    assert Path(manifest.place).name == "model.yaml"
