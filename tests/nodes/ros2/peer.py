"""A genuine peer: a node of ROS 2 that says and hears what it is told, and prints it as JSON.

Run by the Python that has rclpy: `python peer.py PLAN`, where PLAN is JSON:

    {"say": {topic: {"type": "Image", "count": 100, "rate": 50}}, "hear": {topic: "Image"},
     "reliable": true, "clock": null, "await": 10}

It waits until somebody hears each of its topics and says each that it wants to hear, says
everything, waits until as many have come as are expected (at most `await` seconds), and prints
`{"said": {topic: [[stamp_ns, digest], ...]}, "heard": {topic: [[stamp_ns, digest, frame,
arrived_ns], ...]}}`.
"""

from __future__ import annotations

import array
import hashlib
import importlib
import json
import os
import struct
import sys
import threading
import time

import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy

PACKAGES = {
    "Image": "sensor_msgs", "CompressedImage": "sensor_msgs", "PointCloud2": "sensor_msgs",
    "Imu": "sensor_msgs", "PoseStamped": "geometry_msgs", "String": "std_msgs",
    "CameraInfo": "sensor_msgs", "DiagnosticArray": "diagnostic_msgs", "Clock": "rosgraph_msgs",
}  # fmt: skip
S = 1_000_000_000


pause = threading.Event().wait


def type_of(name):
    return getattr(importlib.import_module(PACKAGES[name] + ".msg"), name)


def pattern(number, size):
    return array.array(
        "B", (bytes((number + step) % 251 for step in range(251)) * (size // 251 + 1))[:size]
    )


def image(number):
    made = type_of("Image")(height=480, width=640, encoding="bgr8", step=1920)
    made.data = pattern(number, 921_600)
    return made, made.data.tobytes()


def compressed(number):
    made = type_of("CompressedImage")(format="jpeg")
    made.data = array.array("B", b"\xff\xd8\xff") + pattern(number, 100_000)
    return made, made.data.tobytes()


def cloud(number):
    made = type_of("PointCloud2")(height=1, width=30_000, point_step=16, row_step=480_000)
    field = importlib.import_module("sensor_msgs.msg").PointField
    names = ("x", "y", "z", "intensity")
    made.fields = [
        field(name=name, offset=4 * at, datatype=7, count=1) for at, name in enumerate(names)
    ]
    made.is_dense = True
    values = array.array("f", range(number, number + 1000)) * 120
    made.data = array.array("B", values.tobytes())
    return made, made.data.tobytes()


def imu(number):
    made = type_of("Imu")()
    values = [0.0, 0.0, 0.6, 0.8, number, 2.0, 3.0, 4.0, 5.0, 9.81]
    turn, spin, push = made.orientation, made.angular_velocity, made.linear_acceleration
    turn.x, turn.y, turn.z, turn.w = values[:4]
    spin.x, spin.y, spin.z = float(number), 2.0, 3.0
    push.x, push.y, push.z = values[7:]
    return made, struct.pack("<10d", *values)


def pose(number):
    made = type_of("PoseStamped")()
    made.pose.position.x, made.pose.orientation.w = float(number), 1.0
    return made, struct.pack("<7d", number, 0, 0, 0, 0, 0, 1)


def text(number):
    made = type_of("String")(data=f"text {number}")
    return made, made.data.encode()


def info(number):
    made = type_of("CameraInfo")(height=480, width=640, distortion_model="plumb_bob")
    made.d, made.k = [0.0] * 5, [500.0, 0.0, 320.0, 0.0, 500.0, 240.0, 0.0, 0.0, 1.0]
    return made, b"info"


MAKERS = {
    "Image": image, "CompressedImage": compressed, "PointCloud2": cloud, "Imu": imu,
    "PoseStamped": pose, "String": text, "CameraInfo": info,
}  # fmt: skip


def content(message):
    """Return the bytes of a message that count."""
    name = type(message).__name__
    if name == "String":
        return message.data.encode()
    if name == "Imu":
        parts = (message.orientation, message.angular_velocity, message.linear_acceleration)
        axes = [(part, axis) for part in parts for axis in ("x", "y", "z", "w")]
        numbers = [getattr(part, axis) for part, axis in axes if hasattr(part, axis)]
        return struct.pack("<10d", *numbers)
    if name == "PoseStamped":
        at, turn = message.pose.position, message.pose.orientation
        return struct.pack("<7d", at.x, at.y, at.z, turn.x, turn.y, turn.z, turn.w)
    if name in ("DiagnosticArray", "Clock"):
        return repr(message).encode()
    return bytes(message.data)


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


def stamp_of(message):
    stamp = getattr(message, "clock", None) or getattr(
        getattr(message, "header", None), "stamp", None
    )
    return stamp.sec * S + stamp.nanosec if stamp else 0


def wait(until_s, done):
    until = time.monotonic() + until_s
    while not done() and time.monotonic() < until:
        pause(0.02)
    return done()


def main():
    plan = json.loads(sys.argv[1])
    rclpy.init(args=[])
    node = rclpy.create_node("peer")
    reliability = ReliabilityPolicy.RELIABLE if plan["reliable"] else ReliabilityPolicy.BEST_EFFORT
    profile = QoSProfile(depth=100, reliability=reliability)
    said = {topic: [] for topic in plan["say"]}
    heard = {topic: [] for topic in plan["hear"]}
    publishers = {}
    for topic, entry in plan["say"].items():
        publishers[topic] = node.create_publisher(type_of(entry["type"]), topic, profile)
    for topic, name in plan["hear"].items():

        def take(message, topic=topic):
            frame = getattr(getattr(message, "header", None), "frame_id", "")
            kept = message.data if type(message).__name__ == "String" else ""
            heard[topic].append(
                [stamp_of(message), digest(content(message)), frame, time.time_ns(), kept]
            )

        node.create_subscription(type_of(name), topic, take, profile)
    ticker = node.create_publisher(type_of("Clock"), "/clock", 10) if plan["clock"] else None
    threading.Thread(target=lambda: rclpy.spin(node), daemon=True).start()
    found = wait(20, lambda: all(each.get_subscription_count() for each in publishers.values())
                 and all(node.count_publishers(topic) for topic in plan["hear"]))  # fmt: skip
    if not found:
        sys.exit("the peer found nobody")
    pause(1.0)  # the other end of a match may be later
    speak(plan, publishers, said, ticker)
    expected = plan.get("expect") or {}
    wait(plan["await"], lambda: all(
        len(heard[topic]) >= expected.get(topic, 1) for topic in heard
    ))  # fmt: skip
    sys.stdout.write(json.dumps({"said": said, "heard": heard}))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # the thread that spins is in C++ and would be ended in the middle


def speak(plan, publishers, said, ticker):
    """Say everything, each topic at its rate; simulated time runs at a fifth of real time."""
    begin = time.monotonic()
    due = sorted(
        (number / entry["rate"], topic, number)
        for topic, entry in plan["say"].items()
        for number in range(entry["count"])
    )
    for at, topic, number in due:
        while time.monotonic() - begin < at:
            pause(max(0, min(0.01, at - (time.monotonic() - begin))))
        stamp = time.time_ns() if ticker is None else int(at * S / 5) + 1_000_000_000
        if ticker is not None:
            message = type_of("Clock")()
            message.clock.sec, message.clock.nanosec = divmod(stamp, S)
            ticker.publish(message)
        message, data = MAKERS[plan["say"][topic]["type"]](number)
        if hasattr(message, "header"):
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, S)
            message.header.frame_id = "frame of " + topic
        publishers[topic].publish(message)
        said[topic].append([stamp, digest(data)])


main()
