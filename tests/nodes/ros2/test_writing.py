"""What goes to ROS 2, read back by another library, and by ours."""

from __future__ import annotations

import json
import math
from typing import Any

import cv2
import numpy as np
import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from tectum.errors import DataError
from tectum.fusion.objects import OBJECT_COLUMNS
from tectum.message import ArrayPayload, BufferSpec, Header, Kind, Message
from tectum_nodes.ros2.reading import IMU_COLUMNS, read_message
from tectum_nodes.ros2.writing import DEFAULTS, WRITERS, clock_message, write_message

STAMP_NS = 1_700_000_000_123_456_789
VISION = {
    "vision_msgs/msg/Detection3DArray": (
        "std_msgs/Header header\nvision_msgs/Detection3D[] detections"
    ),
    "vision_msgs/msg/Detection3D": (
        "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n"
        "vision_msgs/BoundingBox3D bbox\nstring id"
    ),
    "vision_msgs/msg/ObjectHypothesisWithPose": (
        "vision_msgs/ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose"
    ),
    "vision_msgs/msg/ObjectHypothesis": "string class_id\nfloat64 score",
    "vision_msgs/msg/BoundingBox3D": "geometry_msgs/Pose center\ngeometry_msgs/Vector3 size",
}


@pytest.fixture(scope="module")
def store() -> Any:
    found = get_typestore(Stores.ROS2_HUMBLE)
    for name, text in VISION.items():
        found.register(get_types_from_msg(text, name))
    return found


def message(kind: Kind, *arrays: Any, topic: str = "eye/image", **fields: Any) -> Message:
    specs = tuple(BufferSpec(array.dtype.name, array.shape) for array in arrays)
    header = Header(topic, kind, 0, STAMP_NS, frame_id="lens", fields=fields, buffers=specs)
    return Message(header, tuple(ArrayPayload(array) for array in arrays))


def written(type_name: str, given: Message) -> bytes:
    return write_message(type_name, given, given.header.stamp_ns, given.header.frame_id)


def stamp_of(found: Any) -> int:
    return int(found.header.stamp.sec) * 1_000_000_000 + int(found.header.stamp.nanosec)


@pytest.mark.parametrize(
    ("encoding", "shape", "dtype"),
    [
        ("bgr8", (5, 7, 3), "uint8"),
        ("rgb8", (5, 7, 3), "uint8"),
        ("mono8", (5, 7), "uint8"),
        ("mono16", (5, 7), "uint16"),
        ("32FC1", (5, 7), "float32"),
    ],
)
def test_a_picture_comes_back_as_it_went(store, encoding, shape, dtype):
    picture = np.arange(math.prod(shape)).reshape(shape).astype(dtype)
    data = written("sensor_msgs/msg/Image", message(Kind.IMAGE, picture, encoding=encoding))
    found = store.deserialize_cdr(data, "sensor_msgs/msg/Image")
    assert (stamp_of(found), found.header.frame_id) == (STAMP_NS, "lens")
    assert (found.height, found.width, found.encoding) == (5, 7, encoding)
    assert bytes(found.data) == picture.tobytes()
    back = read_message("sensor_msgs/msg/Image", data)
    assert (back.stamp_ns, back.frame_id, back.fields) == (STAMP_NS, "lens", {"encoding": encoding})
    assert np.array_equal(back.arrays[0], picture)


def test_jpeg_stays_the_same_bytes_and_other_pictures_are_made_jpeg(store):
    jpeg = np.frombuffer(b"\xff\xd8\xff whatever", np.uint8)
    data = written("sensor_msgs/msg/CompressedImage", message(Kind.IMAGE, jpeg, encoding="jpeg"))
    found = store.deserialize_cdr(data, "sensor_msgs/msg/CompressedImage")
    assert (stamp_of(found), found.format, bytes(found.data)) == (STAMP_NS, "jpeg", jpeg.tobytes())
    grey = np.full((16, 16), 90, np.uint8)
    data = written("sensor_msgs/msg/CompressedImage", message(Kind.IMAGE, grey, encoding="mono8"))
    found = store.deserialize_cdr(data, "sensor_msgs/msg/CompressedImage")
    assert cv2.imdecode(found.data, cv2.IMREAD_UNCHANGED).shape == (16, 16)


