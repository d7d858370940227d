"""What is imported and what it is called: as wished, or as a graph would call it."""

from __future__ import annotations

import pytest

from tectum.errors import ConfigError
from tectum.message import Kind
from tectum_nodes.importing.base import Stream
from tectum_nodes.importing.naming import chosen_topics

STREAMS = (
    Stream("/cam/image_raw", Kind.IMAGE, "sensor_msgs/msg/Image"),
    Stream("/cam/left/image", Kind.IMAGE, "sensor_msgs/msg/Image"),
    Stream("/imu", Kind.TENSOR, "sensor_msgs/msg/Imu"),
    Stream("/velodyne packets", Kind.POINTS, "velodyne_msgs/msg/VelodyneScan"),
    Stream("/diagnostics", None, "diagnostic_msgs/msg/DiagnosticArray"),
    Stream("LIDAR_TOP", Kind.POINTS, "lidar scans", topic="lidar/points"),
)


def test_without_wishes_all_is_taken_under_a_name_that_fits() -> None:
    assert chosen_topics(STREAMS, ()) == {
        "/cam/image_raw": "cam/image_raw",
        "/cam/left/image": "cam/left_image",
        "/imu": "imu/tensor",
        "/velodyne packets": "velodyne_packets/points",
        "LIDAR_TOP": "lidar/points",
    }


def test_wishes_choose_and_name_in_any_order() -> None:
    wishes = ("/imu", "/cam/image_raw=camera", "/cam/left*=left/picture")
    assert chosen_topics(STREAMS, wishes) == {
        "/cam/image_raw": "camera/image", "/cam/left/image": "left/picture", "/imu": "imu/tensor",
    }  # fmt: skip


def test_a_star_takes_the_rest_beside_what_is_named() -> None:
    chosen = chosen_topics(STREAMS, ("*", "/imu=vehicle"))
    assert chosen["/imu"] == "vehicle/tensor"
    assert len(chosen) == 5


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        (("/imuu",), r"no '/imuu'; did you mean '/imu'\?; it has /cam/image_raw"),
        (("/cam/*=camera",), "/cam/image_raw, /cam/left/image cannot all have one name"),
        (("/diagnostics=health",), r"/diagnostics \(diagnostic_msgs.*\) cannot be imported"),
        (("/imu=a b",), "'a b' is not a topic; write NODE/OUTPUT, such as camera/image"),
        (
            ("/velodyne packets=lidar", "LIDAR_TOP"),
            "would both be lidar/points: give one another name, --topic LIDAR_TOP=NODE/OUTPUT",
        ),
    ],
)
def test_a_wish_that_cannot_be_met_is_said(wishes: tuple[str, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        chosen_topics(STREAMS, wishes)
