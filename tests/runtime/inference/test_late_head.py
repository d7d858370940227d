from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tectum.errors import ConfigError, ModelError
from tectum.fusion.stacker import Stacker
from tectum.inference.late_head import LateHead
from tectum.inference.session import NeverStopped
from tectum.inference.stage import OutputSpec, StageOutput

MOODS = ("calm", "glad")


def _grid(modality: str) -> OutputSpec:
    return OutputSpec("occupancy", "grid", facts={"cell_m": 2, "modality": modality})


DRIVING = {
    "camera": (OutputSpec("embedding", "embedding"), _grid("camera")),
    "lidar": (OutputSpec("embedding", "embedding"), _grid("lidar")),
    "siren": (OutputSpec("approaching", "probability"),),
}
TALKING = {
    "face": (OutputSpec("face", "boxes"), OutputSpec("present", "probability")),
    "mood": (OutputSpec("mood", "scores", MOODS),),
    "voice": (OutputSpec("voice", "probability"),),
}


def _given(**arrays: Any) -> StageOutput:
    return StageOutput({name: np.array(value, np.float32) for name, value in arrays.items()})


def _head(inputs: Any, **spec: Any) -> LateHead:
    return LateHead(spec, name="head", inputs=inputs)


def _run(head: LateHead, **args: StageOutput | None) -> StageOutput:
    return head.run("default", args, None, NeverStopped())


CAMERA = _given(embedding=[0], occupancy=[[0.8, 0.5]])
LIDAR = _given(embedding=[0], occupancy=[[0.75, 0.5]])
SIREN = _given(approaching=[0.3])


def test_decisions_of_one_name_are_combined() -> None:
    output = _run(_head(DRIVING, rule="product"), camera=CAMERA, lidar=LIDAR, siren=SIREN)
    assert output.arrays["occupancy"] == pytest.approx(np.array([[12 / 13, 0.5]]))
    assert output.arrays["occupancy"].dtype == np.float32


def test_what_only_one_input_decides_passes_through() -> None:
    output = _run(_head(DRIVING, rule="product"), camera=CAMERA, lidar=LIDAR, siren=SIREN)
    assert output.arrays["approaching"] is SIREN.arrays["approaching"]
    assert "embedding" not in output.arrays


def test_a_missing_input_is_left_out_of_the_rule() -> None:
    output = _run(_head(DRIVING, rule="mean"), camera=CAMERA, lidar=None, siren=None)
    assert output.arrays["occupancy"] is CAMERA.arrays["occupancy"]
    assert list(output.arrays) == ["occupancy"]
    assert output.facts["present"] == ["camera"]


def test_without_any_input_there_is_no_answer_and_no_error() -> None:
    output = _run(_head(DRIVING, rule="mean"), camera=None, lidar=None, siren=None)
    assert output.arrays == {}


def test_weights_are_by_input() -> None:
    head = _head(DRIVING, rule="mean", weights={"camera": 3})
    output = _run(head, camera=_given(occupancy=[[1.0]]), lidar=_given(occupancy=[[0.0]]))
    assert output.arrays["occupancy"] == pytest.approx(np.array([[0.75]]))


def test_an_input_of_weight_0_does_not_decide() -> None:
    head = _head(DRIVING, rule="mean", weights={"camera": 0})
    both = _run(head, camera=CAMERA, lidar=LIDAR)
    assert np.array_equal(both.arrays["occupancy"], LIDAR.arrays["occupancy"])
    assert "occupancy" not in _run(head, camera=CAMERA, lidar=None).arrays


def test_its_outputs_say_what_they_mean_and_not_which_input_they_are_of() -> None:
    head = _head(DRIVING, rule="product")
    assert [(output.name, output.role) for output in head.outputs] == [
        ("occupancy", "grid"),
        ("approaching", "probability"),
    ]
    assert dict(head.outputs[0].facts) == {"cell_m": 2}


SPEAKING = {"speaking": {"from": {"face": "present", "voice": "voice"}}}


def test_named_results_say_what_they_are_made_of() -> None:
    head = _head(TALKING, rule="all", outputs=SPEAKING)
    output = _run(
        head,
        face=_given(face=np.zeros((1, 6)), present=[0.9]),
        mood=_given(mood=[0.2, 0.8]),
        voice=_given(voice=[0.5]),
    )
    assert output.arrays["speaking"] == pytest.approx([0.45])
    assert list(output.arrays) == ["speaking", "face", "mood"]
    assert [item.name for item in head.outputs] == ["speaking", "face", "mood"]


def test_a_result_may_have_a_rule_of_its_own() -> None:
    outputs = {"speaking": {"rule": "mean", **SPEAKING["speaking"]}}
    head = _head(TALKING, rule="all", outputs=outputs)
    output = _run(head, face=_given(present=[0.9]), voice=_given(voice=[0.5]))
    assert output.arrays["speaking"] == pytest.approx([0.7])


def test_a_chain_that_found_nothing_leaves_its_scores_out() -> None:
    head = _head(TALKING, rule="all", outputs=SPEAKING)
    output = _run(head, face=_given(face=np.zeros((0, 6)), present=[0.0]), voice=_given(voice=[1]))
    assert output.arrays["speaking"] == pytest.approx([0.0], abs=1e-5)
    assert "mood" not in output.arrays


