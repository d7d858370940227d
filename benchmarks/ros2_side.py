"""ROS 2's side of the benchmark `ros2`: publishers, and its own synchronizer. Needs rclpy.

Run by the Python that has it: `python ros2_side.py MODE JSON`. `publish` says one topic on a fixed
schedule, once `subscribers` hear it and a line with the time to begin came on stdin; what it has
said is its output. `synchronize` is `message_filters.ApproximateTimeSynchronizer` with a callback,
until its stdin ends; it also notes when results come back from the graph. Both print `ready` first.
"""

from __future__ import annotations

import array
import importlib.util
import json
import os
import random
import signal
import sys
import threading
import time
from typing import Any

import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image, Imu, PointCloud2, PointField
from std_msgs.msg import String

S = 1_000_000_000
RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
pause = threading.Event().wait


def image(nbytes: int) -> Any:
    """Return a picture of 640 wide."""
    made = Image(height=nbytes // 1920, width=640, encoding="bgr8", step=1920)
    made.data = array.array("B", os.urandom(nbytes // 1920 * 1920))
    return made


def compressed(nbytes: int) -> Any:
    """Return bytes that begin as a JPEG."""
    made = CompressedImage(format="jpeg")
    made.data = array.array("B", b"\xff\xd8\xff" + os.urandom(nbytes - 3))
    return made


def cloud(nbytes: int) -> Any:
    """Return a cloud of points of four float32."""
    count = nbytes // 16
    made = PointCloud2(height=1, width=count, point_step=16, row_step=16 * count, is_dense=True)
    names = ("x", "y", "z", "intensity")
    made.fields = [PointField(name=name, offset=4 * at, datatype=7, count=1)
                   for at, name in enumerate(names)]  # fmt: skip
    made.data = array.array("B", array.array("f", [0.5]).tobytes() * 4 * count)
    return made


def imu(nbytes: int) -> Any:
    """Return an IMU's message."""
    del nbytes
    made = Imu()
    made.orientation.w = 1.0
    return made


MAKERS = {"Image": image, "CompressedImage": compressed, "PointCloud2": cloud, "Imu": imu}
TYPES = {"Image": Image, "CompressedImage": CompressedImage, "PointCloud2": PointCloud2, "Imu": Imu}


def say(what: Any) -> None:
    """Print a line."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def publish(plan: dict[str, Any]) -> None:
    """Say one topic; a publisher that is killed has said what it printed."""
    node = rclpy.create_node("publisher_" + plan["name"])
    publisher = node.create_publisher(TYPES[plan["type"]], plan["topic"], RELIABLE)
    threading.Thread(target=lambda: rclpy.spin(node), daemon=True).start()
    until = time.monotonic() + plan["discovery_s"]
    while publisher.get_subscription_count() < plan["subscribers"] and time.monotonic() < until:
        pause(0.02)
    say("ready" if publisher.get_subscription_count() >= plan["subscribers"] else "nobody")
    message = MAKERS[plan["type"]](plan["nbytes"])
    line = sys.stdin.readline()
    if not line:  # nobody measures any more
        return
    begin_ns, end_ns = json.loads(line)
    chance = random.Random(plan["seed"])
    number = 0
    while True:
        jitter = chance.uniform(-plan["jitter_ns"], plan["jitter_ns"])
        stamp_ns = begin_ns + round(plan["phase_ns"] + number * plan["period_ns"] + jitter)
        number += 1
        if stamp_ns >= end_ns:
            break
        late_ns = time.time_ns() - stamp_ns
        if late_ns > plan["period_ns"]:  # it begins in the middle
            continue
        if late_ns < 0:
            pause(-late_ns / S)
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, S)
        publisher.publish(message)
        say(stamp_ns)
    pause(1.0)


def synchronize(plan: dict[str, Any]) -> None:
    """Synchronize three topics as ROS 2 does, and note what comes back from the graph."""
    spec = importlib.util.spec_from_file_location("message_filters_of_ros", plan["filters"])
    assert spec is not None
    assert spec.loader is not None
    filters = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(filters)
    node = rclpy.create_node("synchronizer")
    sets: list[list[int]] = []
    back: list[list[int]] = []

    def take(*messages: Any) -> None:
        stamps = [item.header.stamp for item in messages]
        sets.append([time.time_ns(), *(stamp.sec * S + stamp.nanosec for stamp in stamps)])

    def fused(message: Any) -> None:
        at = time.time_ns()
        back.append([at, json.loads(message.data)["stamp_ns"]])

    subscribers = [
        filters.Subscriber(node, TYPES[kind], topic, qos_profile=RELIABLE)
        for topic, kind in plan["topics"]
    ]
    sync = filters.ApproximateTimeSynchronizer(subscribers, plan["queue"], plan["slop_s"])
    sync.registerCallback(take)
    node.create_subscription(String, plan["fused"], fused, RELIABLE)
    threading.Thread(target=lambda: rclpy.spin(node), daemon=True).start()
    say("ready")
    sys.stdin.read()
    say({"sets": sets, "back": back})


if __name__ == "__main__":
    rclpy.init(args=[])
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # nobody measures any more
    {"publish": publish, "synchronize": synchronize}[sys.argv[1]](json.loads(sys.argv[2]))
    sys.stdout.flush()
    os._exit(0)  # the thread that spins would be ended in the middle
