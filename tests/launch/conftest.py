"""A graph file with a few plain nodes beside it, for the tests of this folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

PLAIN_NODES = '''
from typing import Literal

from tectum.message import Kind
from tectum.node.base import Node, NodeConfig, SensorNode
from tectum.node.fields import Duration, Rate


class LensConfig(NodeConfig):
    focal: int = 35
    coating: Literal["none", "single", "multi"] = "none"


class CameraConfig(NodeConfig):
    rate: Rate = 10.0
    lens: LensConfig = LensConfig()


class Camera(SensorNode):
    """Takes pictures."""

    Config = CameraConfig
    outputs = {"image": Kind.IMAGE}

    @classmethod
    def period_ns_of(cls, config):
        return {"image": round(1e9 / config.rate)}

    def captures(self, context):
        yield from ()


class Microphone(Camera):
    """Hears."""

    outputs = {"audio": Kind.AUDIO}

    @classmethod
    def period_ns_of(cls, config):
        return {"audio": 20_000_000}


class Lidar(SensorNode):
    """Measures distances."""

    outputs = {"points": Kind.POINTS}

    def captures(self, context):
        yield from ()


class Player(SensorNode):
    """Publishes whole topics, as a recording names them."""

    outputs = {"camera/image": Kind.IMAGE}

    def captures(self, context):
        yield from ()


class Listener(Node):
    """Hears what it is told to."""

    class Config(NodeConfig):
        topics: tuple[str, ...] = ("*",)

    @classmethod
    def topics_of(cls, config):
        return config.topics

    def run(self, context):
        pass


class Encoder:
    variants = ("full", "half")

    def __init__(self, *, name, inputs, gain=1.0):
        pass
'''

WriteGraph = Callable[[str], Path]


@pytest.fixture
def write_graph(tmp_path: Path) -> WriteGraph:
    """Return a function that writes a graph file, `plain_nodes.py` beside it."""
    (tmp_path / "plain_nodes.py").write_text(PLAIN_NODES)

    def write(text: str) -> Path:
        path = tmp_path / "graph.yaml"
        path.write_text(text)
        return path

    return write
