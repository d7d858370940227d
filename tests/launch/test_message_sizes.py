"""What nodes say of the size of their messages is what they send."""

from __future__ import annotations

from math import prod

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
    ],
)
def test_sizes_follow_from_the_configuration(run, settings, said) -> None:
    node = load_node(run)
    assert node.nbytes_of(node.Config.model_validate(settings)) == said
