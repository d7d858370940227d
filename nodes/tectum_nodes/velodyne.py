"""A Velodyne VLP-16 (or a recording of one): `points`, a sweep from a phase once round to it.

A sweep is announced when it begins and published when the next one has: its stamp is that of its
first firing on the graph clock, its span lasts to its last. `time` of each point counts from the
stamp. The lidar's clock (time since the top of the hour) is mapped to the graph clock by the least
late packets; `error_ns` says how well that is known, not what `delay` should have said. Fields of a
message: `packets` it was made of, and `lost_packets` that are missing in it, by the lidar's clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tectum.clock import NS_PER_S
from tectum.message import Kind, Value
from tectum.node.base import Announcement, Capture, Context, NodeConfig, SensorNode
from tectum_nodes.datagrams import Datagram
from tectum_nodes.device_clock import DeviceClock
from tectum_nodes.lidar_source import (
    LidarConfig,
    packets,
    ready_to_listen,
)
from tectum_nodes.reconnecting import reconnected
from tectum_nodes.room import Room, lent_room, own_points
from tectum_nodes.velodyne_packet import (
    FIELDS,
    Firings,
    firings,
    most_points,
    packet_period_ns,
    points_of,
    top_of_hour_ns,
)

__all__ = ["Sweeps", "VelodyneConfig", "VelodyneNode"]

PORT = 2368
_HOUR_NS = 3600 * NS_PER_S
_HALF_TURN = 18_000
_SHORTEST_NS = 20_000_000
"""No turn is so short: at 1200 rpm one takes 50 ms."""
_LONGEST_GAP_NS = 60 * NS_PER_S
"""A longer silence is a lidar that was off: its packets are not lost, they never were."""


class VelodyneConfig(LidarConfig):
    """A VLP-16 and how its turns are cut."""

    phase: Annotated[float, Field(ge=0, lt=360)] = 0.0
    """Azimuth in degrees (clockwise from ahead) at which a sweep begins."""
    rpm: Annotated[int, Field(ge=300, le=1200)] = 600
    """As the lidar is set; only for what the graph expects of its rate."""


class Sweeps:
    """Packets in, sweeps out. Pure."""

    def __init__(self, config: VelodyneConfig, frame_id: str, room: Room = own_points) -> None:
        """Begin with the first crossing of the phase; `room` gives memory to assemble sweeps in."""
        self.refused = 0
        """Packets that are not data of a VLP-16."""
        self.lost = 0
        """Packets that the lidar sent and that never came, over all."""
        self._config, self._frame_id, self._room = config, frame_id, room
        self._phase = round(config.phase * 100)
        self._clock = DeviceClock(config.delay, _HOUR_NS)
        self._last_ns: int | None = None
        self._turn = -1
        self._open: _Sweep | None = None

    def packet(self, datagram: Datagram) -> Iterator[Capture | Announcement]:
        """Take a packet; yield the sweep that it ends and the announcement of the next."""
        some = firings(datagram.data)
        if some is None:
            self.refused += 1
            return
        hour_ns, period_ns = top_of_hour_ns(datagram.data), packet_period_ns(datagram.data)
        # The packet is sent when its last firing is in: its stamp is one period before that.
        stamp_ns, error_ns = self._clock.stamp(hour_ns, datagram.arrived_ns - period_ns)
        lost = self._missing(hour_ns, period_ns)
        self.lost += lost
        if self._open is not None:
            self._open.lost += lost
        yield from self._add(some, stamp_ns, error_ns)

    def end(self) -> Iterator[Capture]:
        """Yield the sweep that has not come round, where there is one."""
        if self._open is not None and self._open.parts:
            yield self._open.capture(self._frame_id, self._room)
        self._open = None

    def _add(self, some: Firings, stamp_ns: int, error_ns: int) -> Iterator[Capture | Announcement]:
        """Add the firings of a packet, cut where they cross the phase."""
        ahead = (some.azimuth - self._phase) % 36_000
        turned = np.diff(ahead, prepend=self._turn if self._turn >= 0 else ahead[0])
        back = np.flatnonzero(turned < -_HALF_TURN)  # a little back is the noise of the encoder
        self._turn = int(ahead[-1])
        cut = int(back[0]) if len(back) and not self._just_cut(stamp_ns) else len(ahead)
        range_m = (self._config.min_range, self._config.max_range)
        if self._open is not None and cut > 0:
            self._open.add(some.part(0, cut), stamp_ns, range_m)
        if cut == len(ahead):
            return
        if self._open is not None:
            yield self._open.capture(self._frame_id, self._room)
        self._open = _Sweep(stamp_ns + int(some.offset_ns[cut]), error_ns)
        yield Announcement("points", self._open.stamp_ns)
        self._open.add(some.part(cut, len(ahead)), stamp_ns, range_m)

    def _just_cut(self, packet_ns: int) -> bool:
        """Return whether a sweep has begun so recently that this is the noise of the azimuth."""
        return self._open is not None and packet_ns - self._open.stamp_ns < _SHORTEST_NS

    def _missing(self, hour_ns: int, period_ns: int) -> int:
        """Return how many packets are missing before this one, by the lidar's clock."""
        last_ns, self._last_ns = self._last_ns, hour_ns
        if last_ns is None:
            return 0
        since_ns = (hour_ns - last_ns) % _HOUR_NS
        if since_ns > _LONGEST_GAP_NS:
            return 0
        return max(0, round(since_ns / period_ns) - 1)


