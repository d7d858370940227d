from __future__ import annotations

import numpy as np
import pytest

from tectum.errors import ConfigError
from tectum.fusion.projection import camera_from_points, project, transform_between

OPTICAL = [[0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0, 0, 0, 1.0]]
"""From x forward, y left, z up to x right, y down, z forward."""


def _rig() -> dict:
    above = np.eye(4)
    above[:3, 3] = (0.0, 0.0, 1.5)
    optical = np.eye(4)
    optical[:3, :3] = np.asarray(OPTICAL)[:3, :3].T
    optical[:3, 3] = (0.4, 0.0, 1.0)
    return {
        "frames": {
            "lidar": {"parent": "car", "matrix": above.tolist()},
            "camera": {"parent": "car", "matrix": optical.tolist()},
        },
        "cameras": {
            "front": {
                "frame": "camera",
                "width": 200,
                "height": 100,
                "matrix": [[100.0, 0, 100.0], [0, 100.0, 50.0], [0, 0, 1.0]],
            }
        },
    }


def test_a_point_straight_ahead_at_the_cameras_height_is_in_the_middle() -> None:
    matrix = camera_from_points(_rig(), "camera", "lidar")
    pixels, before = project(np.array([[10.4, 0.0, -0.5]], np.float32), matrix)
    assert before.tolist() == [True]
    assert pixels[0] == pytest.approx([100.0, 50.0])


def test_left_is_left_and_up_is_up() -> None:
    matrix = camera_from_points(_rig(), "camera", "lidar")
    pixels, _ = project(np.array([[10.4, 1.0, 0.5]]), matrix)
    assert pixels[0] == pytest.approx([90.0, 40.0])


def test_points_behind_the_camera_have_no_pixel() -> None:
    matrix = camera_from_points(_rig(), "camera", "lidar")
    pixels, before = project(np.array([[-5.0, 0.0, 0.0], [0.4, 0.0, 0.0]]), matrix)
    assert before.tolist() == [False, False]
    assert np.array_equal(pixels, np.zeros((2, 2)))


def test_a_transform_and_its_way_back_undo_each_other() -> None:
    there = transform_between(_rig(), "lidar", "camera")
    back = transform_between(_rig(), "camera", "lidar")
    assert np.allclose(there @ back, np.eye(4))


def test_a_projection_of_three_by_four_stands_for_intrinsics() -> None:
    rig = _rig()
    camera = rig["cameras"]["front"]
    expected = camera_from_points(rig, "camera", "lidar")
    camera["projection"] = [[*row, 0.0] for row in camera.pop("matrix")]
    assert np.allclose(camera_from_points(rig, "camera", "lidar"), expected)


def test_an_unknown_camera_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="no camera has the frame 'rear'; cameras: front"):
        camera_from_points(_rig(), "rear", "lidar")


def test_frames_without_a_path_are_named_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match=r"no path from frame 'radar' to 'camera'.*rig\.frames"):
        camera_from_points(_rig(), "camera", "radar")


def test_frames_in_a_circle_are_refused() -> None:
    rig = _rig()
    rig["frames"]["car"] = {"parent": "lidar", "matrix": np.eye(4).tolist()}
    with pytest.raises(ConfigError, match="'lidar' is its own ancestor"):
        transform_between(rig, "lidar", "world")
