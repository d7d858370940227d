"""The recorder writes all that is said, says what it could not, and stops rather than harms."""

import json
import logging
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tectum.clock import NS_PER_S, GraphClock
from tectum.errors import DataError
from tectum.message import Kind, Value
from tectum.node.control import Order, State
from tectum.recording.mend import mend
from tectum.recording.names import parts_of
from tectum.recording.reader import LogReader
from tectum.recording.series import LogSeries, Split
from tectum.recording.series_reader import open_log
from tectum.testing import FakeClock, MemoryContext
from tectum.testing.messages import make_message
from tectum.testing.nodes import Metronome
from tectum.testing.processes import ProcessRun
from tectum.transport.memory import MemoryBus
from tectum_nodes.log_thread import LogThread, LogThreadLimits
from tectum_nodes.recorder import RecorderNode

EPOCH_NS = 1_000_000_000_000
REAL = GraphClock()
TOPICS = {
    "camera/image": {"node": "camera", "kind": "image"},
    "fusion/result": {"node": "fusion", "kind": "result"},
    "fusion/journal": {"node": "fusion", "kind": "journal"},
}
RUN: dict[str, Any] = {
    "graph": "drive",
    "id": "abc",
    "nodes": {"camera": {}, "fusion": {}, "recorder": {}},
    "topics": TOPICS,
    "description": {"rig": {"cameras": {"front": {"matrix": np.eye(3).tolist()}}}},
}


class Stage:
    """A graph in memory: a recorder, and publishers of camera and fusion."""

    def __init__(self, folder: Path, **config: object) -> None:
        self.bus = MemoryBus(FakeClock(EPOCH_NS))
        self.camera = self.bus.publisher("camera", incarnation=11)
        self.fusion = self.bus.publisher("fusion", incarnation=12)
        self.context = MemoryContext("recorder", bus=self.bus, run=RUN, folder=folder)
        self.node = RecorderNode(RecorderNode.Config(**config))
        self.node.open(self.context)
        for publisher in (self.camera, self.fusion):
            publisher.serve()
        self.loop = threading.Thread(target=self.node.run, args=(self.context,))
        self.loop.start()

    def say(self, seq: int) -> None:
        image = np.full((8, 8, 3), seq, np.uint8)
        self.camera.publish(
            "image", Kind.IMAGE, (image,), stamp_ns=EPOCH_NS + seq, fields={"encoding": "bgr8"}
        )
        result: dict[str, Value] = {"trigger": seq}
        self.fusion.publish("result", Kind.RESULT, stamp_ns=seq, fields={"result": result})

    def end(self) -> None:
        """Stop the graph as a launcher does: those that publish first."""
        self.camera.close()
        self.fusion.close()
        self.context.stop()
        self.loop.join()
        self.node.close()

    def wait_until_written(self, count: int) -> LogThread:
        """Return the thread that writes, once it has written so many messages."""
        until_ns = REAL.now_ns() + 10 * NS_PER_S
        while (thread := self.node._thread) is None or thread.written < count:
            assert REAL.now_ns() < until_ns
        return thread


def test_everything_said_is_in_the_log(tmp_path: Path) -> None:
    path = tmp_path / "log.mcap"
    stage = Stage(tmp_path, path=str(path), images="raw")
    stage.fusion.latch("result", {"fact": "plan", "plan": {"name": "fusion"}})
    for seq in range(5):
        stage.say(seq)
    stage.fusion.publish("journal", Kind.JOURNAL, stamp_ns=7, fields={"events": [["t", 7]]})
    stage.camera.promise("image", 99, begun=True)
    stage.camera.end("image")
    stage.end()

    with LogReader(path) as reader:
        assert reader.complaints == ()
        counts = {name: topic.messages for name, topic in reader.topics.items()}
        assert counts["camera/image"] == 5
        assert counts["fusion/result"] == 6
        assert counts["fusion/journal"] == 1
        assert counts["camera/@statement"] >= 1
        images = [record.message for record in reader.messages(["camera/image"])]
        assert [int(image.array()[0, 0, 0]) for image in images] == [0, 1, 2, 3, 4]
        assert [image.header.incarnation for image in images] == [11] * 5
        assert [record.message.header.kind for record in reader.signs()] == [
            Kind.PROMISE,
            Kind.END,
        ]
        assert reader.latched["fusion/result"].fields["plan"] == {"name": "fusion"}
        assert {name: value for name, value in reader.run.items() if name in RUN} == RUN
        assert reader.metadata["tectum/recording"]["left_out"] == "0"
        last = [record.message.header for record in reader.messages(["camera/@statement"])][-1]
        assert last.fields["final"] is True
        assert last.fields["published"] == {"camera/image": 5}
        assert "rig/front" in reader.topics


