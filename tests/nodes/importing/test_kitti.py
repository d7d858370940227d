"""KITTI folders become logs with the calibration as rig, and labels where there are any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tectum.fusion.projection import camera_from_points, project
from tectum.message import Kind
from tectum_nodes.importing.base import UNDATED_NS

MS = 1_000_000
P2 = np.array([[700.0, 0, 600, 45], [0, 700, 180, -0.3], [0, 0, 1, 0.005]])
TR = np.array([[0.0, -1, 0, 0], [0, 0, -1, -0.08], [1, 0, 0, -0.27]])


def numbers(matrix: np.ndarray) -> str:
    return " ".join(f"{number:.9e}" for number in matrix.ravel())


def calibration() -> str:
    return f"P2: {numbers(P2)}\nR0_rect: {numbers(np.eye(3))}\nTr_velo_to_cam: {numbers(TR)}\n"


def object_folder(folder: Path, frames: int = 3) -> Path:
    for name in ("image_2", "velodyne", "calib", "label_2"):
        (folder / name).mkdir(parents=True)
    for frame in range(frames):
        cv2.imwrite(str(folder / f"image_2/{frame:06}.png"), np.full((20, 60, 3), frame, np.uint8))
        np.full((5 + frame, 4), frame, np.float32).tofile(folder / f"velodyne/{frame:06}.bin")
        (folder / f"calib/{frame:06}.txt").write_text(calibration())
        (folder / f"label_2/{frame:06}.txt").write_text(
            "Car 0.00 0 -1.57 10.0 20.0 30.0 40.0 1.5 1.6 3.9 1.0 1.7 20.0 0.1\n"
            "DontCare -1 -1 -10 1 2 3 4 -1 -1 -1 -1000 -1000 -1000 -10\n"
        )
    return folder


def test_an_object_folder_has_pictures_scans_boxes_and_objects(
    tmp_path: Path, imported: Any
) -> None:
    log = imported(object_folder(tmp_path / "training"))
    assert log.report.topics == {
        "camera/image": 3, "lidar/points": 3, "labels/boxes": 3, "labels/objects": 3,
    }  # fmt: skip
    stamps = [m.header.stamp_ns for m in log.of("camera/image")]
    assert stamps == [UNDATED_NS + n * 100 * MS for n in range(3)]
    assert stamps == [m.header.stamp_ns for m in log.of("lidar/points")]
    assert [m.array().shape for m in log.of("lidar/points")] == [(5, 4), (6, 4), (7, 4)]
    boxes = log.of("labels/boxes")[1]
    assert boxes.header.kind is Kind.BOXES
    assert boxes.array(0).tolist() == [[10, 20, 30, 40]]
    assert boxes.header.fields["labels"][int(boxes.array(2)[0])] == "Car"


def test_objects_lie_in_the_frame_of_the_camera_of_the_rig(tmp_path: Path, imported: Any) -> None:
    """The middle of a car's bottom, projected as KITTI says, and through the rig."""
    log = imported(object_folder(tmp_path / "training"))
    x, y, z = log.of("labels/objects")[0].array()[0, :3]
    as_kitti_says = P2 @ [1.0, 1.7, 20.0, 1.0]
    matrix = np.array(log.rig["cameras"]["camera"]["matrix"])
    ours = matrix @ [x, y, z]
    assert np.allclose(ours[:2] / ours[2], as_kitti_says[:2] / as_kitti_says[2], atol=1e-3)
    pixels, _ = project(np.array([[20.0, -1, 0.5]]), camera_from_points(log.rig, "camera", "lidar"))
    direct = P2 @ [*(TR @ [20.0, -1, 0.5, 1]), 1]
    assert np.allclose(pixels[0], direct[:2] / direct[2], atol=1e-3)


