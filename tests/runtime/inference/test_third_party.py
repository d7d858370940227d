"""Every manifest of other people's models, on real recordings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from tectum.errors import ModelError
from tectum.inference.encoder import OnnxEncoder
from tectum.inference.postprocess import iou
from tectum.inference.session import NeverStopped
from tectum.inference.stage import Cut, Stage, StageOutput
from tectum.inference.stages import build_stage
from tectum.message import Kind
from tectum.testing.messages import make_message

pytestmark = pytest.mark.data

SHIPPED = Path(__file__).parents[3] / "models" / "tectum_models" / "third_party"
NAMES = sorted(path.parent.name for path in SHIPPED.glob("*/model.yaml"))
EXPRESSIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def _stage(*names: str) -> Stage:
    folders = [{"folder": str(SHIPPED / name)} for name in names]
    spec: dict[str, Any] = {"model": folders[0]} if len(names) == 1 else {"chain": folders}
    return build_stage(spec, name="encoder", inputs=["input"])


def _see(stage: Stage, image: np.ndarray, encoding: str = "bgr8") -> StageOutput:
    message = make_message("camera/image", Kind.IMAGE, image, encoding=encoding, frame_id="front")
    return stage.run("fp32", {"input": Cut((message,))}, None, NeverStopped())


def _hear(stage: Stage, sound: np.ndarray) -> np.ndarray:
    """Return the voice probability of each hop of 512 samples, state carried."""
    message = make_message("mic/audio", Kind.AUDIO, sound[:, None], first=0, rate_hz=16000)
    state, voices = None, []
    for begin in range(0, len(sound) - 511, 512):
        cut = Cut((message,), begin, 512)
        output = stage.run("fp32", {"input": cut}, state, NeverStopped())
        state = output.state
        voices.append(float(output.arrays["voice"][0]))
    return np.array(voices)


def _clip(path: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the frames (bgr8) and the sound (int16 mono, 16 kHz) of a video file."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    resampler = av.AudioResampler(format="s16", layout="mono", rate=16000)
    with av.open(str(path)) as container:
        blocks = [
            block.to_ndarray().reshape(-1)
            for frame in container.decode(audio=0)
            for block in resampler.resample(frame)
        ]
    return frames, np.concatenate(blocks)


@pytest.mark.parametrize("name", NAMES)
def test_every_model_is_what_its_manifest_says_and_runs(data_folder: Path, name: str) -> None:
    stage = _stage(name)
    assert isinstance(stage, OnnxEncoder)
    stage.warm_up("fp32")
    placement = stage.sessions["fp32"].placement()
    assert sum(placement.values()) > 0
    assert all(len(digest) == 64 for digest in stage.models.values())


def test_fastestdet_sees_the_cars_whatever_the_encoding(data_folder: Path) -> None:
    path = data_folder / "kitti_seq" / "image_02" / "0000000000.jpg"
    stage = _stage("fastestdet")
    image = cv2.imread(str(path))
    boxes = _see(stage, image).arrays["boxes"]
    cars = boxes[boxes[:, 5] == stage.outputs[0].labels.index("car")]
    # the car ahead fills the middle of the lane; the one on the left lane is nearer
    ahead = cars[(cars[:, 0] > 480) & (cars[:, 2] < 760) & (cars[:, 3] > 300)]
    left = cars[(cars[:, 2] < 450) & (cars[:, 3] > 300)]
    assert ahead[:, 4].max() > 0.7
    assert left[:, 4].max() > 0.7
    as_jpeg = _see(stage, np.fromfile(path, np.uint8), "jpeg").arrays["boxes"]
    assert np.allclose(as_jpeg, boxes)
    as_rgb = _see(stage, np.ascontiguousarray(image[..., ::-1]), "rgb8").arrays["boxes"]
    assert np.allclose(as_rgb, boxes)


def test_fastestdet_sees_nothing_in_an_empty_image(data_folder: Path) -> None:
    output = _see(_stage("fastestdet"), np.full((375, 1242, 3), 128, np.uint8))
    assert output.arrays["boxes"].shape == (0, 6)


def test_the_face_and_its_expression_are_found_in_every_clip(data_folder: Path) -> None:
    stage = _stage("ultraface", "mini_xception")
    assert stage.outputs[-1].labels == EXPRESSIONS
    for path in sorted((data_folder / "talking_faces").glob("*.mpg")):
        frames, _ = _clip(path)
        for frame in frames[::15]:
            output = _see(stage, frame)
            (face,) = output.arrays["face"]
            assert output.arrays["face_present"][0] > 0.9
            # one person before the camera, the face upright in the middle of 360 x 288
            assert 0 < face[0] < 180 < face[2] < 360
            assert 0.5 < (face[2] - face[0]) / (face[3] - face[1]) < 1.1
            assert output.arrays["expression"].shape == (7,)
            assert output.arrays["expression"].sum() == pytest.approx(1, abs=1e-3)


def test_where_there_is_no_face_there_is_no_expression(data_folder: Path) -> None:
    output = _see(_stage("ultraface", "mini_xception"), np.full((288, 360, 3), 90, np.uint8))
    assert output.facts["found"] == 0
    assert output.arrays["face_present"].tolist() == [0.0]
    assert "expression" not in output.arrays


def test_a_voice_is_heard_in_every_clip_and_its_pauses_too(data_folder: Path) -> None:
    stage = _stage("silero")
    for path in sorted((data_folder / "talking_faces").glob("*.mpg")):
        _, sound = _clip(path)
        voices = _hear(stage, sound)
        # each clip is a sentence of about 1.5 s with silence before and after
        assert 0.25 < (voices > 0.5).mean() < 0.8
        assert voices.max() > 0.95
        assert voices[:5].max() < 0.5


def test_neither_silence_nor_noise_nor_a_tone_is_a_voice(data_folder: Path) -> None:
    stage = _stage("silero")
    samples = np.arange(16000)
    noise = np.random.default_rng(7).normal(0, 800, 16000).astype(np.int16)
    tone = (8000 * np.sin(2 * np.pi * 440 * samples / 16000)).astype(np.int16)
    for sound in (np.zeros(16000, np.int16), noise, tone):
        assert (_hear(stage, sound) > 0.5).mean() < 0.1


def test_the_voice_model_depends_on_what_it_heard_before(data_folder: Path) -> None:
    stage = _stage("silero")
    _, sound = _clip(sorted((data_folder / "talking_faces").glob("*.mpg"))[0])
    carried = _hear(stage, sound)
    anew = np.concatenate(
        [_hear(stage, sound[begin : begin + 512]) for begin in range(0, len(sound) - 511, 512)]
    )
    assert (carried > 0.5).sum() > (anew > 0.5).sum()
    assert carried[0] == pytest.approx(anew[0])


def test_without_its_file_the_error_says_where_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("TECTUM_MODELS", "TECTUM_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert "TECTUM_DATA" not in os.environ
    with pytest.raises(ModelError, match=r"needs silero_vad\.onnx, .* `tectum models pull third"):
        _stage("silero")


def test_yunet_finds_the_face_that_ultraface_finds_and_where_its_parts_are(
    data_folder: Path,
) -> None:
    small, large = _stage("yunet"), _stage("ultraface")
    for path in sorted((data_folder / "talking_faces").glob("*.mpg")):
        frames, _ = _clip(path)
        for frame in frames[::15]:
            output = _see(small, frame)
            (face,), (marks,) = output.arrays["face"], output.arrays["landmarks"]
            assert output.arrays["face_present"][0] > 0.9
            over_union, _ = iou(face, _see(large, frame).arrays["face"])
            assert over_union.max() > 0.6
            assert marks.shape == (5, 2)
            assert np.all((marks > face[:2]) & (marks < face[2:4]))
            right_eye, left_eye, nose, right_corner, left_corner = marks
            # people look into the camera: their right is on the left
            assert right_eye[0] < nose[0] < left_eye[0]
            assert right_corner[0] < left_corner[0]
            assert max(right_eye[1], left_eye[1]) < nose[1] < min(right_corner[1], left_corner[1])


def test_yunets_face_moves_and_grows_with_the_picture(data_folder: Path) -> None:
    stage = _stage("yunet")
    frame = _clip(data_folder / "talking_faces" / "bbaf2n.mpg")[0][30]
    (face,) = _see(stage, frame).arrays["face"]
    moved = np.full((432, 540, 3), 110, np.uint8)
    moved[100:388, 150:510] = frame
    (other,), (marks,) = (_see(stage, moved).arrays[name] for name in ("face", "landmarks"))
    assert np.allclose(other[:4], face[:4] + np.array([150, 100, 150, 100]), atol=12)
    assert np.all((marks > other[:2]) & (marks < other[2:4]))


def test_yunet_finds_each_of_two_people(data_folder: Path) -> None:
    clips = sorted((data_folder / "talking_faces").glob("*.mpg"))[:2]
    frames = [_clip(path)[0][30] for path in clips]
    output = _see(_stage("yunet"), np.concatenate(frames, axis=1))
    left, right = sorted(output.arrays["face"].tolist())
    assert left[2] < 360 < right[0]
    assert output.arrays["landmarks"].shape == (2, 5, 2)


def test_yunet_finds_nobody_in_an_empty_image(data_folder: Path) -> None:
    output = _see(_stage("yunet"), np.full((288, 360, 3), 128, np.uint8))
    assert output.arrays["face"].shape == (0, 6)
    assert output.arrays["landmarks"].shape == (0, 5, 2)
    assert output.arrays["face_present"].tolist() == [0.0]


def _heard(stage: Stage, sound: np.ndarray) -> tuple[dict[str, float], str]:
    """Return the probabilities of YAMNet's groups, and the likeliest kind of sound."""
    message = make_message(
        "mic/audio", Kind.AUDIO, sound[:, None].astype(np.int16), first=0, rate_hz=16000
    )
    arrays = stage.run("fp32", {"input": Cut((message,))}, None, NeverStopped()).arrays
    assert arrays["sounds"].shape == (521,)
    groups = {name: float(arrays[name][0]) for name in ("speech", "siren", "horn", "music")}
    return groups, stage.outputs[0].labels[arrays["sounds"].argmax()]


