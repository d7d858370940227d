"""A log is played at its own pace, under its own names, as a new run."""

from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from google.protobuf.timestamp_pb2 import Timestamp
from mcap_protobuf.writer import Writer

from tectum.clock import NS_PER_S
from tectum.errors import ConfigError, DataError
from tectum.message import Kind
from tectum.node.base import Announcement, Capture, Restart
from tectum.node.control import State
from tectum.recording.writer import LogWriter
from tectum.testing import FakeClock, MemoryContext
from tectum.testing.messages import make_message
from tectum.testing.processes import ProcessRun
from tectum_nodes.log_player import LogPlayer
from tectum_nodes.playback_desk import Asked, PlaybackOrder

MS = 1_000_000
EPOCH_NS = 5_000_000_000_000
OLD_NS = 1_000_000_000_000
PICTURE = np.broadcast_to(np.arange(16, dtype=np.uint8)[:, None, None] * 9, (16, 16, 3)).copy()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Camera every 30 ms and sound every 20 ms, arriving 5 ms late; announced sweeps; a result."""
    path = tmp_path / "log.mcap"
    with LogWriter(path) as writer:
        writer.write_run({"description": {"rig": {"cameras": {}}}}, OLD_NS - 50)
        fact = make_message("camera/info", Kind.LATCHED, fact="labels", labels=["a"])
        writer.write(fact, OLD_NS - 50)
        for time_ms in range(0, 120, 10):
            at_ns = OLD_NS + time_ms * MS
            if time_ms % 30 == 0:
                image = make_message(
                    "camera/image", Kind.IMAGE, PICTURE, seq=time_ms // 30, stamp_ns=at_ns,
                    span_ns=2 * MS, error_ns=MS, frame_id="eye", encoding="bgr8",
                )  # fmt: skip
                writer.write(image, at_ns + 5 * MS)
            if time_ms % 20 == 0:
                sound = make_message(
                    "mic/audio", Kind.AUDIO, np.full((320, 1), time_ms, np.int16),
                    stamp_ns=at_ns, rate_hz=16_000, first=16 * time_ms,
                )  # fmt: skip
                writer.write(sound, at_ns + 5 * MS)
            if time_ms == 50:
                sign = make_message("lidar/points", Kind.PROMISE, stamp_ns=at_ns, begun=True)
                writer.write(sign, at_ns)
                sweep = make_message(
                    "lidar/points", Kind.POINTS, np.ones((3, 3), np.float32),
                    stamp_ns=at_ns, names=["x", "y", "z"],
                )  # fmt: skip
                writer.write(sweep, at_ns + 30 * MS)
                answer = make_message("fusion/result", Kind.RESULT, result={"trigger": 1})
                writer.write(answer, at_ns + 31 * MS)
    return path


def player(path: Path, **config: object) -> LogPlayer:
    return LogPlayer(LogPlayer.Config.model_validate({"path": str(path), **config}))


def context(**options: object) -> MemoryContext:
    return MemoryContext("player", clock=FakeClock(EPOCH_NS), **options)


def played(node: LogPlayer, limit: int | None = None) -> list[tuple[float, object]]:
    """Return what is played, each with the time in ms at which it is."""
    here = context()
    node.open(here)
    items = [
        ((here.clock.now_ns() - EPOCH_NS) / MS, item) for item in islice(node.captures(here), limit)
    ]
    node.close()
    return items


def captures(items: list[tuple[float, object]], output: str) -> Iterator[tuple[float, Capture]]:
    for at_ms, item in items:
        if isinstance(item, Capture) and item.output == output:
            yield at_ms, item


def test_outputs_are_the_topics_of_sensors(log: Path) -> None:
    assert LogPlayer.outputs_of(player(log).config) == {
        "camera/image": Kind.IMAGE,
        "camera/info": Kind.LATCHED,
        "lidar/points": Kind.POINTS,
        "mic/audio": Kind.AUDIO,
    }
    assert LogPlayer.outputs_of(player(log, topics=["fusion/*"]).config) == {
        "fusion/result": Kind.RESULT
    }
    assert LogPlayer.rig_of(player(log).config) == {"cameras": {}}
    periods = LogPlayer.period_ns_of(player(log, rate=2.0).config)
    assert periods == {"camera/image": 15 * MS, "mic/audio": 10 * MS}


def test_messages_are_played_at_their_pace_with_shifted_stamps(log: Path) -> None:
    images = list(captures(played(player(log)), "camera/image"))

    assert [at_ms for at_ms, _ in images] == [0, 30, 60, 90]
    # a stamp is as much earlier than its arrival as it was: 5 ms
    assert [(image.stamp_ns - EPOCH_NS) / MS for _, image in images] == [-5, 25, 55, 85]
    sources = [image.fields["source_stamp_ns"] for _, image in images]
    assert sources == [OLD_NS + ms * MS for ms in (0, 30, 60, 90)]
    first = images[0][1]
    assert (first.span_ns, first.error_ns, first.frame_id) == (2 * MS, MS, "eye")


def test_pictures_are_raw_again_where_they_were_published_raw(log: Path) -> None:
    _, image = next(captures(played(player(log)), "camera/image"))

    assert image.fields["encoding"] == "bgr8"
    assert np.abs(image.arrays[0].astype(int) - PICTURE).mean() < 2


def test_announcements_are_played_too(log: Path) -> None:
    items = [item for item in played(player(log)) if isinstance(item[1], Announcement)]

    assert items == [(45.0, Announcement("lidar/points", EPOCH_NS + 45 * MS, begun=True))]


def test_what_is_played_comes_in_the_order_of_arrival(log: Path) -> None:
    times = [at_ms for at_ms, _ in played(player(log))]

    assert times == sorted(times)
    assert len(times) == 4 + 6 + 2


def test_twice_as_fast_is_half_the_time_for_stamps_and_samples(log: Path) -> None:
    items = played(player(log, rate=2.0))

    images = list(captures(items, "camera/image"))
    assert [at_ms for at_ms, _ in images] == [0, 15, 30, 45]
    assert [(image.stamp_ns - EPOCH_NS) / MS for _, image in images] == [-2.5, 12.5, 27.5, 42.5]
    assert images[0][1].span_ns == MS
    assert {sound.fields["rate_hz"] for _, sound in captures(items, "mic/audio")} == {32_000}


def test_a_loop_goes_on_without_a_jump_back(log: Path) -> None:
    items = played(player(log, loop=True), limit=30)

    stamps = [image.stamp_ns for _, image in captures(items, "camera/image")]
    firsts = [int(str(sound.fields["first"])) for _, sound in captures(items, "mic/audio")]
    assert len(stamps) > 8
    assert stamps == sorted(set(stamps))
    assert firsts == sorted(set(firsts))
    lap_ns = stamps[4] - stamps[0]
    assert firsts[6] - firsts[0] == round(lap_ns * 16_000 / 1e9)


def test_topics_can_be_played_under_other_names(log: Path) -> None:
    node = player(log, topics=["camera/image"], **{"as": {"camera/image": "front/image"}})

    assert LogPlayer.outputs_of(node.config) == {"front/image": Kind.IMAGE}
    assert {item.output for _, item in played(node)} == {"front/image"}
    assert node.config.model_dump(by_alias=True)["as"] == {"camera/image": "front/image"}


def test_constant_facts_are_said_and_the_end_too(log: Path) -> None:
    here = context()
    here.record("camera/info", "camera/image")
    node = player(log, topics=["camera/*"])
    node.open(here)

    node.run(here)
    node.close()

    fact, end = here.sent("camera/info")
    assert end.header.kind is Kind.END
    assert fact.header.kind is Kind.LATCHED
    assert fact.header.fields == {"fact": "labels", "labels": ["a"]}
    kinds = [message.header.kind for message in here.sent("camera/image")]
    assert kinds == [*[Kind.IMAGE] * 4, Kind.END]


def test_a_cut_log_is_played_as_far_as_it_goes(log: Path, caplog: pytest.LogCaptureFixture) -> None:
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])

    assert played(player(log))
    assert "cut short" in caplog.text


def test_names_that_others_gave_are_made_to_fit(tmp_path: Path) -> None:
    path = tmp_path / "foreign.mcap"
    picture = CompressedImage(timestamp=Timestamp(seconds=3), data=b"\xff\xd8", format="jpeg")
    with Writer(str(path)) as writer:
        for topic in ("/camera/left/image raw", "solo"):
            writer.write_message(topic, picture, log_time=3, publish_time=3)

    assert set(LogPlayer.outputs_of(player(path).config)) == {"camera/left_image_raw", "solo"}


def test_what_is_not_in_the_log_is_said(log: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no topic 'camera/imag'; did you mean 'camera/im"):
        LogPlayer.outputs_of(player(log, topics=["camera/imag"]).config)
    with pytest.raises(ConfigError, match=r"has no topic 'lidar/x'"):
        LogPlayer.outputs_of(player(log, **{"as": {"lidar/x": "y/z"}}).config)
    with pytest.raises(DataError, match="there is no log at"):
        LogPlayer.outputs_of(player(tmp_path / "no.mcap").config)
    LogWriter(tmp_path / "empty.mcap").close()
    with pytest.raises(DataError, match="has nothing to play; its topics: none"):
        LogPlayer.outputs_of(player(tmp_path / "empty.mcap").config)


def orders(node: LogPlayer, *asked: PlaybackOrder) -> list[Asked]:
    return [node.desk.ask(order) for order in asked]


def opened(path: Path, **config: object) -> tuple[LogPlayer, MemoryContext]:
    node, here = player(path, **config), context()
    node.open(here)
    return node, here


def test_a_part_of_a_log_is_played(log: Path) -> None:
    items = played(player(log, start="30ms", end="70ms"))

    # 30 ms after the first arrival on: the pictures of 30 and 60 ms, the sounds of 40 and 60 ms
    assert [at_ms for at_ms, _ in captures(items, "camera/image")] == [0, 30]
    assert [sound.fields["first"] for _, sound in captures(items, "mic/audio")] == [640, 960]


def test_a_part_that_is_none_is_refused(log: Path) -> None:
    node = player(log, start="10s")
    with pytest.raises(ConfigError, match=r"has nothing from 10.00 s to 100.0 ms: it lasts"):
        node.open(context())
    node.close()


def test_going_back_begins_a_new_life_whose_stamps_go_on(log: Path) -> None:
    node, here = opened(log, topics=["camera/image"])
    playing = node.captures(here)
    before = [next(playing) for _ in range(3)]
    (asked,) = orders(node, PlaybackOrder("seek", by_ns=-(10**9)))
    after = list(playing)
    node.close()

    assert asked.answer["at_ns"] <= asked.answer["begin_ns"]
    assert isinstance(after[0], Restart)
    assert [item for item in after if isinstance(item, Restart)] == after[:1]
    images = [item for item in [*before, *after] if isinstance(item, Capture)]
    sources = [image.fields["source_stamp_ns"] for image in images]
    assert sources == [OLD_NS + ms * MS for ms in (0, 30, 60, 0, 30, 60, 90)]
    stamps = [image.stamp_ns for image in images]
    assert stamps == sorted(set(stamps))
    assert stamps[-1] <= here.clock.now_ns()


def test_samples_go_on_counting_over_a_seek(log: Path) -> None:
    node, here = opened(log, topics=["mic/audio"])
    playing = node.captures(here)
    before = [next(playing) for _ in range(3)]
    orders(node, PlaybackOrder("seek", to_ns=OLD_NS))
    sounds = [item for item in [*before, *playing] if isinstance(item, Capture)]
    node.close()

    firsts = [int(str(sound.fields["first"])) for sound in sounds]
    assert firsts == sorted(set(firsts))
    for a, b in pairwise(sounds):
        samples = int(str(b.fields["first"])) - int(str(a.fields["first"]))
        assert abs(samples * NS_PER_S / 16_000 - (b.stamp_ns - a.stamp_ns)) < NS_PER_S / 16_000


def test_what_is_paused_waits_and_is_as_old_as_ever_when_it_comes(log: Path) -> None:
    node, here = opened(log, topics=["camera/image"], paused=True)
    orders(node, PlaybackOrder("status"))
    here.clock.advance(5 * NS_PER_S)
    orders(node, PlaybackOrder("resume"))
    images = [item for item in node.captures(here) if isinstance(item, Capture)]
    node.close()

    assert len(images) == 4
    assert images[0].stamp_ns - EPOCH_NS == 4995 * MS  # 5 ms before it is played
    assert {b.stamp_ns - a.stamp_ns for a, b in pairwise(images)} == {30 * MS}


def test_a_step_plays_one_period_of_the_slowest_topic_and_pauses(log: Path) -> None:
    node, here = opened(log, topics=["camera/image", "mic/audio"], paused=True)
    orders(node, PlaybackOrder("step"), PlaybackOrder("status"))
    playing = node.captures(here)
    step = [next(playing) for _ in range(3)]
    assert [item.output for item in step] == ["camera/image", "mic/audio", "mic/audio"]
    assert here.clock.now_ns() < EPOCH_NS + 30 * MS
    here.stop()
    assert list(playing) == []
    node.close()


def test_another_pace_is_another_life(log: Path) -> None:
    node, here = opened(log, topics=["camera/image"])
    playing = node.captures(here)
    first = next(playing)
    orders(node, PlaybackOrder("rate", rate=2.0))
    restart, *rest = playing
    node.close()

    assert isinstance(first, Capture)
    assert isinstance(restart, Restart)
    stamps = [item.stamp_ns for item in rest if isinstance(item, Capture)]
    assert [b - a for a, b in pairwise(stamps)] == [15 * MS] * 2


def test_a_player_that_cannot_be_told_anything_plays_all_the_same(
    log: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    node, here = player(log), context(folder=folder)
    node.open(here)
    assert len(list(node.captures(here))) == 12
    node.close()
    assert "cannot be paused or sought" in caplog.text


@pytest.mark.realtime
def test_a_player_process_speaks_for_the_recorded_nodes(log: Path) -> None:
    with ProcessRun({"player": (LogPlayer, {"path": str(log)})}) as run:
        subscriber = run.subscribe("ear", "camera/image", "mic/audio")
        run.spawn()
        run.start()
        received = run.collect(subscriber, "camera/image")
        run.processes["player"].wait_for(State.ENDED)
        code, errors = run.processes["player"].end()
        assert code == 0, errors

    headers = [item.message.header for item in received if item.message is not None]
    images = [h for h in headers if h.topic == "camera/image" and h.kind is Kind.IMAGE]
    sounds = [h for h in headers if h.topic == "mic/audio" and h.kind is Kind.AUDIO]
    assert [h.seq for h in images] == [0, 1, 2, 3]
    assert [b.stamp_ns - a.stamp_ns for a, b in pairwise(images)] == [30 * MS] * 3
    assert len(sounds) == 6
    assert sounds[0].stamp_ns == images[0].stamp_ns
    counters = subscriber.counters()["camera/image"]
    assert (counters["published"], counters["received"], counters["ended"]) == (4, 4, True)
