"""Too little shared memory, as in a container: said once, and everything comes through sockets."""

import logging
import subprocess
import tempfile
from pathlib import Path

import pytest

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.message import Kind
from tectum.transport import pool, pool_file
from tectum.transport.endpoint import ipc_endpoint
from tectum.transport.payload import FramePayload
from tectum.transport.pool_file import pools_are_possible
from tectum.transport.publisher import ZmqPublisher
from tectum.transport.subscriber import ZmqSubscriber

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.skipif(not pools_are_possible(), reason="needs Linux"),
]
CLOCK = GraphClock()
TOPIC = "eye/image"
SHAPE = (720, 1280, 3)
COUNT = 20


@pytest.fixture
def small():
    """A folder that has room for 1 MB: a picture has 2.8."""
    with tempfile.TemporaryDirectory(prefix="t") as name:
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", name],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode:
            pytest.skip(f"cannot mount: {made.stderr.strip()}")
        yield Path(name)
        subprocess.run(["umount", "-l", name], check=True)


def messages(subscriber):
    return [item.message for item in subscriber.drain() if item.message]


def test_without_room_for_a_picture_it_is_said_once_and_all_come_through_sockets(
    small, monkeypatch, caplog
):
    for module in (pool_file, pool):
        monkeypatch.setattr(module, "SHARED_MEMORY", small)
    with tempfile.TemporaryDirectory(prefix="t") as folder, caplog.at_level(logging.WARNING):
        endpoint = ipc_endpoint(Path(folder), "eye")
        publisher = ZmqPublisher("eye", endpoint, CLOCK)
        ear = ZmqSubscriber("ear", [endpoint], [TOPIC], CLOCK)
        heard = []
        until_ns = CLOCK.now_ns() + 20 * NS_PER_S
        sent = 0
        while sent < COUNT and CLOCK.now_ns() < until_ns:
            publisher.wait(5 * NS_PER_MS)
            publisher.serve()
            if publisher.joined() == {"ear"}:
                image = publisher.loan("image", "uint8", SHAPE)
                image[:] = sent
                fields = {"encoding": "bgr8"}
                publisher.publish("image", Kind.IMAGE, (image,), stamp_ns=sent, fields=fields)
                sent += 1
            heard += messages(ear)
        publisher.close()
        while not ear.counters()[TOPIC]["final"] and CLOCK.now_ns() < until_ns:
            ear.wait(5 * NS_PER_MS)
            heard += messages(ear)
        row = ear.counters()[TOPIC]
        ear.close()
    (warning,) = [record.getMessage() for record in caplog.records]
    assert f"{small} is too small" in warning
    assert "this publisher needs 28 MB there" in warning
    assert all(isinstance(message.payloads[0], FramePayload) for message in heard)
    assert all((message.array() == message.header.stamp_ns).all() for message in heard)
    assert row["received"] == len(heard) >= COUNT - 2
    assert row["published"] == COUNT == row["received"] + row["disconnected"]
    assert row["unexplained"] == 0
    assert list(small.iterdir()) == []
