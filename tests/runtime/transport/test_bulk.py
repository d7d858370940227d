"""Large payloads between real ends: in shared memory or inline, kept, overtaken, counted."""

import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
import zmq

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.message import Kind
from tectum.transport.endpoint import ipc_endpoint
from tectum.transport.lease import PoolPayload
from tectum.transport.payload import FramePayload
from tectum.transport.pool_file import pools_are_possible, remove_pools
from tectum.transport.publisher import SHARED_FROM_BYTES, ZmqPublisher
from tectum.transport.subscriber import ZmqSubscriber

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.skipif(not pools_are_possible(), reason="needs Linux"),
]
CLOCK = GraphClock()
TOPIC = "eye/image"
SHAPE = (480, 640)


class Host:
    """Ends in a folder of their own."""

    def __init__(self, folder):
        self.endpoint = ipc_endpoint(Path(folder), "eye")
        self.publisher = ZmqPublisher("eye", self.endpoint, CLOCK, queue=64)
        self.subscribers = []

    def subscriber(self, name, **options):
        made = ZmqSubscriber(name, [self.endpoint], [TOPIC], CLOCK, **{"queue": 64, **options})
        self.subscribers.append(made)
        self.joined(*self.publisher.joined(), name)
        return made

    def joined(self, *names):
        """Wait until exactly these subscribers are there."""
        until_ns = CLOCK.now_ns() + 5 * NS_PER_S
        while self.publisher.joined() != set(names) and CLOCK.now_ns() < until_ns:
            self.publisher.wait(10 * NS_PER_MS)
            self.publisher.serve()

    def say(self, value, shape=SHAPE):
        array = np.full(shape, value % 251, np.uint8)
        fields = {"encoding": "mono8"}
        self.publisher.publish("image", Kind.IMAGE, (array,), stamp_ns=value, fields=fields)

    def finish(self, subscriber):
        """Close the publisher and return what `subscriber` still hears, and its books."""
        self.publisher.close()
        results, until_ns = [], CLOCK.now_ns() + 10 * NS_PER_S
        while not subscriber.counters()[TOPIC]["final"] and CLOCK.now_ns() < until_ns:
            subscriber.wait(10 * NS_PER_MS)
            results += subscriber.drain()
        return results, subscriber.counters()[TOPIC]


@pytest.fixture
def host():
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        made = Host(folder)
        yield made
        for subscriber in made.subscribers:
            subscriber.close()
        made.publisher.close()
        remove_pools(Path(folder).name)


def collect(subscriber, count, timeout_ns=5 * NS_PER_S):
    results, until_ns = [], CLOCK.now_ns() + timeout_ns
    while len(results) < count and CLOCK.now_ns() < until_ns:
        subscriber.wait(10 * NS_PER_MS)
        results += subscriber.drain()
    return results


def true(message):
    return bool((message.array() == message.header.stamp_ns % 251).all())


def test_large_payloads_lie_in_shared_memory_and_small_ones_come_inline(host):
    ear = host.subscriber("ear")
    side = int(SHARED_FROM_BYTES**0.5)
    host.say(1, (side, side))
    host.say(2, (side, side - 1))
    large, small = (item.message for item in collect(ear, 2))
    assert isinstance(large.payloads[0], PoolPayload)
    assert isinstance(small.payloads[0], FramePayload)
    assert true(large)
    assert true(small)


@pytest.mark.parametrize("delivery", ["each", "newest", "lossless"])
def test_who_cannot_read_shared_memory_gets_payloads_inline_and_the_others_do_not(host, delivery):
    ear = host.subscriber("ear")
    foreign = host.subscriber("foreign", hold=0, delivery=delivery)
    for value in range(3):
        host.say(value)
        heard = [collect(end, 1)[0].message for end in (ear, foreign)]
        assert all(map(true, heard))
        assert [type(message.payloads[0]) for message in heard] == [PoolPayload, FramePayload]
    for end in (ear, foreign):
        _, row = host.finish(end)
        assert (row["received"], row["unexplained"], row["duplicates"]) == (3, 0, 0)


def listener(host, name, *forms):
    """Return a socket that subscribes to the image in these forms, and has joined as `name`."""
    made = zmq.Context.instance().socket(zmq.SUB)
    for subscription in (*forms, b"\xffjoin/" + name.encode()):
        made.subscribe(subscription)
    made.connect(host.endpoint)
    host.joined(*host.publisher.joined(), name.partition("/")[0])
    return made


