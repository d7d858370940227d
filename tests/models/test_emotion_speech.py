"""The shipped speech-emotion model, run as a graph runs it."""

from __future__ import annotations

import numpy as np
import pytest

from tectum.inference.session import NeverStopped
from tectum.inference.stage import Cut, Stage, StageOutput
from tectum.inference.stages import build_stage
from tectum.message import AnyArray, Kind
from tectum.testing.messages import make_message
from tectum_models.catalogue import find

HOP = 8000


def _stage() -> Stage:
    spec = {"model": {"folder": str(find("emotion/speech"))}}
    return build_stage(spec, name="voice", inputs=["voice"])


def _hop(stage: Stage, samples: AnyArray, before: StageOutput | None) -> StageOutput:
    message = make_message(
        "microphone/audio", Kind.AUDIO, samples[:, None].astype(np.int16), rate_hz=16000, first=0
    )
    state = before.state if before else None
    return stage.run("fp32", {"voice": Cut((message,), 0, HOP)}, state, NeverStopped())


def _voice(begin: int) -> AnyArray:
    """A buzz at 150 Hz: as periodic as a vowel."""
    times = (begin + np.arange(HOP)) / 16000
    return 6000 * sum(np.sin(2 * np.pi * 150 * k * times) / k for k in range(1, 20))


def test_silence_is_not_speech_and_has_no_emotion() -> None:
    found = _hop(_stage(), np.zeros(HOP), None)
    assert found.arrays["speech"] == pytest.approx([0])
    assert found.arrays["emotion"] == pytest.approx(np.full(7, 1 / 7), abs=1e-5)
    assert found.arrays["expression"] == pytest.approx(np.full(7, 1 / 7), abs=1e-5)


def test_a_voice_is_speech_its_scores_sum_to_one_and_it_is_remembered() -> None:
    stage, found = _stage(), None
    for k in range(8):
        found = _hop(stage, _voice(k * HOP), found)
    assert found is not None
    assert found.arrays["speech"] == pytest.approx([1])
    for name in ("emotion", "expression"):
        assert np.isfinite(found.arrays[name]).all()
        assert found.arrays[name].sum() == pytest.approx(1, abs=1e-5)
    assert found.state is not None
    assert float(np.asarray(found.state["count"]).item()) > 4  # windows that it has adapted to


def test_the_file_is_under_a_megabyte() -> None:
    assert (find("emotion/speech") / "speech.onnx").stat().st_size < 1_000_000
