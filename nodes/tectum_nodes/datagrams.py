"""Datagrams of a device, from a UDP socket or a capture file: what came, when, and from whom.

A socket is bound to one named interface and accepts one sender; what others send is counted and
dropped. Datagrams carry the kernel's receive stamp (SO_TIMESTAMPNS), so that a busy process does
not make them look late. Linux only; elsewhere the stamp is that of reading.
"""

from __future__ import annotations

import fcntl
import socket
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tectum.clock import NS_PER_S, Clock, system_now_ns
from tectum.errors import ConfigError, DeviceError

__all__ = ["Datagram", "DatagramSocket", "interface_address"]

_SO_TIMESTAMPNS = 35
_SIOCGIFADDR = 0x8915
_BUFFER_BYTES = 8 << 20
_LARGEST = 65_535
_ANCILLARY = 64
_TRIES = 5
_QUICK_NS = 50_000


class Datagram(NamedTuple):
    """One datagram."""

    arrived_ns: int
    """On the graph clock; of a capture file: as the file says."""
    port: int
    """To which it was sent."""
    data: bytes


class DatagramSocket:
    """A bound UDP socket; a context manager that closes it."""

    def __init__(self, interface: str, port: int, sender: str, *, broadcast: bool = False) -> None:
        """Bind `port` of `interface` (a name such as eth1, or an address) for one `sender`.

        Raises:
            ConfigError: the interface is not there, or has no address.
            DeviceError: the port is taken, or the system refuses.
        """
        self.strangers = 0
        """Datagrams of other senders, dropped."""
        self.port = port
        self._sender = socket.gethostbyname(sender)
        address = interface_address(interface)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            if broadcast:  # broadcasts do not reach a socket that is bound to an address
                name = interface.encode() + b"\0"
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name)
            self._socket.bind(("" if broadcast else address, port))
            self.port = self._socket.getsockname()[1]
        except OSError as error:
            self._socket.close()
            msg = f"UDP port {port} of {interface} cannot be opened: {error.strerror}"
            raise DeviceError(msg) from error

    def __enter__(self) -> DatagramSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def receive(self, clock: Clock, timeout_ns: int) -> Datagram | None:
        """Return the next datagram of the sender; None where none comes in time."""
        until_ns = clock.now_ns() + timeout_ns
        while (left_ns := until_ns - clock.now_ns()) > 0:
            self._socket.settimeout(left_ns / NS_PER_S)
            try:
                data, ancillary, _, peer = self._socket.recvmsg(_LARGEST, _ANCILLARY)
            except TimeoutError:
                return None
            if peer[0] == self._sender:
                return Datagram(_arrived_ns(clock, ancillary), self.port, data)
            self.strangers += 1
        return None

    def stream(
        self, clock: Clock, silence_ns: int, stopping: Callable[[], bool], what: str
    ) -> Iterator[Datagram]:
        """Yield datagrams until `stopping`.

        Raises:
            DeviceError: nothing has come for `silence_ns`.
        """
        heard_ns = clock.now_ns()
        while not stopping():
            datagram = self.receive(clock, min(silence_ns, NS_PER_S // 5))
            if datagram is not None:
                heard_ns = clock.now_ns()
                yield datagram
            elif clock.now_ns() - heard_ns >= silence_ns:
                others = f" ({self.strangers} datagrams of other senders)" if self.strangers else ""
                msg = (
                    f"{what}: nothing from {self._sender} at UDP port {self.port} for "
                    f"{silence_ns / NS_PER_S:.1f} s{others}; is it on, and does it send here?"
                )
                raise DeviceError(msg)


def interface_address(interface: str) -> str:
    """Return the IPv4 address of an interface such as `eth1`; an address is returned as it is.

    Raises:
        ConfigError: there is no such interface, or it has no address.
    """
    try:
        socket.inet_aton(interface)
    except OSError:
        pass
    else:
        if interface == "0.0.0.0":
            msg = "a lidar listens on one interface: name it (such as eth1), not 0.0.0.0"
            raise ConfigError(msg)
        return interface
    names = [name for _, name in socket.if_nameindex()]
    if interface not in names:
        msg = f"there is no network interface {interface!r}; there are {', '.join(names)}"
        raise ConfigError(msg)
    request = struct.pack("256s", interface.encode()[:15])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            answer = fcntl.ioctl(asked.fileno(), _SIOCGIFADDR, request)
        except OSError as error:
            msg = f"the network interface {interface} has no IPv4 address: give it one"
            raise ConfigError(msg) from error
    return socket.inet_ntoa(answer[20:24])


def _arrived_ns(clock: Clock, ancillary: list[tuple[int, int, bytes]]) -> int:
    """Return the kernel's receive stamp on the graph clock; now, where it gave none."""
    kernel_ns, system_ns, now_ns = _kernel_ns(ancillary), 0, 0
    for _ in range(_TRIES):
        begin_ns, system_ns, now_ns = clock.now_ns(), system_now_ns(), clock.now_ns()
        if now_ns - begin_ns < _QUICK_NS:  # nobody came between the two clocks
            break
    age_ns = system_ns - kernel_ns
    return now_ns - age_ns if 0 <= age_ns < NS_PER_S else now_ns  # the system's clock has stepped


def _kernel_ns(ancillary: list[tuple[int, int, bytes]]) -> int:
    """Return the kernel's receive stamp on the system's clock; 0 where it gave none."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) >= 16:
            seconds, nanos = struct.unpack("qq", data[:16])
            return int(seconds) * NS_PER_S + int(nanos)
    return 0
