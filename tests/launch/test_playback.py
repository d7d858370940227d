"""Recordings are paused, stepped and sought while a graph runs, from another process or by keys."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tectum.errors import ConfigError, DataError
from tectum.message import Kind
from tectum.recording.reader import LogReader
from tectum.recording.writer import LogWriter
from tectum.testing.arrivals import START_NS
from tectum.testing.messages import make_message
from tectum.testing.waiting import until
from tectum_launch.cli import main
from tectum_launch.playback import find_players, playback_order, playback_text
from tectum_nodes.playback_desk import PlaybackOrder

MS, S = 1_000_000, 1_000_000_000
GRAPH = """\
graph: small
budget: 100ms
nodes:
  camera: {run: plain_nodes:Camera}
  lidar: {run: plain_nodes:Lidar}
  perception:
    run: fusion
    trigger: lidar
    inputs:
      lidar: {topic: lidar/points}
      camera: {topic: camera/image, align: {nearest: {tolerance: 40ms}}, required: false}
    head: {run: playing_head:Head}
"""
HEAD = '''
import numpy as np

from tectum.inference.stage import OutputSpec, StageOutput


class Head:
    """Says which inputs are there."""

    variants, outputs = ("default",), (OutputSpec("there", "tensor"),)

    def __init__(self, *, name, inputs):
        self.name = name

    def warm_up(self, variant):
        pass

    def run(self, variant, args, state, stopper):
        return StageOutput({"there": np.array([arg is not None for arg in args.values()])})

    def close(self):
        pass
'''


@pytest.mark.parametrize(
    ("order", "value", "expected"),
    [
        ("pause", "", PlaybackOrder("pause")),
        ("step", "", PlaybackOrder("step")),
        ("step", "100ms", PlaybackOrder("step", by_ns=100 * MS)),
        ("seek", "+5s", PlaybackOrder("seek", by_ns=5 * S)),
        ("seek", "-1.5s", PlaybackOrder("seek", by_ns=-1500 * MS)),
        ("seek", "12s", PlaybackOrder("seek", to_ns=START_NS + 12 * S)),
        ("seek", "00:17:00", PlaybackOrder("seek", to_ns=1020 * S)),
        ("rate", "0.5", PlaybackOrder("rate", rate=0.5)),
    ],
)
def test_orders_are_written_as_people_say_them(order, value, expected):
    assert playback_order(order, value, {"begin_ns": START_NS}) == expected


@pytest.mark.parametrize(
    ("order", "value", "message"),
    [
        ("seek", "", "seek takes a moment: 12.5s"),
        ("rate", "fast", "rate 'fast': write a number"),
        ("pause", "5s", "pause takes no value"),
        ("seek", "+5", "a unit"),
    ],
)
def test_orders_that_cannot_be_meant_are_refused(order, value, message):
    with pytest.raises(ConfigError, match=message):
        playback_order(order, value, {"begin_ns": START_NS})


def test_where_it_is_is_told_from_its_begin_and_as_a_time_of_day():
    status = {
        "state": "paused", "at_ns": START_NS + 2500 * MS, "begin_ns": START_NS,
        "end_ns": START_NS + 10 * S, "rate": 2.0,
    }  # fmt: skip
    text = "player: paused at 2.50 s of 10.00 (00:16:42.500 UTC), 2 times as fast"
    assert playback_text("player", status) == text


def test_a_run_without_a_player_says_so(tmp_path):
    run = tmp_path / "abc"
    run.mkdir()
    (run / "run.json").write_text('{"version": 1}')
    with pytest.raises(DataError, match="run abc has no player of a recording"):
        find_players(run)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["launch", "driving", "--loop"], "--loop says how a recording is played: name one with"),
        (["replay", "x.mcap", "--start", "1s"], "--start says how a recording is played"),
        (["replay", "x.mcap", "--mode", "simulate", "--paused"], "use it with --mode play"),
    ],
)
def test_options_of_playing_belong_to_playing(arguments, message):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Four seconds of a lidar at 10 Hz and a camera at 20 Hz."""
    path = tmp_path / "log.mcap"
    with LogWriter(path) as writer:
        for tick in range(80):
            stamp_ns = START_NS + tick * 50 * MS
            common = {"stamp_ns": stamp_ns, "incarnation": 1}
            if tick % 2 == 0:
                sweep = make_message("lidar/points", Kind.TENSOR, seq=tick // 2, **common)
                writer.write(sweep, stamp_ns + MS)
            picture = make_message("camera/image", Kind.TENSOR, seq=tick, **common)
            writer.write(picture, stamp_ns + 2 * MS)
    return path


@pytest.fixture
def graph(write_graph) -> Path:
    path = write_graph(GRAPH)
    (path.parent / "playing_head.py").write_text(HEAD)
    return path


@pytest.fixture
def runs(monkeypatch) -> Iterator[Path]:
    """A folder of runs with a name that is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


def tell(*order: str) -> dict[str, object]:
    """Tell the player of the only run; return where it is then."""
    result = CliRunner().invoke(main, ["playback", *order, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["player"]


def is_played() -> bool:
    result = CliRunner().invoke(main, ["playback", "status", "--json"])
    return result.exit_code == 0 and json.loads(result.stdout)["player"]["state"] == "paused"


@pytest.mark.realtime
@pytest.mark.timeout(120)
def test_a_fusion_node_takes_a_seek_for_a_restart_and_goes_on(log, runs, graph, tmp_path):
    played = tmp_path / "played.mcap"
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "tectum_launch", "launch", str(graph), "--replay", str(log)]
    command += ["--paused", "--record", str(played), "--report", str(report)]
    launched = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        until(is_played)
        assert tell("step", "1s")["state"] == "playing"
        until(lambda: tell("status")["state"] == "paused")
        assert int(str(tell("status")["at_ns"])) == START_NS + MS + S
        assert tell("seek", "500ms")["at_ns"] == START_NS + MS + 500 * MS
        assert tell("resume")["state"] == "playing"
        assert launched.wait(60) == 0, launched.stdout.read()
    finally:
        launched.kill()
        launched.communicate()
    found = json.loads(report.read_text())
    assert found["unexplained_loss"] == 0
    assert {name: item["counts"]["restarted"] for name, item in found["inputs"].items()} == {
        "lidar": 1, "camera": 1,
    }  # fmt: skip
    with LogReader(played) as reader:
        headers = [record.message.header for record in reader.messages(["lidar/points"])]
    headers = [header for header in headers if header.kind is Kind.TENSOR]
    assert len({header.incarnation for header in headers}) == 2
    stamps = [header.stamp_ns for header in headers]
    assert stamps == sorted(set(stamps))
    sources = [int(str(header.fields["source_stamp_ns"])) - START_NS for header in headers]
    assert sources == [*range(0, S, 100 * MS), *range(500 * MS, 4 * S, 100 * MS)]
    verified = CliRunner().invoke(main, ["replay", str(played)])
    assert verified.exit_code == 0, verified.output


@pytest.mark.realtime
@pytest.mark.timeout(120)
def test_keys_pause_and_seek_where_there_is_a_terminal(log, runs, graph):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "tectum_launch", "replay", str(log), str(graph)]
    launched = subprocess.Popen(
        [*command, "--mode", "play", "--loop", "--duration", "60s"],
        stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        until(lambda: CliRunner().invoke(main, ["playback", "status"]).exit_code == 0)
        os.write(ours, b" ")
        until(is_played)
        os.write(ours, b"0")
        until(lambda: tell("status")["at_ns"] == START_NS + MS)
        os.write(ours, b" ")
        until(lambda: not is_played())
        launched.terminate()
        said, _ = launched.communicate(timeout=30)
    finally:
        launched.kill()
        os.close(ours)
        os.close(theirs)
    assert b"keys: space pauses" in said
    assert b"player: paused at " in said
