"""Losses in the books of real ends: taken away in between, by coming late, restarts and stalls.

A middleman stands between the two ends and passes on what they say, but for some messages that he
keeps: neither end sees that happen, so exactly those are unexplained.
"""

import contextlib
import select
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
import zmq

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.message import Kind
from tectum.transport.endpoint import ipc_endpoint
from tectum.transport.inbox import MISSING_CAUSES
from tectum.transport.local_frames import Unpacker, packed
from tectum.transport.local_socket import connected_to, link_path, listening_at
from tectum.transport.pool_file import pools_are_possible, remove_pools
from tectum.transport.publisher import ZmqPublisher
from tectum.transport.subscriber import ZmqSubscriber
from tectum_nodes.dashboard.vitals import TopicVitals

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.skipif(not pools_are_possible(), reason="needs Linux"),
]
CLOCK = GraphClock()
TEXT, IMAGE = "eye/text", "eye/image"
WAIT_NS = 10 * NS_PER_S


class Middleman:
    """Passes on everything between a publisher and a subscriber but what `keeps` says of."""

    def __init__(self, publisher, folder, keeps):
        self.endpoint = ipc_endpoint(folder, "eye")
        self._publisher, self._keeps = publisher, keeps
        self._stopped = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()
        self._ready.wait(10)

    def stop(self):
        self._stopped.set()
        self._thread.join()


class OverZeroMQ(Middleman):
    """An XSUB and an XPUB socket."""

    def _work(self):
        with zmq.Context.instance().socket(zmq.XSUB) as up, zmq.Context.instance().socket(
            zmq.XPUB
        ) as down:  # fmt: skip
            down.set(zmq.XPUB_VERBOSER, 1)
            up.set(zmq.LINGER, 0)
            down.set(zmq.LINGER, 0)
            down.bind(self.endpoint)
            up.connect(self._publisher)
            self._ready.set()
            while not self._stopped.is_set():
                while down.poll(1):
                    up.send(down.recv())
                while up.poll(1):
                    frames = up.recv_multipart()
                    if not self._keeps(frames):
                        down.send_multipart(frames)


class OverLink(Middleman):
    """Two streams."""

    def _work(self):
        listener, _ = listening_at(link_path(self.endpoint))
        self._ready.set()
        unpacker = Unpacker()
        with listener:
            select.select([listener], [], [], 10)
            down, _ = listener.accept()
            with down, connected_to(link_path(self._publisher)) as up:
                up.setblocking(True)
                while not self._stopped.is_set():
                    ready, _, _ = select.select([up, down], [], [], 0.01)
                    said = {end: end.recv(65_536) for end in ready}
                    if b"" in said.values():
                        return
                    with contextlib.suppress(ConnectionError):  # it has ended: hear its last words
                        up.sendall(said.get(down, b""))
                    for frames in unpacker.feed(said.get(up, b"")):
                        if not self._keeps(frames):
                            down.sendall(packed(frames))


class Host:
    """Two folders, and the ends that were made there."""

    def __init__(self, stack):
        self.stack = stack
        names = [stack.enter_context(tempfile.TemporaryDirectory(prefix="t")) for _ in range(2)]
        self.folder, self.other = map(Path, names)
        self.endpoint = ipc_endpoint(self.folder, "eye")
        stack.callback(remove_pools, self.folder.name)

    def publisher(self, **options):
        made = ZmqPublisher("eye", self.endpoint, CLOCK, **options)
        self.stack.callback(made.close)
        return made

    def subscriber(self, endpoint="", **options):
        made = ZmqSubscriber("ear", [endpoint or self.endpoint], [TEXT, IMAGE], CLOCK, **options)
        self.stack.callback(made.close)
        return made


@pytest.fixture
def host():
    with contextlib.ExitStack() as stack:
        yield Host(stack)


def meet(publisher, ear):
    until_ns = CLOCK.now_ns() + WAIT_NS
    while publisher.joined() != {"ear"} and CLOCK.now_ns() < until_ns:
        publisher.wait(5 * NS_PER_MS)
        publisher.serve()
        ear.drain()
    assert publisher.joined() == {"ear"}


