"""Numbers come from CSV files and datagrams, stamped; what does not fit is refused and said."""

import socket
import struct
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import zmq
from pydantic import ValidationError

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.errors import DataError
from tectum.message import Kind, Message
from tectum.node.base import Capture
from tectum.testing import FakeClock, MemoryContext
from tectum.testing.waiting import udp_port_is_bound, until
from tectum_nodes.tensor import TensorConfig, TensorNode

EPOCH_NS = 1_000 * NS_PER_S


def played(path: Path, **options: object) -> list[Capture]:
    context = MemoryContext("imu", clock=FakeClock(EPOCH_NS), stop_at_ns=EPOCH_NS + 10 * NS_PER_S)
    made = TensorConfig.model_validate({"csv": str(path), "stamp": "t", **options})
    node = TensorNode(made)
    node.open(context)
    return [capture for capture in node.captures(context) if isinstance(capture, Capture)]


def test_a_csv_file_is_played_at_the_pace_of_its_stamps(tmp_path: Path) -> None:
    path = tmp_path / "imu.csv"
    path.write_text("t, ax, ay, note\n100.00, 1, 2, a\n100.01, 3, 4, b\n100.05, 5, 6, c\n")

    captures = played(path, columns=["ay", "t", "ax"])

    assert [capture.stamp_ns - EPOCH_NS for capture in captures] == [0, 10_000_000, 50_000_000]
    assert [capture.arrays[0].tolist() for capture in captures] == [[2, 1], [4, 3], [6, 5]]
    assert captures[0].arrays[0].dtype == np.float64
    assert captures[0].fields == {"names": ["values"], "columns": ["ay", "ax"]}