def test_frames_of_another_calibration_and_broken_ones_are_counted(
    tmp_path: Path, imported: Any
) -> None:
    folder = object_folder(tmp_path / "training", 4)
    (folder / "calib/000002.txt").write_text(calibration().replace("7.0", "7.1"))
    (folder / "image_2/000001.png").write_bytes(b"no picture")
    (folder / "velodyne/000003.bin").write_bytes(b"abc")
    (folder / "label_2/000000.txt").write_text("Unicorn 0 0 0 1 2 3 4 1 1 1 1 1 1 1\n")
    log = imported(folder)
    assert log.report.topics == {
        "camera/image": 3, "lidar/points": 3, "labels/boxes": 3, "labels/objects": 3,
    }  # fmt: skip
    assert sorted(log.report.troubles.values()) == [1, 1, 1, 2]
    words = "\n".join(log.report.troubles)
    assert "another calibration than the first" in words
    assert "000001.png is not a picture that can be decoded" in words
    assert "its 3 bytes are not x y z r" in words
    assert "000000.txt:1 is not a label of KITTI (one of Car, Van" in words


def test_a_raw_folder_keeps_its_dates_and_each_sensor_its_own(
    tmp_path: Path, imported: Any
) -> None:
    folder = tmp_path / "2011_09_26_drive_0001_sync"
    for name, suffix, late in (("image_02", "png", 4_000), ("velodyne_points", "bin", 0)):
        (folder / name / "data").mkdir(parents=True)
        lines = [f"2011-09-26 14:30:15.{n * 100_000 + late:06}123" for n in range(3)]
        (folder / name / "timestamps.txt").write_text("\n".join(lines) + "\n")
        for frame in range(3):
            path = folder / name / f"data/{frame:010}.{suffix}"
            if suffix == "png":
                cv2.imwrite(str(path), np.zeros((4, 4, 3), np.uint8))
            else:
                np.zeros((2, 4), np.float32).tofile(path)
    log = imported(folder)
    begin_ns = 1_317_047_415 * 1_000_000_000 + 123
    seen = [m.header.stamp_ns - begin_ns for m in log.of("camera/image")]
    scanned = [m.header.stamp_ns - begin_ns for m in log.of("lidar/points")]
    assert seen == [4 * MS, 104 * MS, 204 * MS]
    assert scanned == [0, 100 * MS, 200 * MS]
    assert log.rig is None
    assert "imu/tensor" not in log.report.topics


def test_gps_and_imu_of_a_raw_folder_have_their_own_times(tmp_path: Path, imported: Any) -> None:
    folder = tmp_path / "drive"
    for name in ("velodyne_points", "oxts"):
        (folder / name / "data").mkdir(parents=True)
    np.zeros((2, 4), np.float32).tofile(folder / "velodyne_points/data/0000000000.bin")
    (folder / "velodyne_points/timestamps.txt").write_text("2011-09-26 14:30:15.000000000\n")
    lines = [f"2011-09-26 14:30:15.0{n}0000000" for n in range(3)]
    (folder / "oxts/timestamps.txt").write_text("\n".join(lines) + "\n")
    for frame in range(3):
        words = [f"{frame + column / 100}" for column in range(30)]
        (folder / f"oxts/data/{frame:010}.txt").write_text(" ".join(words))
    (folder / "oxts/data/0000000001.txt").write_text("1 2 three")
    log = imported(folder)
    rows = log.of("imu/tensor")
    begin_ns = 1_317_047_415 * 1_000_000_000
    assert [m.header.stamp_ns - begin_ns for m in rows] == [0, 20 * MS]
    columns = list(rows[1].header.fields["columns"])
    assert rows[1].array()[columns.index("az")] == 2.13
    ((text, count),) = log.report.troubles.items()
    assert "0000000001.txt does not hold the 23 numbers of GPS and IMU" in text
    assert count == 1


def test_a_rate_is_taken_before_the_times_of_the_folder(tmp_path: Path, imported: Any) -> None:
    log = imported(object_folder(tmp_path / "training"), rate="20Hz", topics=("lidar/points",))
    assert [m.header.stamp_ns - UNDATED_NS for m in log.of("lidar/points")] == [
        0,
        50 * MS,
        100 * MS,
    ]


@pytest.mark.data
def test_the_recorded_sequence_is_imported_whole(data_folder: Path, imported: Any) -> None:
    log = imported(data_folder / "kitti_seq")
    assert log.report.topics == {"camera/image": 60, "lidar/points": 60}
    first = log.of("camera/image")[0].array().tobytes()
    assert first == (data_folder / "kitti_seq/image_02/0000000000.jpg").read_bytes()
    assert set(log.rig["cameras"]) == {"camera"}