def say(publisher, count):
    image, fields = np.zeros((300, 300), np.uint8), {"encoding": "mono8"}
    for index in range(count):
        publisher.publish("text", Kind.TEXT, stamp_ns=index, fields={"text": "x"})
        publisher.publish("image", Kind.IMAGE, (image,), stamp_ns=index, fields=fields)


def books(subscriber):
    """Return the books, once the publisher's last statement has come."""
    until_ns = CLOCK.now_ns() + WAIT_NS
    while not subscriber.counters()[TEXT]["final"] and CLOCK.now_ns() < until_ns:
        subscriber.wait(10 * NS_PER_MS)
        for item in subscriber.drain():
            if item.message:
                item.message.release()
    rows = subscriber.counters()
    for row in (rows[TEXT], rows[IMAGE]):
        assert row["published"] == row["received"] + sum(row[cause] for cause in MISSING_CAUSES)
    return rows


def lost_in_metrics(row):
    return TopicVitals("text", "eye").document(NS_PER_S, row)["lost"]


@pytest.mark.parametrize("middleman", [OverZeroMQ, OverLink])
def test_what_is_taken_away_between_the_ends_is_unexplained_to_the_message(host, middleman):
    kept = {TEXT: 0, IMAGE: 0}
    turn = {TEXT: 0, IMAGE: 0}

    def keeps(frames):
        topic = bytes(frames[0])[:-1].decode()
        if topic not in kept:
            return False
        turn[topic] += 1
        taken = turn[topic] % 7 in {2, 3} or turn[topic] > 58
        kept[topic] += taken
        return taken

    publisher = host.publisher()
    between = middleman(host.endpoint, host.other, keeps)
    host.stack.callback(between.stop)
    ear = host.subscriber(between.endpoint, hold=64)
    meet(publisher, ear)
    say(publisher, 60)
    publisher.close()
    rows = books(ear)
    assert kept[TEXT] == kept[IMAGE] == 19
    for topic in (TEXT, IMAGE):
        row = rows[topic]
        assert (row["published"], row["received"], row["unexplained"]) == (60, 41, 19)
        assert lost_in_metrics(row) == {"unexplained": 19}


@pytest.mark.parametrize("hold", [0, 8])
def test_what_was_said_before_a_subscriber_came_is_lost_to_nobody(host, hold):
    publisher = host.publisher()
    say(publisher, 30)
    ear = host.subscriber(hold=hold)
    meet(publisher, ear)
    say(publisher, 2)
    publisher.close()
    for row in books(ear).values():
        assert (row["published"], row["received"]) == (2, 2)
        assert lost_in_metrics(row) == {}


@pytest.mark.parametrize("hold", [0, 8])
def test_a_restarted_publisher_is_one_more_life_and_no_loss(host, hold):
    ear = host.subscriber(hold=hold)
    for _ in range(2):
        publisher = host.publisher()
        meet(publisher, ear)
        say(publisher, 3)
        publisher.close()
        rows = books(ear)
        ear._inbox._accounts[TEXT][publisher.incarnation].final = False  # wait for the next one's
    for topic in (TEXT, IMAGE):
        assert (rows[topic]["published"], rows[topic]["received"]) == (6, 6)
        assert rows[topic]["lives"] == 2
        assert lost_in_metrics(rows[topic]) == {}


@pytest.mark.parametrize(
    ("options", "causes"),
    [
        ({"hold": 0}, {"queue_full"}),
        ({"hold": 8}, {"queue_full", "overtaken"}),
        ({"hold": 8, "delivery": "newest"}, {"queue_full", "overtaken", "skipped"}),
    ],
)
def test_what_a_stalled_reader_misses_has_a_name_in_the_books_and_the_metrics(
    host, options, causes
):
    publisher = host.publisher(queue=8)
    ear = host.subscriber(queue=8, **options)
    meet(publisher, ear)
    say(publisher, 500)
    until_ns = CLOCK.now_ns() + WAIT_NS
    while ear.counters()[IMAGE]["published"] < 500 and CLOCK.now_ns() < until_ns:
        publisher.serve()
        ear.wait(5 * NS_PER_MS)
        ear.drain()
    publisher.close()
    rows = books(ear)
    seen = {cause for topic in (TEXT, IMAGE) for cause in lost_in_metrics(rows[topic])}
    assert rows[IMAGE]["received"] < rows[IMAGE]["published"] == 500
    assert seen
    assert seen <= causes
