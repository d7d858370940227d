"""The distance to the car ahead, told by a camera and a lidar, against full scans of the lidar.

First stage by stage, frame by frame; then the shipped graph, in processes of its own.
"""

from __future__ import annotations

import csv
import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tectum.inference.session import NeverStopped
from tectum.inference.stage import Cut, Stage, StageOutput
from tectum.inference.stages import build_stage
from tectum.message import Kind
from tectum.recording.reader import LogReader
from tectum.testing.messages import make_message

pytestmark = pytest.mark.data

MODELS = Path(__file__).parents[2] / "models" / "tectum_models" / "third_party"
ROAD_USERS = ["person", "bicycle", "car", "motorcycle", "bus", "truck", "train"]


def _rig(folder: Path) -> dict[str, Any]:
    """Return the rig of a calibration in KITTI's object format."""
    numbers = {}
    for line in (folder / "calib.txt").read_text().splitlines():
        name, _, values = line.partition(":")
        numbers[name] = np.array(values.split(), np.float64)
    rectify, velo_to_cam = np.eye(4), np.eye(4)
    rectify[:3, :3] = numbers["R0_rect"].reshape(3, 3)
    velo_to_cam[:3] = numbers["Tr_velo_to_cam"].reshape(3, 4)
    return {
        "frames": {"velodyne": {"parent": "camera", "matrix": rectify @ velo_to_cam}},
        "cameras": {"camera": {"frame": "camera", "projection": numbers["P2"].reshape(3, 4)}},
    }


def _stages(folder: Path) -> tuple[Stage, Stage]:
    detector = build_stage(
        {"model": {"folder": str(MODELS / "fastestdet")}}, name="camera", inputs=["camera"]
    )
    head = build_stage(
        {"objects": {"labels": ROAD_USERS, "min_score": 0.5}},
        name="head",
        inputs={"camera": detector.outputs, "lidar": ()},
        rig=_rig(folder),
    )
    return detector, head


def _frames(folder: Path) -> Iterator[tuple[Cut, Cut]]:
    for path in sorted((folder / "image_02").glob("*.jpg")):
        image = make_message(
            "camera/image",
            Kind.IMAGE,
            np.fromfile(path, np.uint8),
            encoding="jpeg",
            frame_id="camera",
        )
        scan = np.fromfile(folder / "velodyne_fov" / f"{path.stem}.bin", np.float32)
        points = make_message(
            "lidar/points",
            Kind.POINTS,
            scan.reshape(-1, 4),
            names=("x", "y", "z", "reflectance"),
            frame_id="velodyne",
        )
        yield Cut((image,)), Cut((points,))


@functools.cache
def _answers(folder: Path) -> list[StageOutput]:
    detector, head = _stages(folder)
    answers = []
    for image, points in _frames(folder):
        found = detector.run("fp32", {"camera": image}, None, NeverStopped())
        args = {"camera": found, "lidar": points}
        answers.append(head.run("default", args, None, NeverStopped()))
    return answers


def _reference(folder: Path) -> np.ndarray:
    with (folder / "lead_vehicle_distance.csv").open() as file:
        return np.array([float(row["x_median_m"]) for row in csv.DictReader(file)])


def test_the_car_ahead_is_found_in_every_frame_and_its_distance_is_right(data_folder: Path) -> None:
    folder = data_folder / "kitti_seq"
    reference = _reference(folder)
    answers = _answers(folder)
    assert len(answers) == len(reference) == 60
    told = np.array([answer.arrays["lead_distance"][0] for answer in answers])
    errors = np.abs(told - reference)
    assert not np.isnan(told).any()
    assert np.median(errors) <= 0.05
    assert errors.max() <= 0.15


def test_every_road_user_has_one_box_and_most_have_a_distance(data_folder: Path) -> None:
    objects = np.concatenate(
        [item.arrays["objects"] for item in _answers(data_folder / "kitti_seq")]
    )
    assert 240 <= len(objects) <= 1200  # four to twenty in each of the 60 frames
    assert np.isfinite(objects[:, 6]).mean() > 0.9
    assert np.nanmin(objects[:, 6]) > 2
    assert np.nanmax(objects[:, 6]) < 80


@pytest.mark.realtime
def test_the_shipped_graph_answers_every_frame_with_the_right_distance(
    data_folder: Path, tmp_path: Path
) -> None:
    shipped = Path(__file__).parents[2] / "launch" / "tectum_launch" / "graphs" / "kitti.yaml"
    log, report = tmp_path / "log.mcap", tmp_path / "report.json"
    recorder = f"  recorder: {{run: recorder, path: {log}, topics: [perception/result]}}\n"
    graph = tmp_path / "kitti.yaml"
    graph.write_text(shipped.read_text() + recorder)
    # However slow the machine, each scan is taken to its best alignment and answered.
    command = [sys.executable, "-m", "tectum_launch", "launch", str(graph), "--set", "budget=none"]
    environment = {**os.environ, "TECTUM_DATA": str(data_folder)}
    done = subprocess.run(
        [*command, "--report", str(report)],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(report.read_text())["outcomes"] == {"complete": 60, "partial": 0, "shed": 0}
    told = {}
    with LogReader(log) as reader:
        for _, message in reader.messages(["perception/result"]):
            if message.header.kind is not Kind.RESULT:
                continue  # the plan, said once
            result = message.header.fields["result"]
            lead = message.array(result["outputs"]["lead_distance"]["buffer"])
            told[result["inputs"]["lidar"]["seq"]] = float(lead[0])
    errors = np.abs(
        np.array([told[frame] for frame in range(60)]) - _reference(data_folder / "kitti_seq")
    )
    assert np.median(errors) <= 0.05
    assert errors.max() <= 0.15