def test_a_csv_file_begins_again_where_it_is_told_to(tmp_path: Path) -> None:
    path = tmp_path / "imu.csv"
    path.write_text("t,a\n0,1\n2,2\n")
    stamps = [c.stamp_ns - EPOCH_NS for c in played(path, columns=["t", "a"], loop=True)]
    assert stamps[:5] == [0, 2 * NS_PER_S, 4 * NS_PER_S, 6 * NS_PER_S, 8 * NS_PER_S]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("t,acc\n0,1\n", "has no column 'ac'; did you mean 'acc'"),
        ("t,ac\n0,one\n", r"imu.csv:2: t, ac must be numbers"),
    ],
)
def test_a_wrong_csv_file_is_said(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "imu.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        played(path, columns=["t", "ac"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"columns": ["a"]}, "takes `csv`, or"),
        ({"columns": ["a"], "csv": "x"}, "needs `stamp`"),
        ({"columns": ["time"], "csv": "x", "stamp": "tim"}, "did you mean 'time'"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(
    options: dict[str, object], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        TensorConfig.model_validate(options)


class Ear:
    """What a node has said so far."""

    def __init__(self, context: MemoryContext) -> None:
        self.messages: list[Message] = []
        self._context = context

    def count(self) -> int:
        sent = self._context.sent("tensor")
        self.messages += [message for message in sent if message.header.kind is Kind.TENSOR]
        return len(self.messages)


def sent_over_udp(datagrams: list[bytes], good: int, **options: object) -> list[Message]:
    """Return what a node makes of datagrams, sent 5 ms apart; `good` of them are messages."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    clock, ready = GraphClock(), threading.Event()
    contexts: list[MemoryContext] = []
    source = {"interface": "lo", "sender": "127.0.0.1", "port": port}

    def run() -> None:
        context = MemoryContext("imu", clock=clock)
        context.record("tensor")
        contexts.append(context)
        node = TensorNode(TensorConfig.model_validate({**source, **options}))
        node.open(context)
        ready.set()
        node.run(context)

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    until(lambda: udp_port_is_bound(port))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for data in datagrams:
            sender.sendto(data, ("127.0.0.1", port))
            clock.sleep_until_ns(clock.now_ns() + 5 * NS_PER_MS)
    heard = Ear(contexts[0])
    until(lambda: heard.count() >= good)
    contexts[0].stop()
    thread.join()
    heard.count()
    return heard.messages


@pytest.mark.realtime
@pytest.mark.parametrize("form", ["text", "float32", "float64"])
def test_datagrams_become_messages_and_others_are_refused(
    form: str, caplog: pytest.LogCaptureFixture
) -> None:
    def packed(*numbers: float) -> bytes:
        if form == "text":
            return ", ".join(map(str, numbers)).encode()
        return struct.pack(f"<{len(numbers)}{'f' if form == 'float32' else 'd'}", *numbers)

    good = [packed(0.25 * n, n, -n) for n in range(5)]
    bad = [b"hello", packed(1, 2), packed(1, float("nan"), 2), b""]
    messages = sent_over_udp(
        [*good[:2], *bad, *good[2:]], 5, columns=["t", "a", "b"], stamp="t", format=form
    )

    assert [message.array().tolist() for message in messages] == [[n, -n] for n in range(5)]
    steps = np.diff([message.header.stamp_ns for message in messages])
    assert np.all(np.abs(steps - 250 * NS_PER_MS) < 245 * NS_PER_MS)
    assert caplog.text.count("does not hold 3 numbers") == 1


@pytest.mark.realtime
def test_without_a_stamp_the_arrival_is_taken() -> None:
    begun_ns, delay_ns = GraphClock().now_ns(), 3 * NS_PER_MS
    messages = sent_over_udp([b"1", b"2"], 2, columns=["a"], delay="3ms")
    arrivals = [message.header.stamp_ns + delay_ns for message in messages]
    assert len(arrivals) == 2
    for message, arrived_ns in zip(messages, arrivals, strict=True):
        assert begun_ns < arrived_ns <= message.header.sent_ns


def heard_over_zmq(
    address: str,
    key: bytes = b"",
    is_missed: Callable[[], bool] = lambda: True,
    *,
    least: int = 0,
    **options: object,
) -> list[Message]:
    """Return what a node hears of a publisher that is there, goes, and comes back.

    It goes when `least` messages were heard of it, and comes back when the node has said so.
    """
    clock = GraphClock()
    context = MemoryContext("imu", clock=clock)
    context.record("tensor")
    source = {"zmq": address, "columns": ["a", "b"], "silence": "200ms", **options}
    node = TensorNode(TensorConfig.model_validate(source))
    node.open(context)
    thread = threading.Thread(target=node.run, args=(context,))
    thread.start()
    heard = Ear(context)
    for _ in range(2):
        begun = heard.count()
        with zmq.Context() as own, own.socket(zmq.PUB) as publisher:
            publisher.set(zmq.LINGER, 0)
            if key:
                publisher.set(zmq.CURVE_SERVER, 1)
                publisher.set(zmq.CURVE_SECRETKEY, key)
            publisher.bind(address)
            for number in range(3000):
                if number >= 80 and heard.count() >= begun + least:
                    break
                publisher.send_multipart([b"imu", f"{number} {-number}".encode()])
                publisher.send_multipart([b"other", b"99 99"])
                publisher.send_multipart([b"imu", b"no numbers"])
                clock.sleep_until_ns(clock.now_ns() + 10 * NS_PER_MS)
        until(is_missed)
    context.stop()
    thread.join()
    heard.count()
    return heard.messages


@pytest.mark.realtime
@pytest.mark.parametrize("secured", [False, True])
def test_a_zmq_publisher_is_heard_and_heard_again_when_it_comes_back(
    secured: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    public, secret = zmq.curve_keypair()
    options = {"server_key": public.decode()} if secured else {}
    key = secret if secured else b""
    messages = heard_over_zmq(
        f"ipc://{tmp_path}/imu", key, lambda: "nothing from ipc://" in caplog.text,
        least=5, subscribe="imu", **options,
    )  # fmt: skip
    numbers = [message.array().tolist() for message in messages]
    assert all(b == -a for a, b in numbers)
    firsts = [a for a, _ in numbers]
    assert sum(after <= before for before, after in pairwise(firsts)) == 1  # it began once more


@pytest.mark.realtime
def test_a_zmq_publisher_with_another_key_is_not_heard(tmp_path: Path) -> None:
    _, secret = zmq.curve_keypair()
    other, _ = zmq.curve_keypair()
    assert heard_over_zmq(f"ipc://{tmp_path}/imu", secret, server_key=other.decode()) == []


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("tcp://10.1.2.3:5555", "is another machine: give its `server_key`"),
        ("tcp://*:5555", "is no address; write ipc:///PATH or tcp://ADDRESS:PORT"),
        ("tcp://0.0.0.0:5555", "is no address"),
        ("udp://127.0.0.1:5", "is no address"),
    ],
)
def test_an_address_that_is_open_or_wrong_is_refused(address: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        TensorConfig.model_validate({"columns": ["a"], "zmq": address})
