"""Nodes in real processes: what they publish, how they end, and that nothing stays behind."""

import os
import signal
import subprocess
import sys
from itertools import pairwise

import pytest

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.message import Kind
from tectum.node.control import Order, State
from tectum.rundir import process_started
from tectum.testing.nodes import Echo, Metronome
from tectum.testing.processes import ProcessRun

pytestmark = pytest.mark.realtime


def headers(results):
    return [item.message.header for item in results if item.message]


def beats(run, subscriber, count):
    """Return the headers of the next messages, at least `count`."""
    heard, until_ns = [], run.clock.now_ns() + 10 * NS_PER_S
    while len(heard) < count and run.clock.now_ns() < until_ns:
        subscriber.wait(10 * NS_PER_MS)
        heard += headers(subscriber.drain())
    assert len(heard) >= count
    return heard


def test_a_sensor_that_ends_by_itself_delivers_all_and_says_so():
    config = {"rate": "500Hz", "count": 300, "announce": True}
    with ProcessRun({"drum": (Metronome, config)}) as run:
        subscriber = run.subscribe("ear", "drum/beat", "drum/@health")
        run.spawn()
        run.start()
        heard = headers(run.collect(subscriber, "drum/beat"))
        code, errors = run.processes["drum"].end()
    assert (code, errors) == (0, "")
    beats = [header for header in heard if header.kind is Kind.TENSOR]
    assert [header.seq for header in beats] == list(range(300))
    steps = {after.stamp_ns - before.stamp_ns for before, after in pairwise(beats)}
    assert steps == {2_000_000}
    on_topic = [header.kind for header in heard if header.topic == "drum/beat"]
    assert on_topic == [Kind.PROMISE, Kind.TENSOR] * 300 + [Kind.END]
    states = [h.fields["state"] for h in heard if h.kind is Kind.HEALTH]
    assert [state for state in dict.fromkeys(states) if state != "ready"] == ["running", "ended"]
    assert {h.fields["pid"] for h in heard if h.kind is Kind.HEALTH} == {
        run.processes["drum"].process.pid
    }
    row = subscriber.counters()["drum/beat"]
    assert (row["published"], row["received"], row["unexplained"]) == (300, 300, 0)


def test_a_chain_of_nodes_loses_nothing_from_the_first_message_on():
    nodes = {
        "drum": (Metronome, {"rate": "200Hz", "count": 20}),
        "echo": (Echo, {"topics": ["drum/*"], "count": 21}),
    }
    with ProcessRun(nodes) as run:
        subscriber = run.subscribe("ear", "echo/text")
        run.spawn()
        run.start()
        heard = headers(run.collect(subscriber, "echo/text"))
        codes = [node.end()[0] for node in run.processes.values()]
    assert codes == [0, 0]
    texts = [header.fields["text"] for header in heard if header.kind is Kind.TEXT]
    assert texts == [f"drum/beat tensor {seq}" for seq in range(20)] + ["drum/beat end 20"]


def test_a_publisher_does_not_begin_before_the_start():
    with ProcessRun({"drum": (Metronome, {"rate": "500Hz"})}) as run:
        subscriber = run.subscribe("ear", "drum/beat")
        run.spawn()
        run.processes["drum"].wait_for(State.JOINED)
        clock = GraphClock()
        clock.sleep_until_ns(clock.now_ns() + 50 * NS_PER_MS)
        assert subscriber.drain() == []
        run.start()
        assert beats(run, subscriber, 1)[0].seq == 0


def test_the_start_counts_even_where_a_subscriber_is_missing():
    with ProcessRun({"drum": (Metronome, {"rate": "500Hz", "count": 5})}) as run:
        run.guests["drum"].append("nobody")
        run.spawn()
        drum = run.processes["drum"]
        drum.wait_for(State.READY)
        drum.order(Order.START)
        assert drum.end()[0] == 0
    assert State.JOINED not in {report.state for report in drum.reports}


def test_without_a_launcher_a_node_begins_when_its_subscribers_have_joined():
    config = {"rate": "500Hz", "count": 5}
    with ProcessRun({"drum": (Metronome, config), "other": (Metronome, config)}) as run:
        subscriber = run.subscribe("ear", "drum/beat")
        run.spawn("other")
        command = [sys.executable, "-m", "tectum.node", "--run", str(run.folder), "--node", "drum"]
        assert subprocess.run(command, check=False, timeout=20).returncode == 0
        heard = headers(run.collect(subscriber, "drum/beat"))
    assert [header.seq for header in heard] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("how", ["order", "signal", "end of file"])
def test_a_node_stops_within_a_second_when_asked(how):
    with ProcessRun({"drum": (Metronome, {"rate": "100Hz"})}) as run:
        subscriber = run.subscribe("ear", "drum/beat")
        run.spawn()
        run.start()
        node = run.processes["drum"]
        heard = beats(run, subscriber, 1)
        asked_ns = run.clock.now_ns()
        if how == "order":
            node.order(Order.STOP)
        elif how == "signal":
            node.process.send_signal(signal.SIGTERM)
        else:
            node.control.shutdown(2)
        heard += headers(run.collect(subscriber, "drum/beat"))
        code, errors = node.end(timeout_s=5)
        assert run.clock.now_ns() - asked_ns < NS_PER_S
    assert (code, errors) == (0, "")
    assert Kind.END not in {header.kind for header in heard}
    row = subscriber.counters()["drum/beat"]
    assert row["published"] == row["received"] > 0


