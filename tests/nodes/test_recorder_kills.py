"""Recorders that are killed within a running graph: every log mends, and nothing old is missing.

`TECTUM_KILLS=20` kills more of them than the few of a usual run.
"""

import os
import random
import shutil
import signal
from collections import defaultdict
from pathlib import Path

import pytest
from mcap.reader import make_reader

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.node.control import Order, State
from tectum.recording.mend import mend
from tectum.recording.names import life_path
from tectum.recording.reader import LogReader
from tectum.recording.series_reader import open_log
from tectum.testing.nodes import Metronome
from tectum.testing.processes import ProcessRun
from tectum_nodes.recorder import RecorderNode

pytestmark = pytest.mark.realtime

KILLS = int(os.environ.get("TECTUM_KILLS", "4"))
TOPICS = ("small/beat", "large/beat")
OLD_NS = NS_PER_S
"""What was published so long before the kill must be in the log."""


class Graph:
    """Two nodes that publish, a recorder, and an observer who knows all that was published."""

    def __init__(self, run: ProcessRun) -> None:
        self.run = run
        self.clock = run.clock
        self._observer = run.subscribe("observer", *TOPICS, queue=100_000)
        self.published: dict[str, dict[int, int]] = {topic: {} for topic in TOPICS}
        """Topic -> sequence number -> when it was sent."""

    def observe(self, until_ns: int) -> None:
        """Note what is published until then."""
        while self.clock.now_ns() < until_ns:
            self._observer.wait(10 * NS_PER_MS)
            for item in self._observer.drain():
                if item.message is not None:
                    header = item.message.header
                    self.published[header.topic][header.seq] = header.sent_ns
                    item.message.release()

    def begin_recorder(self) -> int:
        """Start the recorder's process; return when it was let go."""
        self.run.spawn("recorder")
        recorder = self.run.processes["recorder"]
        while not any(report.state is State.JOINED for report in recorder.reports):
            self.observe(self.clock.now_ns() + 20 * NS_PER_MS)
            recorder.hear(0.001)
        recorder.order(Order.START)
        return self.clock.now_ns()

    def kill_recorder(self) -> int:
        """Kill it; return when."""
        recorder = self.run.processes["recorder"]
        recorder.process.send_signal(signal.SIGKILL)
        killed_ns = self.clock.now_ns()
        recorder.end()
        return killed_ns


def test_nothing_older_than_a_second_is_missing_when_a_recorder_is_killed(tmp_path: Path) -> None:
    path, chance = tmp_path / "drive.mcap", random.Random(11)
    nodes = {
        "small": (Metronome, {"rate": "200Hz", "nbytes": 500}),
        "large": (Metronome, {"rate": "15Hz", "nbytes": 900_000}),
        "recorder": (RecorderNode, {"path": str(path), "min_free_mb": 0}),
    }
    killed: list[int] = []
    with ProcessRun(nodes) as run:
        graph = Graph(run)
        run.spawn("small", "large")
        for number in range(KILLS):
            graph.begin_recorder()
            if number == 0:  # the others wait for it, and then begin
                for name in ("small", "large"):
                    run.processes[name].wait_for(State.JOINED)
                    run.processes[name].order(Order.START)
            log = life_path(path, number + 1)
            _until_it_records(graph, log)
            graph.observe(graph.clock.now_ns() + round(chance.uniform(0, 2.5) * NS_PER_S))
            killed.append(graph.kill_recorder())
        graph.observe(graph.clock.now_ns() + NS_PER_S // 2)

    logs = sorted(tmp_path.glob("*.mcap"))
    assert logs == sorted(life_path(path, number + 1) for number in range(KILLS))
    alone = tmp_path / "alone" / "one.mcap"
    alone.parent.mkdir()
    counts = dict.fromkeys(TOPICS, 0)
    for number, killed_ns in enumerate(killed):
        shutil.copy(life_path(path, number + 1), alone)
        for topic, count in _check(alone, graph.published, killed_ns, tmp_path / "mended").items():
            counts[topic] += count
    with open_log(path) as reader:  # all lives are one log
        assert {topic: reader.topics[topic].messages for topic in TOPICS} == counts
        again = [text for text in reader.complaints if "the recorder was started again" in text]
        assert len(again) == KILLS - 1


def _until_it_records(graph: Graph, log: Path) -> None:
    """Wait until the log has messages; a kill before that finds nothing that is old."""
    while not log.exists() or log.stat().st_size < 20_000:
        graph.observe(graph.clock.now_ns() + 10 * NS_PER_MS)


def _check(
    log: Path, published: dict[str, dict[int, int]], killed_ns: int, mended: Path
) -> dict[str, int]:
    """Assert that the log has all from its first message to one second before the kill.

    Returns how many messages of each topic it has.
    """
    report = mend(log, mended, overwrite=True)
    assert "cut short" in report.sentence()
    found: dict[str, list[int]] = defaultdict(list)
    with LogReader(mended) as reader:
        assert reader.complaints == ()
        assert reader.run["graph"] == "test"
        for record in reader.messages(TOPICS):
            found[record.message.header.topic].append(record.message.header.seq)
    for topic in TOPICS:
        seqs, sent = found[topic], published[topic]
        assert seqs, f"{log}: nothing of {topic}"
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs))), f"{log}: {topic} has gaps"
        old = [seq for seq, sent_ns in sent.items() if sent_ns < killed_ns - OLD_NS]
        assert not set(old) - set(seqs) - set(range(seqs[0])), f"{log}: {topic} misses old ones"
    with mended.open("rb") as file:
        ordinary = make_reader(file, validate_crcs=True)
        assert sum(1 for _ in ordinary.iter_messages(topics=TOPICS)) == sum(
            map(len, found.values())
        )
    return {topic: len(seqs) for topic, seqs in found.items()}
