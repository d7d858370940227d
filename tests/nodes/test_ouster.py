"""Ouster captures decode to what Ouster's own decoder says, from a file and over UDP."""

import importlib.util
import os
import socket
import threading
from pathlib import Path

import numpy as np
import pytest

from tectum.clock import NS_PER_S, GraphClock
from tectum.errors import ConfigError, DataError
from tectum.message import Kind, Message
from tectum.node.base import Announcement, Capture
from tectum.testing import FakeClock, MemoryContext
from tectum.testing.waiting import udp_port_is_bound, until
from tectum_nodes import ouster
from tectum_nodes.ouster import OusterConfig, OusterFrames, OusterNode
from tectum_nodes.pcap import udp_datagrams

DATA = Path(os.environ.get("TECTUM_DATA") or Path(__file__).parents[3] / "shared/data")
FOLDER = DATA / "ouster_pcap"
NAMES = ("OS-0-128-U1_v2.3.0_1024x10", "OS-1-128_v2.3.0_1024x10_lb_n3")


def _has_sdk() -> bool:
    try:
        return importlib.util.find_spec("ouster.sdk") is not None
    except ModuleNotFoundError:
        return False


needs_sdk = pytest.mark.skipif(
    not _has_sdk(), reason="no Ouster SDK: pip install --no-deps ouster-sdk; see .ci/ouster"
)
needs_data = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="no ouster_pcap: set TECTUM_DATA to the recordings"
)


def config(name: str, **options: object) -> OusterConfig:
    everything = {"min_range": 0.0, "max_range": 1e6, "metadata": str(FOLDER / f"{name}.json")}
    source = {} if "interface" in options else {"pcap": str(FOLDER / f"{name}.pcap")}
    return OusterConfig.model_validate({**everything, **source, **options})


def ranges(points: np.ndarray) -> np.ndarray:
    """Return the range picture, mm, that points were made of."""
    picture = np.zeros((128, 1024), np.uint32)
    picture[points[:, 4].astype(int), points[:, 6].astype(int)] = points[:, 7]
    return picture


@needs_sdk
@needs_data
@pytest.mark.parametrize("name", NAMES)
def test_a_capture_decodes_to_the_reference(name: str) -> None:
    reference = np.load(FOLDER / "reference_decode" / f"{name}.npz")
    node = OusterNode(config(name))
    context = MemoryContext("lidar", clock=FakeClock(1_000 * NS_PER_S))
    node.open(context)

    items = list(node.captures(context))

    captures = [item for item in items if isinstance(item, Capture)]
    announced = [item.stamp_ns for item in items if isinstance(item, Announcement)]
    assert len(captures) == sum(key.startswith("range_mm") for key in reference)
    assert [capture.stamp_ns for capture in captures] == announced
    for number, capture in enumerate(captures):
        points = capture.arrays[0]
        assert np.array_equal(ranges(points), reference[f"range_mm_{number}"])
        columns_ns = reference[f"col_timestamp_ns_{number}"].astype(np.int64)
        since_s = (columns_ns - columns_ns[0])[points[:, 6].astype(int)] / 1e9
        assert np.abs(points[:, 5] - since_s).max() < 1e-6
        assert capture.fields["lost_packets"] == 0
    first = captures[0].arrays[0]
    xyz = reference["xyz_m_0"][first[:, 4].astype(int), first[:, 6].astype(int)]
    assert np.abs(first[:, :3] - xyz).max() < 1e-5


@needs_sdk
@needs_data
def test_packets_that_are_left_out_are_counted_exactly() -> None:
    frames = OusterFrames(config(NAMES[1]), "lidar")
    lidar = [d for d in udp_datagrams(FOLDER / f"{NAMES[1]}.pcap") if d.port == ouster.PORT]
    left_out = {5, 6, 64, 100, 127, 190}

    items = [
        item
        for number, datagram in enumerate(lidar)
        if number not in left_out
        for item in frames.packet(datagram)
    ]
    captures = [*(item for item in items if isinstance(item, Capture)), *frames.end()]

    assert [capture.fields["lost_packets"] for capture in captures] == [2, 3, 1]
    assert frames.lost == len(left_out)


@needs_sdk
@needs_data
@pytest.mark.realtime
def test_a_capture_sent_over_udp_at_its_own_pace_decodes_to_the_reference() -> None:
    name = NAMES[1]
    reference = np.load(FOLDER / "reference_decode" / f"{name}.npz")
    lidar = [d for d in udp_datagrams(FOLDER / f"{name}.pcap") if d.port == ouster.PORT]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    clock, ready = GraphClock(), threading.Event()
    contexts: list[MemoryContext] = []

    def run() -> None:
        context = MemoryContext("lidar", clock=clock)
        context.record("points")
        contexts.append(context)
        node = OusterNode(config(name, interface="lo", sender="127.0.0.1", port=port))
        node.open(context)
        ready.set()
        node.run(context)

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    until(lambda: udp_port_is_bound(port))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        begin_ns = clock.now_ns()
        for datagram in lidar:
            clock.sleep_until_ns(begin_ns + datagram.arrived_ns - lidar[0].arrived_ns)
            sender.sendto(datagram.data, ("127.0.0.1", port))
    frames: list[Message] = []

    def heard() -> int:
        frames.extend(m for m in contexts[0].sent("points") if m.header.kind is Kind.POINTS)
        return len(frames)

    until(lambda: heard() >= 3)
    contexts[0].stop()
    thread.join()
    heard()
    assert len(frames) == 3
    for number, frame in enumerate(frames):
        assert np.array_equal(ranges(frame.array()), reference[f"range_mm_{number}"])
        age_ns = frame.header.sent_ns - frame.header.stamp_ns - frame.header.span_ns
        assert 0 <= age_ns < NS_PER_S // 2


@needs_sdk
def test_metadata_that_are_missing_or_wrong_are_said(tmp_path: Path) -> None:
    path = tmp_path / "metadata.json"
    with pytest.raises(DataError, match=r"fetch it with curl"):
        OusterFrames(OusterConfig(pcap="x", metadata=str(path)), "lidar")
    path.write_text("{}")
    with pytest.raises(DataError, match="is not the metadata of an Ouster lidar"):
        OusterFrames(OusterConfig(pcap="x", metadata=str(path)), "lidar")


def test_a_missing_sdk_is_said_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ouster.sdk.core", None)
    with pytest.raises(ConfigError, match=r"pip install 'tectum\[ouster\]'"):
        OusterFrames(OusterConfig(pcap="x", metadata=str(tmp_path)), "lidar")
