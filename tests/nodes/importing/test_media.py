"""A video is imported on one time line, first and last sample where its container has them."""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tectum_nodes.importing.base import UNDATED_NS

MS = 1_000_000
CLIPS = ("bbaf2n", "brbk7n", "pwij3p")
FFPROBE_5_1 = {"first": 0.0, "last_picture": 2.96, "pictures": 75, "end_of_sound": 2.977955}
"""What ffprobe 5.1.9 says of every clip: `ffprobe -select_streams v:0 -show_entries
frame=best_effort_timestamp_time CLIP`, and of `a:0` the last frame's time and duration."""


def clip(path: Path) -> Path:
    """Pictures at uneven times from 40 ms on; sound from the begin, with a gap."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        audio = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        for number, at_ms in enumerate((40, 80, 130, 300)):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 20 * number, np.uint8))
            frame.pts, frame.time_base = at_ms, Fraction(1, 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for at_ms in (0, 200):
            sound = av.AudioFrame.from_ndarray(np.ones((1, 800), np.int16), "s16", "mono")
            sound.sample_rate, sound.time_base, sound.pts = 8000, Fraction(1, 8000), at_ms * 8
            container.mux(audio.encode(sound))
        container.mux(audio.encode(None))
    return path


def test_pictures_and_sound_keep_their_times_and_a_gap_stays_one(
    tmp_path: Path, imported: Any
) -> None:
    log = imported(clip(tmp_path / "clip.mkv"), audio_rate="8kHz", chunk="50ms")
    pictures, sound = log.of("camera/image"), log.of("microphone/audio")
    assert [m.header.stamp_ns - UNDATED_NS for m in pictures] == [
        n * MS for n in (40, 80, 130, 300)
    ]
    assert [m.header.stamp_ns - UNDATED_NS for m in sound] == [n * MS for n in (0, 50, 200, 250)]
    assert [m.header.fields["first"] for m in sound] == [0, 400, 1600, 2000]
    assert [at_ns for at_ns, _ in log.records] == sorted(at_ns for at_ns, _ in log.records)
    assert not log.report.troubles


def test_only_what_is_wanted_is_decoded_and_renamed(tmp_path: Path, imported: Any) -> None:
    log = imported(clip(tmp_path / "clip.mkv"), topics=("image=player",))
    assert log.report.topics == {"player/image": 4}


@pytest.mark.data
@pytest.mark.parametrize("name", CLIPS)
def test_a_recorded_clip_begins_and_ends_where_ffprobe_says(
    data_folder: Path, imported: Any, name: str
) -> None:
    path = data_folder / f"talking_faces/{name}.mpg"
    log = imported(path)
    said = _ffprobe(path) or FFPROBE_5_1
    pictures, sound = log.of("camera/image"), log.of("microphone/audio")
    assert len(pictures) == said["pictures"]
    first, last = pictures[0].header.stamp_ns, pictures[-1].header.stamp_ns
    assert abs(first - UNDATED_NS - said["first"] * 1e9) < MS
    assert abs(last - UNDATED_NS - said["last_picture"] * 1e9) < MS
    assert abs(sound[0].header.stamp_ns - UNDATED_NS - said["first"] * 1e9) < MS
    end_ns = sound[-1].header.stamp_ns + sound[-1].header.span_ns
    assert abs(end_ns - UNDATED_NS - said["end_of_sound"] * 1e9) < MS


def _ffprobe(path: Path) -> dict[str, float] | None:
    """Return what the installed ffprobe says; None where there is none."""
    if shutil.which("ffprobe") is None:
        return None

    def rows(stream: str, duration: str) -> list[list[float]]:
        command = ["ffprobe", "-v", "error", "-select_streams", stream, "-of", "csv=p=0"]
        entries = f"frame=best_effort_timestamp_time,{duration}"
        asked = subprocess.run(
            [*command, "-show_entries", entries, str(path)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        lines = [line.strip(",").split(",") for line in asked.stdout.splitlines() if line]
        return [[float(text) for text in line[:2]] for line in lines]

    video, audio = rows("v:0", "pkt_duration_time"), rows("a:0", "pkt_duration_time")
    begin = min(video[0][0], audio[0][0])
    return {
        "first": video[0][0] - begin,
        "last_picture": video[-1][0] - begin,
        "pictures": len(video),
        "end_of_sound": sum(audio[-1]) - begin,
    }