def test_contributions_are_told_when_asked_for() -> None:
    head = _head(DRIVING, rule="mean", contribution=True)
    output = _run(head, camera=_given(occupancy=[[1.0]]), lidar=_given(occupancy=[[0.0]]))
    shares = output.facts["contribution"]
    assert shares == {"occupancy": {"camera": pytest.approx(0.5), "lidar": pytest.approx(0.5)}}


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ModelError, match="'occupancy' cannot be combined: shapes"):
        _run(_head(DRIVING, rule="mean"), camera=CAMERA, lidar=_given(occupancy=[[1.0]]))


WRONG = [
    (DRIVING, {"rule": "median"}, "late.rule: 'median' is not one of mean, product, vote, all"),
    (DRIVING, {"rule": "mean", "wieghts": {}}, "late.wieghts: unknown key .*mean 'weights'"),
    (DRIVING, {"rule": "mean", "weights": {"radar": 1}}, "weights.radar: unknown key .*camera"),
    (DRIVING, {"rule": "mean", "weights": {"lidar": -1}}, "weights.lidar: -1.0 is not 0 or more"),
    (TALKING, {"rule": "all", "outputs": {"s": {"from": {"voice": "vioce"}}}},
     "outputs.s.from.voice: 'vioce' is not one of voice; did you mean 'voice'"),
    (TALKING, {"rule": "all", "outputs": {"s": {"from": {"ear": "voice"}}}},
     "outputs.s.from.ear: unknown key"),
    (TALKING, {"rule": "all", "outputs": {"s": {}}}, "outputs.s.from: .* is not a mapping of in"),
    (TALKING, {"rule": "all", "outputs": {"s": {"from": {"mood": "mood", "voice": "voice"}}}},
     "'voice' of input 'voice' .* cannot be combined with 'mood'"),
    ({**DRIVING, "radar": ()}, {"rule": "mean"}, "input 'radar' has no encoder"),
]  # fmt: skip


@pytest.mark.parametrize(("inputs", "spec", "message"), WRONG)
def test_what_is_wrong_is_named(inputs: Any, spec: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _head(inputs, **spec)


def test_dempsters_rule_doubts_by_default_and_reports_the_conflict() -> None:
    sure = {"face": _given(mood=[0.99, 0.01]), "mood": _given(mood=[0.01, 0.99])}
    inputs = {name: (OutputSpec("mood", "scores", MOODS),) for name in sure}
    output = _run(_head(inputs, rule="dempster"), **sure)
    assert output.arrays["mood"] == pytest.approx([0.5, 0.5])
    # with a tenth of doubt: 2 * (0.9 * 0.99)^2 would be agreement on opposite labels
    conflict = output.facts["conflict"]["mood"]
    assert conflict == pytest.approx(0.81 * (0.99**2 + 0.01**2))
    certain = _run(_head(inputs, rule="dempster", discount=0), **sure)
    assert certain.facts["conflict"]["mood"] == pytest.approx(0.99**2 + 0.01**2)


def test_a_temperature_calms_one_input_only() -> None:
    head = _head(DRIVING, rule="mean", temperature={"camera": 2.0})
    output = _run(head, camera=_given(occupancy=[[0.9]]), lidar=_given(occupancy=[[0.9]]))
    assert output.arrays["occupancy"] == pytest.approx(np.array([[(0.75 + 0.9) / 2]]))


def test_an_old_decision_counts_less_and_a_lone_one_too() -> None:
    head = _head(DRIVING, rule="mean", half_life={"camera": 100_000_000})
    old = _given(occupancy=[[0.9]])._replace(age_ns=100_000_000)
    assert _run(head, camera=old, lidar=None).arrays["occupancy"] == pytest.approx(0.7)
    both = _run(head, camera=old, lidar=_given(occupancy=[[0.9]])._replace(age_ns=100_000_000))
    assert both.arrays["occupancy"] == pytest.approx(0.8)
    of_all = _head(DRIVING, rule="mean", half_life={"*": "100ms"})
    assert _run(of_all, lidar=old, camera=None).arrays["occupancy"] == pytest.approx(0.7)


def test_a_learned_stacker_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "stack.json"
    only_face = Stacker({"face": np.eye(2), "voice": np.zeros((2, 2))}, np.zeros(2))
    file.write_text(json.dumps(only_face.document()))
    inputs = {name: (OutputSpec("mood", "scores", MOODS),) for name in ("face", "voice")}
    head = _head(inputs, rule="stacker", file=str(file))
    face, voice = _given(mood=[0.8, 0.2]), _given(mood=[0.1, 0.9])
    assert _run(head, face=face, voice=voice).arrays["mood"] == pytest.approx([0.8, 0.2])
    assert _run(head, face=None, voice=voice).arrays["mood"] == pytest.approx([0.5, 0.5])
    three = {**inputs, "text": (OutputSpec("mood", "scores", MOODS),)}
    with pytest.raises(ConfigError, match="learned to combine 2 scores of face, voice"):
        _head(three, rule="stacker", file=str(file))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rule": "stacker"}, "late.file: '' is not the path of a stacker's JSON file"),
        ({"rule": "stacker", "file": "/nowhere.json"}, "/nowhere.json: not a stacker's file"),
        ({"rule": "mean", "temperature": {"cam": 2}}, "temperature.cam: unknown key"),
        ({"rule": "mean", "temperature": {"camera": 0}}, "temperature.camera: 0.0 is not above 0"),
        ({"rule": "mean", "half_life": {"lidra": 5}}, "half_life.lidra: unknown key"),
    ],
)
def test_what_confidence_and_stackers_need_is_named(settings: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _head({name: DRIVING[name][1:] for name in ("camera", "lidar")}, **settings)