def test_only_the_topics_that_are_wanted_are_recorded(tmp_path: Path) -> None:
    path = tmp_path / "log.mcap"
    stage = Stage(tmp_path, path=str(path), topics=["camera/*"])
    stage.say(0)
    stage.end()

    with LogReader(path) as reader:
        assert set(reader.topics) == {"camera/image", "rig/front"}


def test_the_log_is_named_after_graph_and_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Stage(tmp_path).end()

    assert [path.name for path in tmp_path.glob("*.mcap")] == ["drive-19700101-001640.mcap"]


def test_a_log_that_exists_is_refused_unless_it_may_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "log.mcap"
    path.write_text("precious")

    with pytest.raises(DataError, match="exists already"):
        Stage(tmp_path, path=str(path))
    Stage(tmp_path, path=str(path), overwrite=True).end()
    with LogReader(path) as reader:
        assert reader.finished


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the folder .*nowhere does not exist; create it first"):
        Stage(tmp_path, path=str(tmp_path / "nowhere/log.mcap"))


def test_a_disk_that_is_too_full_at_the_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"only \d+ MB are free .*: make room, or lower min_free"):
        Stage(tmp_path, path=str(tmp_path / "log.mcap"), min_free_mb=10**9)
    assert not (tmp_path / "log.mcap").exists()


def test_gaps_are_counted_in_the_log(tmp_path: Path) -> None:
    path = tmp_path / "log.mcap"
    stage = Stage(tmp_path, path=str(path))
    stage.say(0)
    stage.wait_until_written(2)
    lost = stage.bus.publisher("camera", incarnation=11)
    lost._next = {"camera/image": 4}  # as if messages 1 to 3 had not come through
    data, jpeg = np.zeros(3, np.uint8), {"encoding": "jpeg"}
    lost.publish("image", Kind.IMAGE, (data,), stamp_ns=9, fields=jpeg)
    stage.camera = lost
    stage.end()

    with LogReader(path) as reader:
        assert reader.metadata["tectum/recording"]["gaps"] == "{'camera/image': 3}"


class SlowSeries(LogSeries):
    """A log on a disk that does not take anything for now."""

    def write(self, message: Any, arrived_ns: int) -> None:
        super().write(message, arrived_ns)
        while self.held:
            pass

    held = False


def cloud(seq: int) -> Any:
    points = np.zeros((1000, 3), np.float32)
    return make_message("l/points", Kind.POINTS, points, seq=seq, names=["x", "y", "z"])


def test_what_finds_the_queue_full_is_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "log.mcap"
    writer = SlowSeries(path)
    writer.held = True
    thread = LogThread(writer, FakeClock(), LogThreadLimits(30_000, 0))
    while writer.messages == 0:  # the first is taken up and held
        thread.put(cloud(0), 0)
    taken = [thread.put(cloud(seq), 0) for seq in range(1, 9)]
    writer.held = False
    thread.close()

    assert taken.count(False) >= 6
    with LogReader(path) as reader:
        facts = reader.metadata["tectum/recording"]
        assert reader.messages_total == int(facts["messages"])
        assert int(facts["left_out"]) >= taken.count(False)


def test_a_disk_that_runs_full_stops_the_recording_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "log.mcap"
    stage = Stage(tmp_path, path=str(path), min_free_mb=1)
    stage.say(0)
    thread = stage.wait_until_written(2)
    full = shutil._ntuple_diskusage(10**12, 10**12, 5)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)
    clock = stage.bus.clock
    assert isinstance(clock, FakeClock)
    while not thread._series.closed:
        clock.advance(10**9)
    with LogReader(path) as reader:
        assert reader.finished  # at once, not only when the graph ends
    stage.say(1)
    with caplog.at_level(logging.WARNING):
        stage.end()

    assert "stopped early: only 0 MB are free" in caplog.text
    with LogReader(path) as reader:
        assert reader.finished
        assert reader.topics["camera/image"].messages == 1
        assert "must stay" in reader.metadata["tectum/recording"]["stopped"]
    account = json.loads((tmp_path / "recorder.recording.json").read_text())
    assert account["left_out"] >= 2
    assert "must stay" in account["stopped"]
    assert account["sentence"] in caplog.text


