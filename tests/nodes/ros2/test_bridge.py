"""The bridge without ROS: configuration, what comes in, what is said where nothing comes."""

from __future__ import annotations

import ast
import socket
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tectum.clock import GraphClock
from tectum.errors import ConfigError, DeviceError
from tectum.message import Kind
from tectum.node.base import Capture
from tectum.testing import MemoryContext
from tectum_launch.document import read_document
from tectum_launch.rig import RigConfig
from tectum_nodes.ros2 import robot
from tectum_nodes.ros2.bridge import Ros2Bridge
from tectum_nodes.ros2.cdr_writer import CdrWriter
from tectum_nodes.ros2.config import BridgeConfig, Quality
from tectum_nodes.ros2.incoming import Aside, Incoming
from tectum_nodes.ros2.robot_process import Handed
from tectum_nodes.ros2.simulated_time import SimulatedTime
from tectum_nodes.ros2.unheard import unheard_words
from tectum_nodes.ros2.way import Ring, Way
from tectum_nodes.ros2.writing import clock_message

MS = 1_000_000
S = 1000 * MS
STAMP_NS = 1_700_000_000_123_456_789
IMAGE = {"camera": {"topic": "/camera", "type": "Image", "rate": "20Hz", "span": "5ms"}}
ROBOT = Path(robot.__file__)


def config(**keys) -> BridgeConfig:
    return BridgeConfig.model_validate({"from_ros": IMAGE, **keys})


def picture(stamp_ns: int = STAMP_NS) -> memoryview:
    cdr = CdrWriter()
    cdr.header(stamp_ns, "lens")
    cdr.number("I", 2, 3)
    cdr.text("mono8")
    cdr.number("B", 0)
    cdr.number("I", 3)
    cdr.bytes_of(np.arange(6, dtype=np.uint8))
    return memoryview(cdr.data())


# -- the robot's half


@pytest.mark.parametrize("name", ["robot", "way"])
def test_the_robots_half_is_python_3_8_and_imports_nothing_of_ours(name):
    text = ROBOT.with_name(f"{name}.py").read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 8))
    imported = {
        name.name.partition(".")[0]
        for item in ast.walk(tree)
        if isinstance(item, ast.Import)
        for name in item.names
    } | {
        (item.module or "").partition(".")[0]
        for item in ast.walk(tree)
        if isinstance(item, ast.ImportFrom)
    }
    assert imported <= set(sys.stdlib_module_names)
    assert "from __future__ import annotations" in text


def test_a_python_that_is_not_there_is_said(tmp_path):
    node = Ros2Bridge(config(python="/no/such/python3"))
    with pytest.raises(DeviceError) as caught:
        node.open(MemoryContext("ros", folder=tmp_path))
    assert str(caught.value) == (
        "ros: there is no Python '/no/such/python3': write python: PATH of the one that has rclpy"
    )


def test_a_file_to_source_that_is_not_there_is_said(tmp_path):
    node = Ros2Bridge(config(python=sys.executable, setup=["/no/setup.bash"]))
    with pytest.raises(DeviceError) as caught:
        node.open(MemoryContext("ros", folder=tmp_path))
    assert str(caught.value) == (
        "ros: there is no file '/no/setup.bash' to source: name ROS 2's setup.bash in setup"
    )


@pytest.mark.realtime
@pytest.mark.parametrize("sourced", [False, True])
def test_a_python_without_rclpy_is_said_with_the_way_out(tmp_path, sourced):
    setup = tmp_path / "setup.bash"
    setup.write_text("export SOURCED=yes\n")
    node = Ros2Bridge(config(python=sys.executable, setup=[str(setup)] * sourced))
    with pytest.raises(DeviceError) as caught:
        node.open(MemoryContext("ros", folder=tmp_path, clock=GraphClock()))
    node.close()
    text = str(caught.value)
    assert text.startswith(f"ros: {sys.executable} (Python ")
    assert "has no rclpy (No module named 'rclpy'): source ROS 2's setup.bash before" in text


@pytest.mark.realtime
@pytest.mark.parametrize("own", ["", "123456"])
def test_the_robots_half_keeps_the_memory_of_large_messages(tmp_path, monkeypatch, own):
    python, said = tmp_path / "python3", tmp_path / "said"
    python.write_text(f'#!/bin/sh\necho "$MALLOC_TRIM_THRESHOLD_" > {said}\nexit 1\n')
    python.chmod(0o700)
    if own:
        monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", own)
    node = Ros2Bridge(config(python=str(python)))
    with pytest.raises(DeviceError, match="ended with exit code 1"):
        node.open(MemoryContext("ros", folder=tmp_path, clock=GraphClock()))
    node.close()
    assert said.read_text().strip() == (own or "134217728")


