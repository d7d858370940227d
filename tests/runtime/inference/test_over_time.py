"""A head over time: another head's answers, steadied."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tectum.errors import ConfigError
from tectum.inference.over_time import OverTime
from tectum.inference.session import NeverStopped
from tectum.inference.stage import OutputSpec, StageOutput
from tectum.inference.stages import build_stage

MS = 1_000_000
MOODS = ("calm", "glad")
INPUTS = {
    "face": (OutputSpec("mood", "scores", MOODS), OutputSpec("present", "probability")),
    "voice": (OutputSpec("mood", "scores", MOODS), OutputSpec("voice", "probability")),
}
VIEW = {"of": "present", "yes": "in view", "no": "nobody", "after": "200ms"}


def _stage(**rules: Any) -> OverTime:
    given = {"decision": "mood", "half_life": "100ms", "margin": 0.2, "hold": "200ms", **rules}
    spec = {"over_time": {**given, "head": {"late": {"rule": "mean"}}}}
    stage = build_stage(spec, name="head", inputs=INPUTS)
    assert isinstance(stage, OverTime)
    return stage


def _said(stage: OverTime, at_ms: int, **inputs: dict[str, Any] | None) -> StageOutput:
    """Run on what inputs say at a moment; each was captured 30 ms before it."""
    args = {
        name: None if said is None else StageOutput(
            {key: np.atleast_1d(np.array(value, np.float32)) for key, value in said.items()},
            stamp_ns=(at_ms - 30) * MS, age_ns=30 * MS,
        )
        for name, said in inputs.items()
    }  # fmt: skip
    return stage.run("default", args, None, NeverStopped())


def _face(glad: float) -> dict[str, Any]:
    return {"mood": [1 - glad, glad], "present": 0.9}


def test_its_results_are_the_heads_and_what_is_shown() -> None:
    stage = _stage(states={"view": VIEW})
    roles = {output.name: output.role for output in stage.outputs}
    assert roles == {
        "mood": "scores", "present": "probability", "voice": "probability",
        "shown": "label", "view": "label",
    }  # fmt: skip
    labels = {output.name: output.labels for output in stage.outputs}
    assert labels["shown"] == ("calm", "glad", "unsure")
    assert labels["view"] == ("in view", "nobody", "not known")


def test_scores_follow_and_the_label_holds() -> None:
    stage = _stage()
    shown = []
    for at_ms in range(0, 1000, 100):
        output = _said(stage, at_ms, face=_face(0.1 if at_ms < 500 else 0.9), voice=None)
        shown.append(int(output.arrays["shown"][0]))
    assert shown == [2, 2, 0, 0, 0, 0, 0, 0, 1, 1]
    assert output.arrays["mood"].dtype == np.float32
    assert output.arrays["mood"].sum() == pytest.approx(1)
    assert output.facts["present"] == ["face"]


def test_nobody_is_in_view_where_the_face_says_so_and_not_known_where_it_is_missing() -> None:
    stage, states = _stage(states={"view": VIEW}), []
    voice = {"mood": [0.5, 0.5], "voice": 0.1}
    for at_ms in range(0, 1200, 100):
        nobody = {"present": 0.0}
        face = _face(0.1) if at_ms < 200 else nobody if at_ms < 700 else None
        states.append(int(_said(stage, at_ms, face=face, voice=voice).arrays["view"][0]))
    assert states == [0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2]


def test_while_nobody_is_there_nothing_is_believed_and_who_comes_next_begins_anew() -> None:
    stage, shown = _stage(states={"view": VIEW}, needs=["view"]), []
    for at_ms in range(0, 1000, 100):
        nobody = {"mood": [0.1, 0.9], "present": 0.0}
        face = nobody if 400 <= at_ms < 800 else _face(0.1)
        output = _said(stage, at_ms, face=face, voice=None)
        shown.append(int(output.arrays["shown"][0]))
        if at_ms in (600, 700):
            assert output.arrays["mood"] == pytest.approx([0.5, 0.5])
    assert shown[:5] == [2, 2, 0, 0, 0]
    assert shown[6:] == [2, 2, 2, 2]


def test_one_that_comes_too_late_changes_nothing() -> None:
    stage = _stage()
    for at_ms in range(0, 500, 100):
        last = _said(stage, at_ms, face=_face(0.1), voice=None)
    late = _said(stage, 150, face=_face(0.9), voice=None)
    assert np.array_equal(late.arrays["mood"], last.arrays["mood"])
    assert np.array_equal(late.arrays["shown"], last.arrays["shown"])


def test_a_moment_without_a_decision_is_answered_too() -> None:
    stage = _stage()
    output = _said(stage, 0, face={"present": 0.0}, voice=None)
    assert output.arrays["mood"] == pytest.approx([0.5, 0.5])
    assert output.arrays["shown"].tolist() == [2]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"decision": "moods"}, "over_time.decision: 'moods' is not a result of the head with role sco"
                            "res (mood); did you mean 'mood'?"),
    ({"margin": 0}, "over_time.margin: 0.0 is not between 0 and 1"),
    ({"half_life": "soon"}, "over_time.half_life: 'soon' is not a time with its unit"),
    ({"states": {"view": {**VIEW, "of": "mood"}}}, "over_time.states.view.of: 'mood' is not a resul"
                                                   "t of the head with role probability"),
    ({"states": {"view": {**VIEW, "below": 0.7}}}, "states.view.below: 0.7 is not from 0 to less th"
                                                   "an `above` (0.6)"),
    ({"states": {"voice": VIEW}}, "the head gives a result 'voice' already"),
    ({"needs": ["viw"]}, "over_time.needs: 'viw' is not one of `states` (none)"),
    ({"speed": 1}, "over_time.speed: unknown key"),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "words"), WRONG)
def test_what_makes_no_sense_is_refused_with_its_place(rules: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _stage(**rules)
    assert words in str(caught.value)
