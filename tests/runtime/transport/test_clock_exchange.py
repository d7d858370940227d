"""Asking another process for its time: one thread, two processes, and what is refused."""

import multiprocessing
import secrets

import pytest
import zmq

from tectum.clock import NS_PER_MS as MS
from tectum.clock import NS_PER_S, GraphClock
from tectum.errors import ConfigError
from tectum.sync.offset import PeerClock
from tectum.transport.clock_exchange import ClockClient, ClockServer

OFFSET_NS, PPM = 3_700 * MS, 80


class SkewedClock(GraphClock):
    """A clock that is 3.7 s ahead and runs 80 ppm fast."""

    def __init__(self, offset_ns: int, start_ns: int) -> None:
        super().__init__(offset_ns)
        self.start_ns = start_ns

    def now_ns(self) -> int:
        true_ns = super().now_ns()
        return true_ns + OFFSET_NS + (true_ns - self.start_ns) * PPM // 1_000_000


@pytest.fixture
def endpoint(tmp_path):
    return f"ipc://{tmp_path / 'clock'}"


def _answer(endpoint: str, offset_ns: int, start_ns: int, until_ns: int) -> None:
    clock = SkewedClock(offset_ns, start_ns)
    server, plain = ClockServer(endpoint, clock), GraphClock(offset_ns)
    while plain.now_ns() < until_ns:
        server.wait(50 * MS)
        server.serve()
    server.close()


@pytest.mark.realtime
def test_two_processes_find_each_others_clock_within_a_millisecond(endpoint) -> None:
    clock = GraphClock()
    start_ns = clock.now_ns()
    until_ns = start_ns + 11 * NS_PER_S
    process = multiprocessing.get_context("spawn").Process(
        target=_answer, args=(endpoint, clock.offset_ns, start_ns, until_ns)
    )
    process.start()
    client, peer = ClockClient(endpoint, clock), PeerClock()
    while clock.now_ns() < until_ns - NS_PER_S:
        client.ask()
        client.wait(50 * MS)
        for exchange in client.collect():
            peer.add(exchange)
        clock.sleep_until_ns(clock.now_ns() + 20 * MS)
    now_ns = clock.now_ns()
    truth_ns = OFFSET_NS + (now_ns - start_ns) * PPM // 1_000_000
    client.close()
    process.join(20)
    assert process.exitcode == 0
    assert peer.known
    assert abs(peer.offset_ns(now_ns) - truth_ns) < 1 * MS
    assert abs(peer.offset_ns(now_ns) - truth_ns) <= peer.error_ns(now_ns)


def test_asking_and_answering_never_wait(endpoint) -> None:
    clock = GraphClock()
    client = ClockClient(endpoint, clock)
    assert client.collect() == []
    assert not client.ask(), "nobody is there yet"
    server = ClockServer(endpoint, clock)
    assert server.serve() == 0
    client.close()
    server.close()


def test_what_is_malformed_or_unasked_for_is_refused_and_counted(endpoint) -> None:
    clock = GraphClock()
    server, stranger = ClockServer(endpoint, clock), zmq.Context.instance().socket(zmq.DEALER)
    stranger.set(zmq.LINGER, 0)
    stranger.connect(endpoint)
    for request in (b"", b"nonsense", b"TCK0" + bytes(8), secrets.token_bytes(12)):
        stranger.send(request)
    while server.refused < 4:
        assert server.wait(5 * NS_PER_S)
        assert server.serve() == 0
    stranger.close()
    server.close()


def test_a_reply_to_nothing_is_refused(endpoint) -> None:
    clock = GraphClock()
    liar = zmq.Context.instance().socket(zmq.ROUTER)
    liar.set(zmq.LINGER, 0)
    liar.bind(endpoint)
    client = ClockClient(endpoint, clock)
    while not client.ask():
        client.wait(10 * MS)
    identity, request = liar.recv_multipart()
    other = request[:4] + bytes(8) + bytes(16)
    liar.send_multipart([identity, other])
    liar.send_multipart([identity, b"x"])
    while client.refused < 2:
        assert client.wait(5 * NS_PER_S)
        assert client.collect() == []
    client.close()
    liar.close()


def test_an_endpoint_that_leaves_the_machine_is_refused() -> None:
    with pytest.raises(ConfigError, match="refused"):
        ClockServer("tcp://0.0.0.0:5555", GraphClock())
    with pytest.raises(ConfigError, match="refused"):
        ClockClient("tcp://10.0.0.1:5555", GraphClock())
