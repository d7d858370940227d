"""`tectum models`: measuring a model and making one of a file, as a user meets them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tectum.inference.device import CPU
from tectum.inference.manifest import read_manifest
from tectum.inference.stages import model_stage
from tectum.testing.models import ENCODER, ENCODER_GRAPH, HEAD, HEAD_GRAPH, write_model
from tectum.testing.nets import write_encoder, write_head
from tectum_launch.cli import main
from tectum_models.catalogue import find


def tectum(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_measured_latencies_are_noted_and_nothing_else_is_changed(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "camera", "camera")
    text = (folder / "model.yaml").read_text()
    digest = json.loads(text)["variants"][0]["sha256"]
    written = (
        "# Mine.\nmodel: test/camera\nversion: 1\nlicence: Apache-2.0\nmodality: camera\n"
        "inputs:\n  - {name: image, kind: image, dtype: uint8, shape: [batch, 32, 32, 3]}\n"
        "outputs:\n  - {name: code, role: embedding, dtype: float32, shape: [batch, 16]}\n"
        "variants:\n  - name: fp32  # the only one\n    file: model.onnx\n"
        f"    sha256: {digest}\n    latency_ms: {{elsewhere: 3.5}}\n"
    )
    (folder / "model.yaml").write_text(written)
    result = tectum("models", "bench", str(folder), "--device", "cpu", "--repeats", "5")
    assert result.exit_code == 0
    assert result.output.startswith("fp32 on cpu: ")
    assert "of 5 runs" in result.output
    latency = read_manifest(folder).variant("fp32").latency_ms
    assert set(latency) == {"elsewhere", "cpu"}
    assert latency["elsewhere"] == 3.5
    assert latency["cpu"] > 0
    now = (folder / "model.yaml").read_text()
    assert [line for line in now.splitlines() if "latency_ms" not in line] == [
        line for line in written.splitlines() if "latency_ms" not in line
    ]


def test_a_head_can_be_measured_without_writing(tmp_path: Path) -> None:
    folder = write_head(tmp_path / "head", ("camera", "lidar"))
    before = (folder / "model.yaml").read_text()
    result = tectum("models", "bench", str(folder), "--repeats", "3", "--no-write", "--json")
    assert json.loads(result.stdout)["latency_ms"]["fp32"]["cpu"] >= 0
    assert (folder / "model.yaml").read_text() == before


def test_variants_are_measured_side_by_side_and_what_saves_nothing_is_told(tmp_path: Path) -> None:
    """One net under two names: whether the second is faster is chance, but it is told truly."""
    folder = write_encoder(tmp_path / "camera", "camera")
    document = json.loads((folder / "model.yaml").read_text())
    (variant,) = document["variants"]
    names = ("fp32", "fp16")
    document["variants"] = [{**variant, "name": name} for name in names]
    (folder / "model.yaml").write_text(json.dumps(document))
    result = tectum("models", "bench", str(folder), "--device", "cpu", "--repeats", "9")
    assert result.exit_code == 0
    told = read_manifest(folder)
    costs = [told.variant(name).latency_ms["cpu"] for name in names]
    warned = "warning: fp16 is no faster than fp32 on cpu" in result.stderr
    assert warned == (costs[1] >= costs[0]) or costs[1] == costs[0]


def test_a_device_that_is_not_there_is_not_measured(tmp_path: Path) -> None:
    folder = write_head(tmp_path / "head", ("camera", "lidar"))
    result = tectum("models", "bench", str(folder), "--device", "cudaa")
    assert result.exit_code == 2
    assert "'cudaa' is not a device" in result.stderr


@pytest.mark.parametrize(
    ("graph", "manifest"), [(ENCODER_GRAPH, ENCODER), (HEAD_GRAPH, HEAD)], ids=["encoder", "head"]
)
def test_a_file_becomes_a_model_that_runs(tmp_path: Path, graph: str, manifest: dict) -> None:
    file = write_model(tmp_path / "source", graph, manifest) / "model.onnx"
    folder = tmp_path / "mine"
    result = tectum("models", "add", str(file), "--into", str(folder), "--licence", "MIT")
    assert result.exit_code == 0, result.output
    assert f"{folder / 'model.yaml'}: check the lines marked (?)" in result.output
    made = read_manifest(folder)
    assert [tensor.name for tensor in made.inputs] == [t["name"] for t in manifest["inputs"]]
    assert [tensor.kind for tensor in made.inputs] == [t["kind"] for t in manifest["inputs"]]
    assert (made.licence, made.variants[0].name) == ("MIT", "fp32")
    stage = model_stage(made, CPU)
    stage.warm_up("fp32")
    stage.close()


AGED_GRAPH = """
<ir_version: 10, opset_import: ["" : 18]>
head (float[batch, 3] camera, float[batch, 3] lidar, float[batch, 2] INPUT)
    => (float[batch, 3] scores, float[batch, 2] told) {
  scores = Add(camera, lidar)
  told = Identity(INPUT)
}
"""


@pytest.mark.parametrize(
    ("name", "kind"),
    [("age", "age"), ("sensor_ages", "age"), ("Age_1", "age"), ("present", "mask"),
     ("presence_mask", "mask"), ("image", "embedding"), ("voltage", "embedding")],
)  # fmt: skip
def test_what_a_head_is_told_of_its_modalities_is_known_by_its_name(
    tmp_path: Path, name: str, kind: str
) -> None:
    graph = AGED_GRAPH.replace("INPUT", name)
    file = write_model(tmp_path / "source", graph, {}) / "model.onnx"
    result = tectum("models", "add", str(file), "--into", str(tmp_path / "mine"))
    assert result.exit_code == 0, result.output
    made = read_manifest(tmp_path / "mine")
    assert [tensor.kind for tensor in made.inputs] == ["embedding", "embedding", kind]
    assert made.modalities == tuple(
        tensor.name for tensor in made.inputs if tensor.kind == "embedding"
    )
    model_stage(made, CPU).warm_up("fp32")


@pytest.mark.parametrize("name", ["driving/head", "driving/head_attention"])
def test_a_shipped_head_is_drawn_as_its_own_manifest_has_it(tmp_path: Path, name: str) -> None:
    shipped = read_manifest(find(name))
    file = shipped.folder / shipped.variants[0].file
    result = tectum("models", "add", str(file), "--into", str(tmp_path / "mine"))
    assert result.exit_code == 0, result.output
    made = read_manifest(tmp_path / "mine")
    assert [(tensor.name, tensor.kind, tensor.shape) for tensor in made.inputs] == [
        (tensor.name, tensor.kind, tensor.shape) for tensor in shipped.inputs
    ]
    assert made.modalities == shipped.modalities
    assert made.preprocess == ()


DRAWN = [
    ("float[1, 3, 8, 10] x", "kind: image, dtype: float32", ["resize", "normalise", "layout"]),
    ("float[batch, 8, 10, 1] x", "encoding: mono8", ["resize", "normalise", "layout"]),
    ("float[batch, n, 4] x", "kind: points", []),
    ("float[1, 512] x", "rate_hz: 16000", ["pcm"]),
    ("float[batch, 5] x", "kind: tensor", []),
]


@pytest.mark.parametrize(("tensor", "words", "steps"), DRAWN)
def test_what_an_input_means_is_guessed_from_its_shape(
    tmp_path: Path, tensor: str, words: str, steps: list[str]
) -> None:
    graph = (
        '<ir_version: 10, opset_import: ["" : 18]>\n'
        f"net ({tensor}) => (float[rows, m] scores) {{ scores = Flatten(x) }}"
    )
    file = write_model(tmp_path / "source", graph, {}) / "model.onnx"
    result = tectum("models", "add", str(file), "--into", str(tmp_path / "mine"))
    assert result.exit_code == 0, result.output
    assert words in (tmp_path / "mine" / "model.yaml").read_text()
    manifest = read_manifest(tmp_path / "mine")
    assert [step.name for step in manifest.preprocess] == steps
    assert manifest.outputs[0].role == "scores"
    model_stage(manifest, CPU).warm_up("fp32")


def test_a_second_file_becomes_a_variant(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "camera", "camera")
    other = write_encoder(tmp_path / "other", "camera", seed=5) / "model.onnx"
    file = tmp_path / "small.onnx"
    shutil.copyfile(other, file)
    result = tectum("models", "add", str(file), "--into", str(folder), "--variant", "int8")
    assert result.exit_code == 0, result.output
    stage = model_stage(read_manifest(folder), CPU)
    assert stage.variants == ("fp32", "int8")
    for variant in stage.variants:
        stage.warm_up(variant)
    again = tectum("models", "add", str(file), "--into", str(folder), "--variant", "int8")
    assert again.stderr == (
        "tectum: test/camera has a variant 'int8' already: give this one another name\n"
    )


def test_a_variant_with_other_tensors_is_refused_and_the_manifest_kept(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "camera", "camera")
    before = (folder / "model.yaml").read_text()
    file = tmp_path / "other.onnx"
    shutil.copyfile(write_encoder(tmp_path / "other", "c", side=24) / "model.onnx", file)
    result = tectum("models", "add", str(file), "--into", str(folder), "--variant", "small")
    assert result.exit_code == 1
    assert "input 'image' is uint8 ['batch', 24, 24, 3]" in result.stderr
    assert (folder / "model.yaml").read_text() == before


def test_a_folder_that_has_a_model_is_not_overwritten(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "camera", "camera")
    result = tectum("models", "add", str(folder / "model.onnx"), "--into", str(folder))
    assert result.exit_code == 2
    assert "has a model.yaml already: name another folder with --into, or --var" in result.stderr


def test_a_file_that_is_no_model_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "notes.onnx"
    file.write_text("not a model")
    result = tectum("models", "add", str(file), "--into", str(tmp_path / "mine"))
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "mine").exists()
