"""What nodes say of the size of their messages is what they send."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path

import numpy as np
import pytest

from tectum.clock import NS_PER_S
from tectum_launch.probe import probed
from tectum_launch.registry import load_node


@pytest.mark.realtime
@pytest.mark.parametrize(
    ("run", "settings"),
    [("simulated_camera", {"scale": 0.5}), ("simulated_microphone", {"block": "40ms"})],
)
def test_a_node_sends_messages_of_the_size_that_it_names(run, settings) -> None:
    node = load_node(run)
    said = node.nbytes_of(node.Config.model_validate(settings))
    found = probed(run, [f"{key}={value}" for key, value in settings.items()], NS_PER_S // 2)
    for output, nbytes in said.items():
        dtype, shape = found[output]["buffers"][0].split()
        assert nbytes == prod(map(int, shape.split("x"))) * np.dtype(dtype).itemsize


@pytest.mark.parametrize(
    ("run", "settings", "said"),
    [
        ("camera", {"path": "a.mp4", "width": 1280, "height": 720}, {"image": 2_764_800}),
        ("camera", {"path": "a.mp4"}, {}),
        ("microphone", {"block": "20ms", "channels": [1, 2]}, {"audio": 1280}),
        ("microphone", {"block": "20ms", "channels": [1, 2], "mix": True}, {"audio": 640}),
        ("simulated_lidar", {}, {"points": 24 * 512 * 16}),
        ("velodyne", {"pcap": "a.pcap"}, {"points": 1809 * 16 * 24}),
        ("velodyne", {"pcap": "a.pcap", "rpm": 1200}, {"points": 905 * 16 * 24}),
        ("ouster", {"pcap": "a.pcap", "metadata": "/no/such"}, {}),
    ],
)
def test_sizes_follow_from_the_configuration(run, settings, said) -> None:
    node = load_node(run)
    assert node.nbytes_of(node.Config.model_validate(settings)) == said


@pytest.mark.parametrize("wrap", [None, "data_format", "lidar_data_format"])
def test_an_ouster_frame_is_as_large_as_its_metadata_say(tmp_path: Path, wrap: str | None) -> None:
    shape = {"columns_per_frame": 1024, "pixels_per_column": 64}
    path = tmp_path / "metadata.json"
    path.write_text(json.dumps({wrap: shape} if wrap else shape))
    node = load_node("ouster")
    config = node.Config.model_validate({"pcap": "a.pcap", "metadata": str(path)})
    assert node.nbytes_of(config) == {"points": 1024 * 64 * 32}


def test_a_video_has_pictures_of_the_size_that_the_file_says(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    node = load_node("video")
    assert node.nbytes_of(node.Config.model_validate({"path": str(path)})) == {"image": 64 * 48 * 3}
