"""Supervision of real processes: they begin together, die, come back, and never stay behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tectum.clock import NS_PER_S, GraphClock
from tectum.rundir import process_started
from tectum_launch.compile import load_graph
from tectum_launch.launch import launch
from tectum_launch.members import Limits

pytestmark = pytest.mark.realtime

NODES = '''
import os
import signal
import sys

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
    (tmp_path / "small_nodes.py").write_text(NODES)

    def write(**nodes: str) -> Path:
        lines = [f"  {name}: {{run: small_nodes:{entry}}}" for name, entry in nodes.items()]
        path = tmp_path / "graph.yaml"
        path.write_text("\n".join(["graph: small", "nodes:", *lines, ""]))
        return path

    return write


class Heard:
    """A listener that keeps what it is told."""

    def __init__(self):
        self.lines = []

    def __call__(self, node, level, text):
        self.lines.append((node, level, text))

    def texts(self, node):
        return [text for name, _, text in self.lines if name == node]


def run(path, **options):
    heard = Heard()
    launched = launch(load_graph(str(path)), heard, **options)
    return launched, heard


def nothing_is_left(tmp_path: Path) -> bool:
    return not list((tmp_path / "run" / "tectum").iterdir())


def until(condition, seconds=20.0):
    """Wait until `condition()` gives something, and return it."""
    clock = GraphClock()
    end_ns = clock.now_ns() + round(seconds * NS_PER_S)
    while not (found := condition()) and clock.now_ns() < end_ns:
        clock.sleep_until_ns(clock.now_ns() + NS_PER_S // 50)
    assert found, "it did not come to that"
    return found


def start_command(path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tectum_launch", "launch", str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def running(tmp_path: Path, nodes: int):
    """Return run.json once all nodes have a process and the graph has begun, else None."""
    for path in (tmp_path / "run" / "tectum").glob("[!.]*/run.json"):
        document = json.loads(path.read_text())
        pids = [record["pid"] for record in document["nodes"].values()]
        if len(pids) == nodes and all(pids) and document["epoch_ns"] > document["started_ns"]:
            return document
    return None


def test_a_graph_runs_for_its_duration_and_leaves_nothing(graph_file, tmp_path):
    launched, heard = run(graph_file(a="Ticker", b="Hearer"), duration_ns=NS_PER_S)
    assert launched.exit_code == 0
    assert launched.report["ended_because"] == "1.00 s are over"
    (told,) = [text for text in heard.texts("b") if text.startswith("heard")]
    assert int(told.split()[1]) >= 5
    assert nothing_is_left(tmp_path)


def test_a_graph_ends_when_its_sources_have_ended_and_the_listener_hears_the_last_word(
    graph_file, tmp_path
):
    launched, heard = run(graph_file(a="Ticker, ticks: 3", b="Hearer"))
    assert launched.exit_code == 0
    assert launched.report["ended_because"] == "all sources have ended"
    assert "heard 3" in heard.texts("b")
    assert nothing_is_left(tmp_path)


def test_a_node_that_dies_is_named_with_its_last_words(graph_file, tmp_path):
    graph = graph_file(a="Ticker, die_at: 2", b="Ticker, ticks: 8")
    launched, heard = run(graph)
    assert launched.exit_code == 1
    assert "died: exit code 7: I cannot go on; the graph goes on without it" in heard.texts("a")
    assert [death["node"] for death in launched.report["deaths"]] == ["a"]
    assert "has ended" in heard.texts("b")
    assert nothing_is_left(tmp_path)


def test_a_node_is_brought_back_where_the_graph_says_so(graph_file, tmp_path):
    once = tmp_path / "once"
    graph = graph_file(a=f"Ticker, ticks: 4, die_at: 1, once: {once}, on_exit: restart", b="Hearer")
    launched, heard = run(graph)
    assert "restarts (1)" in heard.texts("a")
    assert launched.report["restarts"] == {"a": 1}
    assert launched.report["ended_because"] == "all sources have ended"
    assert launched.exit_code == 1


def test_a_node_that_cannot_start_stops_the_launch_with_its_sentence(graph_file, tmp_path):
    launched, heard = run(graph_file(a="Missing", b="Ticker"))
    sentence = "a could not start: there is no ticker on this machine: plug one in"
    assert sentence in heard.texts("a")
    assert launched.report["failure"] == sentence
    assert launched.exit_code == 1
    assert nothing_is_left(tmp_path)


def test_a_node_that_is_never_ready_stops_the_launch(graph_file, tmp_path):
    launched, _ = run(graph_file(a="NeverReady"), limits=Limits(ready_ns=2 * NS_PER_S))
    assert launched.report["failure"] == "a could not start: it did not open within 2.00 s"
    assert nothing_is_left(tmp_path)


def test_a_node_that_heeds_nothing_is_killed_all_the_same(graph_file, tmp_path):
    launched, _ = run(graph_file(a="Stubborn", b="Hearer"), duration_ns=NS_PER_S // 2)
    assert launched.report["duration_s"] < 0.5 + 3.0  # asked, SIGTERM, SIGKILL: 1.7 s and a margin
    assert launched.exit_code == 0
    assert nothing_is_left(tmp_path)


def test_ctrl_c_stops_everything_and_is_no_failure(graph_file, tmp_path):
    launcher = start_command(graph_file(a="Ticker", b="Hearer"))
    until(lambda: running(tmp_path, 2))
    launcher.send_signal(signal.SIGINT)
    out, _ = launcher.communicate(timeout=10)
    assert launcher.returncode == 0
    assert "Ctrl-C" in out
    assert nothing_is_left(tmp_path)


def test_a_sensor_killed_from_outside_is_named_by_its_signal(graph_file, tmp_path):
    launcher = start_command(graph_file(a="Ticker", b="Ticker, ticks: 20", c="Hearer"))
    document = until(lambda: running(tmp_path, 3))
    os.kill(document["nodes"]["a"]["pid"], signal.SIGKILL)
    out, err = launcher.communicate(timeout=20)
    assert launcher.returncode == 1
    assert "a died" in out
    assert "killed by SIGKILL; the graph went on without it" in out
    assert "died: killed by SIGKILL; the graph goes on without it" in err


def test_nothing_outlives_a_launcher_that_was_killed(graph_file, tmp_path):
    launcher = start_command(graph_file(a="Ticker", b="Hearer", c="Stubborn"))
    document = until(lambda: running(tmp_path, 3))
    pids = [record["pid"] for record in document["nodes"].values()]
    launcher.kill()
    launcher.communicate(timeout=10)
    until(lambda: not any(process_started(pid) for pid in pids))
    assert not nothing_is_left(tmp_path)
    launched, _ = run(graph_file(a="Ticker, ticks: 1"))
    assert launched.exit_code == 0
    assert nothing_is_left(tmp_path)