def test_yamnet_hears_speech_in_every_clip_and_silence_in_silence(data_folder: Path) -> None:
    stage = _stage("yamnet")
    for path in sorted((data_folder / "talking_faces").glob("*.mpg")):
        _, sound = _clip(path)
        groups, best = _heard(stage, sound[16000:31600])
        assert best == "Speech"
        assert groups["speech"] > 0.5
        assert max(groups["siren"], groups["horn"], groups["music"]) < 0.1
    groups, best = _heard(stage, np.zeros(15600))
    assert best == "Silence"
    assert max(groups.values()) < 0.1


def test_yamnet_takes_noise_and_tones_for_what_they_are(data_folder: Path) -> None:
    stage = _stage("yamnet")
    noise = np.random.default_rng(7).normal(0, 2000, 15600)
    assert _heard(stage, noise)[1] in ("Static", "White noise", "Noise")
    sweep = 900 + 300 * np.sign(np.sin(2 * np.pi * np.arange(15600) / 16000))
    tones = 9000 * np.sin(2 * np.pi * np.cumsum(sweep) / 16000)
    assert _heard(stage, tones)[1] in ("Sine wave", "Busy signal", "Beep, bleep")


def test_yamnet_fills_a_short_sound_up_and_takes_the_newest_of_a_long_one(
    data_folder: Path,
) -> None:
    stage = _stage("yamnet")
    _, sound = _clip(data_folder / "talking_faces" / "bbaf2n.mpg")
    whole, _ = _heard(stage, sound[16000:31600])
    long, _ = _heard(stage, np.concatenate([np.zeros(9000), sound[16000:31600]]))
    assert long == whole
    short, best = _heard(stage, sound[20000:28000])
    assert best == "Speech"
    assert short["speech"] > 0.5