def test_a_cloud_comes_back_and_a_plain_one_is_a_view_of_its_bytes(store):
    points = np.arange(24, dtype=np.float32).reshape(6, 4)
    names = ["x", "y", "z", "intensity"]
    data = written("sensor_msgs/msg/PointCloud2", message(Kind.POINTS, points, names=names))
    found = store.deserialize_cdr(data, "sensor_msgs/msg/PointCloud2")
    assert (found.height, found.width, found.point_step, found.row_step) == (1, 6, 16, 96)
    assert [field.name for field in found.fields] == names
    assert bytes(found.data) == points.tobytes()
    back = read_message("sensor_msgs/msg/PointCloud2", data)
    assert back.stamp_ns == STAMP_NS
    assert np.array_equal(back.arrays[0], points)
    assert np.shares_memory(back.arrays[0], np.frombuffer(data, np.uint8))
    assert back.fields == {"names": names}


def test_points_without_a_place_are_left_out_as_before():
    points, names = np.arange(24, dtype=np.float32).reshape(6, 4), ["x", "y", "z", "intensity"]
    points[0, 3] = np.nan  # it has a place
    points[2, 0], points[3, 1], points[5, 2] = np.nan, np.inf, -np.inf
    data = written("sensor_msgs/msg/PointCloud2", message(Kind.POINTS, points, names=names))
    (found,) = read_message("sensor_msgs/msg/PointCloud2", data).arrays
    assert np.array_equal(found, points[[0, 1, 4]], equal_nan=True)


@pytest.mark.parametrize("known", [True, False])
def test_an_imu_comes_back_also_without_an_orientation(store, known):
    values = np.arange(10.0)
    values[:4] = (0.0, 0.0, 0.6, 0.8) if known else np.nan
    given = message(Kind.TENSOR, values, names=["values"], columns=list(IMU_COLUMNS))
    data = written("sensor_msgs/msg/Imu", given)
    found = store.deserialize_cdr(data, "sensor_msgs/msg/Imu")
    assert found.linear_acceleration.z == 9.0
    assert (found.orientation_covariance[0] == -1) is not known
    (back,) = read_message("sensor_msgs/msg/Imu", data).arrays
    assert np.array_equal(back, values, equal_nan=True)


def test_poses_texts_and_the_clock_come_back(store):
    pose = np.arange(7.0)
    data = written("geometry_msgs/msg/PoseStamped", message(Kind.POSE, pose))
    assert np.array_equal(read_message("geometry_msgs/msg/PoseStamped", data).arrays[0], pose)
    data = written("std_msgs/msg/String", message(Kind.TEXT, text="grüße"))
    assert store.deserialize_cdr(data, "std_msgs/msg/String").data == "grüße"
    clock = store.deserialize_cdr(clock_message(STAMP_NS), "rosgraph_msgs/msg/Clock").clock
    assert (clock.sec, clock.nanosec) == divmod(STAMP_NS, 1_000_000_000)


OBJECTS = np.array(
    [
        [1, 2, 3, 4, 0.5, 1, 8, 9.0, 1.0, 0.5, 12],
        [1, 2, 3, 4, 0.4, 0, np.nan, np.nan, np.nan, np.nan, 0],
        [5, 6, 7, 8, 0.9, 7, 8, 20.0, -3.0, 0.0, 40],
    ],
    np.float32,
)
COLUMNS = list(OBJECT_COLUMNS)
TRACKS = np.array([[41, 2], [17, 0], [9, -1]], np.float32)


def result() -> Message:
    document = {
        "schema": "tectum.result/1", "node": "perception", "trigger": 4, "stamp_ns": STAMP_NS,
        "outcome": "partial", "reason": "input_silent", "flags": ["late"], "blame": "head",
        "latency_ms": 41.5, "age_ms": 141.0,
        "inputs": {
            "camera": {"status": "missing", "reason": "silent"},
            "lidar": {"status": "fresh", "reason": "", "seq": 25, "skew_ms": 0.0},
            "imu": {"status": "cached", "reason": "absent", "seq": 2},
        },
        "outputs": {
            "objects": {
                "buffer": 0, "role": "objects", "labels": ["car", "van"], "columns": COLUMNS,
            },
            "tracks": {"buffer": 1, "role": "tensor", "labels": [], "columns": ["track", "object"]},
            "siren": {"buffer": 2, "role": "scores", "labels": ["no", "yes"]},
        },
    }  # fmt: skip
    scores = np.array([0.25, 0.75], np.float32)
    topic = "perception/result"
    return message(Kind.RESULT, OBJECTS, TRACKS, scores, topic=topic, result=document)


