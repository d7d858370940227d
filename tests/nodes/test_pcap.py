"""Capture files give the datagrams that were captured, whatever their byte order and link."""

import struct
from pathlib import Path

import pytest

from tectum.clock import NS_PER_S
from tectum.errors import DataError
from tectum_nodes.pcap import udp_datagrams


def udp(data: bytes, port: int = 2368) -> bytes:
    return struct.pack(">HHHH", 4000, port, 8 + len(data), 0) + data


def ip(body: bytes, number: int = 1, offset: int = 0, *, more: bool = False) -> bytes:
    flags = offset // 8 | (0x2000 if more else 0)
    head = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), number, flags, 64, 17, 0,
        b"\xc0\xa8\x01\xc9", b"\xff\xff\xff\xff",
    )  # fmt: skip
    return head + body


def ethernet(packet: bytes, *, vlan: bool = False) -> bytes:
    tag = b"\x81\x00\x00\x05" if vlan else b""
    padding = b"\0" * max(0, 46 - len(packet))
    return b"\0" * 12 + tag + b"\x08\x00" + packet + padding


def capture(
    path: Path, frames: list[bytes], *, order: str = "<", nanos: bool = False, link: int = 1
) -> Path:
    magic = 0xA1B23C4D if nanos else 0xA1B2C3D4
    data = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65_535, link)
    for number, frame in enumerate(frames):
        head = struct.pack(order + "IIII", 100 + number, 7, len(frame), len(frame))
        data += head + frame
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanos", [False, True])
def test_stamps_and_data_come_back(tmp_path: Path, order: str, nanos: bool) -> None:
    frames = [ethernet(ip(udp(b"first"))), ethernet(ip(udp(b"second", 8308)), vlan=True)]
    path = capture(tmp_path / "a.pcap", frames, order=order, nanos=nanos)

    first, second = udp_datagrams(path)

    assert first == (100 * NS_PER_S + (7 if nanos else 7000), 2368, b"first")
    assert (second.port, second.data) == (8308, b"second")


@pytest.mark.parametrize(
    ("link", "wrap"),
    [
        (101, lambda p: p),
        (0, lambda p: b"\2\0\0\0" + p),
        (113, lambda p: b"\0" * 14 + b"\x08\0" + p),
    ],
)
def test_links_besides_ethernet_are_read(tmp_path: Path, link: int, wrap) -> None:
    path = capture(tmp_path / "a.pcap", [wrap(ip(udp(b"data")))], link=link)
    assert [datagram.data for datagram in udp_datagrams(path)] == [b"data"]


def test_fragments_are_put_together_in_any_order(tmp_path: Path) -> None:
    whole = udp(bytes(range(256)) * 20)
    parts = [
        ip(whole[:1480], 9, 0, more=True),
        ip(whole[1480:2960], 9, 1480, more=True),
        ip(whole[2960:], 9, 2960),
    ]
    other = ip(udp(b"between"), 10)
    frames = [ethernet(packet) for packet in (parts[2], parts[0], other, parts[1])]
    path = capture(tmp_path / "a.pcap", frames)

    datas = [datagram.data for datagram in udp_datagrams(path)]

    assert datas == [b"between", whole[8:]]


def test_everything_else_is_passed_over_and_a_cut_file_read_to_its_cut(tmp_path: Path) -> None:
    tcp = bytearray(ip(udp(b"not udp")))
    tcp[9] = 6
    frames = [ethernet(bytes(tcp)), b"short", ethernet(ip(udp(b"good"))), ethernet(ip(udp(b"cut")))]
    path = capture(tmp_path / "a.pcap", frames)
    path.write_bytes(path.read_bytes()[:-10])
    assert [datagram.data for datagram in udp_datagrams(path)] == [b"good"]


def test_what_is_no_capture_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    with pytest.raises(DataError, match="cannot be read: No such file"):
        list(udp_datagrams(path))
    path.write_bytes(b"something else altogether")
    with pytest.raises(DataError, match="is not a capture file"):
        list(udp_datagrams(path))
    path.write_bytes(b"\x0a\x0d\x0d\x0a" + b"\0" * 40)
    with pytest.raises(DataError, match=r"pcapng file: .*editcap"):
        list(udp_datagrams(path))