@pytest.mark.parametrize("split", [{"bytes": "200kB"}, {"every": "1s"}])
def test_a_recording_is_split_into_files_that_are_complete_and_sort(
    tmp_path: Path, split: dict[str, str]
) -> None:
    path = tmp_path / "drive.mcap"
    stage = Stage(tmp_path, path=str(path), images="raw", split=split)
    stage.fusion.latch("result", {"fact": "plan", "plan": {"name": "fusion"}})
    clock = stage.bus.clock
    assert isinstance(clock, FakeClock)
    image = np.zeros((100, 100, 3), np.uint8)
    for seq in range(30):
        stage.camera.publish(
            "image", Kind.IMAGE, (image,), stamp_ns=EPOCH_NS + seq, fields={"encoding": "bgr8"}
        )
        stage.wait_until_written(seq + 2)
        clock.advance(NS_PER_S // 10)
    stage.end()

    files = sorted(tmp_path.glob("*.mcap"))
    assert [file.name for file in files[:2]] == ["drive-00001.mcap", "drive-00002.mcap"]
    assert list(parts_of(path)) == files
    assert len(files) >= 3
    seqs = []
    for number, file in enumerate(files, start=1):
        with LogReader(file) as reader:
            assert reader.complaints == ()
            assert reader.run["graph"] == "drive"
            assert reader.rig is not None
            assert reader.latched["fusion/result"].fields["plan"] == {"name": "fusion"}
            assert reader.topics["fusion/result"].kind is Kind.LATCHED
            assert "rig/front" in reader.topics
            assert reader.metadata["tectum/part"]["part"] == str(number)
            said = sum(
                topic.kind is not None and topic.messages for topic in reader.topics.values()
            )
            assert reader.metadata["tectum/recording"]["messages"] == str(said)
            records = list(reader.messages(["camera/image"]))
            seqs += [record.message.header.seq for record in records]
            first_ns, last_ns = records[0].log_ns, records[-1].log_ns
        if "bytes" in split:
            assert file.stat().st_size < 250_000
        else:
            assert last_ns - first_ns < NS_PER_S
    assert seqs == list(range(30))
    account = json.loads((tmp_path / "recorder.recording.json").read_text())
    assert account["files"] == [str(file) for file in files]


def recorded_life(folder: Path, run: str = "abc", **config: object) -> None:
    """Record one message, in the run of this id."""
    bus = MemoryBus(FakeClock(EPOCH_NS))
    camera = bus.publisher("camera", incarnation=11)
    context = MemoryContext("recorder", bus=bus, run={**RUN, "id": run}, folder=folder)
    node = RecorderNode(RecorderNode.Config(**config))
    node.open(context)
    camera.serve()
    camera.publish("image", Kind.TEXT, stamp_ns=1, fields={"text": run})
    camera.close()
    context.stop()
    node.run(context)
    node.close()


def test_a_recorder_that_is_started_again_in_its_run_replaces_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "drive.mcap")
    for _ in range(3):
        recorded_life(tmp_path, path=path, overwrite=True)
    assert sorted(file.name for file in tmp_path.glob("*.mcap")) == [
        "drive-2.mcap",
        "drive-3.mcap",
        "drive.mcap",
    ]
    with pytest.raises(DataError, match="exists already"):
        recorded_life(tmp_path, "another run", path=path)
    recorded_life(tmp_path, "another run", path=path, overwrite=True)
    with LogReader(tmp_path / "drive.mcap") as reader:
        assert reader.run["id"] == "another run"


def test_without_a_path_a_recorder_that_is_started_again_goes_on_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for later_s in range(2):  # its own begin does not name the file: the run's does
        monkeypatch.setitem(RUN, "started_ns", 1_750_000_000 * NS_PER_S)
        monkeypatch.setattr(sys.modules[__name__], "EPOCH_NS", EPOCH_NS + later_s * 10 * NS_PER_S)
        recorded_life(tmp_path)
    names = sorted(file.name for file in tmp_path.glob("*.mcap"))
    assert names == ["drive-20250615-150640-2.mcap", "drive-20250615-150640.mcap"]
    with open_log(tmp_path) as reader:
        assert [len(reader.complaints), reader.topics["camera/image"].messages] == [1, 2]
        assert "the recorder was started again" in reader.complaints[0]


