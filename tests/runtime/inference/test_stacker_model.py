"""A learned stacker that is a model: decisions and their ages in, one decision out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tectum.errors import ConfigError, ModelError
from tectum.inference.device import CPU
from tectum.inference.manifest import read_manifest
from tectum.inference.session import NeverStopped
from tectum.inference.stage import OutputSpec, Stage, StageOutput
from tectum.inference.stages import build_stage, model_stage
from tectum.testing.models import write_model

MS = 1_000_000
GRAPH = """
<ir_version: 10, opset_import: ["": 20]>
stacker (float[1, 2, 2] camera, float[1, 2, 2] lidar, float[1, 2] present, float[1, 2] age)
    => (float[1, 2, 2] occupancy) {
  axes = Constant<value = int64[1] {1}>()
  hundred = Constant<value = float {100.0}>()
  ten = Constant<value = float {10.0}>()
  there = ReduceSum(present, axes)
  old = ReduceSum(age, axes)
  tens = Mul(there, ten)
  hundreds = Mul(old, hundred)
  known = Add(tens, hundreds)
  seen = Add(camera, lidar)
  occupancy = Add(seen, known)
}
"""
"""Its answer tells what it was fed: the sum of decisions, 10 for each input, 100 per second old."""


def _tensor(name: str, kind: str, *sizes: int) -> dict[str, Any]:
    return {"name": name, "kind": kind, "dtype": "float32", "shape": [1, *sizes]}


MANIFEST = {
    "model": "test/stacker",
    "version": 1,
    "licence": "MIT",
    "modalities": ["camera", "lidar"],
    "inputs": [
        _tensor("camera", "scores", 2, 2), _tensor("lidar", "scores", 2, 2),
        _tensor("present", "mask", 2), _tensor("age", "age", 2),
    ],
    "outputs": [
        {"name": "occupancy", "role": "grid", "dtype": "float32", "shape": [1, 2, 2]},
    ],
}  # fmt: skip


def _grid(modality: str) -> OutputSpec:
    return OutputSpec("occupancy", "grid", facts={"modality": modality})


INPUTS = {
    "front": (OutputSpec("embedding", "embedding"), _grid("camera")),
    "lidar": (_grid("lidar"),),
    "siren": (OutputSpec("siren", "probability", facts={"modality": "siren"}),),
}
"""An input may be called otherwise than its modality."""


def _head(folder: Path, inputs: Any = None, **rules: Any) -> Stage:
    write_model(folder, GRAPH, MANIFEST)
    spec = {"late": {"rule": "stacker", "model": str(folder), **rules}}
    return build_stage(spec, name="head", inputs=INPUTS if inputs is None else inputs)


def _seen(value: float, age_ms: int = 0, side: int = 2) -> StageOutput:
    grid = np.full((side, side), value, np.float32)
    return StageOutput({"occupancy": grid}, age_ns=age_ms * MS)


def _run(head: Stage, **args: StageOutput | None) -> StageOutput:
    return head.run("fp32", args, None, NeverStopped())


@pytest.mark.parametrize(("front", "lidar"), [(True, True), (True, False), (False, True)])
def test_it_is_told_who_is_there_and_how_old_each_decision_is(
    tmp_path: Path, front: bool, lidar: bool
) -> None:
    head = _head(tmp_path)
    given = {"front": _seen(0.25, 20) if front else None, "lidar": _seen(0.5) if lidar else None}
    answer = _run(head, siren=None, **given).arrays["occupancy"]
    wanted = 0.25 * front + 0.5 * lidar + 10 * (front + lidar) + 100 * 0.02 * front
    assert answer.shape == (2, 2)
    assert answer == pytest.approx(np.full((2, 2), wanted))


def test_what_it_does_not_combine_passes_through_and_without_anybody_there_is_no_answer(
    tmp_path: Path,
) -> None:
    head = _head(tmp_path)
    assert [output.name for output in head.outputs] == ["occupancy", "siren"]
    heard = StageOutput({"siren": np.array([0.9], np.float32)})
    assert list(_run(head, front=None, lidar=None, siren=heard).arrays) == ["siren"]
    assert list(_run(head, front=_seen(1), lidar=None, siren=heard).arrays) == [
        "occupancy", "siren",
    ]  # fmt: skip


def test_contributions_and_the_hash_of_the_model_are_told(tmp_path: Path) -> None:
    head = _head(tmp_path, contribution=True)
    answer = _run(head, front=_seen(0.25), lidar=_seen(0.5))
    shares = answer.facts["contribution"]
    assert shares == {"occupancy": {"front": pytest.approx(10.25), "lidar": pytest.approx(10.5)}}
    assert list(head.models) == ["test/stacker"]  # type: ignore[attr-defined]
    assert list(head.sessions) == ["fp32"]  # type: ignore[attr-defined]


def test_it_can_be_measured_alone(tmp_path: Path) -> None:
    write_model(tmp_path, GRAPH, MANIFEST)
    stage = model_stage(read_manifest(tmp_path), CPU)
    stage.warm_up("fp32")
    assert stage.variants == ("fp32",)
    assert [output.name for output in stage.outputs] == ["occupancy"]
    stage.close()


def test_decisions_of_another_shape_are_named(tmp_path: Path) -> None:
    head = _head(tmp_path)
    with pytest.raises(ModelError, match=r"'camera' of the shape \[1, 2, 2\]; .* \[3, 3\]"):
        _run(head, front=_seen(1, side=3), lidar=None)


SCORES = (OutputSpec("occupancy", "scores", ("free", "taken")),)


@pytest.mark.parametrize(
    "inputs",
    [
        {"camera": SCORES, "lidar": SCORES},
        {"camera": (_grid("camera"),), "radar": (_grid("radar"),)},
        {"camera": (_grid("camera"),), "rear": (_grid("camera"),)},
    ],
    ids=["another role", "no modality of it", "a second camera"],
)
def test_what_it_has_not_learned_to_combine_is_refused(tmp_path: Path, inputs: Any) -> None:
    wanted = r"test/stacker combines 'occupancy' \(grid, labels \[\]\) of one each of camera, lidar"
    with pytest.raises(ConfigError, match=wanted):
        _head(tmp_path, inputs)


def test_a_head_over_embeddings_is_no_stacker(tmp_path: Path) -> None:
    other = {**MANIFEST, "inputs": [dict(row) for row in MANIFEST["inputs"]]}  # type: ignore[attr-defined]
    for row in other["inputs"][:2]:
        row["kind"] = "embedding"
    write_model(tmp_path, GRAPH, other)
    spec = {"late": {"rule": "stacker", "model": str(tmp_path)}}
    with pytest.raises(ConfigError, match="'test/stacker' is no stacker"):
        build_stage(spec, name="head", inputs=INPUTS)
