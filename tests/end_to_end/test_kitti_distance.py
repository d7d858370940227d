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

from tectum.fusion.tracks import TRACK_COLUMNS
from tectum.inference.session import NeverStopped
from tectum.inference.stage import Cut, Stage, StageOutput
from tectum.inference.stages import build_stage
from tectum.message import Kind
from tectum.recording.reader import LogReader
from tectum.testing.messages import make_message

pytestmark = pytest.mark.data

MODELS = Path(__file__).parents[2] / "models" / "tectum_models" / "third_party"
PERIOD_NS = 100_000_000
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
        {"objects": {"labels": ROAD_USERS, "min_score": 0.5, "track": True}},
        name="head",
        inputs={"camera": detector.outputs, "lidar": ()},
        rig=_rig(folder),
    )
    return detector, head


def _frames(folder: Path) -> Iterator[tuple[Cut, Cut]]:
    for index, path in enumerate(sorted((folder / "image_02").glob("*.jpg"))):
        stamp_ns = index * PERIOD_NS
        image = make_message(
            "camera/image",
            Kind.IMAGE,
            np.fromfile(path, np.uint8),
            stamp_ns=stamp_ns,
            encoding="jpeg",
            frame_id="camera",
        )
        scan = np.fromfile(folder / "velodyne_fov" / f"{path.stem}.bin", np.float32)
        points = make_message(
            "lidar/points",
            Kind.POINTS,
            scan.reshape(-1, 4),
            stamp_ns=stamp_ns,
            names=("x", "y", "z", "reflectance"),
            frame_id="velodyne",
        )
        yield Cut((image,)), Cut((points,))


@functools.cache
def _detections(folder: Path) -> list[tuple[StageOutput, Cut]]:
    detector, _ = _stages(folder)
    return [
        (detector.run("fp32", {"camera": image}, None, NeverStopped()), points)
        for image, points in _frames(folder)
    ]


@functools.cache
def _answers(folder: Path, missed: tuple[int, ...] = ()) -> list[StageOutput]:
    """Return the head's answer for every frame; in `missed` ones the detector finds nothing."""
    _, head = _stages(folder)
    answers = []
    for frame, (found, points) in enumerate(_detections(folder)):
        boxes = found.arrays["boxes"]
        given = found._replace(arrays={"boxes": boxes[:0] if frame in missed else boxes})
        args = {"camera": given, "lidar": points}
        answers.append(head.run("default", args, None, NeverStopped()))
    return answers


def _told(answers: list[StageOutput], name: str) -> np.ndarray:
    return np.array([answer.arrays[name][0] for answer in answers])


def _smoothed(values: np.ndarray) -> np.ndarray:
    """Return the mean over 0.5 s around each of the frames."""
    return np.convolve(np.pad(values, 2, mode="edge"), np.full(5, 0.2), "valid")


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


def test_the_car_ahead_stays_one_track_and_its_closing_speed_is_right(data_folder: Path) -> None:
    folder = data_folder / "kitti_seq"
    answers = _answers(folder)
    tracks = _told(answers, "lead_track")
    assert tracks[0] == -1  # seen once
    assert len(set(tracks[1:])) == 1
    closing = -_smoothed(np.gradient(_reference(folder), PERIOD_NS / 1e9))
    errors = np.abs(_told(answers, "lead_closing_speed") - closing)[1:]
    assert errors.max() <= 0.5
    distance = _told(answers, "lead_distance")[30]
    until = _told(answers, "lead_time_to_collision")[30]
    assert until == pytest.approx(distance / _told(answers, "lead_closing_speed")[30], rel=1e-3)


def test_the_track_of_the_car_ahead_survives_missed_detections(data_folder: Path) -> None:
    folder, missed = data_folder / "kitti_seq", (20, 21, 22, 23, 40)
    answers = _answers(folder, missed)
    assert len(set(_told(answers, "lead_track")[1:])) == 1
    errors = np.abs(_told(answers, "lead_distance") - _reference(folder))
    assert np.percentile(errors, 95) <= 0.15
    assert errors[list(missed)].max() <= 0.15
    tracks = answers[22].arrays["tracks"]
    (lead,) = tracks[tracks[:, 0] == _told(answers, "lead_track")[22]]
    assert lead[TRACK_COLUMNS.index("unseen_s")] == pytest.approx(0.3)


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
    told, tracks = {}, set()
    with LogReader(log) as reader:
        for _, message in reader.messages(["perception/result"]):
            if message.header.kind is not Kind.RESULT:
                continue  # the plan, said once
            result = message.header.fields["result"]
            frame, outputs = result["inputs"]["lidar"]["seq"], result["outputs"]
            told[frame] = float(message.array(outputs["lead_distance"]["buffer"])[0])
            tracks.add(float(message.array(outputs["lead_track"]["buffer"])[0]))
    errors = np.abs(
        np.array([told[frame] for frame in range(60)]) - _reference(data_folder / "kitti_seq")
    )
    assert np.median(errors) <= 0.05
    assert errors.max() <= 0.15
    assert len(tracks - {-1.0}) == 1  # no identity switch
