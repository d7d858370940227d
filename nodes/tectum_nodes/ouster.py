"""An Ouster lidar (or a recording of one) through Ouster's SDK: `points`, a frame at a time.

A frame is announced when its first packet has come. Its stamp is that of its first measured column,
by the lidar's clock, which is mapped to the graph clock by the least late packets; `time` of each
point counts from it. Points are x y z in metres in the lidar's frame, its signal, `ring` (0 is the
highest beam), `column` and `range` in mm, so that the range picture can be had back from them.
Fields of a message: `packets`, and `lost_packets` that are missing in it. The SDK comes with
`pip install tectum[ouster]`; the lidar's metadata file says how its packets are read.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tectum.clock import NS_PER_S
from tectum.errors import ConfigError, DataError
from tectum.message import AnyArray, Kind, Value
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

__all__ = ["OusterConfig", "OusterFrames", "OusterNode"]

PORT = 7502
FIELDS = ("x", "y", "z", "signal", "ring", "time", "column", "range")


class OusterConfig(LidarConfig):
    """An Ouster and its metadata."""

    metadata: str
    """The lidar's metadata file: curl http://LIDAR/api/v1/sensor/metadata > FILE."""
    rate: Annotated[int, Field(ge=1, le=40)] = 10
    """Frames per second as the lidar is set; only for what the graph expects."""


