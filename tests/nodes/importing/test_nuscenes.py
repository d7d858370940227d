"""nuScenes: each sensor with its own stamps, the rig, the vehicle's pose and labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tectum.errors import DataError
from tectum.fusion.projection import transform_between
from tectum_nodes.importing.formats import opened_source

MS = 1_000_000
BEGIN_US = 1_532_402_927_000_000
K = [[1200.0, 0, 800], [0, 1200, 450], [0, 0, 1]]


def tables(folder: Path, scenes: int = 2) -> Path:
    """A data set in small: two keyframes a scene, a sweep between them, one camera, one lidar."""
    rows: dict[str, list[dict[str, Any]]] = {
        name: []
        for name in ("scene", "sample", "sample_data", "ego_pose", "sample_annotation", "instance")
    }
    rows["category"] = [{"token": "c1", "name": "vehicle.car"}, {"token": "c0", "name": "animal"}]
    rows["sensor"] = [
        {"token": "s0", "channel": "CAM_FRONT"},
        {"token": "s1", "channel": "LIDAR_TOP"},
    ]
    rows["calibrated_sensor"] = [
        {"token": "k0", "sensor_token": "s0", "translation": [1.7, 0, 1.5],
         "rotation": [0.5, -0.5, 0.5, -0.5], "camera_intrinsic": K},
        {"token": "k1", "sensor_token": "s1", "translation": [0.9, 0, 1.8],
         "rotation": [np.sqrt(0.5), 0, 0, -np.sqrt(0.5)], "camera_intrinsic": []},
    ]  # fmt: skip
    for scene in range(scenes):
        rows["scene"].append({"token": f"sc{scene}", "name": f"scene-{scene:04}"})
        for key in range(3):
            token, at_us = f"{scene}-{key}", BEGIN_US + scene * 60_000_000 + key * 250_000
            keyframe = key != 1
            if keyframe:
                rows["sample"].append(
                    {"token": token, "scene_token": f"sc{scene}", "timestamp": at_us}
                )
                rows["instance"].append({"token": f"i{token}", "category_token": "c1"})
                rows["sample_annotation"].append({
                    "sample_token": token, "instance_token": f"i{token}", "size": [2, 4, 1.5],
                    "translation": [10, 20, 1], "rotation": [np.sqrt(0.5), 0, 0, np.sqrt(0.5)],
                })  # fmt: skip
            rows["ego_pose"].append(
                {"token": f"e{token}", "translation": [key, 0, 0], "rotation": [1, 0, 0, 0]}
            )
            for sensor, name, late_us in (("k0", "CAM_FRONT", -35_000), ("k1", "LIDAR_TOP", 0)):
                suffix = "jpg" if name == "CAM_FRONT" else "pcd.bin"
                file = f"samples/{name}/{token}.{suffix}"
                path = folder / file
                path.parent.mkdir(parents=True, exist_ok=True)
                if suffix == "jpg":
                    cv2.imwrite(str(path), np.zeros((9, 16, 3), np.uint8))
                else:
                    np.full((3 + key, 5), key, np.float32).tofile(path)
                owner = token if keyframe else f"{scene}-2"
                rows["sample_data"].append({
                    "sample_token": owner, "is_key_frame": keyframe, "timestamp": at_us + late_us,
                    "calibrated_sensor_token": sensor, "ego_pose_token": f"e{token}",
                    "filename": file, "width": 1600, "height": 900,
                })  # fmt: skip
    (folder / "v1.0-mini").mkdir()
    for name, found in rows.items():
        (folder / "v1.0-mini" / f"{name}.json").write_text(json.dumps(found))
    return folder


def test_the_keyframes_of_a_scene_with_their_own_stamps(tmp_path: Path, imported: Any) -> None:
    log = imported(tables(tmp_path / "nuscenes"))
    assert log.report.topics == {
        "cam_front/image": 2, "lidar/points": 2, "ego/pose": 2, "labels/objects": 2,
    }  # fmt: skip
    seen, scanned = log.of("cam_front/image"), log.of("lidar/points")
    begin_ns = BEGIN_US * 1000
    assert [m.header.stamp_ns - begin_ns for m in seen] == [-35 * MS, 465 * MS]
    # the data set's time of a scan is the end of its turn
    assert [m.header.stamp_ns + m.header.span_ns - begin_ns for m in scanned] == [0, 500 * MS]
    assert {m.header.span_ns for m in scanned} == {50 * MS}
    assert [m.array().shape for m in scanned] == [(3, 5), (5, 5)]
    assert log.report.troubles == {
        "scenes besides scene-0000 are left out: choose one with --set scene=NAME": 1
    }


def test_a_scene_is_chosen_and_sweeps_are_taken_on_request(tmp_path: Path, imported: Any) -> None:
    log = imported(tables(tmp_path / "nuscenes"), scene="scene-0001", sweeps=True)
    assert log.report.topics["lidar/points"] == 3
    assert log.of("cam_front/image")[0].header.stamp_ns == BEGIN_US * 1000 + 60_000 * MS - 35 * MS
    assert not log.report.troubles


def test_rig_and_labels_are_where_the_tables_say(tmp_path: Path, imported: Any) -> None:
    log = imported(tables(tmp_path / "nuscenes", 1))
    # The camera looks ahead (x of the vehicle), 1.7 m before its middle.
    ahead = transform_between(log.rig, "ego", "cam_front") @ [11.7, 0, 1.5, 1]
    assert np.allclose(ahead[:3], [0, 0, 10], atol=1e-9)
    # The lidar's x axis looks to the vehicle's right.
    right = transform_between(log.rig, "lidar", "ego") @ [1, 0, 0, 1]
    assert np.allclose(right[:3], [0.9, -1, 1.8], atol=1e-9)
    camera = log.rig["cameras"]["cam_front"]
    assert (camera["width"], camera["height"], camera["matrix"]) == (1600, 900, K)
    labels = log.of("labels/objects")[0]
    assert labels.header.frame_id == "map"
    assert np.allclose(labels.array(), [[10, 20, 1, 4, 2, 1.5, np.pi / 2, 1]])
    assert labels.header.fields["labels"][1] == "vehicle.car"
    pose = log.of("ego/pose")[1]
    assert pose.array().tolist() == [2, 0, 0, 0, 0, 0, 1]
    assert (pose.header.frame_id, pose.header.fields["child_frame_id"]) == ("map", "ego")


def test_missing_files_and_tables_are_said(tmp_path: Path, imported: Any) -> None:
    folder = tables(tmp_path / "nuscenes", 1)
    (folder / "samples/CAM_FRONT/0-0.jpg").unlink()
    (folder / "samples/LIDAR_TOP/0-2.pcd.bin").write_bytes(b"abc")
    log = imported(folder)
    assert log.report.topics["cam_front/image"] == 1
    assert log.report.topics["lidar/points"] == 1
    gone, broken = sorted(log.report.troubles, key=len)
    assert "No such file" in gone + broken
    assert "its 3 bytes are not x y z intensity ring" in gone + broken
    with pytest.raises(DataError, match=r"no scene 'scene-0005'; did you mean 'scene-0000'"):
        opened_source(folder, "", {"scene": "scene-0005"})
    (folder / "v1.0-mini/ego_pose.json").unlink()
    with pytest.raises(DataError, match=r"ego_pose\.json cannot be read: No such file"):
        opened_source(folder, "", {})


@pytest.mark.data
def test_the_recorded_keyframe_has_six_cameras_and_a_lidar(
    data_folder: Path, imported: Any
) -> None:
    folder = data_folder / "nuscenes_sample"
    log = imported(folder)
    assert len(log.report.topics) == 8
    assert not log.report.troubles
    for file in folder.glob("*__*__*"):
        _, channel, rest = file.name.split("__")
        time_ns = int(rest.split(".")[0]) * 1000
        if channel == "LIDAR_TOP":
            (message,) = log.of("lidar/points")
            assert message.header.stamp_ns + message.header.span_ns == time_ns
            assert np.array_equal(message.array().ravel(), np.fromfile(file, np.float32))
        else:
            (message,) = log.of(f"{channel.lower()}/image")
            assert message.header.stamp_ns == time_ns
            assert message.array().tobytes() == file.read_bytes()
    summary = json.loads(next(folder.glob("*.json")).read_text())["data_list"][0]["images"]
    for channel, image in summary.items():
        stated = np.array(image["lidar2cam"])
        ours = transform_between(log.rig, "lidar", channel.lower())
        # The summary adds how far the vehicle drove between the two shots; a rig does not move.
        assert np.abs(ours[:3, :3] - stated[:3, :3]).max() < 0.005
        assert np.abs(ours[:3, 3] - stated[:3, 3]).max() < 0.5
        assert log.rig["cameras"][channel.lower()]["matrix"] == image["cam2img"]
