"""What the lidar nodes share: where their packets come from, live or from a capture file.

Live packets carry the kernel's receive stamp. Those of a capture file are played at the pace at
which they were captured, moved to the beginning of this run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.errors import DeviceError
from tectum.node.base import Context, NodeConfig
from tectum.node.fields import Duration
from tectum_nodes.datagrams import Datagram, DatagramSocket, interface_address
from tectum_nodes.pcap import udp_datagrams
from tectum_nodes.playback import playback_begin_ns

__all__ = ["LidarConfig", "packets", "ready_to_listen"]


class LidarConfig(NodeConfig):
    """Where a lidar's packets come from: a network interface, or a capture file."""

    interface: str = ""
    """Network interface on which the lidar sends (such as eth1), or its address."""
    sender: str = ""
    """The lidar's address; packets of others are dropped."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """UDP port of its data; 0: the usual one of this lidar."""
    broadcast: bool = False
    """The lidar broadcasts, as a new Velodyne does; the interface must be given by its name."""
    pcap: str = ""
    """Instead of a network: a capture file, played at its own pace."""
    pace: bool = True
    """Of a capture file; otherwise as fast as it is read."""
    loop: bool = False
    """Play the capture file again and again."""
    silence: Annotated[Duration, Field(ge=50 * NS_PER_MS)] = 2 * NS_PER_S
    """After so long without a packet the lidar counts as gone, and is waited for anew."""
    delay: Annotated[Duration, Field(ge=0)] = 0
    """Least time from a measurement to the arrival of its packet; stamps are earlier by it."""
    min_range: Annotated[float, Field(ge=0)] = 0.3
    """Metres; nearer points are left out (they are on the vehicle)."""
    max_range: Annotated[float, Field(gt=0)] = 300.0
    """Metres; farther points are left out."""
    frame: str = ""
    """Coordinate frame of the points; default: the node's name."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.pcap and (self.interface or self.sender):
            msg = "a lidar takes `pcap`, or `interface` with `sender`; found both"
            raise ValueError(msg)
        if not self.pcap and not (self.interface and self.sender):
            msg = "a lidar takes `interface` with `sender` (one address may send), or `pcap`"
            raise ValueError(msg)
        return self


def ready_to_listen(config: LidarConfig) -> None:
    """See that there is such an interface, or such a capture file.

    Raises:
        TectumError: there is not; waiting would not help.
    """
    if config.pcap:
        next(udp_datagrams(Path(config.pcap).expanduser()), None)
    else:
        interface_address(config.interface)


def packets(context: Context, config: LidarConfig, port: int) -> Iterator[Datagram]:
    """Yield the lidar's packets until the graph stops or the capture file ends.

    Raises:
        DeviceError: nothing comes from the network.
    """
    port = config.port or port
    if config.pcap:
        yield from _played(context, config, port)
        return
    with DatagramSocket(
        config.interface, port, config.sender, broadcast=config.broadcast
    ) as opened:
        yield from opened.stream(
            context.clock, config.silence, lambda: context.stopping, context.name
        )


def _played(context: Context, config: LidarConfig, port: int) -> Iterator[Datagram]:
    path = Path(config.pcap).expanduser()
    begin_ns = playback_begin_ns(context)
    while True:
        first_ns, last_ns = -1, begin_ns
        for datagram in udp_datagrams(path):
            if datagram.port != port:
                continue
            first_ns = datagram.arrived_ns if first_ns < 0 else first_ns
            last_ns = begin_ns + datagram.arrived_ns - first_ns
            if config.pace and not context.wait_until_ns(last_ns):
                return
            yield datagram._replace(arrived_ns=last_ns)
        if first_ns < 0:
            msg = f"{path} has no UDP packets to port {port}: set `port` to the lidar's"
            raise DeviceError(msg)
        if not config.loop or context.stopping:
            return
        begin_ns = last_ns + NS_PER_MS
