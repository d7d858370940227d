"""The half of the bridge that runs under the robot's own Python, where rclpy is.

It knows no message. What it hears it hands over as the bytes that travelled (CDR), and the bytes
that it is given it publishes. Python 3.8 and up; rclpy and the packages of the messages are all
that it imports: it is run by its path, and nothing of Tectum is imported here.

It is given one inherited socket, the control. On it comes its plan, one line of JSON: `name`,
`domain`, `hear` and `say` (lists of `topic`, `type`, `qos`), `shapes` (type -> names of its
fields), and further inherited descriptors: `packets` (a socket), `to_graph` and `to_ros` (memory,
see `way`). On it go, as lines of JSON, `ready` or `trouble`, and later `unheard`: what is known of
topics from which nothing has come. Its end is ours.

Once a second the counts of each topic are handed over alone. What cannot be handed over at once is
left out, which the numbers show.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import signal
import socket
import sys
import threading
from typing import Any, Iterator  # noqa: UP035 - Python 3.8

PULSE_S = 1.0
WAIT_S = 0.2
SWITCH_S = 0.0005
"""How long one thread may keep the other waiting."""
GRACE_S = 0.5
"""How long the end may take."""
UNHEARD_AFTER = (4, 15, 60, 240)
"""After so many pulses it is said what is known of topics from which nothing has come."""
NUMBERED = ("rmw_fastrtps_cpp", "rmw_fastrtps_dynamic_cpp")
"""Middlewares whose messages carry the number that their publisher gave them."""
NO_NUMBER = 2**64 - 1
"""What others say instead."""

_HERE = os.path.dirname(os.path.abspath(__file__))


def beside(name: str) -> Any:
    """Return the module in the file beside this one, which is no package here."""
    path = os.path.join(_HERE, name + ".py")
    spec = importlib.util.spec_from_file_location("tectum_ros2_" + name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_WAY_OUT = (
    "source ROS 2's setup.bash before, or name it: setup: /opt/ros/DISTRO/setup.bash; "
    "or name the Python that has it: python: PATH"
)


class Trouble(Exception):
    """Why the bridge cannot work, and the way out."""


def imported_rclpy() -> Any:
    """Return rclpy.

    Raises:
        Trouble: it cannot be imported.
    """
    try:
        return importlib.import_module("rclpy")
    except Exception as error:  # a broken installation raises anything
        version = "{}.{}".format(*sys.version_info[:2])
        msg = f"{sys.executable} (Python {version}) has no rclpy ({error}): {_WAY_OUT}"
        raise Trouble(msg) from error


def message_class(full_name: str) -> Any:
    """Return the class of a type such as `sensor_msgs/msg/Image`.

    Raises:
        Trouble: its package is not installed.
    """
    package, _, name = full_name.partition("/msg/")
    try:
        return getattr(importlib.import_module(package + ".msg"), name)
    except (ImportError, AttributeError) as error:
        distro = os.environ.get("ROS_DISTRO", "DISTRO")
        debian = package.replace("_", "-")
        remedy = f"apt install ros-{distro}-{debian}, or choose another type"
        msg = f"{sys.executable} has no {full_name} ({error}): {remedy}"
        raise Trouble(msg) from error


def check_shape(full_name: str, fields: list[str]) -> None:
    """See that a message that the other half writes is the one that is installed here.

    Raises:
        Trouble: it has other fields.
    """
    here = list(message_class(full_name).get_fields_and_field_types())
    if here != fields:
        found, written = ", ".join(here), ", ".join(fields)
        remedy = "install a newer version of its package, or choose another type"
        msg = f"{full_name} here has the fields {found}, the bridge writes {written}: {remedy}"
        raise Trouble(msg)


def quality(asked: dict[str, Any]) -> Any:
    """Return the QoS profile of `reliability`, `durability`, `depth`."""
    qos = importlib.import_module("rclpy.qos")

    def policy(name: str, value: str) -> Any:
        found = getattr(qos, name, None) or getattr(qos, "QoS" + name)  # as it was called before
        return getattr(found, value.upper())

    return qos.QoSProfile(
        history=policy("HistoryPolicy", "keep_last"),
        depth=asked["depth"],
        reliability=policy("ReliabilityPolicy", asked["reliability"]),
        durability=policy("DurabilityPolicy", asked["durability"]),
    )


class Ear:
    """One subscription: counts what comes and what does not, and hands it over."""

    def __init__(
        self, node: Any, place: int, asked: dict[str, Any], way: Any, numbered: bool
    ) -> None:
        """Subscribe to the serialized bytes of a topic; `numbered`: its messages have numbers.

        Raises:
            Trouble: its type is not installed.
        """
        self.topic, self.place, self.heard = asked["topic"], place, 0
        self._way = way
        self._last: dict[bytes, int] = {}
        self._missing = self._told = 0
        node.create_subscription(
            message_class(asked["type"]),
            self.topic,
            self._take_numbered if numbered else self._take,
            quality(asked["qos"]),
            raw=True,
            **self._events(numbered),
        )

    @property
    def lost(self) -> int:
        """Return how many were published and never came: by their numbers, or as DDS tells."""
        return self._missing if self._last else self._told

    def pulse(self) -> None:
        """Say how many have come, though none comes now."""
        self._send(b"")

    def _take(self, data: bytes) -> None:
        self.heard += 1
        self._send(data)

    def _take_numbered(self, data: bytes, info: Any) -> None:
        number = info.get("publication_sequence_number")
        publisher = (info.get("publisher_gid") or {}).get("data")
        if number not in (None, NO_NUMBER) and publisher is not None:
            self._missing += max(0, number - self._last.get(publisher, number - 1) - 1)
            self._last[publisher] = number
        self._take(data)

    def _send(self, data: bytes) -> None:
        self._way.send(self.place, self.heard, self.lost, data)  # what does not fit: numbers tell

    def _events(self, numbered: bool) -> dict[str, Any]:
        """Return how to be told of losses, where numbers do not tell and this rclpy can.

        Of nothing else: rclpy waits anew for each such event with every message.
        """
        wanted = {} if numbered else {"message_lost": self._hear_of_loss}
        for name in ("rclpy.event_handler", "rclpy.qos_event"):
            try:
                made = importlib.import_module(name).SubscriptionEventCallbacks
                return {"event_callbacks": made(use_default_callbacks=False, **wanted)}
            except (ImportError, AttributeError, TypeError):
                continue
        return {}

    def _hear_of_loss(self, event: Any) -> None:
        self._told += event.total_count_change


def publish_all(rclpy: Any, way: Any, publishers: list[Any]) -> None:
    """Publish what the graph says until the context is shut; a thread's work."""
    with contextlib.suppress(EOFError):
        while rclpy.ok():
            came = way.receive(WAIT_S)
            if came is None:
                continue
            place, _, _, begin, size, end = came
            data = bytes(way.look(begin, size))
            way.done(end)
            try:
                publishers[place].publish(data)
            except Exception as error:
                if rclpy.ok():
                    print("a message could not be published:", error, file=sys.stderr, flush=True)  # noqa: T201


