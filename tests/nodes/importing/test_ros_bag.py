"""ROS 2 bags that another library wrote come out as they went in, from both storages."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from tectum.errors import ConfigError, DataError, TectumError
from tectum.message import Kind
from tectum_nodes.importing.copying import import_log
from tectum_nodes.importing.formats import opened_source
from tectum_nodes.importing.naming import chosen_topics
from tectum_nodes.importing.ros_bag import RosBag, RosBagConfig

STORE = get_typestore(Stores.ROS2_HUMBLE)
T = STORE.types
S = 1_000_000_000
BEGIN_NS = 1_700_000_000 * S
PICTURE = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def header(stamp_ns: int, frame: str) -> Any:
    stamp = T["builtin_interfaces/msg/Time"](stamp_ns // S, stamp_ns % S)
    return T["std_msgs/msg/Header"](stamp, frame)


def image(stamp_ns: int, picture: np.ndarray, encoding: str, padding: int = 0) -> Any:
    rows = picture.reshape(picture.shape[0], -1).view(np.uint8)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    height, width = picture.shape[:2]
    return T["sensor_msgs/msg/Image"](
        header(stamp_ns, "lens"), height, width, encoding, 0, padded.shape[1], padded.ravel()
    )


def cloud(stamp_ns: int, rows: np.ndarray, step: int) -> Any:
    """A cloud of rows of a structured dtype."""
    kinds = {"int8": 1, "uint8": 2, "int16": 3, "uint16": 4, "int32": 5, "uint32": 6,
             "float32": 7, "float64": 8}  # fmt: skip
    fields = [
        T["sensor_msgs/msg/PointField"](name, offset, kinds[kind.name], 1)
        for name, (kind, offset) in rows.dtype.fields.items()
    ]
    data = np.frombuffer(rows.tobytes(), np.uint8)
    return T["sensor_msgs/msg/PointCloud2"](
        header(stamp_ns, "laser"), 1, len(rows), fields, False, step, step * len(rows), data, False
    )


def imu(stamp_ns: int) -> Any:
    quaternion = T["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.6, 0.8)
    vector = T["geometry_msgs/msg/Vector3"]
    nothing = np.zeros(9)
    return T["sensor_msgs/msg/Imu"](
        header(stamp_ns, "imu"), quaternion, nothing, vector(1.0, 2.0, 3.0), nothing,
        vector(4.0, 5.0, 9.81), nothing,
    )  # fmt: skip


def camera_info(k: np.ndarray, p: np.ndarray, d: list[float]) -> Any:
    roi = T["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    return T["sensor_msgs/msg/CameraInfo"](
        header(BEGIN_NS, "lens"), 480, 640, "plumb_bob", np.array(d), k.ravel(), np.eye(3).ravel(),
        p.ravel(), 0, 0, roi,
    )  # fmt: skip


def transform(
    parent: str, child: str, xyz: tuple[float, float, float], q: tuple[float, ...]
) -> Any:
    return T["tf2_msgs/msg/TFMessage"]([
        T["geometry_msgs/msg/TransformStamped"](
            header(BEGIN_NS, parent), child,
            T["geometry_msgs/msg/Transform"](
                T["geometry_msgs/msg/Vector3"](*xyz), T["geometry_msgs/msg/Quaternion"](*q)
            ),
        )
    ])  # fmt: skip


def bag(
    path: Path,
    said: dict[str, list[tuple[int, Any]]],
    *,
    storage: StoragePlugin = StoragePlugin.SQLITE3,
    mode: CompressionMode = CompressionMode.NONE,
) -> Path:
    """Write topic -> [(time, message)]."""
    writer = Writer(path, version=9, storage_plugin=storage)
    if mode is not CompressionMode.NONE:
        writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        for topic, messages in said.items():
            kind = messages[0][1].__msgtype__
            connection = writer.add_connection(topic, kind, typestore=STORE)
            for time_ns, message in messages:
                writer.write(connection, time_ns, STORE.serialize_cdr(message, kind))
    return path


def everything() -> dict[str, list[tuple[int, Any]]]:
    """Each type that is read, three times; heard 5 ms after its stamp."""
    jpeg = cv2.imencode(".jpg", PICTURE)[1].ravel()
    points = np.zeros(3, np.dtype([("x", "f4"), ("y", "f4"), ("z", "f4"), ("ring", "u2")]))
    points["x"], points["ring"] = [1, np.nan, 3], [4, 5, 6]
    compressed = T["sensor_msgs/msg/CompressedImage"]
    pose = T["geometry_msgs/msg/Pose"](
        T["geometry_msgs/msg/Point"](1.0, 2.0, 3.0),
        T["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0),
    )
    twist = T["geometry_msgs/msg/TwistWithCovariance"](
        T["geometry_msgs/msg/Twist"](
            T["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0),
            T["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0),
        ),
        np.zeros(36),
    )
    with_covariance = T["geometry_msgs/msg/PoseWithCovariance"](pose, np.zeros(36))
    make: dict[str, Callable[[int], Any]] = {
        "/cam/image_raw": lambda ns: image(ns, PICTURE, "bgr8", padding=2),
        "/cam/compressed": lambda ns: compressed(header(ns, "lens"), "jpeg", jpeg),
        "/lidar/points": lambda ns: cloud(ns, points, 14),
        "/imu": imu,
        "/pose": lambda ns: T["geometry_msgs/msg/PoseStamped"](header(ns, "map"), pose),
        "/odom": lambda ns: T["nav_msgs/msg/Odometry"](
            header(ns, "map"), "base", with_covariance, twist
        ),
        "/said": lambda ns: T["std_msgs/msg/String"](f"at {ns}"),
        "/other": lambda _: T["std_msgs/msg/Int32"](5),
    }
    stamps = [BEGIN_NS + number * S // 10 for number in range(3)]
    return {
        topic: [(stamp + 5_000_000, of(stamp)) for stamp in stamps] for topic, of in make.items()
    }


FORMS = [
    (StoragePlugin.SQLITE3, CompressionMode.NONE),
    (StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
    (StoragePlugin.SQLITE3, CompressionMode.FILE),
    (StoragePlugin.MCAP, CompressionMode.NONE),
    (StoragePlugin.MCAP, CompressionMode.STORAGE),
    (StoragePlugin.MCAP, CompressionMode.FILE),
]


@pytest.mark.parametrize(("storage", "mode"), FORMS)
def test_every_type_comes_out_as_it_went_in(
    tmp_path: Path, imported: Any, storage: StoragePlugin, mode: CompressionMode
) -> None:
    log = imported(bag(tmp_path / "bag", everything(), storage=storage, mode=mode))

    assert log.report.topics == dict.fromkeys(
        ["cam/image_raw", "cam/compressed", "lidar/points", "imu/tensor", "pose/pose", "odom/pose",
         "said/text"], 3,
    )  # fmt: skip
    assert not log.report.troubles
    for topic in log.report.topics:
        headers = [message.header for message in log.of(topic)]
        heard = [at_ns for at_ns, message in log.records if message.header.topic == topic]
        assert [h.seq for h in headers] == [0, 1, 2]
        assert heard == [BEGIN_NS + n * S // 10 + 5_000_000 for n in range(3)]
        if topic != "said/text":  # a text has no stamp: that of its arrival
            assert [h.stamp_ns for h in headers] == [BEGIN_NS + n * S // 10 for n in range(3)]
    jpeg = log.of("cam/compressed")[0]
    assert jpeg.header.fields["encoding"] == "jpeg"
    assert jpeg.header.frame_id == "lens"
    points = log.of("lidar/points")[0]
    assert list(points.header.fields["names"]) == ["x", "y", "z", "ring"]
    assert points.array().tolist() == [[1, 0, 0, 4], [3, 0, 0, 6]]  # without the one of NaN
    numbers = log.of("imu/tensor")[2]
    assert numbers.array().tolist() == [0, 0, 0.6, 0.8, 1, 2, 3, 4, 5, 9.81]
    assert list(numbers.header.fields["columns"])[:4] == ["qx", "qy", "qz", "qw"]
    assert log.of("pose/pose")[0].array().tolist() == [1, 2, 3, 0, 0, 0, 1]
    assert log.of("odom/pose")[0].header.fields["child_frame_id"] == "base"
    assert log.of("said/text")[1].header.fields["text"] == f"at {BEGIN_NS + S // 10}"


ENCODINGS = [
    ("mono8", PICTURE[..., 0], PICTURE[..., 0], "mono8"),
    ("rgb8", PICTURE, PICTURE, "rgb8"),
    ("16UC1", np.arange(24, dtype=np.uint16).reshape(4, 6) * 2000, None, "mono16"),
    ("32FC1", np.arange(24, dtype=np.float32).reshape(4, 6) / 7, None, "32FC1"),
    ("bgra8", np.dstack([PICTURE, PICTURE[..., :1]]), PICTURE, "bgr8"),
    ("rgba8", np.dstack([PICTURE[..., ::-1], PICTURE[..., :1]]), PICTURE, "bgr8"),
]


@pytest.mark.parametrize(("encoding", "picture", "expected", "ours"), ENCODINGS)
def test_pictures_of_other_encodings_have_the_same_pixels(
    tmp_path: Path, encoding: str, picture: np.ndarray, expected: np.ndarray | None, ours: str
) -> None:
    said = {"/cam/image": [(BEGIN_NS, image(BEGIN_NS, np.ascontiguousarray(picture), encoding, 3))]}
    (item,) = RosBag(bag(tmp_path / "bag", said), RosBagConfig()).items(frozenset(said))
    assert item.said.fields["encoding"] == ours
    assert np.array_equal(item.said.arrays[0], picture if expected is None else expected)


@pytest.mark.parametrize(
    ("encoding", "rows"),
    [
        ("bayer_rggb8", "RG/GB"),
        ("bayer_bggr8", "BG/GR"),
        ("bayer_gbrg8", "GB/RG"),
        ("bayer_grbg8", "GR/BG"),
    ],
)
def test_a_bayer_pattern_gives_the_colours_that_it_was_made_of(
    tmp_path: Path, encoding: str, rows: str
) -> None:
    value = {"R": 200, "G": 120, "B": 40}
    tile = np.array([[value[letter] for letter in row] for row in rows.split("/")], np.uint8)
    said = {"/cam/image": [(BEGIN_NS, image(BEGIN_NS, np.tile(tile, (8, 8)), encoding))]}
    (item,) = RosBag(bag(tmp_path / "bag", said), RosBagConfig()).items(frozenset(said))
    assert item.said.arrays[0][8, 8].tolist() == [40, 120, 200]


def test_calibrations_and_fixed_transforms_become_the_rig(tmp_path: Path, imported: Any) -> None:
    k = np.array([[500.0, 0, 320], [0, 501, 240], [0, 0, 1]])
    p = np.hstack([k * [[0.9], [0.9], [1]], [[-40.0], [0], [0]]])
    half = np.sqrt(0.5)
    log = imported(
        bag(
            tmp_path / "bag",
            {
                "/left/image_raw": [(BEGIN_NS, image(BEGIN_NS, PICTURE, "bgr8"))],
                "/left/camera_info": [(BEGIN_NS, camera_info(k, p, [0.1, 0, 0, 0, 0]))] * 2,
                "/right/image_rect": [(BEGIN_NS, image(BEGIN_NS, PICTURE, "bgr8"))],
                "/right/camera_info": [(BEGIN_NS, camera_info(k, p, [0.1, 0, 0, 0, 0]))],
                "/tf_static": [
                    (BEGIN_NS, transform("base", "lens", (1, 2, 3), (0, 0, half, half)))
                ],
            },
        )
    )
    left, right = log.rig["cameras"]["left"], log.rig["cameras"]["right"]
    assert left["matrix"] == k.tolist()
    assert left["distortion"] == [0.1, 0, 0, 0, 0]
    assert (left["frame"], left["width"], left["height"]) == ("lens", 640, 480)
    assert right["projection"] == p.tolist()
    assert right["distortion"] == []
    assert log.rig["frames"]["lens"]["parent"] == "base"
    turned = [[0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]]
    assert np.allclose(log.rig["frames"]["lens"]["matrix"], turned)
    assert set(log.report.topics) == {"left/image_raw", "right/image_rect"}


def test_times_of_points_count_from_the_stamp(tmp_path: Path) -> None:
    kinds = {"t": ("u4", [0, 50_000_000]), "timestamp": ("f8", [BEGIN_NS / S, BEGIN_NS / S + 0.05])}
    for name, (kind, values) in kinds.items():
        rows = np.zeros(2, np.dtype([(name, kind), ("z", "f4"), ("y", "f4"), ("x", "f4")]))
        rows[name], rows["x"] = values, [7, 8]
        said = {"/points": [(BEGIN_NS, cloud(BEGIN_NS, rows, rows.dtype.itemsize))]}
        (item,) = RosBag(bag(tmp_path / name, said), RosBagConfig()).items(frozenset(said))
        assert item.said.fields["names"] == ["x", "y", "z", "time"]
        assert np.allclose(item.said.arrays[0], [[7, 0, 0, 0], [8, 0, 0, 0.05]], atol=1e-6)


def test_what_cannot_be_read_is_counted_and_the_rest_taken(tmp_path: Path, imported: Any) -> None:
    said = everything()
    said["/cam/image_raw"][1] = (BEGIN_NS + S // 10, image(BEGIN_NS, PICTURE, "mystery"))
    path = bag(tmp_path / "bag", said)
    (file,) = path.glob("*.db3")
    with sqlite3.connect(file) as database:
        database.execute("update messages set data = substr(data, 1, 40) where id = 7")
    database.close()
    log = imported(path)
    assert log.report.messages == 7 * 3 - 2
    (unknown, cut) = sorted(log.report.troubles)
    assert "the encoding 'mystery', which is not read; read are mono8" in unknown
    assert "ends within a field" in cut


def test_a_cut_file_is_read_up_to_the_cut(tmp_path: Path, imported: Any) -> None:
    said = {
        "/cam/image": [(BEGIN_NS + n, image(BEGIN_NS + n, PICTURE, "bgr8")) for n in range(900)]
    }
    for storage, suffix in ((StoragePlugin.MCAP, "mcap"), (StoragePlugin.SQLITE3, "db3")):
        path = bag(tmp_path / suffix, said, storage=storage)
        (file,) = path.glob(f"*.{suffix}")
        data = file.read_bytes()
        file.write_bytes(data[: len(data) * 6 // 10])
        log = imported(path)
        assert 100 < log.report.messages < 900
        assert [m.header.seq for m in log.of("cam/image")] == list(range(log.report.messages))
        assert any("cut short" in text or "malformed" in text for text in log.report.troubles)


@pytest.mark.parametrize("storage", [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
def test_damaged_bags_give_what_can_be_read_or_an_error_and_never_crash(
    tmp_path: Path, storage: StoragePlugin
) -> None:
    (file,) = bag(tmp_path / "bag", everything(), storage=storage).glob("*.[dm]*")
    whole, chance, outcomes = file.read_bytes(), random.Random(5), Counter[str]()
    for number in range(120):
        data = bytearray(whole)
        if number % 3 == 0:
            del data[chance.randrange(len(data)) :]
        else:
            for _ in range(chance.choice((1, 20, 200))):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        file.write_bytes(data)
        log = tmp_path / "log.mcap"
        try:
            _, source = opened_source(file, "ros2", {})
            report = import_log(source, chosen_topics(source.streams(), ()), log)
            outcomes["whole" if report.messages == 21 else "partly"] += 1
            log.unlink()
        except TectumError:
            outcomes["refused"] += 1
            assert not log.exists()
    assert min(outcomes["partly"], outcomes["refused"]) > 5


def test_a_folder_that_is_no_bag_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "metadata.yaml").write_text(
        "rosbag2_bagfile_information: {relative_file_paths: [a.db3]}"
    )
    with pytest.raises(DataError, match=r"no bag file .*a\.db3: put it beside its metadata\.yaml"):
        opened_source(tmp_path, "", {})
    (tmp_path / "metadata.yaml").write_text("hello: world")
    with pytest.raises(DataError, match="lacks rosbag2_bagfile_information"):
        opened_source(tmp_path, "", {})
    (tmp_path / "x.db3").write_bytes(b"no database at all" * 100)
    with pytest.raises(DataError, match="cannot be read: file is not a database"):
        opened_source(tmp_path / "x.db3", "", {})[1].streams()
    with pytest.raises(ConfigError, match="unknown key 'phases'; did you mean 'phase'"):
        opened_source(tmp_path / "x.db3", "", {"phases": 3})


@pytest.mark.data
def test_the_recorded_mcap_holds_the_pictures_and_points_of_its_folder(
    data_folder: Path, imported: Any
) -> None:
    (path,) = (data_folder / "ros2_mcap").glob("*.mcap")
    log = imported(path, topics=("/cam2/*=camera", "/velodyne/points_fov=lidar"))
    assert log.report.topics == {"camera/image": 20, "lidar/points": 20}
    for topic, late_ms in (("camera/image", 4), ("lidar/points", 52)):
        rows = [(at, m.header) for at, m in log.records if m.header.topic == topic]
        assert {at - h.stamp_ns for at, h in rows} == {late_ms * 1_000_000}
        steps = np.diff([h.stamp_ns for _, h in rows])
        assert np.abs(steps - 103_545_000).max() <= 1_000
    for number, message in enumerate(log.of("camera/image")):
        name = f"kitti_seq/image_02/{number:010}.jpg"
        assert message.array().tobytes() == (data_folder / name).read_bytes()
    for number, message in enumerate(log.of("lidar/points")):
        name = f"kitti_seq/velodyne_fov/{number:010}.bin"
        expected = np.fromfile(data_folder / name, np.float32).reshape(-1, 4)
        assert np.array_equal(message.array(), expected)


@pytest.mark.data
def test_a_bag_of_raw_packets_becomes_sweeps_announced_when_they_begin(
    data_folder: Path, imported: Any
) -> None:
    (file,) = (data_folder / "rosbag2_velodyne").glob("vlp16/*/*.db3")
    log = imported(file.parent, topics=("/velodyne_packets=lidar",))
    sweeps = log.of("lidar/points")
    assert len(sweeps) == 4
    assert list(sweeps[0].header.fields["names"]) == ["x", "y", "z", "intensity", "ring", "time"]
    assert not log.report.troubles
    assert {m.header.frame_id for m in sweeps} == {"velodyne"}
    begun = [m.header.stamp_ns for _, m in log.signs if m.header.kind is Kind.PROMISE]
    assert begun == [m.header.stamp_ns for m in sweeps]
    steps_ms = np.diff(begun) / 1e6
    assert np.abs(steps_ms[:-1] - 100).max() < 2
