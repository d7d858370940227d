"""The bridge and a genuine ROS 2: every message, to the nanosecond and the byte, both ways.

Needs a Python with rclpy (`TECTUM_ROS2_PYTHON`), and a network of its own: `.ci/ros2` sees to both.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.message import Kind, Message
from tectum.node.control import Order, State
from tectum.testing.processes import ProcessRun
from tectum.transport.inbox import MISSING_CAUSES
from tectum_nodes.ros2.bridge import Ros2Bridge

PYTHON = os.environ.get("TECTUM_ROS2_PYTHON", "")
pytestmark = [
    pytest.mark.realtime,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not PYTHON, reason="TECTUM_ROS2_PYTHON names no Python with rclpy"),
]

PEER = Path(__file__).with_name("peer.py")
DOMAINS = itertools.count(1)
RELIABLE = {"reliability": "reliable", "depth": 100}
ALL = {
    "image": ("/camera", "Image"),
    "jpeg": ("/camera/compressed", "CompressedImage"),
    "points": ("/points", "PointCloud2"),
    "imu": ("/imu", "Imu"),
    "pose": ("/pose", "PoseStamped"),
    "text": ("/text", "String"),
}


class Peer:
    """The peer in its process."""

    def __init__(self, domain: int, **plan: Any) -> None:
        whole = {"say": {}, "hear": {}, "reliable": True, "clock": False, "await": 10, **plan}
        self.process = subprocess.Popen(
            [PYTHON, str(PEER), json.dumps(whole)],
            env={**os.environ, "ROS_DOMAIN_ID": str(domain)},
            stdout=subprocess.PIPE,
            text=True,
        )

    def end(self) -> dict[str, dict[str, list[Any]]]:
        output, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0
        found: dict[str, dict[str, list[Any]]] = json.loads(output)
        return found


@pytest.fixture
def bridge() -> Iterator[Callable[..., tuple[ProcessRun, int]]]:
    """Return what lays out a run of a bridge in a domain of its own."""
    with_ends: list[ProcessRun] = []

    def make(**keys: Any) -> tuple[ProcessRun, int]:
        domain = next(DOMAINS)
        config = {"python": PYTHON, "domain": domain, **keys}
        run = ProcessRun({"ros": (Ros2Bridge, config)})
        with_ends.append(run)
        return run, domain

    yield make
    for run in with_ends:
        run.__exit__(None, None, None)


def heard_from(*names: str, **more: Any) -> dict[str, Any]:
    return {
        name: {"topic": ALL[name][0], "type": ALL[name][1], "qos": RELIABLE, **more}
        for name in names
    }


def said(name: str, count: int = 100, rate: int = 40) -> dict[str, Any]:
    return {ALL[name][0]: {"type": ALL[name][1], "count": count, "rate": rate}}


def drained(run: ProcessRun, ear: Any, peer: Peer) -> list[Message]:
    """Return what comes until the peer has ended and nothing more comes."""
    found: list[Message] = []
    quiet_ns = run.clock.now_ns() + NS_PER_S
    while peer.process.poll() is None or run.clock.now_ns() < quiet_ns:
        ear.wait(20 * NS_PER_MS)
        for received in ear.drain():
            quiet_ns = run.clock.now_ns() + NS_PER_S
            if received.message is not None:
                found.append(received.message)
    return found


def content(message: Message) -> str:
    text = message.header.fields.get("text")
    data = str(text).encode() if text is not None else message.array().tobytes()
    return hashlib.sha256(data).hexdigest()[:16]


def lost(run: ProcessRun, ear: Any, topic: str) -> dict[str, int]:
    """Stop the bridge and return its losses by name."""
    run.processes["ros"].order(Order.STOP)
    run.collect(ear, topic)
    return dict(ear.counters()[topic]["lost"])


def test_100_of_100_of_each_type_come_into_the_graph(bridge):
    run, domain = bridge(from_ros=heard_from(*ALL))
    topics = [f"ros/{name}" for name in ALL]
    ear = run.subscribe("ear", *topics)
    run.spawn()
    run.start()
    plan = {topic: entry for name in ALL for topic, entry in said(name, rate=20).items()}
    peer = Peer(domain, say=plan)
    messages = drained(run, ear, peer)
    told = peer.end()["said"]
    for name, (topic, _) in ALL.items():
        came = [item for item in messages if item.header.topic == f"ros/{name}"]
        assert len(came) == 100, name
        assert [content(item) for item in came] == [digest for _, digest in told[topic]]
        if name != "text":  # which has no header
            assert [item.header.stamp_ns for item in came] == [stamp for stamp, _ in told[topic]]
            assert {item.header.frame_id for item in came} == {f"frame of {topic}"}
    assert lost(run, ear, "ros/image") == {}
    assert all(ear.counters()[topic]["unexplained"] == 0 for topic in topics)


def test_100_of_100_of_each_type_go_out_of_the_graph_as_they_came(bridge):
    echoes = {f"/echo{topic}": {"topic": f"ros/{name}", "type": kind, "qos": RELIABLE}
              for name, (topic, kind) in ALL.items()}  # fmt: skip
    run, domain = bridge(from_ros=heard_from(*ALL), to_ros=echoes)
    run.spawn()
    run.start()
    peer = Peer(
        domain,
        say={topic: entry for name in ALL for topic, entry in said(name, rate=20).items()},
        hear={f"/echo{topic}": kind for topic, kind in ALL.values()},
        expect={f"/echo{topic}": 100 for topic, _ in ALL.values()},
    )
    found = peer.end()
    run.processes["ros"].order(Order.STOP)
    _, errors = run.processes["ros"].end()
    for name, (topic, _) in ALL.items():
        came, went = found["heard"][f"/echo{topic}"], found["said"][topic]
        assert [item[1] for item in came] == [digest for _, digest in went], (name, errors)
        if name != "text":
            assert [item[0] for item in came] == [stamp for stamp, _ in went], name
            assert {item[2] for item in came} == {f"frame of {topic}"}


def test_what_a_standing_robot_misses_is_named_to_the_last_message(bridge):
    keys = {"topic": "/points", "type": "PointCloud2"}  # sensor data: best effort, the newest 5
    run, domain = bridge(from_ros={"points": keys})
    ear = run.subscribe("ear", "ros/points")
    run.spawn()
    run.start()
    peer = Peer(domain, say=said("points", count=120, rate=40), reliable=False)
    robot = robots_of(run.processes["ros"].process.pid)[0]
    messages: list[Message] = []
    until_ns = 0
    while peer.process.poll() is None or run.clock.now_ns() < until_ns:
        ear.wait(20 * NS_PER_MS)
        messages += [item.message for item in ear.drain() if item.message is not None]
        if len(messages) >= 20 and not until_ns:
            os.kill(robot, signal.SIGSTOP)
            run.clock.sleep_until_ns(run.clock.now_ns() + NS_PER_S)
            os.kill(robot, signal.SIGCONT)
            until_ns = run.clock.now_ns() + 4 * NS_PER_S
    peer.end()
    losses = lost(run, ear, "ros/points")
    counts = ear.counters()["ros/points"]
    assert len(messages) < 120
    assert set(losses) <= {"dds_lost", "bridge_queue_full"}
    assert counts["published"] + sum(losses.values()) == 120
    missed = sum(counts[cause] for cause in MISSING_CAUSES)  # by the ear: it reads in bursts, too
    assert counts["received"] + missed == counts["published"]
    assert counts["unexplained"] == 0


def test_simulated_time_becomes_the_graphs_and_goes_back_to_the_nanosecond(bridge):
    echo = {"/echo": {"topic": "ros/imu", "qos": RELIABLE}}
    run, domain = bridge(from_ros=heard_from("imu"), to_ros=echo, clock="use")
    ear = run.subscribe("ear", "ros/imu")
    run.spawn()
    run.start()
    begun_ns = run.clock.now_ns()
    peer = Peer(domain, say=said("imu", 200, 50), hear={"/echo": "Imu"}, clock=True,
                expect={"/echo": 190})  # fmt: skip
    messages = drained(run, ear, peer)
    found = peer.end()
    stamps = [item.header.stamp_ns for item in messages]
    assert stamps == sorted(set(stamps))
    assert all(begun_ns < stamp < run.clock.now_ns() for stamp in stamps)
    went = dict(found["said"]["/imu"])
    back = [(item[0], item[1]) for item in found["heard"]["/echo"]]
    assert len(back) >= 190
    assert all(went[stamp] == digest for stamp, digest in back)


def test_the_camera_info_of_a_picture_becomes_its_calibration(bridge):
    run, domain = bridge(from_ros=heard_from("image", info="/camera_info"))
    ear = run.subscribe("ear", "ros/image")
    run.spawn()
    run.start()
    info = {"/camera_info": {"type": "CameraInfo", "count": 5, "rate": 5}}
    peer = Peer(domain, say={**info, **said("image", 5, 5)})
    messages = drained(run, ear, peer)
    peer.end()
    (fact,) = [item.header.fields for item in messages if item.header.kind is Kind.LATCHED]
    assert fact["fact"] == "calibration"
    camera = fact["rig"]["cameras"]["image"]
    assert (camera["width"], camera["height"], camera["matrix"][0]) == (640, 480, [500, 0, 320])
    assert camera["frame"] == "frame of /camera_info"


def test_the_graphs_time_is_said_on_clock(bridge):
    run, domain = bridge(clock="publish")
    run.spawn()
    run.start()
    begun_ns = run.clock.now_ns()
    peer = Peer(domain, hear={"/clock": "Clock"}, expect={"/clock": 50})
    told = [item[0] for item in peer.end()["heard"]["/clock"]]
    assert len(told) >= 50
    assert told == sorted(told)
    assert begun_ns < told[0] < told[-1] < run.clock.now_ns()


def robots_of(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(word) for word in children.split()]


def test_a_robots_half_that_dies_ends_the_node_with_a_sentence(bridge):
    run, _ = bridge(from_ros=heard_from("imu"))
    run.spawn()
    run.start()
    node = run.processes["ros"]
    node.wait_for(State.RUNNING)
    os.kill(robots_of(node.process.pid)[0], signal.SIGKILL)
    report = node.wait_for(State.FAILED)
    assert "ros: the robot's half of the bridge was killed by signal 9" in report.error


@pytest.mark.parametrize("how", [signal.SIGKILL, None])
def test_the_robots_half_ends_with_its_node(bridge, how):
    run, _ = bridge(from_ros=heard_from("imu"))
    run.spawn()
    run.start()
    node = run.processes["ros"]
    node.wait_for(State.RUNNING)
    (robot,) = robots_of(node.process.pid)
    if how is None:
        node.order(Order.STOP)
    else:
        node.process.send_signal(how)
    until_ns = run.clock.now_ns() + 2 * NS_PER_S
    while Path(f"/proc/{robot}/cmdline").exists() and run.clock.now_ns() < until_ns:
        run.clock.sleep_until_ns(run.clock.now_ns() + 20 * NS_PER_MS)
    gone = not Path(f"/proc/{robot}").exists()
    assert gone or "Z" in Path(f"/proc/{robot}/stat").read_text().split()[2]


def test_a_type_that_is_not_installed_is_said_with_the_package(bridge):
    run, _ = bridge(to_ros={"/objects": {"topic": "ros/imu", "type": "Detection3DArray"}},
                    from_ros=heard_from("imu"))  # fmt: skip
    run.spawn()
    report = run.processes["ros"].wait_for(State.FAILED)
    assert "has no vision_msgs/msg/Detection3D" in report.error
    assert "apt install ros-" in report.error
    assert "-vision-msgs, or choose another type" in report.error


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"type": "Image"}, "is published as std_msgs/msg/String, not as sensor_msgs/msg/Image"),
        ({"type": "String", "qos": RELIABLE}, "is published best_effort and asked for reliable"),
    ],
)
def test_a_topic_of_another_type_or_of_less_quality_is_explained(bridge, asked, says):
    run, domain = bridge(from_ros={"text": {"topic": "/text", **asked}})
    said = {"/text": {"type": "String", "count": 1, "rate": 1}}
    peer = Peer(domain, say=said, reliable=False)
    run.spawn()
    run.start()
    run.clock.sleep_until_ns(run.clock.now_ns() + 17 * NS_PER_S)  # it looks after 4 s and after 15
    peer.process.kill()
    peer.process.communicate()
    run.processes["ros"].order(Order.STOP)
    _, errors = run.processes["ros"].end()
    assert f"/text {says}" in errors


GRAPH = """\
graph: robot
budget: none
nodes:
  ros:
    run: ros2
    python: {python}
    domain: {domain}
    from_ros:
      camera: {{topic: /camera, type: Image, qos: {{reliability: reliable, depth: 100}}}}
      lidar: {{topic: /points, type: PointCloud2, qos: {{reliability: reliable, depth: 100}}}}
    to_ros:
      /fused: {{topic: perception/result, type: String}}
      /diagnostics: {{topic: perception/result}}
  perception:
    run: fusion
    trigger: lidar
    substitute: false
    accept: [[camera, lidar], [lidar]]
    inputs:
      camera:
        topic: ros/camera
        encoder: driving/camera
        align: {{nearest: {{tolerance: 60ms}}}}
      lidar: {{topic: ros/lidar, encoder: driving/lidar}}
    head: {{late: mean}}
