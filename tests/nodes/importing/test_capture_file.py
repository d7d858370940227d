"""A capture file is decoded as the live lidar would be; what it holds is found out."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tectum.errors import DataError
from tectum.message import Kind
from tectum_nodes.importing.formats import opened_source

S = 1_000_000_000
PERIOD_US = 1_327  # 24 sequences of 55.296 us


def capture(path: Path, packets: list[tuple[int, int, bytes]]) -> Path:
    """Write (time in us, port, data) as a pcap file."""
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)
    for at_us, port, data in packets:
        udp = struct.pack(">HHHH", 2368, port, 8 + len(data), 0) + data
        ip = struct.pack(
            ">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, bytes(4), bytes(4)
        )
        frame = bytes(12) + b"\x08\x00" + ip + udp
        seconds, micros = divmod(at_us, 1_000_000)
        out += struct.pack("<4I", seconds, micros, len(frame), len(frame)) + frame
    path.write_bytes(out)
    return path


def velodyne_packet(number: int) -> bytes:
    """A VLP-16 packet of a lidar that turns ten times a second and sees a wall 10 m away."""
    blocks = b""
    for block in range(12):
        azimuth = round((number * 24 + block * 2) * 55.296e-6 * 36_000 * 10) % 36_000
        blocks += struct.pack("<HH", 0xEEFF, azimuth) + struct.pack("<HB", 5000, 50) * 32
    return blocks + struct.pack("<IBB", number * PERIOD_US, 0x37, 0x22)


def test_velodyne_packets_become_sweeps_and_lost_ones_are_counted(
    tmp_path: Path, imported: Any
) -> None:
    begin_us = 1_700_000_000_000_000
    sent = [n for n in range(240) if n not in (100, 101)]
    packets = [(begin_us + n * PERIOD_US, 2368, velodyne_packet(n)) for n in sent]
    packets.insert(50, (begin_us + 50 * PERIOD_US, 8308, b"position"))
    log = imported(capture(tmp_path / "drive.pcap", packets))
    sweeps = log.of("lidar/points")
    assert len(sweeps) == 3  # two whole ones and the one that the file cuts
    assert log.report.troubles == {
        "packets are not for UDP port 2368": 1, "packets of the lidar never came": 2,
    }  # fmt: skip
    assert abs(sweeps[1].header.stamp_ns - sweeps[0].header.stamp_ns - S // 10) < 2_000_000
    for sweep in sweeps:
        assert np.allclose(np.linalg.norm(sweep.array()[:, :3], axis=1), 10, atol=1e-4)
    begun = [m.header.stamp_ns for _, m in log.signs if m.header.kind is Kind.PROMISE]
    assert begun == [m.header.stamp_ns for m in sweeps]


def test_a_file_without_a_known_lidar_is_refused_with_what_it_has(tmp_path: Path) -> None:
    path = capture(tmp_path / "other.pcap", [(1, 53, b"name?"), (2, 53, b"name!"), (3, 80, b"x")])
    with pytest.raises(DataError, match=r"its UDP packets: 2 to 53, 1 to 80\. Name the port"):
        opened_source(path, "", {})[1].streams()


@pytest.mark.data
def test_a_recorded_ouster_decodes_to_the_reference(data_folder: Path, imported: Any) -> None:
    pytest.importorskip("ouster.sdk", reason="no Ouster SDK: pip install 'tectum[ouster]'")
    name = "OS-1-128_v2.3.0_1024x10_lb_n3"
    log = imported(data_folder / f"ouster_pcap/{name}.pcap")
    reference = np.load(data_folder / f"ouster_pcap/reference_decode/{name}.npz")
    frames = log.of("lidar/points")
    assert len(frames) == 3
    for number, frame in enumerate(frames):
        points = frame.array()
        ranges = np.zeros((128, 1024), np.uint32)
        names = list(frame.header.fields["names"])
        ring, column = (points[:, names.index(n)].astype(int) for n in ("ring", "column"))
        ranges[ring, column] = points[:, names.index("range")]
        expected = reference[f"range_mm_{number}"]
        seen = (expected >= 300) & (expected <= 300_000)
        assert np.array_equal(ranges, np.where(seen, expected, 0))
