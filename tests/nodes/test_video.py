"""A clip is played as camera and microphone, each picture and sample where the file puts it."""

import os
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from tectum.errors import DataError
from tectum.message import Kind
from tectum.node.base import Capture
from tectum.testing import FakeClock, MemoryContext
from tectum_nodes.video import VideoReader

MS = 1_000_000
EPOCH_NS = 1_000_000_000_000
RATE = 44_100
DATA = Path(os.environ.get("TECTUM_DATA") or Path(__file__).parents[3] / "shared/data")
CLIPS = DATA / "talking_faces"
needs_data = pytest.mark.skipif(
    not CLIPS.is_dir(), reason="no talking_faces: set TECTUM_DATA to the recordings"
)

UNEVEN_MS = [0, 40, 75, 130, 160, 220, 251, 300]


def encode(
    path: Path,
    *,
    picture_ms: list[int] | None = None,
    sound_parts: list[tuple[int, np.ndarray]] | None = None,
) -> Path:
    """Write a clip: pictures at the given times, parts of sound (start in ms, samples)."""
    with av.open(str(path), "w") as container:
        video = audio = None
        if picture_ms is not None:
            video = container.add_stream("mpeg4", rate=25)
            video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
            video.codec_context.time_base = Fraction(1, 1000)
        if sound_parts is not None:
            audio = container.add_stream("pcm_s16le", rate=RATE)
            audio.layout = "mono"
        for number, at_ms in enumerate(picture_ms or []):
            grey = np.full((32, 32, 3), 20 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="bgr24")
            frame.pts, frame.time_base = at_ms, Fraction(1, 1000)
            container.mux(video.encode(frame))
        if video is not None:
            container.mux(video.encode(None))
        for at_ms, samples in sound_parts or []:
            sound = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
            sound.sample_rate, sound.time_base = RATE, Fraction(1, RATE)
            sound.pts = round(at_ms * RATE / 1000)
            container.mux(audio.encode(sound))
        if audio is not None:
            container.mux(audio.encode(None))
    return path


