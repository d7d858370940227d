from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tectum.errors import ConfigError, ModelError
from tectum.inference.manifest import Manifest, read_manifest
from tectum.testing.models import ENCODER, HEAD

SHIPPED = Path(__file__).parents[3] / "models" / "tectum_models"

EXAMPLE = """
model: driving/siren
version: 2
modality: siren
task: Is a siren approaching?
licence: Apache-2.0
training: {data: simulated, seed: 7}
on: sample
hop: 512
stateful: true
inputs:
  - {name: sound, kind: audio, dtype: int16, shape: [batch, 576], rate_hz: 16000, context: 64}
  - {name: state, kind: state, dtype: float32, shape: [1, 8], next: state_after}
outputs:
  - {name: embedding, role: embedding, dtype: float32, shape: [batch, 32]}
  - {name: state_after, role: state, dtype: float32, shape: [1, 8]}
  - name: map
    role: grid
    dtype: float32
    shape: [batch, 24, 16]
    unit: probability
    grid: {x_min_m: 0, y_min_m: -16, cell_m: 2}
variants:
  - name: fp32
    file: siren.onnx
    sha256: 0123456789abcdef
    quality: {accuracy: 0.9}
    latency_ms: {cpu: 2}
  - {name: int8, source: {file: other.onnx, where: somewhere}}
"""


def _read(folder: Path, text: str) -> Manifest:
    (folder / "model.yaml").write_text(text, encoding="utf-8")
    return read_manifest(folder)


def _changed(folder: Path, base: dict[str, Any], path: str, value: Any) -> Manifest:
    """Read `base` with the key at `path` (dots and numbers) set to `value`; ... removes it."""
    document = copy.deepcopy({"variants": [{"name": "fp32", "file": "a.onnx"}], **base})
    target: Any = document
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in parents:
        target = target[part]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return _read(folder, json.dumps(document))


def test_a_manifest_is_read_as_written(tmp_path: Path) -> None:
    manifest = _read(tmp_path, EXAMPLE)
    assert (manifest.model, manifest.version, manifest.modality) == ("driving/siren", 2, "siren")
    assert (manifest.on, manifest.hop, manifest.stateful) == ("sample", 512, True)
    assert manifest.inputs[0].context == 64
    assert manifest.inputs[1].next == "state_after"
    assert manifest.outputs[0].shape == ("batch", 32)
    assert manifest.outputs[2].facts["grid"] == {"x_min_m": 0, "y_min_m": -16, "cell_m": 2}
    assert manifest.results == manifest.outputs
    assert manifest.variant("fp32").latency_ms == {"cpu": 2.0}
    assert manifest.variant("int8").source is not None
    assert not manifest.is_head


def test_a_head_lists_the_modalities_that_it_fuses(tmp_path: Path) -> None:
    manifest = _read(tmp_path, json.dumps({"variants": [{"name": "a", "file": "a"}], **HEAD}))
    assert manifest.is_head
    assert manifest.modalities == ("camera", "lidar")


@pytest.mark.parametrize(
    "path", sorted(SHIPPED.glob("*/*/model.yaml")), ids=lambda p: p.parent.name
)
def test_every_shipped_manifest_can_be_read(path: Path) -> None:
    manifest = read_manifest(path.parent)
    assert manifest.model == f"{path.parent.parent.name}/{path.parent.name}"
    assert manifest.licence


