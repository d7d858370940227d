"""How does somebody look and sound? The shipped graph on clips, in processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tectum.message import Kind, Message
from tectum.recording.reader import LogReader

pytestmark = [pytest.mark.data, pytest.mark.realtime]

GRAPH = Path(__file__).parents[2] / "launch" / "tectum_launch" / "graphs" / "emotion.yaml"
CLIP = "talking_faces/lbax4n.mpg"
RATE = 16_000


def _launch(clip: Path, folder: Path) -> tuple[dict[str, Any], list[Message]]:
    """Run the shipped graph on a clip with a recorder; return its report and its results."""
    log, report, graph = folder / "log.mcap", folder / "report.json", folder / "emotion.yaml"
    recorder = f"  recorder: {{run: recorder, path: {log}, topics: [perception/result]}}\n"
    graph.write_text(GRAPH.read_text() + recorder)
    done = subprocess.run(
        [sys.executable, "-m", "tectum_launch", "launch", str(graph), "--set", f"clip={clip}",
         "--set", "budget=none", "--report", str(report)],
        env=dict(os.environ), cwd=folder, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    with LogReader(log) as reader:
        messages = [record.message for record in reader.messages(["perception/result"])]
    results = [message for message in messages if message.header.kind is Kind.RESULT]
    return json.loads(report.read_text()), results


def _output(message: Message, name: str) -> np.ndarray:
    return message.array(message.header.fields["result"]["outputs"][name]["buffer"])


def _labels(messages: Sequence[Message], name: str) -> list[str]:
    """Return the labels that held, each once for as long as it held."""
    said = []
    for message in messages:
        output = message.header.fields["result"]["outputs"][name]
        assert output["role"] == "label"
        said.append(output["labels"][int(_output(message, name)[0])])
    return [label for label, _ in groupby(said)]


def test_a_person_who_speaks_calmly_is_shown_as_neutral(data_folder: Path, tmp_path: Path) -> None:
    report, results = _launch(data_folder / CLIP, tmp_path)
    assert report["outcomes"]["shed"] == 0
    assert 14 <= len(results) <= 16  # of a clip of 3 s
    assert _labels(results, "shown") == ["unsure", "neutral"]
    assert _labels(results, "view") == ["somebody in view"]
    speaking = _labels(results, "speaking")
    assert speaking[-2:] == ["somebody speaking", "nobody speaking"]
    for message in results:
        assert _output(message, "expression").sum() == pytest.approx(1, abs=1e-3)
    used = [
        {name for name, item in message.header.fields["result"]["inputs"].items()
         if item["status"] == "fresh"}
        for message in results
    ]  # fmt: skip
    assert used[-1] == {"face", "voice", "manner"}


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
    report, results = _launch(clip, tmp_path)
    assert report["outcomes"]["shed"] == 0
    assert _labels(results, "view") == [
        "not known", "nobody in view", "somebody in view", "nobody in view",
    ]  # fmt: skip
    assert _labels(results, "speaking") == [
        "not known", "nobody speaking", "somebody speaking", "nobody speaking",
    ]  # fmt: skip
    assert _labels(results, "shown") == ["unsure", "neutral", "unsure"]
    assert _output(results[5], "expression") == pytest.approx(np.full(7, 1 / 7), abs=0.03)