class Control:
    """The socket to the node: the plan comes on it, what is to be said goes on it."""

    def __init__(self, descriptor: int) -> None:
        """Take the inherited socket."""
        self._socket = socket.socket(fileno=descriptor)
        self._lines = self._socket.makefile("r", encoding="utf-8")

    def plan(self) -> dict[str, Any]:
        """Return the plan."""
        found: dict[str, Any] = json.loads(self._lines.readline())
        return found

    def say(self, what: str, content: Any) -> None:
        """Send a line; nobody may hear it any more."""
        with contextlib.suppress(OSError):
            self._socket.sendall((json.dumps({what: content}) + "\n").encode())

    def end_with_the_node(self, rclpy: Any) -> None:
        """Shut ROS down when the node is gone; a thread's work."""
        with contextlib.suppress(OSError):
            self._lines.read()
        with contextlib.suppress(Exception):  # it is shut already
            rclpy.shutdown()
        threading.Event().wait(GRACE_S)
        os._exit(0)


def topics_known(node: Any) -> dict[str, list[str]]:
    """Return the topics that ROS knows now, with their types."""
    return {name: list(types) for name, types in node.get_topic_names_and_types()}


def has_numbers(rclpy: Any) -> bool:
    """Return whether what is heard here comes with the numbers that publishers gave it."""
    knows = hasattr(importlib.import_module("rclpy.subscription"), "MessageInfo")
    return knows and rclpy.get_rmw_implementation_identifier() in NUMBERED


