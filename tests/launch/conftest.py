"""A graph file with a few plain nodes beside it, for the tests of this folder."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tectum.testing import waiting

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


@pytest.fixture(autouse=True)
def _only_runs_of_this_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide graphs that run on this machine: runs are also sought in the temporary folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


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


SMALL_NODES = '''
import os
import signal
import sys
import time

import numpy as np

from tectum.errors import DeviceError
from tectum.message import Kind
from tectum.node.base import Node, NodeConfig


class Ticker(Node):
    """Publishes ten times a second, and says how often."""

    outputs = {"tick": Kind.TEXT}

    class Config(NodeConfig):
        ticks: int = 0
        die_at: int = -1
        once: str = ""

    def run(self, context):
        count = 0
        while not context.stopping and (not self.config.ticks or count < self.config.ticks):
            now_ns = context.clock.now_ns()
            context.publish("tick", Kind.TEXT, stamp_ns=now_ns, fields={"text": str(count)})
            if count == self.config.die_at and not (self.config.once and self.died_before()):
                sys.stderr.write("I cannot go on\\n")
                os._exit(7)
            count += 1
            context.wait_until_ns(now_ns + 100_000_000)

    def died_before(self):
        before = os.path.exists(self.config.once)
        open(self.config.once, "w").close()
        return before


class Hearer(Node):
    """Counts what it hears."""

    @classmethod
    def topics_of(cls, config):
        return ("*",)

    def open(self, context):
        self.subscriber = context.subscribe(("*",))

    def run(self, context):
        heard = 0
        while not context.stopping:
            context.serve(context.clock.now_ns())
            self.subscriber.wait(50_000_000)
            heard += len(self.subscriber.drain())
        heard += len(self.subscriber.drain())
        context.log.info("heard %d", heard)


class Stubborn(Ticker):
    """Ends for nobody."""

    def run(self, context):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        while True:
            context.serve(context.clock.now_ns() + 10_000_000)
            signal.pause() if context.stopping else None


class Sleeper(Ticker):
    """Works two seconds at a time, and says so or not."""

    class Config(NodeConfig):
        says: bool = False

    def run(self, context):
        while not context.stopping:
            context.serve(context.clock.now_ns())
            if self.config.says:
                context.busy(3_000_000_000)
            time.sleep(2)


class Big(Node):
    """Publishes arrays that go through shared memory."""

    outputs = {"tensor": Kind.TENSOR}

    def run(self, context):
        while context.wait_until_ns(context.clock.now_ns() + 50_000_000):
            now_ns = context.clock.now_ns()
            array = np.zeros(200_000, np.uint8)
            context.publish("tensor", Kind.TENSOR, (array,), stamp_ns=now_ns)


class Environment(Ticker):
    """Says what it finds in its environment."""

    def run(self, context):
        names = ("TECTUM_TEST_LATER", "TECTUM_TEST_OWN")
        context.log.info(" ".join(os.environ.get(name, "none") for name in names))


class NeverReady(Ticker):
    def open(self, context):
        signal.pause()


class Missing(Ticker):
    def open(self, context):
        raise DeviceError("there is no ticker on this machine: plug one in")
'''


@pytest.fixture
def graph_file(tmp_path: Path, monkeypatch):
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    (tmp_path / "small_nodes.py").write_text(SMALL_NODES)

    def write(**nodes: str) -> Path:
        lines = [f"  {name}: {{run: small_nodes:{entry}}}" for name, entry in nodes.items()]
        path = tmp_path / "graph.yaml"
        path.write_text("\n".join(["graph: small", "nodes:", *lines, ""]))
        return path

    return write


@pytest.fixture
def until():
    """Return a function that waits until a condition gives something, and returns it."""
    return waiting.until


@pytest.fixture
def launched_graph(tmp_path: Path, until):
    """Return a function that launches a graph file in a process of its own and waits for it.

    It gives the process and `run.json` as it is when the graph has begun.
    """
    started = []

    def start(path: Path, nodes: int, *options: str):
        command = [sys.executable, "-m", "tectum_launch", "launch", str(path), *options]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process, until(lambda: _running(tmp_path, nodes), timeout_s=60.0)

    yield start
    for process in started:
        process.kill()
        process.communicate()


def _running(tmp_path: Path, nodes: int):
    """Return run.json once all nodes have a process and the graph has begun, else None."""
    for path in (tmp_path / "run" / "tectum").glob("[!.]*/run.json"):
        document = json.loads(path.read_text())
        pids = [record["pid"] for record in document["nodes"].values()]
        if len(pids) == nodes and all(pids) and document["epoch_ns"] > document["started_ns"]:
            return document
    return None
