"""Capture files (pcap) of UDP devices: datagrams with the time at which they were captured.

Classic pcap of either byte order, with stamps in us or ns; Ethernet (with VLAN tags), Linux cooked,
loopback and raw IP links; IPv4, fragments put together. Everything else in a file is passed over.
A file that ends in the middle of a packet is read up to there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tectum.clock import NS_PER_S
from tectum.errors import DataError
from tectum_nodes.datagrams import Datagram

__all__ = ["udp_datagrams"]

_MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000), b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1), b"\xa1\xb2\x3c\x4d": (">", 1),
}  # fmt: skip
"""Of a file -> its byte order and the ns of a unit of its stamps' fractions."""
_PCAPNG = b"\x0a\x0d\x0d\x0a"
_IPV4, _VLAN, _UDP = 0x0800, 0x8100, 17
_LARGEST = 1 << 18
_KEPT_FRAGMENTS = 64

_Key = tuple[bytes, int]


def udp_datagrams(path: Path) -> Iterator[Datagram]:
    """Yield the UDP datagrams of a capture file in its order.

    Raises:
        DataError: it is not there, or not a capture file that is read.
    """
    try:
        with path.open("rb") as file:
            order, unit_ns, link = _begin(path, file)
            parts: dict[_Key, _Parts] = {}
            for time_ns, frame in _frames(file, order, unit_ns):
                datagram = _datagram(time_ns, _ip_packet(frame, link), parts)
                if datagram is not None:
                    yield datagram
    except OSError as error:
        msg = f"the capture file {path} cannot be read: {error.strerror}"
        raise DataError(msg) from error


class _Parts:
    """The fragments of one datagram so far."""

    def __init__(self) -> None:
        self.pieces: dict[int, bytes] = {}
        self.total = -1

    def whole(self) -> bytes | None:
        data = b"".join(self.pieces[offset] for offset in sorted(self.pieces))
        return data if len(data) == self.total else None


def _begin(path: Path, file: IO[bytes]) -> tuple[str, int, int]:
    head = file.read(24)
    if head[:4] == _PCAPNG:
        msg = f"{path} is a pcapng file: make it a pcap file first (editcap -F pcap IN OUT)"
        raise DataError(msg)
    if len(head) < 24 or head[:4] not in _MAGICS:
        msg = f"{path} is not a capture file (pcap)"
        raise DataError(msg)
    order, unit_ns = _MAGICS[head[:4]]
    return order, unit_ns, struct.unpack_from(order + "I", head, 20)[0] & 0xFFFF


def _frames(file: IO[bytes], order: str, unit_ns: int) -> Iterator[tuple[int, bytes]]:
    while len(head := file.read(16)) == 16:
        seconds, fraction, kept, _ = struct.unpack(order + "4I", head)
        if kept > _LARGEST:
            return  # what follows is not a packet: the file is damaged here
        frame = file.read(kept)
        if len(frame) < kept:
            return
        yield seconds * NS_PER_S + fraction * unit_ns, frame


def _ip_packet(frame: bytes, link: int) -> bytes:
    """Return the IPv4 packet in a frame; empty where there is none."""
    if link == 1:
        begin = 12
        while frame[begin : begin + 2] == _VLAN.to_bytes(2, "big"):
            begin += 4
        kind = int.from_bytes(frame[begin : begin + 2], "big")
        return frame[begin + 2 :] if kind == _IPV4 else b""
    if link == 113:
        return frame[16:] if int.from_bytes(frame[14:16], "big") == _IPV4 else b""
    if link == 0:
        return frame[4:]
    return frame if link in (12, 14, 101, 228) else b""


def _datagram(time_ns: int, packet: bytes, parts: dict[_Key, _Parts]) -> Datagram | None:
    if len(packet) < 20 or packet[0] >> 4 != 4 or packet[9] != _UDP:
        return None
    header = (packet[0] & 15) * 4
    total, number, flags = struct.unpack_from(">HHH", packet, 2)
    body = packet[header : max(total, header)]
    if flags & 0x3FFF:
        body = _joined(packet, number, flags, body, parts) or b""
    if len(body) < 8:
        return None
    port, length = struct.unpack_from(">HH", body, 2)
    return Datagram(time_ns, port, body[8:length]) if len(body) >= length else None


def _joined(
    packet: bytes, number: int, flags: int, body: bytes, parts: dict[_Key, _Parts]
) -> bytes | None:
    """Keep a fragment; return the datagram once all of it is there."""
    key = (packet[12:20], number)
    found = parts.setdefault(key, _Parts())
    offset = (flags & 0x1FFF) * 8
    found.pieces[offset] = body
    if not flags & 0x2000:
        found.total = offset + len(body)
    while len(parts) > _KEPT_FRAGMENTS:
        del parts[next(iter(parts))]
    whole = found.whole()
    if whole is not None:
        parts.pop(key, None)
    return whole