# -- the way between the halves


@pytest.fixture
def ways():
    """Return the two ends, with room for 1000 bytes on each side."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as back, ours, theirs:
        rings = []
        for file in (out, back, back, out):
            file.truncate(1000 + 64)
            rings.append(Ring(file.fileno()))
        yield Way(ours, *rings[:2]), Way(theirs, *rings[2:])


def received(way):
    place, heard, lost, begin, size, end = way.receive(0)
    data = bytes(way.look(begin, size))
    way.done(end)
    return place, heard, lost, data


def test_messages_cross_in_their_order_and_use_the_same_bytes_again(ways):
    one, other = ways
    for number in range(100):
        assert one.send(3, number, 7, bytes([number]) * 900)
        assert received(other) == (3, number, 7, bytes([number]) * 900)
    assert other.send(1, 0, 0, b"back")
    assert received(one) == (1, 0, 0, b"back")
    assert one.receive(0) is None


def test_what_waits_leaves_the_rest_of_the_room_to_others(ways):
    one, other = ways
    assert one.send(0, 1, 0, bytes(600))
    received(other)
    for number in (2, 3, 4):  # from the front again, though little of the room is behind the last
        assert one.send(0, number, 0, bytes(300))
    assert not one.send(0, 5, 0, bytes(300))
    assert [received(other)[1] for _ in range(3)] == [2, 3, 4]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 700), st.booleans()), max_size=60))
def test_what_finds_no_room_is_refused_and_nothing_else_is_touched(steps):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with tempfile.TemporaryFile() as file, ours, theirs:
        file.truncate(1000 + 64)
        one = Way(ours, Ring(file.fileno()), Ring(file.fileno()))
        other = Way(theirs, Ring(file.fileno()), Ring(file.fileno()))
        waiting = []
        for number, (size, take) in enumerate(steps):
            data = bytes([number % 256]) * size
            if one.send(0, number, 0, data):
                waiting.append((0, number, 0, data))
            else:
                assert size + sum(len(item[3]) for item in waiting) > 1000 - 700
            if take and waiting:
                assert received(other) == waiting.pop(0)
        while waiting:
            assert received(other) == waiting.pop(0)


def test_the_end_of_the_other_half_is_told(ways):
    one, other = ways
    other._packets.close()
    with pytest.raises(EOFError):
        one.receive(1)
    assert one.send(0, 0, 0, b"into the void") is False


# -- the configuration


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"from_ros": {}}, "nothing is mapped"),
        (
            {"from_ros": {"eye": {"topic": "/eye", "type": "Imgae"}}},
            "'Imgae' is no type that the bridge knows; known are Image, CompressedImage",
        ),
        ({"from_ros": {"eye": {"topic": "/eye", "type": "Imgae"}}}, "did you mean 'Image'?"),
        ({"from_ros": {"eye": {"topic": "eye", "type": "Image"}}}, "String should match pattern"),
        ({"to_ros": {"/result": {"topic": "perception"}}}, "String should match pattern"),
        ({"clock": "simulated"}, "'system', 'use' or 'publish'"),
    ],
)
def test_a_mistake_in_the_configuration_is_said(keys, says):
    with pytest.raises(ValidationError) as caught:
        config(**keys)
    assert says in str(caught.value)


def test_types_are_named_short_long_or_as_ros_1_did():
    for name in ("PointCloud2", "sensor_msgs/msg/PointCloud2", "sensor_msgs/PointCloud2"):
        made = config(from_ros={"lidar": {"topic": "/points", "type": name, "rate": "10Hz"}})
        assert made.from_ros["lidar"].type == "sensor_msgs/msg/PointCloud2"
        assert Ros2Bridge.outputs_of(made) == {"lidar": Kind.POINTS}
        assert Ros2Bridge.period_ns_of(made) == {"lidar": 100 * MS}


def test_a_topic_whose_kind_has_no_message_needs_a_type(tmp_path):
    run = {"topics": {"mic/audio": {"node": "mic", "kind": "audio"}}, "nodes": {"mic": {}}}
    node = Ros2Bridge(config(to_ros={"/sound": {"topic": "mic/audio"}}))
    with pytest.raises(ConfigError) as caught:
        node.open(MemoryContext("ros", folder=tmp_path, run=run))
    assert str(caught.value) == (
        "ros: to_ros./sound: mic/audio is a topic of kind audio: name a `type`"
    )


# -- what comes in


def taken(capture: Capture | None) -> tuple[int, int, int, str]:
    assert capture is not None
    return capture.stamp_ns, capture.span_ns, capture.error_ns, capture.frame_id


def test_a_message_keeps_its_stamp_to_the_nanosecond_its_frame_and_its_pixels():
    incoming = Incoming(config(), None)
    output, losses, capture = incoming.take(Handed(0, 1, 0, picture()), STAMP_NS + 7 * MS)
    assert (output, losses) == ("camera", {})
    assert taken(capture) == (STAMP_NS, 5 * MS, 0, "lens")
    assert capture.arrays[0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert capture.fields == {"encoding": "mono8"}


def test_a_header_without_a_stamp_has_that_of_its_arrival_within_a_period():
    incoming = Incoming(config(), None)
    _, _, capture = incoming.take(Handed(0, 1, 0, picture(0)), 9 * S)
    assert taken(capture) == (9 * S, 5 * MS, 50 * MS, "lens")
    entry = {**IMAGE["camera"], "stamp": "arrival", "frame": "front"}
    incoming = Incoming(config(from_ros={"camera": entry}), None)
    _, _, capture = incoming.take(Handed(0, 1, 0, picture()), 9 * S)
    assert taken(capture) == (9 * S, 5 * MS, 50 * MS, "front")


def test_what_is_lost_on_either_side_is_named():
    incoming = Incoming(config(), None)
    incoming.take(Handed(0, 1, 0, picture()), S)
    _, losses, _ = incoming.take(Handed(0, 4, 3, picture()), S)
    assert losses == {"bridge_queue_full": 2, "dds_lost": 3}
    _, losses, capture = incoming.take(Handed(0, 5, 3, None), S)
    assert (losses, capture) == ({"bridge_queue_full": 1}, None)
    _, losses, capture = incoming.take(Handed(0, 6, 3, picture()), S)
    assert losses == {}
    assert capture is not None


def test_what_is_no_such_message_is_counted_and_said():
    incoming = Incoming(config(), None)
    output, losses, capture = incoming.take(Handed(0, 1, 0, picture()[:40]), S)
    assert (output, losses, capture) == ("camera", {"unreadable": 1}, None)
    assert "ends within a field" in incoming.complaint


def test_stamps_of_simulated_time_wait_for_the_clock_and_are_mapped_by_it():
    simulated = SimulatedTime()
    incoming = Incoming(config(clock="use"), simulated)
    _, losses, capture = incoming.take(Handed(0, 1, 0, picture(5 * S)), STAMP_NS)
    assert (losses, capture) == ({"before_clock": 1}, None)
    incoming.take(Handed(1, 1, 0, memoryview(clock_message(5 * S))), STAMP_NS)
    _, losses, capture = incoming.take(Handed(0, 2, 0, picture(5 * S + 3)), STAMP_NS + MS)
    assert losses == {}
    assert taken(capture)[0] == STAMP_NS + 3


# -- the rig


def camera_info(focal: float = 500.0) -> memoryview:
    cdr = CdrWriter()
    cdr.header(STAMP_NS, "lens")
    cdr.number("I", 480, 640)
    cdr.text("plumb_bob")
    cdr.number("I", 5)
    cdr.floats([0.1, 0.0, 0.0, 0.0, 0.0])
    cdr.floats([focal, 0, 320, 0, focal, 240, 0, 0, 1])
    cdr.floats([0.0] * 21)
    return memoryview(cdr.data())


def transform() -> memoryview:
    cdr = CdrWriter()
    cdr.number("I", 1)
    cdr.header(STAMP_NS, "base")
    cdr.text("lens")
    cdr.floats([1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0])
    return memoryview(cdr.data())


def test_a_camera_info_is_news_once_and_the_file_is_a_rig_that_a_graph_can_name(tmp_path):
    entry = {**IMAGE["camera"], "info": "/camera_info"}
    incoming = Incoming(config(from_ros={"camera": entry}, rig="rig.yaml"), None)
    incoming.take(Handed(1, 1, 0, camera_info()), S)
    assert incoming.news == {"camera"}
    incoming.news.clear()
    incoming.take(Handed(1, 2, 0, camera_info()), S)
    assert incoming.news == set()
    incoming.take(Handed(2, 1, 0, transform()), S)
    assert incoming.news == {"camera", ""}
    assert incoming.rig.of("camera")["cameras"]["camera"]["matrix"][0] == [500.0, 0.0, 320.0]
    assert incoming.complaint == ""
    (tmp_path / "rig.yaml").write_text(incoming.rig.text())
    found = RigConfig.model_validate(read_document(tmp_path / "rig.yaml").tree).document()
    assert found["frames"]["lens"]["parent"] == "base"
    assert [row[3] for row in found["frames"]["lens"]["matrix"]] == [1.0, 2.0, 3.0, 1.0]
    assert found["cameras"]["camera"]["frame"] == "lens"
    assert found["cameras"]["camera"]["distortion"] == [0.1, 0.0, 0.0, 0.0, 0.0]


def test_a_camera_that_is_not_calibrated_and_a_broken_part_are_said():
    entry = {**IMAGE["camera"], "info": "/camera_info"}
    incoming = Incoming(config(from_ros={"camera": entry}), None)
    incoming.take(Handed(1, 1, 0, camera_info(0.0)), S)
    assert (incoming.news, incoming.complaint) == (set(), "the camera is not calibrated")
    incoming.take(Handed(1, 2, 0, camera_info()[:60]), S)
    assert "ends within a field" in incoming.complaint


# -- simulated time


def test_a_simulation_at_half_speed_is_mapped_between_what_the_clock_said():
    time = SimulatedTime()
    time.tick(10 * S, STAMP_NS)
    time.tick(11 * S, STAMP_NS + 2 * S)
    assert time.to_graph(10 * S + 250 * MS) == STAMP_NS + 500 * MS
    assert time.to_ros(STAMP_NS + 500 * MS) == 10 * S + 250 * MS
    assert time.to_ros(STAMP_NS + S) == 10 * S + 500 * MS


def test_a_stamp_maps_to_one_instant_for_good_and_goes_back_exactly():
    time = SimulatedTime()
    time.tick(0, STAMP_NS)
    ahead = time.to_graph(70 * MS + 1)
    time.tick(100 * MS, STAMP_NS + S)
    assert time.to_graph(70 * MS + 1) == ahead
    stamps = [70 * MS + offset for offset in range(20)]
    assert [time.to_ros(time.to_graph(stamp)) for stamp in stamps] == stamps


def test_later_stamps_have_later_instants_whatever_the_clock_does():
    time = SimulatedTime()
    time.tick(0, STAMP_NS)
    ahead = time.to_graph(50 * MS)
    time.tick(60 * MS, STAMP_NS + 20 * MS)  # three times as fast as it seemed
    assert time.to_graph(58 * MS) == ahead + 1
    assert time.to_graph(49 * MS) < ahead


def test_a_simulation_that_stands_still_or_begins_anew_is_no_trouble():
    time = SimulatedTime()
    assert not time.known
    time.tick(10 * S, STAMP_NS)
    time.tick(10 * S, STAMP_NS + S)
    assert time.to_graph(10 * S) == STAMP_NS
    time.tick(0, STAMP_NS + 5 * S)
    assert time.to_graph(2) == STAMP_NS + 5 * S + 2


# -- where nothing comes


def offer(kind="A", reliability="best_effort", durability="volatile"):
    return {"type": kind, "reliability": reliability, "durability": durability}


@pytest.mark.parametrize(
    ("publishers", "known", "says"),
    [
        ([], {"/eye": ["A"], "/eyes": ["A"]}, "nobody publishes /eye in ROS 2 yet; did you mean"),
        ([], {"/eye": ["A"], "/nose": ["A"]}, "yet; of its type there are /nose; if somebody"),
        ([], {"/eye": ["A"]}, "nobody publishes /eye in ROS 2 yet; if somebody should, compare"),
        ([offer("B")], {}, "/eye is published as B, not as A: name that type"),
        ([offer()], {}, "/eye is published best_effort and asked for reliable, so nothing is heard"
                        ": write qos: {reliability: best_effort}"),
        ([offer(), offer(reliability="reliable")], {}, "which is published: its publisher may be"),
    ],
)  # fmt: skip
def test_a_topic_from_which_nothing_comes_is_explained(publishers, known, says):
    asked = Aside("/eye", "A", Quality(reliability="reliable"))
    (words,) = unheard_words({"/eye": asked}, {"/eye": publishers}, known)
    assert says in words
