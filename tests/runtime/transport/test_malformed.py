"""A publisher that speaks nonsense over a real socket: refused, counted, and nothing dies."""

import random
import tempfile
from pathlib import Path

import pytest
import zmq

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.message import BufferSpec, Header, Kind
from tectum.transport.endpoint import ipc_endpoint
from tectum.transport.subscriber import ZmqSubscriber
from tectum.transport.wire import encode

pytestmark = pytest.mark.realtime
CLOCK = GraphClock()
MESSAGES = 400


@pytest.fixture
def nonsense():
    """A raw socket in the place of a publisher, and a subscriber to `camera/image` there."""
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        endpoint = ipc_endpoint(Path(folder), "camera")
        socket = zmq.Context.instance().socket(zmq.XPUB)
        socket.bind(endpoint)
        subscriber = ZmqSubscriber("ear", [endpoint], ["camera/image"], CLOCK, queue=2 * MESSAGES)
        for _ in range(3):  # two topics and the joining
            assert socket.poll(5000)
            socket.recv()
        yield socket, subscriber
        subscriber.close()
        socket.close(0)


def good(seq):
    fields = {"encoding": "mono8"}
    header = Header(
        "camera/image", Kind.IMAGE, seq, 5, fields=fields, buffers=(BufferSpec("uint8", (4, 4)),)
    )
    return [*encode(header), bytes(16)]


def broken(chance):
    """Return frames of `camera/image` with a fault that is surely one."""
    topic, header, buffer = good(0)
    return chance.choice(
        [
            [topic],
            [topic, header],
            [topic, header, buffer, buffer],
            [topic, header, buffer[: chance.randrange(16)]],
            [topic, header[: chance.randrange(1, len(header))], buffer],
            [topic, header + chance.randbytes(chance.randrange(1, 9)), buffer],
            [topic, b"\xc1" + chance.randbytes(chance.randrange(60)), buffer],
            [topic, header.replace(b"uint8", b"uint9"), buffer],
            [topic, header.replace(b"image", b"imago"), buffer],
            [topic + b"x\0", header, buffer],
            [topic, b"\xdd\xff\xff\xff\xff" + header, buffer],
            [topic, b"", b""],
        ]
    )


def test_hundreds_of_broken_messages_are_counted_and_the_good_ones_arrive(nonsense):
    socket, subscriber = nonsense
    chance = random.Random(20261124)
    for seq in range(MESSAGES):
        socket.send_multipart(broken(chance))
        socket.send_multipart(good(seq))
    results, until_ns = [], CLOCK.now_ns() + 10 * NS_PER_S
    while len(results) < MESSAGES and CLOCK.now_ns() < until_ns:
        subscriber.wait(10 * NS_PER_MS)
        results += subscriber.drain()
    assert [item.message.header.seq for item in results] == list(range(MESSAGES))
    rows = subscriber.counters()
    assert rows["camera/image"]["refused"] + rows["?"]["refused"] == MESSAGES
    assert rows["camera/image"]["received"] == MESSAGES
    assert rows["camera/image"]["unexplained"] == 0
