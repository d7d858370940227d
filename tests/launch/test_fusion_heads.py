"""Every kind of fusion, from what a graph file says to the stage that it makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from tectum.errors import ConfigError
from tectum.fusion.late import RULES
from tectum.fusion.stacker import Stacker
from tectum.inference.session import NeverStopped
from tectum.inference.stage import OutputSpec, Stage, StageOutput
from tectum.inference.stages import build_stage
from tectum_launch.head_schema import HeadConfig
from tectum_launch.stages import resolve_head

MOOD = (OutputSpec("mood", "scores", ("calm", "glad")),)
BOXES = (OutputSpec("boxes", "boxes", ("person", "car")),)
RIG = {"frames": {}, "cameras": {}}


def _stage(head: dict[str, Any], inputs: Any, folder: Path) -> Stage:
    resolved = resolve_head("head", HeadConfig.model_validate(head), folder)
    spec = json.loads(json.dumps(resolved.spec))  # as it travels to the node
    return build_stage(spec, name="head", inputs=inputs, rig=RIG)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_can_be_named_in_a_graph(rule: str, tmp_path: Path) -> None:
    stage = _stage({"late": rule}, {"a": MOOD, "b": MOOD}, tmp_path)
    assert [output.name for output in stage.outputs] == ["mood"]


def test_doubt_temperature_and_half_life_are_given_with_units(tmp_path: Path) -> None:
    head = {
        "late": {
            "rule": "dempster", "discount": 0.2, "temperature": {"a": 1.5},
            "half_life": {"b": "300ms"},
        }
    }  # fmt: skip
    _stage(head, {"a": MOOD, "b": MOOD}, tmp_path)
    fading = {"late": {"rule": "mean", "half_life": "100ms"}}
    stage = _stage(fading, {"a": MOOD, "b": MOOD}, tmp_path)
    old = StageOutput({"mood": np.array([0.9, 0.1], np.float32)}, age_ns=100_000_000)
    fused = stage.run("default", {"a": old, "b": old}, None, NeverStopped())
    assert fused.arrays["mood"] == pytest.approx([0.7, 0.3])


def test_a_stackers_file_lies_beside_the_graph(tmp_path: Path) -> None:
    stacker = Stacker({"a": np.eye(2), "b": np.eye(2)}, np.zeros(2))
    (tmp_path / "stack.json").write_text(json.dumps(stacker.document()))
    head = {"late": {"rule": "stacker", "file": "stack.json"}}
    assert _stage(head, {"a": MOOD, "b": MOOD}, tmp_path).outputs[0].name == "mood"


STACKER = """
model: test/stacker
version: 1
licence: MIT
modalities: [a, b]
inputs:
  - {name: a, kind: scores, dtype: float32, shape: [1, 2]}
  - {name: b, kind: scores, dtype: float32, shape: [1, 2]}
outputs: [{name: mood, role: scores, dtype: float32, shape: [1, 2], labels: [calm, glad]}]
variants:
  - {name: fp32, file: one.onnx, latency_ms: {cpu: 0.5}}
  - {name: int8, file: two.onnx, latency_ms: {cpu: 0.25}}