def test_objects_with_a_place_become_detections_with_label_and_track(store):
    data = written("vision_msgs/msg/Detection3DArray", result())
    found = store.deserialize_cdr(data, "vision_msgs/msg/Detection3DArray")
    assert (stamp_of(found), found.header.frame_id) == (STAMP_NS, "lens")
    told = [
        (item.results[0].hypothesis.class_id, item.id, item.bbox.center.position.x)
        for item in found.detections
    ]
    assert told == [("van", "17", 9.0), ("7", "41", 20.0)]
    first = found.detections[0]
    assert first.results[0].hypothesis.score == pytest.approx(0.5)
    assert (first.bbox.center.orientation.w, first.bbox.size.x) == (1.0, 0.0)
    assert first.header.frame_id == "lens"


def test_a_result_becomes_diagnostics_of_the_node_and_of_each_input(store):
    data = written("diagnostic_msgs/msg/DiagnosticArray", result())
    found = store.deserialize_cdr(data, "diagnostic_msgs/msg/DiagnosticArray")
    assert stamp_of(found) == STAMP_NS
    told = [(status.name, status.level, status.message) for status in found.status]
    assert told == [
        ("tectum: perception", 1, "partial: input_silent"),
        ("tectum: perception/camera", 3, "missing: silent"),
        ("tectum: perception/lidar", 0, "fresh"),
        ("tectum: perception/imu", 1, "cached: absent"),
    ]
    values = {item.key: item.value for item in found.status[0].values}
    assert values["latency_ms"] == "41.5"
    assert values["siren/yes"] == "0.75"
    assert values["objects"] == "3 x 11"
    assert values["late"] == "true"


def test_a_result_becomes_json_with_its_numbers(store):
    data = written("std_msgs/msg/String", result())
    document = json.loads(store.deserialize_cdr(data, "std_msgs/msg/String").data)
    assert document["stamp_ns"] == STAMP_NS
    assert document["outputs"]["siren"]["values"] == [0.25, 0.75]
    assert document["outputs"]["objects"]["shape"] == [3, 11]
    assert document["outputs"]["objects"]["values"][1][7] is None
    assert "buffer" not in document["outputs"]["siren"]


def test_health_becomes_diagnostics(store):
    given = message(
        Kind.HEALTH, topic="perception/health", state="running", triggers=7,
        outcomes={"complete": 5, "shed": 2},
        listening={"camera": ["silent", 5], "lidar": ["speaking", 9]},
    )  # fmt: skip
    data = written("diagnostic_msgs/msg/DiagnosticArray", given)
    found = store.deserialize_cdr(data, "diagnostic_msgs/msg/DiagnosticArray")
    told = [(status.name, status.level, status.message) for status in found.status]
    assert told == [
        ("tectum: perception/health", 0, "running"),
        ("tectum: perception/health/camera", 3, "silent"),
        ("tectum: perception/health/lidar", 0, "speaking"),
    ]
    values = {item.key: item.value for item in found.status[0].values}
    assert values == {"triggers": "7", "complete": "5", "shed": "2"}


@pytest.mark.parametrize(
    ("type_name", "given", "says"),
    [
        (
            "sensor_msgs/msg/Image",
            message(Kind.IMAGE, np.zeros(9, np.uint8), encoding="jpeg"),
            "eye/image has JPEG pictures: write type: CompressedImage",
        ),
        (
            "sensor_msgs/msg/CompressedImage",
            message(Kind.IMAGE, np.zeros((2, 2), np.float32), encoding="32FC1"),
            "eye/image has 32FC1 pictures, which no JPEG holds: type: Image",
        ),
        (
            "sensor_msgs/msg/Imu",
            message(Kind.TENSOR, np.zeros(2), names=["values"], columns=["a", "b"]),
            "eye/image has the columns a, b, and an Imu is made of qx, qy",
        ),
        (
            "sensor_msgs/msg/Image",
            message(Kind.RESULT, topic="perception/result", result={}),
            "perception/result is of kind result, which no Image holds: write type: "
            "String or DiagnosticArray or Detection3DArray",
        ),
        (
            "sensor_msgs/msg/Image",
            message(Kind.AUDIO, topic="mic/audio"),
            "mic/audio is of kind audio, which no Image holds: nothing in ROS 2 is like it",
        ),
    ],
)
def test_what_has_no_such_message_is_said_with_the_way_out(type_name, given, says):
    with pytest.raises(DataError) as caught:
        written(type_name, given)
    assert says in str(caught.value)


def test_every_default_can_be_written():
    assert all(kind in WRITERS[name].kinds for kind, name in DEFAULTS.items())
