"""Sensors finish their captures in memory that is published: nothing is copied after that."""

import importlib.util
import struct
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from tectum.clock import NS_PER_S
from tectum.message import AnyArray
from tectum.node.base import Capture
from tectum.testing import FakeClock, MemoryContext
from tectum_nodes import velodyne
from tectum_nodes.camera import CameraConfig, CameraNode
from tectum_nodes.camera_sources import Frame
from tectum_nodes.datagrams import Datagram
from tectum_nodes.room import lent_room
from tectum_nodes.simulated_camera import SimulatedCamera
from tectum_nodes.simulated_lidar import SimulatedLidar
from tectum_nodes.simulation import World, camera, lidar
from tectum_nodes.velodyne import VelodyneConfig, VelodyneNode

EPOCH_NS = 1_700_000_000 * NS_PER_S
CALIBRATION = """
width: 64
height: 48
matrix: [[60, 0, 32], [0, 60, 24], [0, 0, 1]]
distortion: [-0.3, 0.1, 0, 0, 0]
"""


class Lender(MemoryContext):
    """A spy: remembers what it has lent, and as it was when it was published."""

    def __init__(self) -> None:
        super().__init__("eye", clock=FakeClock(EPOCH_NS))
        self.lent: list[AnyArray] = []

    def loan(self, output: str, dtype: str, shape: tuple[int, ...]) -> AnyArray:
        self.lent.append(super().loan(output, dtype, shape))
        return self.lent[-1]


def live(monkeypatch: pytest.MonkeyPatch, frames: list[Frame], **config: object) -> tuple:
    """Return the captures of a camera that gives `frames`, and what it was lent."""
    context = Lender()
    node = CameraNode(CameraConfig.model_validate({"url": "http://camera/", **config}))
    node.open(context)
    monkeypatch.setattr(node, "_source", lambda _: (frame for frame in ()))
    monkeypatch.setattr(node, "_frames", lambda *_: iter(frames))
    return list(node._live(context)), context.lent


def noise(seed: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3)).astype(np.uint8)


@pytest.mark.parametrize("way", ["scaled", "rectified", "scaled and rectified"])
def test_a_camera_scales_and_rectifies_into_what_is_published(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    (tmp_path / "camera.yaml").write_text(CALIBRATION)
    size = (128, 96) if "scaled" in way else (64, 48)
    config: dict[str, object] = {"width": 64, "height": 48} if "scaled" in way else {}
    if "rectified" in way:
        config |= {"calibration": str(tmp_path / "camera.yaml"), "rectify": True}
    frames = [Frame(noise(seed, size), False, EPOCH_NS + seed) for seed in range(3)]

    captures, lent = live(monkeypatch, frames, **config)

    assert [capture.arrays[0] is array for capture, array in zip(captures, lent, strict=True)] == [
        True, True, True
    ]  # fmt: skip
    assert {array.shape for array in lent} == {(48, 64, 3)}
    expected = cv2.resize(frames[2].array, (64, 48)) if "scaled" in way else frames[2].array
    if "rectified" in way:
        matrix = np.array([[60, 0, 32], [0, 60, 24], [0, 0, 1]], float)
        expected = cv2.undistort(expected, matrix, np.array([-0.3, 0.1, 0, 0, 0]))
    assert np.abs(lent[2].astype(int) - expected.astype(int)).max() <= 2


@pytest.mark.skipif(
    importlib.util.find_spec("simplejpeg") is None, reason="only simplejpeg decodes into given room"
)
def test_a_camera_decodes_into_what_is_published_from_the_second_picture_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = [cv2.imencode(".jpg", noise(seed))[1] for seed in range(3)]
    broken = data[0].copy()
    broken[200:] = 0
    larger = cv2.imencode(".jpg", noise(9, (80, 60)))[1]
    frames = [
        Frame(item.reshape(-1), True, EPOCH_NS + at)
        for at, item in enumerate([*data, broken, larger])
    ]

    captures, lent = live(monkeypatch, frames)

    first, second, third, last = [capture.arrays[0] for capture in captures]
    assert second is lent[0]
    assert third is lent[1]
    assert all(array.shape == (48, 64, 3) for array in lent)  # a new size asks for no room at once
    assert not any(first is array or last is array for array in lent)
    assert np.abs(third.astype(int) - cv2.imdecode(data[2], 1).astype(int)).mean() < 2


def packet(number: int) -> bytes:
    """Return packet `number` of a VLP-16 that sees a wall all around."""
    blocks = b""
    for block in range(12):
        one = struct.pack("<HB", 5000, 100)
        blocks += struct.pack("<HH", 0xEEFF, (number * 12 + block) * 40 % 36_000) + 32 * one
    return blocks + struct.pack("<IBB", number * 1327 % 3_600_000_000, 0x37, 0x22)


def test_a_velodyne_assembles_its_sweeps_in_what_is_published(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    datagrams = [Datagram(EPOCH_NS + (n + 1) * 1_327_104, 2368, packet(n)) for n in range(200)]
    monkeypatch.setattr(velodyne, "packets", lambda *_: iter(datagrams))
    context = Lender()
    node = VelodyneNode(VelodyneConfig.model_validate({"pcap": "unused.pcap"}))

    captures = [item for item in node._sweeps(context) if isinstance(item, Capture)]

    assert len(captures) >= 2
    assert len(captures) == len(context.lent)
    for capture, array in zip(captures, context.lent, strict=True):
        assert capture.arrays[0] is array
        np.testing.assert_allclose(np.hypot(*array[:, :2].T), 10, rtol=0.1)


def test_room_is_lent_by_the_transport() -> None:
    context = Lender()
    array = lent_room(context, "points", "float32")((5, 8))
    assert array is context.lent[0]
    assert (array.dtype, array.shape) == (np.float32, (5, 8))


FAULTS = [{"kind": "silent", "at": "0s", "lasts": "1s"}]


@pytest.mark.parametrize(
    ("made", "alone", "keys"),
    [
        (SimulatedCamera, camera.render, {"weather": "rain"}),
        (SimulatedCamera, camera.render, {"faults": [{**FAULTS[0], "kind": "blur"}]}),
        (SimulatedCamera, camera.render, {"faults": [{**FAULTS[0], "kind": "blackout"}]}),
        (SimulatedLidar, lidar.sweep, {"weather": "fog"}),
        (SimulatedLidar, lidar.sweep, {"faults": [{**FAULTS[0], "kind": "sector"}]}),
    ],
)
def test_a_simulated_sensor_renders_into_what_is_published(made, alone, keys) -> None:
    context = Lender()
    node = made(made.Config(**keys))
    items = (item for item in node.captures(context) if isinstance(item, Capture))
    captures = list(islice(items, 3))

    assert len(captures) == len(context.lent) == 3
    world = World(node.config.drive())
    for capture, array in zip(captures, context.lent, strict=True):
        assert capture.arrays[0] is array
        np.testing.assert_array_equal(array, alone(world.at(capture.stamp_ns - context.epoch_ns)))


@pytest.mark.parametrize("made", [SimulatedCamera, SimulatedLidar])
def test_a_silent_sensor_borrows_nothing(made) -> None:
    context = Lender()
    next(made(made.Config(faults=FAULTS)).captures(context))
    assert len(context.lent) == (made is SimulatedCamera)  # the lidar has only announced itself
