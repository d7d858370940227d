"""The context of a node: heartbeat, waiting, waking, stopping."""

import threading

import pytest

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.errors import ConfigError
from tectum.message import Kind
from tectum.node.base import Announcement
from tectum.testing import FakeClock, MemoryContext
from tectum.transport.memory import MemoryBus

TOPICS = {"drum/beat": {"node": "drum", "kind": "tensor"}}


@pytest.fixture
def context():
    context = MemoryContext("node", clock=GraphClock(), run={"topics": TOPICS})
    yield context
    context.close()


def in_a_thread(action):
    thread = threading.Thread(target=action)
    thread.start()
    return thread


@pytest.mark.realtime
def test_waiting_in_the_loop_thread_keeps_the_heartbeat(context):
    context.record("@health", "@statement")
    assert context.wait_until_ns(context.clock.now_ns() + 650 * NS_PER_MS)
    health = context.sent("@health")
    assert len(health) >= 2
    assert len(context.sent("@statement")) >= 4
    assert health[0].header.fields == {
        "state": "opening",
        "pid": health[0].header.fields["pid"],
        "inputs": {},
    }


@pytest.mark.realtime
@pytest.mark.parametrize("thread", ["loop", "reader"])
def test_stopping_ends_every_wait_at_once(context, thread):
    def wait():
        answers.append(context.wait_until_ns(context.clock.now_ns() + 60 * NS_PER_S))

    answers = []
    if thread == "loop":
        stopper = in_a_thread(context.stop)
        wait()
        stopper.join()
    else:
        reader = in_a_thread(wait)
        context.stop()
        reader.join()
    assert answers == [False]
    assert context.stopping
    assert not context.wait_until_ns(0)


@pytest.mark.realtime
def test_serving_ends_when_woken_even_by_a_wake_that_came_before(context):
    context.serve(context.clock.now_ns())
    context.wake()
    context.serve(context.clock.now_ns() + 60 * NS_PER_S)
    waker = in_a_thread(context.wake)
    context.serve(context.clock.now_ns() + 60 * NS_PER_S)
    waker.join()


@pytest.mark.realtime
def test_stopping_wakes_whoever_waits_for_messages(context):
    subscriber = context.subscribe(("drum/*",))
    stopper = in_a_thread(context.stop)
    assert subscriber.wait(60 * NS_PER_S)
    stopper.join()


def test_health_tells_the_state_and_what_came_in():
    bus = MemoryBus(FakeClock())
    drum = bus.publisher("drum")
    context = MemoryContext("node", bus=bus, run={"topics": TOPICS})
    context.record("@health")
    subscriber = context.subscribe(("*",))
    drum.serve()
    drum.publish("beat", Kind.TENSOR, stamp_ns=1)
    subscriber.drain()
    context.state = "running"
    context.serve(bus.clock.now_ns())
    context.close()
    first, last = (message.header.fields for message in context.sent("@health"))
    assert (first["state"], last["state"]) == ("running", "ended")
    assert first["inputs"]["drum/beat"]["received"] == 1
    with pytest.raises(
        ConfigError, match="no node publishes 'drum/beet'; did you mean 'drum/beat'"
    ):
        context.subscribe(("drum/beet",))


def test_what_a_node_says_goes_out_under_its_name():
    context = MemoryContext("node")
    context.record("out")
    context.publish("out", Kind.TEXT, stamp_ns=5, span_ns=6, fields={"text": "x"})
    context.announce(Announcement("out", 7, begun=False))
    context.latch("out", {"fact": "labels"})
    context.end("out")
    headers = [message.header for message in context.sent("out")]
    assert {header.topic for header in headers} == {"node/out"}
    kinds = [header.kind for header in headers]
    assert kinds == [Kind.TEXT, Kind.PROMISE, Kind.LATCHED, Kind.END]
    assert [header.seq for header in headers] == [0, 1, 1, 2]
    assert headers[1].fields == {"begun": False}


def test_a_fake_clock_jumps_over_waits_until_the_stop():
    context = MemoryContext("node", stop_at_ns=2 * 10**12)
    assert context.wait_until_ns(10**12 + 5)
    assert context.clock.now_ns() == 10**12 + 5
    assert not context.wait_until_ns(2 * 10**12)
    assert context.clock.now_ns() == 10**12 + 5