class _Sweep:
    """A sweep that is being filled."""

    def __init__(self, stamp_ns: int, error_ns: int) -> None:
        self.stamp_ns, self.error_ns = stamp_ns, error_ns
        self.lost = 0
        self.parts: list[NDArray[np.float32]] = []
        self._packets = 0
        self._end_ns = stamp_ns

    def add(self, some: Firings, packet_ns: int, range_m: tuple[float, float]) -> None:
        """Add firings of the packet that is stamped `packet_ns`."""
        self.parts.append(points_of(some, packet_ns - self.stamp_ns, range_m))
        self._packets += 1
        self._end_ns = max(self._end_ns, packet_ns + int(some.offset_ns[-1]))

    def capture(self, frame_id: str, room: Room) -> Capture:
        """Return the message of the sweep."""
        fields: dict[str, Value] = {"names": list(FIELDS), "packets": self._packets}
        fields["lost_packets"] = self.lost
        return Capture(
            "points",
            Kind.POINTS,
            (np.concatenate(self.parts, out=room((sum(map(len, self.parts)), len(FIELDS)))),),
            self.stamp_ns,
            self._end_ns - self.stamp_ns,
            self.error_ns,
            frame_id,
            fields,
        )


class VelodyneNode(SensorNode):
    """Publishes the sweeps of a VLP-16."""

    Config: ClassVar[type[NodeConfig]] = VelodyneConfig
    config: VelodyneConfig
    outputs: ClassVar[Mapping[str, Kind]] = {"points": Kind.POINTS}

    @classmethod
    def period_ns_of(cls, config: VelodyneConfig) -> Mapping[str, int]:
        """Return the time of a turn."""
        return {"points": 60 * NS_PER_S // config.rpm}

    @classmethod
    def nbytes_of(cls, config: VelodyneConfig) -> Mapping[str, int]:
        """Return the size of a sweep in which every firing came back: the largest there is."""
        return {"points": most_points(cls.period_ns_of(config)["points"]) * len(FIELDS) * 4}

    def open(self, context: Context) -> None:
        """See that there is such an interface or file; the lidar may come later."""
        del context
        ready_to_listen(self.config)

    def captures(self, context: Context) -> Iterator[Capture | Announcement]:
        """Yield sweeps and announcements."""
        yield from reconnected(context, lambda: self._sweeps(context))

    def _sweeps(self, context: Context) -> Iterator[Capture | Announcement]:
        sweeps = Sweeps(
            self.config, self.config.frame or context.name, lent_room(context, "points", "float32")
        )
        try:
            for datagram in packets(context, self.config, PORT):
                yield from sweeps.packet(datagram)
            yield from sweeps.end()
        finally:
            if sweeps.lost or sweeps.refused:
                text = "%d packets of the lidar never came, %d were not of a VLP-16"
                context.log.warning(text, sweeps.lost, sweeps.refused)
