"""The bridge to ROS 2: a node whose outputs are topics of ROS 2, and which says others there.

The robot's half (`robot`) runs in the Python that has rclpy; it is started with this node and ends
with it. The loop, one thread, waits for both sides: it reads and publishes what the robot's half
hands over, and hands over what the graph says. What is lost on the way is named (see `incoming`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.errors import ConfigError, DataError
from tectum.message import AnyArray, Kind, Message
from tectum.node.base import Context, Node, NodeConfig
from tectum.repeated import has_doubled
from tectum_nodes.ros2.config import RELIABLE, BridgeConfig, ToRos
from tectum_nodes.ros2.incoming import Incoming, asides_of
from tectum_nodes.ros2.reading import READERS
from tectum_nodes.ros2.robot_process import Handed, RobotProcess
from tectum_nodes.ros2.simulated_time import SimulatedTime
from tectum_nodes.ros2.unheard import Asked, unheard_words
from tectum_nodes.ros2.writing import CLOCK, DEFAULTS, SHAPES, clock_message, write_message

__all__ = ["Ros2Bridge"]

_WAIT_NS = 20 * NS_PER_MS
_LOOK_EVERY_NS = 200 * NS_PER_MS
_AT_ONCE = 32
"""Messages that are taken before the loop's housekeeping has its turn."""