class OusterFrames:
    """Packets in, frames out."""

    def __init__(self, config: OusterConfig, frame_id: str, room: Room = own_points) -> None:
        """Read the metadata; `room` gives memory to assemble frames in.

        Raises:
            ConfigError: the SDK is not installed.
            DataError: the metadata cannot be read.
        """
        sdk = _sdk()
        self.lost = 0
        self.refused = 0
        """Packets of another size than the metadata say."""
        self._config, self._frame_id, self._sdk = config, frame_id, sdk
        self._room = room
        self._info = _metadata(sdk, Path(config.metadata).expanduser())
        self._format = sdk.PacketFormat(self._info)
        self._project = sdk.XYZLut(self._info)
        self._clock = DeviceClock(config.delay)
        self._batcher = sdk.FrameBatcher(self._info)
        self._frame: Any = None
        self._first: tuple[int, int, int] | None = None
        """Lidar's time, stamp and error of the frame's first column."""
        self._number, self._packets = -1, 0

    def packet(self, datagram: Datagram) -> Iterator[Capture | Announcement]:
        """Take a packet; yield the frame that it ends and the announcement of the next."""
        if len(datagram.data) != self._format.lidar_packet_size:
            self.refused += 1
            return
        packet = self._sdk.LidarPacket(self._format)
        packet.buf[:] = np.frombuffer(datagram.data, np.uint8)
        packet.host_timestamp = datagram.arrived_ns
        number = int(packet.frame_id())
        if number != self._number:
            yield from self.end()
            self._begin(number)
        columns_ns = self._format.packet_header(self._sdk.ColHeader.TIMESTAMP, packet.buf)
        device_ns, last_ns = int(columns_ns[0]), int(columns_ns[-1])
        # A packet is sent when its last column is in.
        stamp_ns, error_ns = self._clock.stamp(last_ns, datagram.arrived_ns)
        if self._first is None:
            stamp_ns -= last_ns - device_ns
            self._first = (device_ns, stamp_ns, error_ns)
            yield Announcement("points", stamp_ns)
        self._packets += 1
        if self._batcher.batch(packet, self._frame):
            yield from self.end()

    def end(self) -> Iterator[Capture]:
        """Yield the frame that is being filled, once."""
        if self._first is None or self._packets == 0:
            return
        whole = -(-self._info.w // self._info.format.columns_per_packet)
        lost = max(0, whole - self._packets) if self._wants_whole() else 0
        self.lost += lost
        yield self._capture(self._first, lost)
        self._packets = 0

    def _begin(self, number: int) -> None:
        self._number, self._packets, self._first = number, 0, None
        self._frame = self._sdk.LidarFrame(self._info)
        self._batcher.reset()

    def _wants_whole(self) -> bool:
        """Return whether a frame is the whole turn: an azimuth window has fewer packets."""
        first, last = self._info.format.column_window
        return bool((first, last) == (0, self._info.w - 1))

    def _capture(self, first: tuple[int, int, int], lost: int) -> Capture:
        device_ns, stamp_ns, error_ns = first
        columns_ns = np.asarray(self._frame.timestamp, np.int64)
        since_ns = np.where(columns_ns > 0, columns_ns - device_ns, 0)
        fields: dict[str, Value] = {
            "names": list(FIELDS),
            "packets": self._packets,
            "lost_packets": lost,
        }
        return Capture(
            "points",
            Kind.POINTS,
            (self._points(since_ns),),
            stamp_ns,
            int(since_ns.max(initial=0)),
            error_ns,
            self._frame_id,
            fields,
        )

    def _points(self, since_ns: NDArray[np.int64]) -> AnyArray:
        """Return the points of the frame, float32 (n, 8): see `FIELDS`."""
        frame, config = self._frame, self._config
        ranges: Any = frame.field(self._sdk.ChanField.RANGE)
        metres = ranges / 1000.0
        rows, columns = np.nonzero(
            (ranges > 0) & (metres >= config.min_range) & (metres <= config.max_range)
        )
        points = self._room((len(rows), len(FIELDS)))
        points[:, :3] = self._project(ranges)[rows, columns]
        points[:, 3] = self._signal(frame)[rows, columns]
        points[:, 4], points[:, 6] = rows, columns
        points[:, 5] = since_ns[columns] / NS_PER_S
        points[:, 7] = ranges[rows, columns]
        return points

    def _signal(self, frame: Any) -> AnyArray:
        names = self._sdk.ChanField
        has = [name for name in (names.SIGNAL, names.REFLECTIVITY) if frame.has_field(name)]
        found: AnyArray = np.asarray(frame.field(has[0])) if has else np.zeros((frame.h, frame.w))
        return found


class OusterNode(SensorNode):
    """Publishes the frames of an Ouster lidar."""

    Config: ClassVar[type[NodeConfig]] = OusterConfig
    config: OusterConfig
    outputs: ClassVar[Mapping[str, Kind]] = {"points": Kind.POINTS}

    @classmethod
    def period_ns_of(cls, config: OusterConfig) -> Mapping[str, int]:
        """Return the time from frame to frame."""
        return {"points": NS_PER_S // config.rate}

    @classmethod
    def nbytes_of(cls, config: OusterConfig) -> Mapping[str, int]:
        """Return the size of a frame in which every beam came back, by the metadata."""
        try:
            text = Path(config.metadata).expanduser().read_text(encoding="utf-8")
            given = json.loads(text)
            shape = given.get("lidar_data_format") or given.get("data_format") or given
            points = shape["columns_per_frame"] * shape["pixels_per_column"]
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            return {}  # opening says what is wrong with the file
        return {"points": points * len(FIELDS) * 4}

    def open(self, context: Context) -> None:
        """Read the metadata, and see that there is such an interface or file."""
        ready_to_listen(self.config)
        OusterFrames(self.config, context.name)

    def captures(self, context: Context) -> Iterator[Capture | Announcement]:
        """Yield frames and announcements."""
        yield from reconnected(context, lambda: self._frames(context))

    def _frames(self, context: Context) -> Iterator[Capture | Announcement]:
        frames = OusterFrames(
            self.config, self.config.frame or context.name, lent_room(context, "points", "float32")
        )
        try:
            for datagram in packets(context, self.config, PORT):
                yield from frames.packet(datagram)
            yield from frames.end()
        finally:
            if frames.lost or frames.refused:
                text = "%d packets of the lidar never came, %d do not fit the metadata"
                context.log.warning(text, frames.lost, frames.refused)


def _sdk() -> Any:
    try:
        core = importlib.import_module("ouster.sdk.core")
    except ImportError as error:
        msg = f"an Ouster lidar needs Ouster's SDK: pip install 'tectum[ouster]' ({error})"
        raise ConfigError(msg) from error
    return core


def _metadata(sdk: Any, path: Path) -> Any:
    try:
        return sdk.SensorInfo(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = (
            f"the lidar's metadata {path} cannot be read ({error.strerror}): fetch it with "
            "curl http://LIDAR/api/v1/sensor/metadata > FILE"
        )
        raise DataError(msg) from error
    except (RuntimeError, ValueError) as error:
        msg = f"{path} is not the metadata of an Ouster lidar: {error}"
        raise DataError(msg) from error