def test_a_killed_publisher_comes_back_as_a_new_life_to_the_same_subscriber():
    with ProcessRun({"drum": (Metronome, {"rate": "200Hz", "count": 40})}) as run:
        subscriber = run.subscribe("ear", "drum/beat")
        run.spawn()
        run.start()
        first = beats(run, subscriber, 10)
        run.processes["drum"].process.kill()
        run.processes["drum"].end()
        first += headers(subscriber.drain())
        run.spawn()
        while not any(r.state is State.JOINED for r in run.processes["drum"].reports):
            subscriber.wait(10 * NS_PER_MS)  # it takes part in joining a second time
            run.processes["drum"].hear(0.01)
        run.start()
        second = headers(run.collect(subscriber, "drum/beat"))
        assert run.processes["drum"].end()[0] == 0
    assert [header.seq for header in first] == list(range(len(first)))
    assert [header.seq for header in second] == list(range(41))
    assert len({header.incarnation for header in [*first, *second]}) == 2
    row = subscriber.counters()["drum/beat"]
    assert (row["lives"], row["unexplained"]) == (2, 0)
    assert row["received"] == len(first) + 40


def test_interrupts_from_the_keyboard_are_left_to_the_launcher():
    with ProcessRun({"drum": (Metronome, {"rate": "100Hz", "count": 30})}) as run:
        subscriber = run.subscribe("ear", "drum/beat")
        run.spawn()
        run.processes["drum"].wait_for(State.READY)
        run.processes["drum"].process.send_signal(signal.SIGINT)
        run.start()
        run.collect(subscriber, "drum/beat")
        assert run.processes["drum"].end()[0] == 0
    assert subscriber.counters()["drum/beat"]["received"] == 30


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        ("open", 1, "metronome drum: no pendulum at /dev/pendulum0; connect one"),
        ("run", 1, "metronome drum: the pendulum fell off; hang it up again"),
        ("bug", 3, "ZeroDivisionError: "),
    ],
)
def test_a_node_that_fails_says_why_in_its_report_and_by_its_exit_code(fault, code, message):
    with ProcessRun({"drum": (Metronome, {"rate": "500Hz", "fault": fault})}) as run:
        run.spawn()
        node = run.processes["drum"]
        if fault != "open":
            run.start()
        assert node.wait_for(State.FAILED).error == message
        found, errors = node.end()
    assert found == code
    if code == 1:
        assert errors == message + "\n"
    else:
        assert errors.startswith("Traceback")


def test_a_mistake_before_the_node_is_made_is_one_line_as_well():
    with ProcessRun({"drum": (Metronome, {})}) as run:
        run.spawn("drun")
        code, errors = run.processes["drun"].end()
    assert code == 1
    assert errors.endswith("has no node 'drun'; did you mean 'drum'?\n")
    assert errors.count("\n") == 1


HEAVY = {"mcap", "rich", "onnxruntime", "av", "cv2", "sounddevice", "ruamel", "click", "google"}


def test_a_process_for_a_simple_node_imports_nothing_heavy():
    code = "import sys, tectum.node.process, tectum.node.sensor; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    modules = {name.partition(".")[0] for name in result.stdout.split()}
    assert "zmq" in modules
    assert not modules & HEAVY


def test_a_node_whose_reader_hangs_still_ends():
    with ProcessRun({"drum": (Metronome, {"rate": "500Hz", "fault": "hang"})}) as run:
        subscriber = run.subscribe("ear", "drum/beat")
        run.spawn()
        run.start()
        beats(run, subscriber, 2)
        run.processes["drum"].order(Order.STOP)
        run.collect(subscriber, "drum/beat")
        assert run.processes["drum"].end(timeout_s=5)[0] == 0
    assert subscriber.counters()["drum/beat"]["received"] == 2


LAUNCHER = """
import sys
from tectum.node.control import State
from tectum.testing.nodes import Metronome
from tectum.testing.processes import ProcessRun
with ProcessRun({"drum": (Metronome, {"fault": "hang"})}) as run:
    run.spawn()
    run.start()
    run.processes["drum"].wait_for(State.RUNNING)
    print(run.folder, run.processes["drum"].process.pid, flush=True)
    sys.stdin.read()
"""


def test_no_node_outlives_a_launcher_that_was_killed():
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    folder, pid = launcher.stdout.readline().split()
    assert process_started(pid) > 0
    launcher.kill()
    launcher.communicate()
    clock = GraphClock()
    until_ns = clock.now_ns() + 2 * NS_PER_S
    while process_started(pid) and clock.now_ns() < until_ns:
        clock.sleep_until_ns(clock.now_ns() + 10 * NS_PER_MS)
    assert process_started(pid) == 0
    subprocess.run(["rm", "-r", folder], check=True)
    assert not os.path.exists(folder)
