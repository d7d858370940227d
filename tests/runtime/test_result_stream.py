"""Results in any process of the host: found, read to the end, and refused with the way out."""

import subprocess
import sys
import threading

import numpy as np
import pytest

import tectum
from tectum.clock import NS_PER_MS, GraphClock
from tectum.errors import DataError
from tectum.message import Kind
from tectum.rundir import create_run, process_started, read_run, remove_run, write_run
from tectum.transport.endpoint import ipc_endpoint
from tectum.transport.publisher import ZmqPublisher

pytestmark = pytest.mark.realtime


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The folder of a living run with a fusion node `perception` and a camera."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = create_run("driving")
    record = {"endpoint": ipc_endpoint(folder, "perception")}
    topics = {
        "perception/result": {"node": "perception", "kind": "result"},
        "camera/image": {"node": "camera", "kind": "image"},
    }
    clock = {"offset_ns": GraphClock().offset_ns}
    nodes = {"nodes": {"perception": record, "camera": {}}, "topics": topics}
    write_run(folder, read_run(folder) | clock | nodes)
    yield folder
    remove_run(folder)


def perceive(folder, count, ready):
    """Publish `count` results once somebody listens, then end."""
    clock = GraphClock()
    publisher = ZmqPublisher("perception", ipc_endpoint(folder, "perception"), clock)
    ready.set()
    publisher.latch("result", {"fact": "plan"})
    while not publisher.joined():
        publisher.wait(10 * NS_PER_MS)
        publisher.serve()
    for index in range(count):
        outputs = {"risk": {"buffer": 1}, "grid": {"buffer": 0}, "odd": {"buffer": 9}, "none": {}}
        document = {"outcome": "complete", "trigger": index, "outputs": outputs}
        arrays = (np.full((2, 2), index, np.float32), np.array([index], np.int64))
        publisher.publish(
            "result", Kind.RESULT, arrays, stamp_ns=index, fields={"result": document}
        )
    publisher.close()


def test_results_of_the_newest_run_come_until_the_node_ends(run):
    ready = threading.Event()
    thread = threading.Thread(target=perceive, args=(run, 5, ready))
    thread.start()
    ready.wait(10)
    seen = list(tectum.results("perception"))
    thread.join()
    assert [result.document["trigger"] for result in seen] == list(range(5))
    assert [result.header.stamp_ns for result in seen] == list(range(5))
    last = seen[-1]
    assert isinstance(last, tectum.Result)
    assert set(last.arrays) == {"risk", "grid"}
    np.testing.assert_array_equal(last.arrays["grid"], np.full((2, 2), 4, np.float32))
    assert last.arrays["risk"] == [4]


def test_reading_ends_with_the_run_even_where_the_node_said_nothing(run):
    launcher = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = process_started(launcher.pid)
    write_run(run, read_run(run) | {"pid": launcher.pid, "pid_started": started})
    seen = []
    reader = threading.Thread(target=lambda: seen.extend(tectum.results("perception", run.name)))
    reader.start()
    reader.join(0.3)
    assert reader.is_alive()
    launcher.communicate()
    reader.join(10)
    assert not reader.is_alive()
    assert seen == []
    with pytest.raises(DataError, match=r"no run .* lives"):
        tectum.results("perception", run.name)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (
            "perceptoin",
            "has no node 'perceptoin' that publishes results; did you mean 'perception'?",
        ),
        ("camera", "has no node 'camera' that publishes results (it has: perception)"),
    ],
)
def test_a_node_without_results_is_refused_with_those_that_have_some(run, node, message):
    with pytest.raises(DataError) as caught:
        tectum.results(node)
    assert message in str(caught.value)
