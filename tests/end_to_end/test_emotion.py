"""How does somebody look and sound? The shipped graph on clips: as recordings, and live.

What is answered is judged on recordings in virtual time, so that it does not depend on how busy
this machine is; that it runs live, as processes, is seen once.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby
from pathlib import Path

import av
import numpy as np
import pytest

from tectum.message import Kind
from tectum.recording.reader import LogReader
from tectum.result_stream import Result
from tectum_launch.embedded_log import embed_log

pytestmark = [pytest.mark.data, pytest.mark.realtime]

CLIP = "talking_faces/lbax4n.mpg"
RATE = 16_000


def _tectum(*arguments: object) -> None:
    command = [sys.executable, "-m", "tectum_launch", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr


def _answers(clip: Path, folder: Path) -> list[Result]:
    """Return the shipped graph's results on a clip, in virtual time; none is shed."""
    log = folder / "clip.mcap"
    _tectum("import", clip, "-o", log)
    results = list(embed_log("emotion", log))
    assert {result.document["outcome"] for result in results} <= {"complete", "partial"}
    return results


def _labels(results: Sequence[Result], name: str) -> list[str]:
    """Return the labels that held, each once for as long as it held."""
    said = []
    for result in results:
        output = result.document["outputs"][name]
        assert output["role"] == "label"
        said.append(output["labels"][int(result.arrays[name][0])])
    return [label for label, _ in groupby(said)]


def test_a_person_who_speaks_calmly_is_shown_as_neutral(data_folder: Path, tmp_path: Path) -> None:
    results = _answers(data_folder / CLIP, tmp_path)
    assert 14 <= len(results) <= 16  # of a clip of 3 s
    assert _labels(results, "shown") == ["unsure", "neutral"]
    assert _labels(results, "view") == ["somebody in view"]
    assert _labels(results, "speaking")[-2:] == ["somebody speaking", "nobody speaking"]
    for result in results:
        assert result.arrays["expression"].sum() == pytest.approx(1, abs=1e-3)
    inputs = results[-1].document["inputs"]
    assert {name: item["status"] for name, item in inputs.items()} == {
        "face": "fresh", "voice": "fresh", "manner": "fresh",
    }  # fmt: skip


def test_the_same_clip_gives_the_same_answers(data_folder: Path, tmp_path: Path) -> None:
    first = _answers(data_folder / CLIP, tmp_path)
    second = list(embed_log("emotion", tmp_path / "clip.mcap"))
    for one, other in zip(first, second, strict=True):
        for name, array in one.arrays.items():
            assert np.array_equal(array, other.arrays[name]), name


def _with_nobody_around(clip: Path, path: Path, seconds: int) -> None:
    """Write `clip` between so many seconds of an empty, silent room."""
    with av.open(str(clip)) as source:
        frames = [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]
    resampler, parts = av.AudioResampler("s16", "mono", RATE), []
    with av.open(str(clip)) as source:
        for frame in source.decode(audio=0):
            parts += [part.to_ndarray()[0] for part in resampler.resample(frame)]
    room = [np.full_like(frames[0], 110)] * (25 * seconds)
    silence = np.zeros(RATE * seconds, np.int16)
    sound = np.concatenate([silence, np.concatenate(parts)[: 640 * len(frames)], silence])
    with av.open(str(path), "w") as target:
        video = target.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 360, 288, "yuv420p"
        video.bit_rate = 2_000_000
        audio = target.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for number, image in enumerate((*room, *frames, *room)):
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            target.mux(video.encode(picture))
            piece = sound[640 * number : 640 * (number + 1)]
            block = av.AudioFrame.from_ndarray(piece[None], format="s16", layout="mono")
            block.sample_rate, block.pts, block.time_base = RATE, 640 * number, Fraction(1, RATE)
            target.mux(audio.encode(block))
        target.mux(video.encode(None))
        target.mux(audio.encode(None))


def test_who_comes_and_goes_is_told_and_an_empty_room_has_no_expression(
    data_folder: Path, tmp_path: Path
) -> None:
    clip = tmp_path / "visit.mkv"
    _with_nobody_around(data_folder / CLIP, clip, seconds=3)
    results = _answers(clip, tmp_path)
    assert _labels(results, "view") == [
        "not known", "nobody in view", "somebody in view", "nobody in view",
    ]  # fmt: skip
    assert _labels(results, "speaking") == [
        "not known", "nobody speaking", "somebody speaking", "nobody speaking",
    ]  # fmt: skip
    assert _labels(results, "shown") == ["unsure", "neutral", "unsure"]
    assert results[5].arrays["expression"] == pytest.approx(np.full(7, 1 / 7), abs=0.03)


def test_it_runs_live_in_place_of_a_camera_and_a_microphone(
    data_folder: Path, tmp_path: Path
) -> None:
    log, report = tmp_path / "log.mcap", tmp_path / "report.json"
    _tectum("launch", "emotion", "--set", f"clip={data_folder / CLIP}", "--set", "budget=none",
            "--record", log, "--report", report)  # fmt: skip
    with LogReader(log) as reader:
        messages = [record.message for record in reader.messages(["perception/result"])]
    results = [message for message in messages if message.header.kind is Kind.RESULT]
    found = json.loads(report.read_text())
    assert found["triggers"] == len(results) >= 14
    assert found["unexplained_loss"] == 0
    answered = [message.header.fields["result"]["outputs"] for message in results]
    assert {"expression", "shown", "view", "speaking"} <= {
        name for outputs in answered for name in outputs
    }