"""


def test_each_lidar_message_of_ros_has_its_fused_result_in_ros(tmp_path):
    domain = next(DOMAINS)
    with launched(tmp_path, domain) as (graph, _):
        peer = Peer(
            domain,
            say={**said("image", 100, 20), **said("points", 50, 10)},
            hear={"/fused": "String", "/diagnostics": "DiagnosticArray"},
            expect={"/fused": 50, "/diagnostics": 50},
        )
        found = peer.end()
        graph.send_signal(signal.SIGINT)
        output, _ = graph.communicate(timeout=30)
    results = [json.loads(item[4]) for item in found["heard"]["/fused"]]
    answered = {item["stamp_ns"]: item for item in results if not item["flags"]}
    stamps = [stamp for stamp, _ in found["said"]["/points"]]
    assert [stamp for stamp in stamps if stamp not in answered] == [], output
    assert {item["outcome"] for stamp, item in answered.items() if stamp in stamps} <= {
        "complete",
        "partial",
    }
    pictures = {stamp for stamp, _ in found["said"]["/camera"]}
    used = [item["inputs"]["camera"].get("stamp_ns") for item in answered.values()]
    assert sum(stamp in pictures for stamp in used) >= 25
    assert {item[0] for item in found["heard"]["/diagnostics"]} >= set(stamps)
    assert all(item["schema"] == "tectum.result/1" for item in results)


def test_a_graph_brings_its_bridge_back_when_the_robots_half_dies(tmp_path):
    domain = next(DOMAINS)
    with launched(tmp_path, domain) as (graph, folder):
        speak(domain, 5)
        first = robot_of(folder, other_than=0)
        os.kill(first, signal.SIGKILL)
        second = robot_of(folder, other_than=first)
        found = speak(domain, 30)
        graph.send_signal(signal.SIGINT)
        output, _ = graph.communicate(timeout=30)
    assert second != first
    assert "the robot's half of the bridge was killed by signal 9" in output
    answered = {json.loads(item[4])["stamp_ns"] for item in found["heard"]["/fused"]}
    assert [stamp for stamp, _ in found["said"]["/points"] if stamp not in answered] == [], output


def speak(domain: int, count: int) -> dict[str, dict[str, list[Any]]]:
    """Let a peer say so many clouds, and pictures beside them, and hear the results."""
    say = {**said("image", 2 * count, 20), **said("points", count, 10)}
    return Peer(domain, say=say, hear={"/fused": "String"}, expect={"/fused": count}).end()


@contextlib.contextmanager
def launched(tmp_path: Path, domain: int) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Launch the graph; give its process and the folder of its run."""
    path = tmp_path / "graph.yaml"
    path.write_text(GRAPH.format(python=PYTHON, domain=domain))
    with tempfile.TemporaryDirectory(prefix="tr") as folder:
        graph = subprocess.Popen(
            ["tectum", "launch", str(path), "--duration", "90s"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "XDG_RUNTIME_DIR": folder},
        )
        try:
            yield graph, Path(folder)
        finally:
            if graph.poll() is None:
                graph.terminate()
                graph.communicate(timeout=30)


def robot_of(folder: Path, other_than: int) -> int:
    """Wait for the robot's half of the bridge of the run in `folder`, and return its process."""
    clock = GraphClock()
    until_ns = clock.now_ns() + 40 * NS_PER_S
    while clock.now_ns() < until_ns:
        clock.sleep_until_ns(clock.now_ns() + 100 * NS_PER_MS)
        for file in folder.glob("tectum/*/run.json"):
            with contextlib.suppress(OSError, ValueError):
                pid = json.loads(file.read_text())["nodes"]["ros"].get("pid")
                (robot,) = robots_of(pid) if pid else ()
                if robot != other_than:
                    return robot
    msg = "no robot's half came"
    raise TimeoutError(msg)


def test_kinds_are_those_of_the_graph():
    kinds = Ros2Bridge.outputs_of(Ros2Bridge.Config.model_validate({"from_ros": heard_from(*ALL)}))
    assert list(kinds.values()) == [
        Kind.IMAGE, Kind.IMAGE, Kind.POINTS, Kind.TENSOR, Kind.POSE, Kind.TEXT,
    ]  # fmt: skip