def test_a_split_recording_goes_on_in_its_run_and_is_replaced_as_a_whole(tmp_path: Path) -> None:
    config: dict[str, object] = {"path": str(tmp_path / "a.mcap"), "split": {"every": "1min"}}
    for _ in range(3):
        recorded_life(tmp_path, **config)
    names = ["a-00001.mcap", "a-00002.mcap", "a-00003.mcap"]
    assert sorted(file.name for file in tmp_path.glob("*.mcap")) == names
    with pytest.raises(DataError, match=r"a-00001\.mcap exists already"):
        recorded_life(tmp_path, "another run", **config)
    recorded_life(tmp_path, "another run", overwrite=True, **config)
    assert [file.name for file in tmp_path.glob("*.mcap")] == names[:1]


def test_a_split_must_say_when() -> None:
    with pytest.raises(ValueError, match=r"say when: \{bytes: 1GB\}"):
        RecorderNode.Config(split={})


def test_a_file_that_cannot_follow_ends_the_recording_and_not_the_graph(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    series = LogSeries(folder / "a.mcap", split=Split(nbytes=20_000))
    thread = LogThread(series, FakeClock(), LogThreadLimits(min_free_bytes=0))
    thread.put(cloud(0), 0)
    while thread.written == 0:
        pass
    shutil.rmtree(folder)
    for seq in range(1, 9):
        thread.put(cloud(seq), seq)
    thread.close()

    assert "gone" in thread.stopped
    assert thread.written + thread.left_out == 9


def test_a_picture_that_cannot_be_encoded_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "log.mcap"
    thread = LogThread(LogSeries(path), FakeClock(), LogThreadLimits())
    wide = np.zeros((1, 70_000, 3), np.uint8)  # more than JPEG can hold
    thread.put(make_message("c/image", Kind.IMAGE, wide, encoding="bgr8"), 0)
    thread.put(cloud(0), 0)
    thread.close()

    with LogReader(path) as reader:
        assert reader.messages_total == 1
        assert reader.metadata["tectum/recording"]["refused"] == "1"


def recorded_run(path: Path) -> ProcessRun:
    beat = {"rate": "200Hz", "nbytes": 5_000}
    recorder = {"path": str(path), "flush": "200ms"}
    return ProcessRun({"beat": (Metronome, beat), "recorder": (RecorderNode, recorder)})


@pytest.mark.realtime
def test_a_killed_recorder_leaves_a_log_that_mends(tmp_path: Path) -> None:
    path, mended = tmp_path / "log.mcap", tmp_path / "mended.mcap"
    with recorded_run(path) as run:
        run.spawn()
        run.start()
        while not path.exists() or path.stat().st_size < 500_000:
            run.clock.sleep_until_ns(run.clock.now_ns() + 10_000_000)
        run.processes["recorder"].process.send_signal(signal.SIGKILL)
        killed_ns = run.clock.now_ns()
        run.processes["recorder"].end()

    report = mend(path, mended)

    with LogReader(path) as cut, LogReader(mended) as whole:
        assert not cut.finished
        assert "cut short" in cut.complaints[0]
        seqs = [record.message.header.seq for record in whole.messages(["beat/beat"])]
        last_ns = max(record.log_ns for record in whole.messages(["beat/beat"]))
        assert whole.complaints == ()
        assert whole.run["graph"] == "test"
    assert report.messages >= len(seqs) > 50
    assert seqs == list(range(len(seqs)))
    assert killed_ns - last_ns < 1_000_000_000  # no more than flush interval and scheduling


@pytest.mark.realtime
def test_the_recorder_hears_the_last_word_of_those_that_end_before_it(tmp_path: Path) -> None:
    path = tmp_path / "log.mcap"
    with recorded_run(path) as run:
        run.spawn()
        run.start()
        while not path.exists() or path.stat().st_size < 200_000:
            run.clock.sleep_until_ns(run.clock.now_ns() + 10_000_000)
        for name in ("beat", "recorder"):
            run.processes[name].order(Order.STOP)
            run.processes[name].wait_for(State.ENDED)
            code, errors = run.processes[name].end()
            assert code == 0, errors

    with LogReader(path) as reader:
        statements = [record.message.header for record in reader.messages(["beat/@statement"])]
        published = statements[-1].fields["published"]
        assert statements[-1].fields["final"] is True
        assert isinstance(published, dict)
        assert reader.topics["beat/beat"].messages == published["beat/beat"]
        assert reader.run["topics"] == {"beat/beat": {"node": "beat", "kind": "tensor"}}