def test_who_knows_nothing_of_shared_memory_gets_its_topic_inline_and_all_on_zeromq_with_it(host):
    ear = host.subscriber("ear")
    reads = listener(host, "reads/8", b"eye/image\0", b"=eye/image\0")
    plain = listener(host, "plain", b"eye/image\0")
    host.say(1)
    for end in (plain, reads):
        assert end.poll(2000)
        assert len(end.recv_multipart()) == 3
    assert isinstance(collect(ear, 1)[0].message.payloads[0], PoolPayload)  # it has a link
    plain.close()
    host.joined("ear", "reads")
    host.say(2)
    assert reads.poll(2000)
    assert len(reads.recv_multipart()) == 2
    assert isinstance(collect(ear, 1)[0].message.payloads[0], PoolPayload)
    reads.close()


def test_a_loan_arrives_without_a_copy(host):
    ear = host.subscriber("ear")
    array = host.publisher.loan("image", "uint8", SHAPE)
    array[:] = 5
    host.publisher.publish("image", Kind.IMAGE, (array,), stamp_ns=5, fields={"encoding": "mono8"})
    (item,) = collect(ear, 1)
    assert true(item.message)
    array[3, 4] = 6
    assert item.message.array()[3, 4] == 6


def test_overtaken_frames_are_gaps_with_a_name_and_the_books_balance(host):
    ear = host.subscriber("ear", hold=3)
    for value in range(40):
        host.say(value)
    results, row = host.finish(ear)
    messages = [item.message for item in results if item.message]
    assert [message.header.seq for message in messages] == [35, 36, 37, 38, 39]
    assert all(map(true, messages))
    gaps = [item.gap for item in results if item.gap]
    assert [gap.first_seq for gap in gaps] == list(range(35))
    assert {gap.cause for gap in gaps} == {"overtaken"}
    assert (row["published"], row["received"], row["overtaken"]) == (40, 5, 35)
    assert (row["gaps"], row["unexplained"]) == (35, 0)


def test_who_wants_the_newest_gets_one_and_the_skipped_are_counted(host):
    ear = host.subscriber("ear", delivery="newest")
    for value in range(40):
        host.say(value)
    host.publisher.promise("image", 99, begun=True)
    results = collect(ear, 41)
    messages = [item.message for item in results if item.message]
    assert [message.header.kind for message in messages] == [Kind.IMAGE, Kind.PROMISE]
    assert messages[0].header.seq == 39
    assert true(messages[0])
    _, row = host.finish(ear)
    assert (row["published"], row["received"], row["skipped"]) == (40, 1, 39)
    assert row["unexplained"] == 0


def test_with_every_slot_held_frames_are_dropped_before_they_get_a_number(host):
    ear = host.subscriber("ear", hold=2)
    ear._reader._hold = 100  # a subscriber that holds more than it said
    held = []
    for value in range(10):
        host.say(value)
        held += collect(ear, 1) if value < 4 else []
    assert all(true(item.message) for item in held)
    results, row = host.finish(ear)
    assert [item for item in results if item.message] == []
    assert (row["published"], row["received"], row["lost"]) == (4, 4, {"no_slot": 6})


def test_a_lossless_subscriber_is_waited_for_and_loses_nothing(host):
    ear = host.subscriber("ear", delivery="lossless", queue=4)
    results = []
    done = threading.Event()

    def listen():
        while not (done.is_set() and ear.counters()[TOPIC]["final"]):
            ear.wait(10 * NS_PER_MS)
            for item in ear.drain(2):
                results.append(item)
                CLOCK.sleep_until_ns(CLOCK.now_ns() + NS_PER_MS)

    thread = threading.Thread(target=listen)
    thread.start()
    for value in range(200):
        host.say(value)
    host.publisher.close()
    done.set()
    thread.join()
    assert [item.message.header.seq for item in results] == list(range(200))
    assert all(true(item.message) for item in results)
    row = ear.counters()[TOPIC]
    assert (row["published"], row["received"], row["gaps"]) == (200, 200, 0)


def test_queues_of_inline_payloads_are_bounded_in_bytes(host):
    ear = host.subscriber("ear", hold=0)
    frames, nbytes = 60, 4_000_000
    host.say(0, (2000, 2000))
    results = collect(ear, 1)  # from the first one both sides learn how large they are
    for value in range(1, frames):
        host.say(value, (2000, 2000))
    waiting = ear.drain(1000)
    assert len(waiting) * nbytes < 160_000_000  # two queues of 64 MB, and what lies in between
    rest = []
    while more := collect(ear, 1000, NS_PER_S // 2):
        rest += more  # until all has come: that makes room for the last statement
    rest, row = (rest + host.finish(ear)[0]), ear.counters()[TOPIC]
    received = sum(1 for item in results + waiting + rest if item.message)
    assert received == row["received"]
    assert row["queue_full"] == frames - received > 0
    assert row["unexplained"] == 0