class Ros2Bridge(Node):
    """Maps topics of ROS 2 and of the graph, both ways."""

    Config: ClassVar[type[NodeConfig]] = BridgeConfig
    config: BridgeConfig
    on_exit: ClassVar[str] = "restart"
    derives: ClassVar[bool] = False

    @classmethod
    def outputs_of(cls, config: BridgeConfig) -> Mapping[str, Kind]:
        """Return an output per topic that comes from ROS 2."""
        return {name: READERS[entry.type].kind for name, entry in config.from_ros.items()}

    @classmethod
    def topics_of(cls, config: BridgeConfig) -> tuple[str, ...]:
        """Return the topics that go to ROS 2."""
        return tuple(dict.fromkeys(entry.topic for entry in config.to_ros.values()))

    @classmethod
    def period_ns_of(cls, config: BridgeConfig) -> Mapping[str, int]:
        """Return the expected periods."""
        rates = {name: entry.rate for name, entry in config.from_ros.items()}
        return {name: round(NS_PER_S / rate) for name, rate in rates.items() if rate}

    def open(self, context: Context) -> None:
        """Start the robot's half, and join the publishers of what goes to ROS 2.

        Raises:
            TectumError: there is no Python with rclpy, a type is not installed, or it is not known
                as which type a topic goes out.
        """
        config = self.config
        self._time = SimulatedTime() if config.clock == "use" else None
        self._incoming = Incoming(config, self._time)
        self._types = {
            name: _type_of(name, entry, context) for name, entry in config.to_ros.items()
        }
        self._refused: Counter[str] = Counter()
        self._robot = RobotProcess(context.name, context.clock, config.python, config.setup)
        rmw = self._robot.start(self._plan(context.name))
        context.log.info("bridge to ROS 2 over %s", rmw)
        wanted = self.topics_of(config)
        self._ear = context.subscribe(wanted, hold=4) if wanted else None

    def run(self, context: Context) -> None:
        """Bridge until the graph stops.

        Raises:
            DeviceError: the robot's half has ended.
        """
        if self._ear is not None:
            self._ear.watch(self._robot.descriptor)
        look_ns = clock_ns = context.clock.now_ns()
        while not context.stopping:
            until_ns = context.clock.now_ns() + _WAIT_NS
            if self.config.clock == "publish":
                until_ns = min(until_ns, clock_ns)
            self._wait(context, until_ns)
            self._take_up(context)
            now_ns = context.clock.now_ns()
            if self._ear is not None:
                self._pass_on(context)
            if self.config.clock == "publish" and now_ns >= clock_ns:
                self._robot.publish(len(self._types), clock_message(now_ns))
                clock_ns = max(clock_ns + round(NS_PER_S / self.config.clock_rate), now_ns)
            if now_ns >= look_ns:
                look_ns = now_ns + _LOOK_EVERY_NS
                self._look(context)

    def close(self) -> None:
        """End the robot's half."""
        if hasattr(self, "_robot"):
            self._robot.close()

    def _plan(self, name: str) -> dict[str, Any]:
        """Return what the robot's half is told."""
        config = self.config
        hear = [
            {"topic": entry.topic, "type": entry.type, "qos": entry.qos.model_dump()}
            for entry in config.from_ros.values()
        ]
        say = [
            {"topic": topic, "type": self._types[topic], "qos": entry.qos.model_dump()}
            for topic, entry in config.to_ros.items()
        ]
        hear += [
            {"topic": aside.topic, "type": aside.type, "qos": aside.qos.model_dump()}
            for aside in asides_of(config)
        ]
        if config.clock == "publish":
            say.append({"topic": "/clock", "type": CLOCK, "qos": RELIABLE.model_dump()})
        shapes = {
            name: list(fields)
            for written in self._types.values()
            for name, fields in SHAPES.get(written, ())
        }
        named = "tectum_" + "".join(letter if letter.isalnum() else "_" for letter in name)
        return {"name": named, "domain": config.domain, "hear": hear, "say": say, "shapes": shapes}

    def _wait(self, context: Context, until_ns: int) -> None:
        """Wait for either side; do the loop's housekeeping."""
        wait_ns = max(0, until_ns - context.clock.now_ns())
        if self._ear is None:
            self._robot.wait(wait_ns)
        else:
            self._ear.wait(wait_ns)
        context.serve(context.clock.now_ns())

    def _take_up(self, context: Context) -> None:
        """Take what was handed over, in turns with the housekeeping."""
        for _ in range(_AT_ONCE):
            handed = self._robot.receive()
            if handed is None:
                return
            self._take(context, handed, context.clock.now_ns())

    def _take(self, context: Context, handed: Handed, arrived_ns: int) -> None:
        output, losses, capture = self._incoming.take(handed, arrived_ns)
        for cause, count in losses.items():
            if output:
                context.name_loss(output, cause, count)
        if self._incoming.complaint:
            self._refuse(context, output or "rig", self._incoming.complaint)
        if self._incoming.news:
            self._tell_rig(context)
        arrays: tuple[AnyArray, ...] = ()
        if capture is not None:
            arrays = tuple(_own(context, capture.output, array) for array in capture.arrays)
        self._robot.done(handed)
        if capture is not None:
            context.publish(
                capture.output,
                capture.kind,
                arrays,
                stamp_ns=capture.stamp_ns,
                span_ns=capture.span_ns,
                error_ns=capture.error_ns,
                frame_id=capture.frame_id,
                fields=capture.fields,
            )

    def _tell_rig(self, context: Context) -> None:
        """Say how cameras project, and keep the whole rig where that is asked for."""
        rig, news = self._incoming.rig, sorted(self._incoming.news - {""})
        self._incoming.news.clear()
        for output in news:
            context.latch(output, {"fact": "calibration", "rig": rig.of(output)})
        if self.config.rig:
            path = Path(self.config.rig).expanduser()
            try:
                path.write_text(rig.text(), encoding="utf-8")
            except OSError as error:
                self._refuse(context, "rig", f"{path} cannot be written: {error.strerror}")

    def _pass_on(self, context: Context) -> None:
        assert self._ear is not None, "only called where there is one"
        for received in self._ear.drain():
            if received.message is not None:
                if received.message.header.kind not in (Kind.PROMISE, Kind.END, Kind.LATCHED):
                    self._say(context, received.message)
                received.message.release()

    def _say(self, context: Context, message: Message) -> None:
        """Publish a message in ROS 2 on each topic that it goes to."""
        header = message.header
        stamp_ns = header.stamp_ns
        if self._time is not None and self._time.known:
            stamp_ns = self._time.to_ros(stamp_ns)
        for index, (topic, entry) in enumerate(self.config.to_ros.items()):
            if entry.topic != header.topic:
                continue
            try:
                frame_id = entry.frame or header.frame_id
                data = write_message(self._types[topic], message, stamp_ns, frame_id)
            except DataError as error:
                self._refuse(context, topic, str(error))
                continue
            if not self._robot.publish(index, data):
                self._refuse(context, topic, "the robot's half does not keep up: left out")

    def _refuse(self, context: Context, where: str, why: str) -> None:
        """Count what could not be mapped; say so when the count doubles."""
        self._refused[where] += 1
        count = self._refused[where]
        if has_doubled(count):
            context.log.warning("%s: %d messages not mapped: %s", where, count, why)

    def _look(self, context: Context) -> None:
        """See that the robot's half lives, and say what it has said."""
        for what, content in self._robot.said():
            if what == "unheard":
                wanted: dict[str, Asked] = {item.topic: item for item in asides_of(self.config)}
                wanted |= {item.topic: item for item in self.config.from_ros.values()}
                for words in unheard_words(wanted, content["topics"], content["known"]):
                    context.log.warning("%s", words)
        self._robot.check()


def _own(context: Context, output: str, array: AnyArray) -> AnyArray:
    """Return a copy that may be kept, in shared memory where that is used."""
    kept = context.loan(output, array.dtype.name, array.shape)
    np.copyto(kept, array)
    return kept


def _type_of(topic: str, entry: ToRos, context: Context) -> str:
    """Return as which type a topic of the graph goes out.

    Raises:
        ConfigError: its kind has none.
    """
    if entry.type is not None:
        return entry.type
    record = context.run.get("topics", {}).get(entry.topic, {})
    kind = record.get("kind", "")
    if kind not in DEFAULTS:
        what = f"a topic of kind {kind}" if kind else "a topic of unknown kind"
        msg = f"{context.name}: to_ros.{topic}: {entry.topic} is {what}: name a `type`"
        raise ConfigError(msg)
    return DEFAULTS[Kind(kind)]
