"""The shipped speech-emotion model, run as a graph runs it."""

from __future__ import annotations

import csv
from pathlib import Path

import av
import numpy as np
import pytest

from tectum.inference.files import find_file
from tectum.inference.manifest import read_manifest
from tectum.inference.session import NeverStopped
from tectum.inference.stage import Cut, Stage, StageOutput
from tectum.inference.stages import build_stage
from tectum.message import AnyArray, Kind
from tectum.testing.messages import make_message
from tectum_models.catalogue import find

HOP = 8000
VARIANTS = ("fp32", "int8")


def _stage() -> Stage:
    spec = {"model": {"folder": str(find("emotion/speech"))}}
    return build_stage(spec, name="voice", inputs=["voice"])


def _hop(
    stage: Stage, samples: AnyArray, before: StageOutput | None, variant: str = "fp32"
) -> StageOutput:
    message = make_message(
        "microphone/audio", Kind.AUDIO, samples[:, None].astype(np.int16), rate_hz=16000, first=0
    )
    state = before.state if before else None
    return stage.run(variant, {"voice": Cut((message,), 0, HOP)}, state, NeverStopped())


def _voice(begin: int) -> AnyArray:
    """A buzz at 150 Hz: as periodic as a vowel."""
    times = (begin + np.arange(HOP)) / 16000
    return 6000 * sum(np.sin(2 * np.pi * 150 * k * times) / k for k in range(1, 20))


@pytest.mark.parametrize("variant", VARIANTS)
def test_silence_is_not_speech_and_has_no_emotion(variant: str) -> None:
    found = _hop(_stage(), np.zeros(HOP), None, variant)
    assert found.arrays["speech"] == pytest.approx([0])
    assert found.arrays["emotion"] == pytest.approx(np.full(7, 1 / 7), abs=1e-5)
    assert found.arrays["expression"] == pytest.approx(np.full(7, 1 / 7), abs=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_voice_is_speech_its_scores_sum_to_one_and_it_is_remembered(variant: str) -> None:
    stage, found = _stage(), None
    for k in range(8):
        found = _hop(stage, _voice(k * HOP), found, variant)
    assert found is not None
    assert found.arrays["speech"] == pytest.approx([1])
    for name in ("emotion", "expression"):
        assert np.isfinite(found.arrays[name]).all()
        assert found.arrays[name].sum() == pytest.approx(1, abs=1e-5)
    assert found.state is not None
    assert float(np.asarray(found.state["count"]).item()) > 4  # windows that it has adapted to


@pytest.mark.parametrize("sound", ["soft", "loud", "noise"])
def test_integers_give_what_numbers_give_however_loud_and_never_nan(sound: str) -> None:
    rng, stage = np.random.default_rng(3), _stage()
    samples = {
        "soft": _voice(0) / 400, "loud": np.clip(_voice(0) * 4, -32768, 32767),
        "noise": rng.integers(-32768, 32768, HOP),
    }[sound]  # fmt: skip
    full, small = (_hop(stage, samples, None, variant) for variant in VARIANTS)
    for name, values in full.arrays.items():
        assert np.isfinite(small.arrays[name]).all()
        assert small.arrays[name] == pytest.approx(values, abs=0.15)


def test_a_graph_that_is_late_may_change_variants_from_hop_to_hop() -> None:
    stage, found, same = _stage(), None, None
    for k in range(8):
        found = _hop(stage, _voice(k * HOP), found, VARIANTS[k % 2])
        same = _hop(stage, _voice(k * HOP), same)
    assert found is not None
    assert same is not None
    assert found.arrays["emotion"] == pytest.approx(same.arrays["emotion"], abs=0.1)


def _utterances(folder: Path) -> tuple[list[AnyArray], list[str]]:
    """Return every seventh utterance, at 16 kHz, and its emotion."""
    rows = list(csv.DictReader((folder / "emodb" / "labels.csv").read_text().splitlines()))[::7]
    sounds = []
    for row in rows:
        resampler, parts = av.AudioResampler("s16", "mono", 16000), []
        path = folder / "emodb" / row["split"] / f"{row['name']}.flac"
        with av.open(str(path)) as container:
            for frame in (*container.decode(audio=0), None):
                parts += [part.to_ndarray()[0] for part in resampler.resample(frame)]
        sounds.append(np.concatenate(parts)[:32000])
    return sounds, [row["emotion"] for row in rows]


def _unheard(before: StageOutput | None) -> StageOutput | None:
    """Return the run before as if it had adapted to nothing."""
    if before is None or before.state is None:
        return None
    kept = {name: np.asarray(value) for name, value in before.state.items()}
    zeros = {name: np.zeros_like(kept[name]) for name in ("heard", "count")}
    return before._replace(state={**kept, **zeros})


@pytest.mark.data
def test_integers_hear_the_emotion_that_numbers_hear(data_folder: Path) -> None:
    sounds, emotions = _utterances(data_folder)
    told: dict[str, list[str]] = {variant: [] for variant in VARIANTS}
    stage = _stage()
    labels = stage.outputs[0].labels
    for sound in sounds:
        padded = np.pad(sound, (0, 4 * HOP - len(sound)))
        for variant in VARIANTS:
            found = None
            for k in range(4):  # the window is full after four hops
                hop = padded[k * HOP : (k + 1) * HOP]
                found = _hop(stage, hop, _unheard(found), variant)
            told[variant].append(labels[found.arrays["emotion"].argmax()])
    full, small = (np.array(told[variant]) for variant in VARIANTS)
    assert (full == small).mean() >= 0.9
    right = np.array(emotions)
    assert (small == right).mean() >= (full == right).mean() - 0.05
    assert (full == right).mean() > 0.7  # speakers that it was trained on


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_file_is_under_a_megabyte(variant: str) -> None:
    manifest = read_manifest(find("emotion/speech"))
    assert find_file(manifest, manifest.variant(variant)).stat().st_size < 1_000_000
