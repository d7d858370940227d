from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from tectum.errors import ConfigError
from tectum.inference.head import OnnxHead
from tectum.inference.manifest import read_manifest
from tectum.inference.session import NeverStopped
from tectum.inference.stage import OutputSpec, StageOutput
from tectum.testing.models import HEAD, HEAD_GRAPH, write_model

CAMERA = np.array([[1, 2, 3]], np.float32)
LIDAR = np.array([[10, 20, 30]], np.float32)


def _gives(modality: str) -> tuple[OutputSpec, ...]:
    return (
        OutputSpec("code", "embedding", facts={"modality": modality}),
        OutputSpec("own", "probability", facts={"modality": modality}),
    )


def _head(folder: Path, inputs: dict[str, tuple[OutputSpec, ...]] | None = None, **options: bool):
    write_model(folder, HEAD_GRAPH, HEAD)
    default = {"camera": _gives("camera"), "lidar": _gives("lidar")}
    return OnnxHead(read_manifest(folder), name="head", inputs=inputs or default, **options)


def _args(camera: bool, lidar: bool) -> dict[str, StageOutput | None]:
    return {
        "camera": StageOutput({"code": CAMERA}) if camera else None,
        "lidar": StageOutput({"code": LIDAR}) if lidar else None,
    }


@pytest.mark.parametrize(("camera", "lidar"), list(product([True, False], repeat=2)))
def test_what_is_absent_is_zeros_and_masked(tmp_path: Path, camera: bool, lidar: bool) -> None:
    output = _head(tmp_path).run("fp32", _args(camera, lidar), None, NeverStopped())
    expected = 6 * camera + 6000 * lidar
    assert output.arrays["seen"].tolist() == [expected]
    assert output.arrays["masked"].tolist() == [expected]
    assert output.arrays["there"].tolist() == [camera + lidar]
    assert output.facts["present"] == ["camera"] * camera + ["lidar"] * lidar


def test_nothing_is_left_of_an_embedding_in_a_later_run_without_it(tmp_path: Path) -> None:
    head = _head(tmp_path)
    head.run("fp32", _args(True, True), None, NeverStopped())
    output = head.run("fp32", _args(False, True), None, NeverStopped())
    assert output.arrays["seen"].tolist() == [6000]


def test_embeddings_are_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = _head(tmp_path)
    session = head.sessions["fp32"]
    fed: list[dict[str, np.ndarray]] = []
    run = session.run
    monkeypatch.setattr(session, "run", lambda feeds, stop: fed.append(feeds) or run(feeds, stop))
    head.run("fp32", _args(True, False), None, NeverStopped())
    head.run("fp32", _args(True, False), None, NeverStopped())
    assert fed[0]["camera"] is CAMERA
    assert fed[0]["lidar"] is fed[1]["lidar"]  # the buffer of zeros, made once
    assert not fed[0]["lidar"].flags.writeable


AGED_GRAPH = """
<ir_version: 10, opset_import: ["": 20]>
head (float[batch, 3] camera, float[batch, 3] lidar, float[batch, 2] age)
    => (float[batch, 2] late) {
  late = Identity(age)
}
"""


def test_a_head_that_asks_is_told_how_old_each_modality_is(tmp_path: Path) -> None:
    age = {"name": "age", "kind": "age", "dtype": "float32", "shape": ["batch", 2]}
    late = {"name": "late", "role": "tensor", "dtype": "float32", "shape": ["batch", 2]}
    write_model(
        tmp_path, AGED_GRAPH, {**HEAD, "inputs": [*HEAD["inputs"][:2], age], "outputs": [late]}
    )
    inputs = {"lidar": _gives("lidar"), "camera": _gives("camera")}
    head = OnnxHead(read_manifest(tmp_path), name="head", inputs=inputs)
    args = {
        "lidar": StageOutput({"code": LIDAR}, age_ns=-2_000_000),
        "camera": StageOutput({"code": CAMERA}, age_ns=100_000_000),
    }
    output = head.run("fp32", args, None, NeverStopped())
    assert output.arrays["late"] == pytest.approx([0.1, -0.002])
    alone = head.run("fp32", {**args, "camera": None}, None, NeverStopped())
    assert alone.arrays["late"] == pytest.approx([0.0, -0.002])


def test_an_input_may_have_another_name_than_its_modality(tmp_path: Path) -> None:
    head = _head(tmp_path, {"front": _gives("camera"), "lidar": _gives("lidar")})
    args = {"front": StageOutput({"code": CAMERA}), "lidar": None}
    output = head.run("fp32", args, None, NeverStopped())
    assert output.arrays["seen"].tolist() == [6]


def test_a_modality_that_the_graph_lacks_is_absent_for_good(tmp_path: Path) -> None:
    head = _head(tmp_path, {"lidar": _gives("lidar")})
    output = head.run("fp32", {"lidar": StageOutput({"code": LIDAR})}, None, NeverStopped())
    assert output.arrays["there"].tolist() == [1]


def test_contributions_are_told_when_asked_for(tmp_path: Path) -> None:
    head = _head(tmp_path, contribution=True)
    output = head.run("fp32", _args(True, True), None, NeverStopped())
    shares = output.facts["contribution"]
    assert shares["masked"] == {"camera": 6.0, "lidar": 6000.0}
    assert shares["there"] == {"camera": 1.0, "lidar": 1.0}


def test_it_can_be_warmed_up(tmp_path: Path) -> None:
    _head(tmp_path).warm_up("fp32")


def test_an_input_without_an_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="input 'lidar' gives no embedding: test/head needs an"):
        _head(tmp_path, {"camera": _gives("camera"), "lidar": ()})


def test_an_input_of_an_unknown_modality_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'radar' is no modality .* one each of: camera, lidar"):
        _head(tmp_path, {"radar": _gives("radar")})


def test_two_inputs_of_one_modality_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'rear' is no modality of test/head, or the second"):
        _head(tmp_path, {"camera": _gives("camera"), "rear": _gives("camera")})


@pytest.mark.parametrize(("contribution", "runs"), [(False, 1), (True, 3)])
def test_warming_up_again_costs_what_an_answer_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contribution: bool, runs: int
) -> None:
    head = _head(tmp_path, contribution=contribution)
    head.warm_up("fp32")
    real, made = head.sessions["fp32"].run, []
    monkeypatch.setattr(head.sessions["fp32"], "run", lambda *args: made.append(1) or real(*args))
    head.warm_up("fp32")
    assert len(made) == runs
    head.run("fp32", _args(True, True), None, NeverStopped())
    assert len(made) == 2 * runs
