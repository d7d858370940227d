"""`tectum import` as a person uses it: look, choose, import, and be told what is wrong."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from tectum.recording.reader import LogReader
from tectum_launch.cli import main
from tectum_launch.compile import load_graph

S = 1_000_000_000
RIG = """
frames: {lidar: {parent: camera, translation: [0, 0, 1]}}
cameras: {camera: {width: 8, height: 6, matrix: [[5, 0, 4], [0, 5, 3], [0, 0, 1]]}}
"""
GRAPH = """
graph: two
budget: none
rig: {}
nodes:
  camera: {run: simulated_camera, rate: 10Hz}
  lidar: {run: simulated_lidar, rate: 10Hz}
  microphone: {run: simulated_microphone}
  perception:
    run: fusion
    trigger: lidar
    inputs:
      camera: {topic: camera/image, encoder: driving/camera}
      lidar: {topic: lidar/points, encoder: driving/lidar}
    head: {intermediate: driving/head}
"""


def tectum(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """A KITTI folder of 5 frames, ten a second; the third scan is broken."""
    folder = tmp_path / "drive"
    for name in ("image_2", "velodyne"):
        (folder / name).mkdir(parents=True)
    for frame in range(5):
        cv2.imwrite(str(folder / f"image_2/{frame:06}.png"), np.zeros((6, 8, 3), np.uint8))
        np.zeros((4, 4), np.float32).tofile(folder / f"velodyne/{frame:06}.bin")
    (folder / "velodyne/000002.bin").write_bytes(b"abc")
    return folder


def test_a_source_is_looked_at_without_a_log(drive: Path) -> None:
    text = tectum("import", drive, "--list").output
    assert f"{drive}: kitti" in text
    assert "camera/image  5  camera/image  pictures (image_2/*.png)" in text
    found = json.loads(tectum("import", drive, "--list", "--json").output)
    assert [stream["kind"] for stream in found["streams"]] == ["image", "points"]


def test_what_became_of_it_is_said_and_kept_in_the_log(drive: Path, tmp_path: Path) -> None:
    log = tmp_path / "drive.mcap"
    done = tectum("import", drive, "-o", log)
    assert done.exit_code == 0
    assert "9 messages, 0.4 s" in done.output
    assert "! 1 x " in done.output
    assert "its 3 bytes are not x y z r" in done.output
    info = json.loads(tectum("log", "info", log, "--json").output)
    assert {name: topic["messages"] for name, topic in info["topics"].items()} == {
        "camera/image": 5, "lidar/points": 4,
    }  # fmt: skip
    with LogReader(log) as reader:
        facts = reader.metadata["tectum/import"]
        assert facts["messages"] == "9"
        assert len(facts) == 2
        imported = reader.run["imported"]
    assert (imported["format"], imported["source"]) == ("kitti", "drive")


def test_topics_times_and_the_rig_are_chosen(drive: Path, tmp_path: Path) -> None:
    log, rig = tmp_path / "part.mcap", tmp_path / "rig.yaml"
    rig.write_text(RIG)
    options = ("--topic", "camera/image=front", "--start", "100ms", "--end", "300ms", "--rig", rig)
    document = json.loads(tectum("import", drive, "-o", log, *options, "--json").output)
    assert document["topics"] == {"front/image": 2}
    with LogReader(log) as reader:
        assert reader.rig is not None
        assert reader.rig["cameras"]["camera"]["frame"] == "camera"
        assert reader.rig["frames"]["lidar"]["matrix"][2] == [0, 0, 1, 1]


def test_an_imported_log_takes_the_place_of_the_sensors_that_it_has(
    drive: Path, tmp_path: Path
) -> None:
    """By `--replay`; a topic list chooses among them, and the log's rig becomes the graph's."""
    log, rig, graph = tmp_path / "drive.mcap", tmp_path / "rig.yaml", tmp_path / "two.yaml"
    rig.write_text(RIG)
    graph.write_text(GRAPH.replace("rig: {}\n", ""))
    assert tectum("import", drive, "-o", log, "--rig", rig).exit_code == 0
    from tectum_launch.replaced import Recording

    for option, left in (
        (f"{log}", {"microphone"}),
        (f"{log}:lidar/points", {"microphone", "camera"}),
    ):
        compiled = load_graph(str(graph), replay=Recording.parse(option))
        names = {node.name for node in compiled.nodes}
        assert names == {"player", "perception"} | left
        assert compiled.rig["cameras"]["camera"]["width"] == (8 if "camera" not in left else 320)


def test_a_log_is_never_replaced_unasked(drive: Path, tmp_path: Path) -> None:
    log = tmp_path / "drive.mcap"
    log.write_text("mine")
    refused = tectum("import", drive, "-o", log)
    assert refused.exit_code == 1
    assert "exists already: remove it, choose another path" in refused.stderr
    assert log.read_text() == "mine"
    assert tectum("import", drive, "-o", log, "--overwrite").exit_code == 0


def test_the_format_is_recognized_or_named(tmp_path: Path) -> None:
    folder = tmp_path / "words"
    folder.mkdir()
    with wave.open(str(folder / "go_1.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(1600))
    assert "words: sounds" in tectum("import", folder, "--list").output
    other = folder / "go_1.wav"
    assert "go_1.wav: media" in tectum("import", other, "--list").output
    other.rename(folder / "go_1.sound")
    named = tectum("import", folder / "go_1.sound", "--list", "--format", "media")
    assert "microphone/audio" in named.output


def test_what_is_wrong_is_one_line_with_the_way_out(drive: Path, tmp_path: Path) -> None:
    log = tmp_path / "new.mcap"
    cases = [
        ((tmp_path / "nothing", "-o", log), 2, "there is no file or folder"),
        ((drive,), 2, "name the new log with -o LOG, or look at the source with --list"),
        ((drive, "-o", tmp_path / "no/where.mcap"), 1, "does not exist; create it first"),
        ((drive, "-o", log, "--format", "kiti"), 2, "did you mean 'kitti'?; there are ros2"),
        ((drive, "-o", log, "--set", "rates=5Hz"), 2, "unknown key 'rates'; did you mean 'rate'"),
        ((drive, "-o", log, "--set", "rate=5"), 2, "rate:"),
        ((drive, "-o", log, "--set", "rate"), 2, "expected KEY=VALUE, such as phase=90"),
        ((drive, "-o", log, "--topic", "camera/imag"), 2, "did you mean 'camera/image'"),
        ((drive, "-o", log, "--start", "noon"), 2, "is not a moment"),
        ((drive, "-o", log, "--start", "2s", "--end", "1s"), 2, "is not after --start 2s"),
        ((drive, "-o", log, "--start", "90s"), 1, "gave no message"),
        ((drive, "-o", log, "--rig", tmp_path / "rig.yaml"), 2, "rig.yaml"),
        ((Path(__file__), "-o", log), 2, "nothing that is recognized here. Name it with --format"),
    ]  # fmt: skip
    for arguments, code, words in cases:
        done = tectum("import", *arguments)
        assert words in done.stderr, (arguments, done.output, done.exception)
        assert done.exit_code == code
        assert not log.exists()


def test_a_log_of_ours_is_told_that_it_needs_no_import(drive: Path, tmp_path: Path) -> None:
    log = tmp_path / "drive.mcap"
    tectum("import", drive, "-o", log)
    again = tectum("import", log, "-o", tmp_path / "again.mcap")
    assert again.exit_code == 2
    assert "needs no import: tectum launch GRAPH --replay LOG" in again.stderr
