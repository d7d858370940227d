"""A learned head over time: decisions and the state of the moment before in, both out."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tectum.errors import ConfigError
from tectum.inference.device import CPU
from tectum.inference.manifest import read_manifest
from tectum.inference.over_time import OverTime
from tectum.inference.recurrent import RecurrentHead
from tectum.inference.session import NeverStopped
from tectum.inference.stage import OutputSpec, StageOutput
from tectum.inference.stages import build_stage, model_stage
from tectum.testing.models import write_model

MS = 1_000_000
MOODS = ("calm", "glad")
GRAPH = """
<ir_version: 10, opset_import: ["": 20]>
head (float[1, 2] face, float[1, 2] voice, float[1, 2] present, float[1, 2] age,
      float[1, 1] elapsed, float[1, 2] hidden, float[1, 5] known)
    => (float[1, 2] mood, float[1, 2] hidden_next, float[1, 5] known_next) {
  seen = Add(face, voice)
  hidden_next = Add(seen, hidden)
  mood = Softmax(hidden_next)
  known_next = Concat<axis = 1>(present, age, elapsed)
}
"""


def _tensor(name: str, kind: str, width: int, **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": kind, "dtype": "float32", "shape": [1, width], **more}


MANIFEST = {
    "model": "test/over_time",
    "version": 1,
    "licence": "MIT",
    "modalities": ["face", "voice"],
    "stateful": True,
    "inputs": [
        _tensor("face", "scores", 2), _tensor("voice", "scores", 2), _tensor("present", "mask", 2),
        _tensor("age", "age", 2), _tensor("elapsed", "elapsed", 1),
        _tensor("hidden", "state", 2, next="hidden_next"),
        _tensor("known", "state", 5, next="known_next"),
    ],
    "outputs": [
        {"name": "mood", "role": "scores", "dtype": "float32", "shape": [1, 2], "labels": MOODS},
        {"name": "hidden_next", "role": "state", "dtype": "float32", "shape": [1, 2]},
        {"name": "known_next", "role": "state", "dtype": "float32", "shape": [1, 5]},
    ],
}  # fmt: skip
MANIFEST["outputs"][0]["labels"] = list(MOODS)


def _gives(modality: str, labels: tuple[str, ...] = MOODS) -> tuple[OutputSpec, ...]:
    return (
        OutputSpec("mood", "scores", labels, {"modality": modality}),
        OutputSpec(f"{modality}_there", "probability"),
    )


# As in the graph `emotion`: an input may be called like a modality and decide something else.
INPUTS = {
    "face": _gives("face"), "manner": _gives("voice"),
    "voice": (OutputSpec("sound", "probability"),),
}  # fmt: skip


def _head(folder: Path, inputs: Any = None, decision: str = "mood") -> RecurrentHead:
    write_model(folder, GRAPH, MANIFEST)
    given = INPUTS if inputs is None else inputs
    return RecurrentHead(read_manifest(folder), name="head", inputs=given, decision=decision)


def _said(at_ms: int, glad: float | None, age_ms: int = 30, **more: float) -> StageOutput:
    arrays = {name: np.array([value], np.float32) for name, value in more.items()}
    if glad is not None:
        arrays["mood"] = np.array([1 - glad, glad], np.float32)
    return StageOutput(arrays, stamp_ns=(at_ms - age_ms) * MS, age_ns=age_ms * MS)


def _known(output: StageOutput) -> list[float]:
    assert output.state is not None
    return [round(float(value), 6) for value in np.asarray(output.state["known"])[0]]


@pytest.mark.parametrize(("face", "voice"), list(product([True, False], repeat=2)))
def test_what_is_absent_is_zeros_masked_and_of_no_age(
    tmp_path: Path, face: bool, voice: bool
) -> None:
    args = {
        "face": _said(100, 0.9) if face else None,
        "manner": _said(100, 0.9, 400) if voice else _said(100, None),
        "voice": _said(100, None, sound=0.5),
    }
    output = _head(tmp_path).run("fp32", args, None, NeverStopped())
    assert _known(output) == [face, voice, 0.03 * face, 0.4 * voice, 0]
    weight = 0.8 * (face + voice)
    assert output.arrays["mood"][1] == pytest.approx(1 / (1 + np.exp(-weight)))
    assert np.isfinite(output.arrays["mood"]).all()


def test_it_goes_on_from_the_state_of_the_moment_before_and_is_told_how_long_that_is(
    tmp_path: Path,
) -> None:
    head = _head(tmp_path)
    first = head.run("fp32", {"face": _said(100, 0.9), "manner": None}, None, NeverStopped())
    then = head.run("fp32", {"face": _said(350, 0.9), "manner": None}, first.state, NeverStopped())
    assert _known(first)[-1] == 0
    assert _known(then)[-1] == pytest.approx(0.25)
    assert first.arrays["mood"][1] == pytest.approx(1 / (1 + np.exp(-0.8)))
    assert then.arrays["mood"][1] == pytest.approx(1 / (1 + np.exp(-1.6)))


def test_it_can_be_measured_alone(tmp_path: Path) -> None:
    write_model(tmp_path, GRAPH, MANIFEST)
    stage = model_stage(read_manifest(tmp_path), CPU)
    stage.warm_up("fp32")
    assert [output.name for output in stage.outputs] == ["mood"]
    stage.close()


def _steady(folder: Path, **rules: Any) -> OverTime:
    write_model(folder, GRAPH, MANIFEST)
    rules = {"decision": "mood", "model": str(folder), "margin": 0.2, "hold": "200ms", **rules}
    spec = {"over_time": {**rules, "head": {"late": {"rule": "mean"}}}}
    stage = build_stage(spec, name="head", inputs=INPUTS)
    assert isinstance(stage, OverTime)
    return stage


def _at(stage: OverTime, at_ms: int, glad: float, there: float = 1.0) -> StageOutput:
    args = {"face": _said(at_ms, glad, face_there=there), "manner": None, "voice": None}
    return stage.run("default", args, None, NeverStopped())


def test_beside_a_head_it_takes_the_place_of_the_smoothing_and_the_label_holds(
    tmp_path: Path,
) -> None:
    stage = _steady(tmp_path)
    stage.warm_up("default")
    answers = [_at(stage, at_ms, 0.9) for at_ms in range(0, 600, 100)]
    glad = [float(answer.arrays["mood"][1]) for answer in answers]
    assert glad == pytest.approx([1 / (1 + np.exp(-0.8 * (k + 1))) for k in range(6)])
    assert [int(answer.arrays["shown"][0]) for answer in answers] == [2, 2, 2, 1, 1, 1]
    assert "test/over_time" in stage.models


def test_one_that_comes_too_late_is_not_taken_up(tmp_path: Path) -> None:
    stage = _steady(tmp_path)
    for at_ms in (0, 100, 200):
        last = _at(stage, at_ms, 0.9)
    assert np.array_equal(_at(stage, 150, 0.1).arrays["mood"], last.arrays["mood"])
    following = _at(stage, 300, 0.9)
    assert following.arrays["mood"][1] == pytest.approx(1 / (1 + np.exp(-3.2)))


def test_while_nobody_is_there_it_forgets(tmp_path: Path) -> None:
    view = {"of": "face_there", "yes": "in view", "no": "nobody", "after": "100ms"}
    stage = _steady(tmp_path, states={"view": view}, needs=["view"])
    for at_ms in (0, 100, 200):
        _at(stage, at_ms, 0.9)
    gone = [_at(stage, at_ms, 0.9, there=0.0) for at_ms in (300, 400, 500)]
    assert gone[-1].arrays["mood"] == pytest.approx([0.5, 0.5])
    back = _at(stage, 600, 0.9)
    assert back.arrays["mood"][1] == pytest.approx(1 / (1 + np.exp(-0.8)))


OTHER = ("calm", "sad")
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"decision": "emotion"}, "gives no scores 'emotion', which `decision` names; it gives: mood"),
    ({"inputs": {"a": (), "b": ()}}, "no input decides 'mood'; test/over_time takes it of"),
    ({"inputs": {"hand": _gives("hand")}}, "input 'hand' decides 'mood', but is no modality of"),
    ({"inputs": {"a": _gives("face"), "b": _gives("face")}}, "input 'b' decides 'mood', but is no"),
    ({"inputs": {"face": _gives("face", OTHER)}}, "knows the labels ['calm', 'glad']; input 'face' "
                                                  "decides between ['calm', 'sad']"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "words"), WRONG)
def test_what_does_not_fit_is_named(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _head(tmp_path, **settings)
    assert words in str(caught.value)
