"""Other people's recordings, imported from the command line, run through the shipped graphs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tectum.recording.reader import LogReader
from tectum_nodes.kitti_folder import KittiFolder, calibration_of

pytestmark = [pytest.mark.data, pytest.mark.realtime]


def tectum(*arguments: object) -> str:
    command = [sys.executable, "-m", "tectum_launch", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def simulated(log: Path, graph: str, *options: str) -> dict[str, Any]:
    """Return the report of a simulation."""
    command = ("replay", log, graph, "--mode", "simulate", *options, "--json")
    found: dict[str, Any] = json.loads(tectum(*command))
    return found


def launched(tmp_path: Path, *arguments: object) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Run a graph without a deadline; return its report and its results."""
    tmp_path.mkdir(exist_ok=True)
    report, log = tmp_path / "report.json", tmp_path / "run.mcap"
    tectum("launch", *arguments, "--set", "budget=none", "--report", report, "--record", log)
    with LogReader(log) as reader:
        headers = [record.message.header for record in reader.messages(["perception/result"])]
    results = [dict(h.fields["result"]) for h in headers if h.kind == "result"]
    return json.loads(report.read_text()), results


def kitti_rig(data: Path, path: Path) -> Path:
    """Write the rig of the recording as a person would, in the frames of its messages."""
    calibration = calibration_of(KittiFolder(data / "kitti_seq"))
    assert calibration is not None
    rig = {
        "frames": {
            "velodyne": {"parent": "cam2", "matrix": calibration.camera_from_lidar.tolist()}
        },
        "cameras": {
            "camera": {
                "frame": "cam2", "width": 1242, "height": 375,
                "matrix": calibration.matrix.tolist(),
            }
        },
    }  # fmt: skip
    with path.open("w") as file:
        YAML(typ="safe").dump(rig, file)
    return path


def test_a_ros2_mcap_stands_in_for_the_sensors_of_kitti(data_folder: Path, tmp_path: Path) -> None:
    (source,) = (data_folder / "ros2_mcap").glob("*.mcap")
    log = tmp_path / "drive.mcap"
    rig = kitti_rig(data_folder, tmp_path / "rig.yaml")
    topics = ("--topic", "/cam2/*=camera", "--topic", "/velodyne/points_fov=lidar")
    tectum("import", source, "-o", log, *topics, "--rig", rig)
    first, second = (simulated(log, "kitti") for _ in range(2))
    assert first["triggers"] == 20
    assert first["decisions_sha256"] == second["decisions_sha256"]
    report, results = launched(tmp_path, "kitti", "--replay", log)
    assert report["outcomes"] == {"complete": 20, "partial": 0, "shed": 0}
    assert report["unexplained_loss"] == 0
    seen = [result["outputs"]["objects"] for result in results]
    assert len(seen) == 20


def test_a_bag_of_raw_packets_goes_through_the_lidar_graph(
    data_folder: Path, tmp_path: Path
) -> None:
    (file,) = (data_folder / "rosbag2_velodyne").glob("vlp16/*/*.db3")
    log = tmp_path / "drive.mcap"
    tectum("import", file.parent, "-o", log, "--topic", "/velodyne_packets=lidar")
    setting = f"log={log}"
    assert simulated(log, "lidar", "--set", setting)["outcomes"]["complete"] == 4
    report, results = launched(tmp_path, "lidar", "--set", setting)
    assert report["outcomes"] == {"complete": 4, "partial": 0, "shed": 0}
    assert [result["trigger"] for result in results] == [0, 1, 2, 3]


def test_a_nuscenes_keyframe_is_seen_all_around(data_folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "scene.mcap"
    tectum("import", data_folder / "nuscenes_sample", "-o", log)
    setting = f"log={log}"
    assert simulated(log, "surround", "--set", setting)["triggers"] == 1
    report, (result,) = launched(tmp_path, "surround", "--set", setting)
    assert report["outcomes"] == {"complete": 1, "partial": 0, "shed": 0}
    assert len(result["inputs"]) == 7
    assert {state["status"] for state in result["inputs"].values()} == {"fresh"}
    with LogReader(tmp_path / "run.mcap") as reader:
        (message,) = [
            record.message for record in reader.messages(["perception/result"])
            if record.message.header.kind == "result"
        ]  # fmt: skip
    outputs = result["outputs"]
    objects = message.array(outputs["objects"]["buffer"])
    seen_by = message.array(outputs["seen_by"]["buffer"])
    assert len(objects) >= 10
    assert len(set(seen_by.tolist())) >= 4
    assert (objects[:, 6] > 1).sum() >= 10  # so many have a distance


def test_an_imported_clip_stands_in_for_the_player(data_folder: Path, tmp_path: Path) -> None:
    """By `--replay LOG:topic,...`; the pictures are those of the clip, to JPEG's loss."""
    clip, log = data_folder / "talking_faces/brbk7n.mpg", tmp_path / "clip.mcap"
    topics = ("--topic", "image=player/image", "--topic", "audio=player/audio")
    tectum("import", clip, "-o", log, *topics)
    of_clip, _ = launched(tmp_path / "a", "talking", "--set", f"clip={clip}")
    replay = f"{log}:player/image,player/audio"
    of_log, results = launched(tmp_path / "b", "talking", "--replay", replay)
    assert {of_log["triggers"], of_clip["triggers"]} <= {14, 15, 16}  # of a clip of 3 s
    assert of_log["outcomes"]["shed"] == 0
    for name in ("face", "voice"):
        assert of_log["inputs"][name]["received"] == of_clip["inputs"][name]["received"]
    assert {state for result in results for state in result["outputs"]} >= {"speaking", "face"}