"""


def test_a_stacker_that_is_a_model_lies_in_a_folder_and_has_variants_and_a_cost(
    tmp_path: Path,
) -> None:
    (tmp_path / "model.yaml").write_text(STACKER)
    config = HeadConfig.model_validate({"late": {"rule": "stacker", "model": "./"}})
    resolved = resolve_head("head", config, tmp_path)
    assert resolved.plan.variants == ("fp32", "int8")
    assert resolved.claims_ns() == {"fp32": 500_000, "int8": 250_000}
    assert resolved.spec == {"late": {"rule": "stacker", "model": str(tmp_path)}}


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ({"intermediate": "./"}, "stacker of decisions: write head: {late: {rule: stacker, model"),
        ({"late": {"rule": "mean", "model": "./"}}, "for the rule stacker, .* the rule is mean"),
        (
            {"late": {"rule": "stacker", "file": "a.json", "model": "./"}},
            "in place of `file`; .* file is 'a.json': leave one of them out",
        ),
        (
            {"late": {"rule": "stacker", "model": "driving/head"}},
            "'driving/head' is no stacker: it has no inputs of kind `scores`",
        ),
    ],
)
def test_where_a_stacker_does_not_belong_is_said(
    head: dict[str, Any], words: str, tmp_path: Path
) -> None:
    (tmp_path / "model.yaml").write_text(STACKER)
    with pytest.raises(ConfigError, match=words):
        resolve_head("head", HeadConfig.model_validate(head), tmp_path)


@pytest.mark.parametrize("track", [True, {"keep": "500ms", "confirm": 3}])
def test_objects_are_followed_on_request(track: Any, tmp_path: Path) -> None:
    stage = _stage({"objects": {"track": track}}, {"camera": BOXES, "lidar": ()}, tmp_path)
    assert "lead_time_to_collision" in [output.name for output in stage.outputs]


@pytest.mark.parametrize(
    ("early", "output"),
    [
        ({"paint": {"points": "lidar", "image": "camera"}}, "painted"),
        ({"stack": {"camera": "rgb8", "lidar": "mono8"}}, "stacked"),
    ],
)
def test_raw_samples_are_fused_early(early: Any, output: str, tmp_path: Path) -> None:
    stage = _stage({"early": early}, {"camera": (), "lidar": ()}, tmp_path)
    assert [spec.name for spec in stage.outputs] == [output]


@pytest.mark.parametrize(
    "head",
    [
        {"late": {"rule": "mean", "half_life": "0s"}},
        {"late": {"rule": "dempster", "discount": 1}},
        {"objects": {"track": {"kep": "1s"}}},
        {"early": {"model": "x"}},
    ],
)
def test_what_makes_no_sense_is_refused(head: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HeadConfig.model_validate(head)


def test_any_head_can_be_steadied_over_time(tmp_path: Path) -> None:
    present = (*MOOD, OutputSpec("present", "probability"))
    states = {"view": {"of": "present", "yes": "in view", "no": "nobody", "above": 0.7}}
    over_time = {"decision": "mood", "half_life": "1s", "hold": "200ms", "states": states}
    head = {"late": "product", "over_time": over_time}
    stage = _stage(head, {"a": present, "b": MOOD}, tmp_path)
    assert [output.name for output in stage.outputs] == ["mood", "present", "shown", "view"]


@pytest.mark.parametrize(
    ("over_time", "words"),
    [
        ({}, "decision\n  Field required"),
        ({"decision": "mood", "half_life": "fast"}, "half_life"),
        ({"decision": "mood", "states": {"view": {"of": "present", "yes": "a"}}}, "no\n"),
        (
            {"decision": "mood", "model": "a", "half_life": "1s"},
            "`half_life` belongs to the",
        ),
    ],
)
def test_a_wrong_key_of_over_time_is_named(over_time: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        HeadConfig.model_validate({"late": "mean", "over_time": over_time})


def test_without_a_model_over_time_smooths(tmp_path: Path) -> None:
    head = {"late": "mean", "over_time": {"decision": "mood", "model": None}}
    stage = _stage(head, {"a": MOOD, "b": MOOD}, tmp_path)
    for at_ms, glad in ((0, 0.2), (200, 0.9)):
        said = np.array([1 - glad, glad], np.float32)
        args = {"a": StageOutput({"mood": said}, stamp_ns=at_ms * 1_000_000), "b": None}
        answer = stage.run("default", args, None, NeverStopped())
    assert 0.2 < answer.arrays["mood"][1] < 0.5


def test_only_a_head_over_time_stands_under_over_time_and_it_stands_nowhere_else(
    tmp_path: Path,
) -> None:
    over_time = {"decision": "expression", "model": "driving/head"}
    with pytest.raises(ConfigError, match="'driving/head' carries nothing over time: no `state`"):
        _stage({"late": "mean", "over_time": over_time}, {"a": MOOD, "b": MOOD}, tmp_path)
    with pytest.raises(ConfigError, match="'emotion/over_time' is a head over time: it belongs"):
        _stage({"intermediate": "emotion/over_time"}, {"a": MOOD, "b": MOOD}, tmp_path)
