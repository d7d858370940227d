"""A capture file (pcap) of a lidar's packets: a VLP-16, or an Ouster with its metadata beside it.

Packets go through the decoder of the live node, with the times at which they were captured. What is
in a file is told by its ports and sizes; an Ouster's metadata are `FILE.json`, or are named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple, Protocol

from pydantic import Field

from tectum.errors import DataError
from tectum.message import Kind
from tectum.node.base import Announcement, Capture, NodeConfig
from tectum_nodes import ouster, velodyne
from tectum_nodes.datagrams import Datagram
from tectum_nodes.importing.base import Item, Source, Stream, renamed
from tectum_nodes.pcap import udp_datagrams
from tectum_nodes.velodyne_packet import PACKET_BYTES

__all__ = ["CaptureFile", "CaptureFileConfig"]

_LOOK_AT = 2_000
"""So many datagrams tell what is in a file."""


class CaptureFileConfig(NodeConfig):
    """Which lidar, and how its packets are read."""

    port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """UDP port of the lidar's data; 0: that with its usual packets."""
    metadata: str = ""
    """An Ouster's metadata file; default: the capture's name with `.json`."""
    phase: Annotated[float, Field(ge=0, lt=360)] = 0.0
    """Azimuth in degrees at which a Velodyne's sweep begins."""
    min_range: Annotated[float, Field(ge=0)] = 0.3
    """Metres; nearer points are left out."""
    max_range: Annotated[float, Field(gt=0)] = 300.0
    """Metres; farther points are left out."""
    frame: str = "lidar"
    """Coordinate frame of the points."""


class _Decoder(Protocol):
    lost: int
    refused: int

    def packet(self, datagram: Datagram) -> Iterator[Capture | Announcement]: ...
    def end(self) -> Iterator[Capture]: ...


class _Lidar(NamedTuple):
    name: str
    port: int
    decoder: Callable[[], _Decoder]


class CaptureFile(Source):
    """The packets of one lidar in a capture file."""

    title = "a capture file (pcap) of a Velodyne VLP-16 or an Ouster"
    Config: ClassVar[type[NodeConfig]] = CaptureFileConfig
    config: CaptureFileConfig

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether a file is called like one."""
        return path.is_file() and path.suffix.lower() in (".pcap", ".cap", ".pcapng")

    def streams(self) -> tuple[Stream, ...]:
        """Return the lidar."""
        lidar = self._lidar
        content = f"packets of a {lidar.name} to UDP port {lidar.port}"
        return (Stream("points", Kind.POINTS, content, None, "lidar/points"),)

    def items(self, wanted: frozenset[str]) -> Iterator[Item]:
        """Yield sweeps and the announcements of those that begin."""
        del wanted
        lidar = self._lidar
        decoder, arrived_ns, others = lidar.decoder(), 0, 0
        for datagram in udp_datagrams(self.path):
            if datagram.port != lidar.port:
                others += 1
                continue
            arrived_ns = datagram.arrived_ns
            for said in decoder.packet(datagram):
                yield Item(arrived_ns, renamed(said, "points"))
        for said in decoder.end():
            yield Item(arrived_ns, renamed(said, "points"))
        for count, text in (
            (others, f"packets are not for UDP port {lidar.port}"),
            (decoder.refused, f"packets are not of a {lidar.name}"),
            (decoder.lost, "packets of the lidar never came"),
        ):
            if count:
                self.troubles[text] += count

    @cached_property
    def _lidar(self) -> _Lidar:
        """Find out what the file holds.

        Raises:
            DataError: nothing that is read.
        """
        seen = Counter(
            (datagram.port, len(datagram.data))
            for _, datagram in zip(range(_LOOK_AT), udp_datagrams(self.path), strict=False)
        )
        metadata = Path(self.config.metadata or self.path.with_suffix(".json")).expanduser()
        ports = Counter[int]()
        for (port, nbytes), count in seen.items():
            ports[port] += count
            velodyne_like = nbytes == PACKET_BYTES and self.config.port in (0, port)
            if velodyne_like and not self.config.metadata:
                return _Lidar("Velodyne VLP-16", port, self._velodyne)
        port = self.config.port or ouster.PORT
        if port in ports and (self.config.metadata or metadata.is_file()):
            return _Lidar("Ouster", port, lambda: self._ouster(metadata))
        found = ", ".join(f"{count} to {port}" for port, count in ports.most_common(5)) or "none"
        msg = (
            f"{self.path} has no packets of a lidar that is known here; its UDP packets: {found}. "
            "Name the port with --set port=N; an Ouster needs its metadata: --set metadata=FILE"
        )
        raise DataError(msg)

    def _velodyne(self) -> _Decoder:
        own = self.config
        config = velodyne.VelodyneConfig(
            pcap=str(self.path), phase=own.phase, min_range=own.min_range, max_range=own.max_range
        )
        return velodyne.Sweeps(config, own.frame)

    def _ouster(self, metadata: Path) -> _Decoder:
        own = self.config
        config = ouster.OusterConfig(
            pcap=str(self.path),
            metadata=str(metadata),
            min_range=own.min_range,
            max_range=own.max_range,
        )
        return ouster.OusterFrames(config, own.frame)