WRONG = [
    ("modalty", "camera", "modalty: unknown key .value 'camera'.; allowed here: .*did you mean "
     "'modality'"),
    ("inputs.0.knd", "image", r"inputs\[0\]\.knd: unknown key .*did you mean 'kind'"),
    ("inputs.0.kind", "picture", r"inputs\[0\]\.kind: 'picture' is not one of image, audio"),
    ("inputs.0.dtype", "float31", r"inputs\[0\]\.dtype: 'float31' .*did you mean 'float32'"),
    ("inputs.0.shape", [1.5], r"inputs\[0\]\.shape: \[1\.5\] is not a list of sizes"),
    ("outputs.1.role", "chance", r"outputs\[1\]\.role: 'chance' is not one of embedding, grid"),
    ("version", "1", "version: '1' is not a whole number"),
    ("version", ..., "version is missing: give a whole number"),
    ("stateful", "no", "stateful: 'no' is not true or false"),
    ("stateful", True, "stateful: True is not what the inputs say"),
    ("variants", [], "variants: .* is not a list with at least one variant"),
    ("variants.0.file", ..., r"variants\[0\]\.file is missing"),
    ("variants.0.sha256", "xyz", r"variants\[0\]\.sha256: 'xyz' is not 64 hex digits"),
    ("variants.0.latency_ms", {"cpu": "2ms"}, r"latency_ms\.cpu: '2ms' is not a number"),
    ("preprocess", ["resize"], r"preprocess\[0\]: 'resize' is not a mapping"),
    ("preprocess", [{"resize": {}, "cast": {}}], r"preprocess\[0\]: .* is not one step"),
    ("modality", ..., r"modality: '', modalities: \[\]: give one of the two"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "message"), WRONG)
def test_what_is_wrong_is_named_with_its_place_and_what_is_allowed(
    tmp_path: Path, path: str, value: Any, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        _changed(tmp_path, ENCODER, path, value)
    assert str(tmp_path / "model.yaml") in str(caught.value)


def test_a_modality_without_an_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="modalities: 'radar' is not the name of an input"):
        _changed(tmp_path, HEAD, "modalities", ["camera", "radar"])


def test_a_state_without_its_output_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"inputs\[1\]\.next: 'after' is not one of the outputs"):
        _read(tmp_path, EXAMPLE.replace("next: state_after", "next: after"))


def test_a_stateful_model_must_take_its_input_in_order(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="on: 'trigger' is not sample"):
        _read(tmp_path, EXAMPLE.replace("on: sample", "on: trigger"))


def test_sound_needs_its_rate(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"inputs\[0\]\.rate_hz: 0 is not the samples per second"):
        _read(tmp_path, EXAMPLE.replace("rate_hz: 16000, ", ""))


def test_a_folder_without_a_manifest_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no model in .*nowhere: model\.yaml cannot be"):
        read_manifest(tmp_path / "nowhere")


def test_a_file_that_is_not_yaml_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not YAML") as caught:
        _read(tmp_path, "model: [")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("role", "shape", "delivered"),
    [
        ("grid", ["batch", 2, 3], (2, 3)),
        ("grid", [1, 2, 3], (2, 3)),
        ("embedding", ["batch", 2, 3], (1, 2, 3)),
        ("boxes", ["boxes", 2, 3], (1, 2, 3)),
    ],
)
def test_results_are_delivered_without_their_batch_axis(
    tmp_path: Path, role: str, shape: list[Any], delivered: tuple[int, ...]
) -> None:
    output = {"name": "x", "role": role, "dtype": "float32", "shape": shape, "tensor": "y"}
    (result,) = _changed(tmp_path, ENCODER, "outputs", [output]).results
    assert result.taken_from({"y": np.zeros((1, 2, 3))}).shape == delivered


def test_a_result_that_is_no_tensor_is_named(tmp_path: Path) -> None:
    output = {"name": "x", "role": "grid", "dtype": "float32", "shape": [1], "tensor": "scoers"}
    (result,) = _changed(tmp_path, ENCODER, "outputs", [output]).results
    with pytest.raises(ModelError, match="result 'x' is tensor 'scoers'; there are: scores; did"):
        result.taken_from({"scores": np.zeros(1)})


def test_a_single_number_keeps_its_axis(tmp_path: Path) -> None:
    output = {"name": "x", "role": "probability", "dtype": "float32", "shape": [1]}
    (result,) = _changed(tmp_path, ENCODER, "outputs", [output]).results
    assert result.taken_from({"x": np.zeros(1)}).shape == (1,)


def test_an_unknown_variant_is_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no variant 'fp16'; it has: fp32, int8"):
        _read(tmp_path, EXAMPLE).variant("fp16")