def offer(info: Any) -> dict[str, str]:
    """Return the type of a publisher and its quality, as graphs spell it."""
    profile = info.qos_profile
    return {
        "type": info.topic_type,
        "reliability": profile.reliability.name.lower(),
        "durability": profile.durability.name.lower(),
    }


def unheard(node: Any, ears: list[Ear]) -> dict[str, Any] | None:
    """Return what is known of the topics from which nothing has come, or None."""
    silent = [ear for ear in ears if not ear.heard]
    if not silent:
        return None
    said = {
        ear.topic: [offer(info) for info in node.get_publishers_info_by_topic(ear.topic)]
        for ear in silent
    }
    return {"topics": said, "known": topics_known(node)}


def bridged(rclpy: Any, plan: dict[str, Any], control: Control) -> None:
    """Bridge until the process is asked to end.

    Raises:
        Trouble: a type is not installed, or is another than the graph's half writes.
    """
    # rclpy waits anew for all that a node has with every message: no services that nobody asks
    node = rclpy.create_node(plan["name"], start_parameter_services=False)
    given, ways = plan["descriptors"], beside("way")
    rings = [ways.Ring(given[name]) for name in ("to_graph", "to_ros")]
    way = ways.Way(socket.socket(fileno=given["packets"]), *rings)
    for name, fields in plan["shapes"].items():
        check_shape(name, fields)
    numbered = has_numbers(rclpy)
    ears = [Ear(node, place, asked, way, numbered) for place, asked in enumerate(plan["hear"])]
    publishers = [
        node.create_publisher(message_class(asked["type"]), asked["topic"], quality(asked["qos"]))
        for asked in plan["say"]
    ]
    control.say("ready", {"rmw": rclpy.get_rmw_implementation_identifier()})
    threading.Thread(target=control.end_with_the_node, args=(rclpy,), daemon=True).start()
    mouth = threading.Thread(target=publish_all, args=(rclpy, way, publishers), daemon=True)
    mouth.start()
    pulses = iter(range(1, sys.maxsize))

    def pulse() -> None:
        for ear in ears:
            ear.pulse()
        if next(pulses) in UNHEARD_AFTER:
            found = unheard(node, ears)
            if found is not None:
                control.say("unheard", found)

    node.create_timer(PULSE_S, pulse)
    spin(rclpy, node)
    mouth.join(GRACE_S)


def spin(rclpy: Any, node: Any) -> None:
    """Spin until the context is shut, by a signal or because the node has ended."""
    executors = importlib.import_module("rclpy.executors")
    try:
        executor = executors.SingleThreadedExecutor()
        executor.add_node(node)
        while rclpy.ok():
            executor.spin_once()
    except BaseException:  # what rclpy raises in the middle of a shut-down differs
        if rclpy.ok():
            raise


@contextlib.contextmanager
def told(control: Control) -> Iterator[None]:
    """Say on the way out why it goes no further."""
    try:
        yield
    except Trouble as trouble:
        control.say("trouble", str(trouble))
        raise SystemExit(1) from None


def main() -> None:
    """Run as `python robot.py DESCRIPTOR`."""
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != _HERE]
    sys.setswitchinterval(SWITCH_S)
    control = Control(int(sys.argv[1]))
    with told(control):
        plan = control.plan()
        rclpy = imported_rclpy()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the launcher's to handle
        if plan["domain"] is not None:
            os.environ["ROS_DOMAIN_ID"] = str(plan["domain"])
        begin(rclpy)
        bridged(rclpy, plan, control)


def begin(rclpy: Any) -> None:
    """Begin ROS; signals stay ours where this rclpy lets us say so."""
    signals = getattr(importlib.import_module("rclpy"), "signals", None)
    options = getattr(signals, "SignalHandlerOptions", None)
    if options is None:
        rclpy.init(args=[])
    else:
        rclpy.init(args=[], signal_handler_options=options.NO)


if __name__ == "__main__":
    main()
