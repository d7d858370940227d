"""What comes from ROS 2 as captures, with the books of what did not. Decides, does no I/O.

Lost are, by name: `dds_lost`, what never came to the bridge; `bridge_queue_full`, what waited too
long for the graph's half; `unreadable`, what is no such message; `before_clock`, what came before
/clock had said anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from tectum.clock import NS_PER_S
from tectum.errors import DataError
from tectum.node.base import Capture
from tectum_nodes.ros2.cdr import Cdr
from tectum_nodes.ros2.config import SENSOR_DATA, STATIC, BridgeConfig, FromRos, Quality
from tectum_nodes.ros2.heard_rig import HeardRig
from tectum_nodes.ros2.reading import READERS, read_message
from tectum_nodes.ros2.rig_messages import CAMERA_INFO, TRANSFORMS
from tectum_nodes.ros2.robot_process import Handed
from tectum_nodes.ros2.simulated_time import SimulatedTime
from tectum_nodes.ros2.writing import CLOCK

__all__ = ["Aside", "Incoming", "asides_of"]


class Aside(NamedTuple):
    """A topic that becomes no output."""

    topic: str
    type: str
    qos: Quality
    output: str = ""
    """Whose camera it tells of."""


def asides_of(config: BridgeConfig) -> list[Aside]:
    """Return what is heard beside the outputs, in the order in which it is heard."""
    entries = config.from_ros.items()
    found = [
        Aside(entry.info, CAMERA_INFO, SENSOR_DATA, name) for name, entry in entries if entry.info
    ]
    if config.rig:
        found.append(Aside("/tf_static", TRANSFORMS, STATIC))
    if config.clock == "use":
        found.append(Aside("/clock", CLOCK, SENSOR_DATA))
    return found


class Incoming:
    """What comes on each topic."""

    def __init__(self, config: BridgeConfig, time: SimulatedTime | None) -> None:
        """Map the topics of `config`; stamps by simulated `time`, where there is one."""
        self._entries: list[tuple[str, FromRos]] = list(config.from_ros.items())
        self._asides = asides_of(config)
        self._time = time
        self.rig = HeardRig()
        self.news: set[str] = set()
        """Outputs whose calibration was heard anew since it was emptied; "": frames alone."""
        self._heard: Counter[int] = Counter()
        self._lost: Counter[int] = Counter()
        self.complaint = ""
        """Why the last message was refused."""

    def take(
        self, handed: Handed, arrived_ns: int
    ) -> tuple[str, Mapping[str, int], Capture | None]:
        """Return the output, what was lost before (cause -> count), and the capture, if any."""
        place = handed.place
        losses = Counter(
            {
                "bridge_queue_full": handed.heard - self._heard[place] - (handed.data is not None),
                "dds_lost": handed.lost - self._lost[place],
            }
        )
        self._heard[place], self._lost[place] = handed.heard, handed.lost
        self.complaint = ""
        if place >= len(self._entries):
            if handed.data is not None:
                self._aside(self._asides[place - len(self._entries)], handed.data, arrived_ns)
            return "", {}, None
        output, entry = self._entries[place]
        capture = None
        if handed.data is not None:
            if self._time is not None and not self._time.known:
                losses["before_clock"] += 1
            else:
                capture = self._capture(output, entry, handed.data, arrived_ns)
                losses["unreadable"] += capture is None
        return output, +losses, capture

    def _aside(self, aside: Aside, data: memoryview, arrived_ns: int) -> None:
        """Take what is no output: the clock, or a part of the rig."""
        try:
            if aside.type == CLOCK and self._time is not None:
                self._time.tick(Cdr(data).stamp_ns(), arrived_ns)
            elif aside.type == CAMERA_INFO:
                news, self.complaint = self.rig.take_camera(aside.output, data)
                self.news |= {aside.output} if news else set()
            elif self.rig.take_frames(data):
                self.news |= {other.output for other in self._asides if other.output in self.rig}
                self.news.add("")
        except DataError as error:
            self.complaint = str(error)

    def _capture(
        self, output: str, entry: FromRos, data: memoryview, arrived_ns: int
    ) -> Capture | None:
        try:
            read = read_message(entry.type, data)
        except DataError as error:
            self.complaint = str(error)
            return None
        stamp_ns, error_ns = arrived_ns, round(NS_PER_S / entry.rate) if entry.rate else 0
        if entry.stamp == "header" and read.stamp_ns:
            stamp_ns, error_ns = read.stamp_ns, 0
            if self._time is not None:
                stamp_ns = self._time.to_graph(stamp_ns)
        return Capture(
            output,
            READERS[entry.type].kind,
            read.arrays,
            stamp_ns,
            entry.span,
            error_ns,
            entry.frame or read.frame_id,
            read.fields,
        )