def tone(duration_ms: int, click_ms: int | None = None) -> np.ndarray:
    """Return silence, with a click in it."""
    samples = np.zeros(duration_ms * RATE // 1000, np.int16)
    if click_ms is not None:
        at = click_ms * RATE // 1000
        samples[at : at + 8] = 20_000
    return samples


def reader(path: Path, **config: object) -> VideoReader:
    return VideoReader(VideoReader.Config(path=str(path), **config))


def context(**options: object) -> MemoryContext:
    return MemoryContext("player", clock=FakeClock(EPOCH_NS), **options)


def played(node: VideoReader, limit: int | None = None) -> list[Capture]:
    here = context()
    node.open(here)
    captures = islice(node.captures(here), limit)
    return [item for item in captures if isinstance(item, Capture)]


def of(captures: list[Capture], output: str) -> list[Capture]:
    return [capture for capture in captures if capture.output == output]


def sound_of(captures: list[Capture]) -> tuple[list[int], np.ndarray]:
    """Return the first indices of the blocks, and the samples on their time line."""
    blocks = of(captures, "audio")
    firsts = [int(str(block.fields["first"])) for block in blocks]
    line = np.zeros(firsts[-1] + len(blocks[-1].arrays[0]), np.int16)
    for first, block in zip(firsts, blocks, strict=True):
        line[first : first + len(block.arrays[0])] = block.arrays[0][:, 0]
    return firsts, line


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return encode(
        tmp_path / "clip.mkv", picture_ms=UNEVEN_MS, sound_parts=[(0, tone(320, click_ms=200))]
    )


def test_unevenly_spaced_pictures_keep_their_times(clip: Path) -> None:
    seen = of(played(reader(clip)), "image")

    assert [(c.stamp_ns - EPOCH_NS) / MS for c in seen] == UNEVEN_MS
    assert [round(c.arrays[0].mean() / 20) for c in seen] == list(range(8))
    assert seen[0].arrays[0].shape == (32, 32, 3)
    assert seen[0].fields == {"encoding": "bgr8"}


def test_sound_is_resampled_into_equal_blocks_without_a_gap(clip: Path) -> None:
    heard = of(played(reader(clip)), "audio")

    assert [c.fields["first"] for c in heard] == list(range(0, 5120, 320))
    assert {c.arrays[0].shape for c in heard} == {(320, 1)}
    assert {c.arrays[0].dtype for c in heard} == {np.dtype(np.int16)}
    assert {c.fields["rate_hz"] for c in heard} == {16_000}
    assert [c.stamp_ns - EPOCH_NS for c in heard] == [n * 20 * MS for n in range(16)]
    assert {c.span_ns for c in heard} == {20 * MS}


def test_a_click_is_where_the_file_has_it(clip: Path) -> None:
    _, line = sound_of(played(reader(clip)))

    loud = np.flatnonzero(np.abs(line.astype(int)) > 4_000)
    assert abs(loud[0] / 16_000 - 0.200) < 0.001


def test_a_gap_in_the_sound_stays_a_gap(tmp_path: Path) -> None:
    parts = [(0, tone(100)), (250, tone(100, click_ms=50))]
    path = encode(tmp_path / "gap.mkv", sound_parts=parts)

    firsts, line = sound_of(played(reader(path)))

    assert firsts == [0, 320, 640, 960, 1280, 4000, 4320, 4640, 4960, 5280]
    loud = np.flatnonzero(np.abs(line.astype(int)) > 4_000)
    assert abs(loud[0] / 16_000 - 0.300) < 0.001


def test_sound_that_begins_later_than_the_pictures_keeps_its_place(tmp_path: Path) -> None:
    path = encode(
        tmp_path / "late.mkv", picture_ms=UNEVEN_MS, sound_parts=[(100, tone(120, click_ms=60))]
    )
    captures = played(reader(path))

    firsts, line = sound_of(captures)

    assert firsts[0] == 1_600
    assert of(captures, "audio")[0].stamp_ns == EPOCH_NS + 100 * MS
    loud = np.flatnonzero(np.abs(line.astype(int)) > 4_000)
    assert abs(loud[0] / 16_000 - 0.160) < 0.001


def test_pictures_and_blocks_come_out_in_the_order_of_time(clip: Path) -> None:
    here = context()
    node = reader(clip)
    node.open(here)
    out = []
    for item in node.captures(here):
        assert isinstance(item, Capture)
        out.append(item.stamp_ns + item.span_ns)
        assert here.clock.now_ns() == out[-1]  # a block is out when it has been heard

    assert out == sorted(out)


def test_rate_and_duration_of_blocks_are_settable(clip: Path) -> None:
    heard = of(played(reader(clip, audio_rate="8kHz", chunk="100ms")), "audio")

    assert [len(c.arrays[0]) for c in heard] == [800, 800, 800, 160]
    assert heard[-1].span_ns == 20 * MS


def test_only_what_the_file_has_and_the_graph_wants_is_an_output(
    clip: Path, tmp_path: Path
) -> None:
    silent = encode(tmp_path / "silent.mkv", picture_ms=[0, 40])
    image, audio = {"image": Kind.IMAGE}, {"audio": Kind.AUDIO}

    assert VideoReader.outputs_of(reader(clip).config) == image | audio
    assert VideoReader.outputs_of(reader(clip, video=False).config) == audio
    assert VideoReader.outputs_of(reader(silent).config) == image
    assert {c.output for c in played(reader(clip, audio=False))} == {"image"}
    assert VideoReader.period_ns_of(reader(clip, video=False).config) == {"audio": 20 * MS}
    with pytest.raises(DataError, match=r"has only pictures, which the keys .* leave out"):
        VideoReader.outputs_of(reader(silent, video=False).config)


def test_a_loop_goes_on_without_a_jump_back(clip: Path) -> None:
    captures = played(reader(clip, loop=True), limit=60)

    pictures = [c.stamp_ns for c in of(captures, "image")]
    firsts = [int(str(c.fields["first"])) for c in of(captures, "audio")]
    assert len(pictures) > 16
    assert pictures == sorted(set(pictures))
    assert firsts == sorted(set(firsts))
    assert [stamp - pictures[8] for stamp in pictures[8:16]] == [ms * MS for ms in UNEVEN_MS]


def test_unpaced_it_does_not_wait(clip: Path) -> None:
    here = context()
    node = reader(clip, pace=False)
    node.open(here)

    assert len(list(node.captures(here))) == 8 + 16
    assert here.clock.now_ns() == EPOCH_NS


def test_it_ends_cleanly_and_says_so(clip: Path) -> None:
    here = context()
    here.record("image", "audio")
    node = reader(clip)
    node.open(here)

    node.run(here)

    assert [m.header.kind for m in here.sent("image")] == [*[Kind.IMAGE] * 8, Kind.END]
    assert [m.header.kind for m in here.sent("audio")] == [*[Kind.AUDIO] * 16, Kind.END]


def test_what_cannot_be_played_is_refused_in_a_sentence(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no film")

    with pytest.raises(DataError, match=r"there is no media file at .*nothing\.mp4"):
        reader(tmp_path / "nothing.mp4").open(context())
    with pytest.raises(DataError, match=r"text\.mp4 is not a media file that can be read"):
        reader(text).open(context())


@needs_data
@pytest.mark.data
@pytest.mark.parametrize("name", ["bbaf2n", "pwij3p"])
def test_a_recorded_clip_begins_and_ends_where_its_container_says(name: str) -> None:
    path = CLIPS / f"{name}.mpg"
    with av.open(str(path)) as container:
        video = [(float(f.pts * f.time_base)) for f in container.decode(video=0)]
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        first_s = float(frames[0].pts * frames[0].time_base)
        last_s = float(frames[-1].pts * frames[-1].time_base) + frames[-1].samples / RATE
    start_s = min(video[0], first_s)

    captures = played(reader(path))

    seen, heard = of(captures, "image"), of(captures, "audio")
    assert [round((c.stamp_ns - EPOCH_NS) / 1e9, 6) for c in seen] == [
        round(at_s - start_s, 6) for at_s in video
    ]
    assert abs((heard[0].stamp_ns - EPOCH_NS) / 1e9 - (first_s - start_s)) < 0.001
    end_ns = heard[-1].stamp_ns + heard[-1].span_ns
    assert abs((end_ns - EPOCH_NS) / 1e9 - (last_s - start_s)) < 0.001
