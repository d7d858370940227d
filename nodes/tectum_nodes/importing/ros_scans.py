"""Raw packets of a Velodyne in a ROS 2 bag (`velodyne_msgs/VelodyneScan`), cut into our own sweeps.

The packets go through the same decoder as those of a live lidar, each with the time at which its
driver received it; where one message of the bag ends and the next begins has no effect.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tectum_nodes.datagrams import Datagram
from tectum_nodes.importing.base import Item, renamed
from tectum_nodes.ros2.cdr import Cdr
from tectum_nodes.velodyne import Sweeps, VelodyneConfig
from tectum_nodes.velodyne_packet import PACKET_BYTES

__all__ = ["VELODYNE_SCAN", "VelodyneScans"]

VELODYNE_SCAN = "velodyne_msgs/msg/VelodyneScan"


class VelodyneScans:
    """The packets of one topic."""

    def __init__(self, topic: str, phase: float) -> None:
        """Begin with the first message."""
        self._topic, self._phase = topic, phase
        self._sweeps: Sweeps | None = None
        self._arrived_ns = 0

    def message(self, data: bytes | memoryview) -> Iterator[Item]:
        """Take a message; yield sweeps that end in it and announcements of those that begin.

        Raises:
            DataError: it is not such a message.
        """
        cdr = Cdr(data)
        _, frame = cdr.header()
        if self._sweeps is None:
            config = VelodyneConfig(pcap=self._topic, phase=self._phase)
            self._sweeps = Sweeps(config, frame or "lidar")
        for _ in range(cdr.integer()):
            self._arrived_ns = cdr.stamp_ns()
            packet = bytes(cdr.array("u1", PACKET_BYTES))
            for said in self._sweeps.packet(Datagram(self._arrived_ns, 0, packet)):
                yield Item(self._arrived_ns, renamed(said, self._topic))

    def end(self, troubles: Counter[str]) -> Iterator[Item]:
        """Yield the sweep that has not come round; say what was lost and refused."""
        if self._sweeps is None:
            return
        for said in self._sweeps.end():
            yield Item(self._arrived_ns, renamed(said, self._topic))
        for count, text in (
            (self._sweeps.refused, "packets are not of a VLP-16"),
            (self._sweeps.lost, "packets of the lidar never came"),
        ):
            if count:
                troubles[f"{self._topic}: {text}"] += count
