"""What every transport promises, asked of each of them."""

import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.errors import ContractError
from tectum.message import Kind
from tectum.transport.base import Gap
from tectum.transport.endpoint import ipc_endpoint
from tectum.transport.memory import MemoryBus
from tectum.transport.publisher import ZmqPublisher
from tectum.transport.subscriber import ZmqSubscriber

pytestmark = pytest.mark.realtime
CLOCK = GraphClock()


class Memory:
    """Ends on one in-memory bus."""

    def __init__(self):
        self.bus = MemoryBus(CLOCK)

    def publisher(self, node, queue=256, incarnation=None):
        del queue
        return self.bus.publisher(node, incarnation=incarnation)

    def subscriber(self, name, topics, queue=256, nodes=()):
        return self.bus.subscriber(name, topics, queue=queue, nodes=nodes)


@dataclass
class Sockets:
    """Ends on real Unix sockets in a folder of their own."""

    folder: Path

    def publisher(self, node, queue=256, incarnation=None):
        endpoint = ipc_endpoint(self.folder, node)
        return ZmqPublisher(node, endpoint, CLOCK, queue=queue, incarnation=incarnation)

    def subscriber(self, name, topics, queue=256, nodes=()):
        publishers = nodes or sorted({topic.split("/")[0] for topic in topics})
        endpoints = [ipc_endpoint(self.folder, node) for node in publishers]
        return ZmqSubscriber(name, endpoints, topics, CLOCK, queue=queue, nodes=nodes)


@pytest.fixture(params=["memory", "sockets"])
def host(request):
    """A transport whose ends are all closed after the test."""
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        transport = Memory() if request.param == "memory" else Sockets(Path(folder))
        ends = []
        for make in ("publisher", "subscriber"):
            setattr(transport, make, _remembering(getattr(transport, make), ends))
        yield transport
        for end in ends:
            end.close()


def _remembering(make, ends):
    def made(*args, **kwargs):
        ends.append(make(*args, **kwargs))
        return ends[-1]

    return made


def meet(publisher, *names):
    """Let `publisher` serve until exactly `names` have joined."""
    until_ns = CLOCK.now_ns() + 5 * NS_PER_S
    while publisher.joined() != set(names) and CLOCK.now_ns() < until_ns:
        publisher.wait(10 * NS_PER_MS)
        publisher.serve()
    assert publisher.joined() == set(names)


def collect(subscriber, count, timeout_ns=5 * NS_PER_S):
    """Return `count` things from `subscriber`, or what came until the time was up."""
    results, until_ns = [], CLOCK.now_ns() + timeout_ns
    while len(results) < count and CLOCK.now_ns() < until_ns:
        subscriber.wait(10 * NS_PER_MS)
        results += subscriber.drain()
    return results


def until_stated(subscriber, topic):
    """Drain `subscriber` until the final statement about `topic` has come."""
    results, until_ns = [], CLOCK.now_ns() + 5 * NS_PER_S
    while not subscriber.counters()[topic]["final"] and CLOCK.now_ns() < until_ns:
        subscriber.wait(10 * NS_PER_MS)
        results += subscriber.drain()
    assert subscriber.counters()[topic]["final"]
    return results


def say(publisher, count, output="text"):
    for index in range(count):
        publisher.publish(output, Kind.TEXT, stamp_ns=index, fields={"text": str(index)})


def stamps(results):
    return [item.message.header.stamp_ns for item in results if item.message]


def balances(row):
    explained = row["received"] + row["queue_full"] + row["refused_here"]
    return row["published"] == explained + row["unexplained"]


def test_a_player_speaks_under_the_names_of_other_nodes(host):
    subscriber = host.subscriber("ear", ["mouth/text", "other/text"], nodes=["player"])
    player = host.publisher("player")
    meet(player, "ear")
    say(player, 3, "mouth/text")
    say(player, 2, "other/text")
    player.name_loss("mouth/text", "reader_overrun", 4)
    collect(subscriber, 5)
    player.close()
    until_stated(subscriber, "mouth/text")
    row = subscriber.counters()["mouth/text"]
    assert (row["published"], row["received"], row["unexplained"]) == (3, 3, 0)
    assert row["lost"] == {"reader_overrun": 4}


def test_a_message_arrives_as_it_was_sent(host):
    subscriber = host.subscriber("ear", ["eye/image", "eye/points"])
    publisher = host.publisher("eye")
    meet(publisher, "ear")
    image = np.arange(480 * 640 * 3, dtype=np.uint32).astype(np.uint8).reshape(480, 640, 3)
    points = np.random.default_rng(1).random((100, 4), dtype=np.float32)
    sent = publisher.publish(
        "image",
        Kind.IMAGE,
        (image,),
        stamp_ns=5,
        span_ns=6,
        error_ns=7,
        frame_id="eye",
        fields={"encoding": "rgb8"},
    )
    publisher.publish("points", Kind.TENSOR, (points, points[::2, 1:]), stamp_ns=8)
    first, second = (item.message for item in collect(subscriber, 2))
    assert first.header == sent
    np.testing.assert_array_equal(first.array(), image)
    np.testing.assert_array_equal(second.array(0), points)
    np.testing.assert_array_equal(second.array(1), points[::2, 1:])
    assert not first.array().flags.writeable
    assert second.array(0).flags.aligned
    assert first.payloads[0].nbytes == image.nbytes
    first.release()
    first.release()


def test_numbers_run_from_zero_per_topic_and_promise_and_end_take_none(host):
    subscriber = host.subscriber("ear", ["mouth/text", "mouth/other"])
    publisher = host.publisher("mouth", incarnation=77)
    meet(publisher, "ear")
    say(publisher, 2)
    say(publisher, 1, "other")
    publisher.promise("text", 9, begun=True)
    say(publisher, 1)
    publisher.end("text")
    headers = [item.message.header for item in collect(subscriber, 6)]
    assert [(h.topic, h.kind, h.seq) for h in headers] == [
        ("mouth/text", Kind.TEXT, 0),
        ("mouth/text", Kind.TEXT, 1),
        ("mouth/other", Kind.TEXT, 0),
        ("mouth/text", Kind.PROMISE, 2),
        ("mouth/text", Kind.TEXT, 2),
        ("mouth/text", Kind.END, 3),
    ]
    assert {h.incarnation for h in headers} == {77}
    assert headers[3].fields == {"begun": True}
    assert subscriber.counters()["mouth/text"]["ended"]


def test_only_what_was_subscribed_arrives_even_where_one_name_begins_another(host):
    subscriber = host.subscriber("ear", ["mouth/text"])
    publisher = host.publisher("mouth")
    meet(publisher, "ear")
    say(publisher, 3, "text_raw")
    say(publisher, 3, "text")
    results = collect(subscriber, 3)
    assert {item.message.header.topic for item in results} == {"mouth/text"}
    assert list(subscriber.counters()) == ["mouth/text"]


def test_those_who_join_and_leave_are_known_by_name(host):
    publisher = host.publisher("mouth")
    one = host.subscriber("one", ["mouth/text"])
    host.subscriber("two", ["mouth/text"])
    meet(publisher, "one", "two")
    one.close()
    meet(publisher, "two")


def test_a_latched_fact_reaches_those_who_come_later_once(host):
    publisher = host.publisher("eye")
    publisher.latch("calibration", {"fact": "calibration", "focal": 700.5})
    early = host.subscriber("early", ["eye/calibration"])
    meet(publisher, "early")
    publisher.publish("calibration", Kind.TEXT, stamp_ns=1)
    late = host.subscriber("late", ["eye/calibration"])
    meet(publisher, "early", "late")
    publisher.publish("calibration", Kind.TEXT, stamp_ns=2)
    publisher.close()
    for subscriber, numbers, received in ((early, [0, 1, 2], 2), (late, [0, 2], 1)):
        results = until_stated(subscriber, "eye/calibration")
        assert [item.message.header.seq for item in results] == numbers
        assert results[0].message.header.fields["focal"] == 700.5
        row = subscriber.counters()["eye/calibration"]
        assert (row["published"], row["received"]) == (received, received)
        assert (row["duplicates"], row["unexplained"]) == (0, 0)


def test_what_was_sent_before_joining_is_no_loss(host):
    publisher = host.publisher("mouth")
    say(publisher, 5)
    subscriber = host.subscriber("late", ["mouth/text"])
    meet(publisher, "late")
    say(publisher, 2)
    publisher.close()
    results = until_stated(subscriber, "mouth/text")
    assert [item.message.header.seq for item in results] == [5, 6]
    row = subscriber.counters()["mouth/text"]
    assert (row["published"], row["received"], row["gaps"]) == (2, 2, 0)


def test_a_full_queue_costs_its_owner_alone_and_every_loss_is_explained(host):
    publisher = host.publisher("mouth", queue=8)
    slow = host.subscriber("slow", ["mouth/text", "mouth/other"], queue=8)
    fast = host.subscriber("fast", ["mouth/text"], queue=8)
    meet(publisher, "slow", "fast")
    heard_fast, heard_slow = [], []
    text = "x" * 20_000  # larger than what the kernel's socket buffers hide
    for index in range(120):
        publisher.publish("text", Kind.TEXT, stamp_ns=index, fields={"text": text})
        publisher.publish("other", Kind.TEXT, stamp_ns=index, fields={"text": text})
        heard_fast += collect(fast, 1)
        if index in (70, 95):
            heard_slow += collect(slow, 1000, 50 * NS_PER_MS)
    heard_slow += collect(slow, 1000, 100 * NS_PER_MS)
    publisher.close()
    heard_slow += until_stated(slow, "mouth/text")
    heard_fast += until_stated(fast, "mouth/text")
    assert stamps(heard_fast) == list(range(120))
    assert fast.counters()["mouth/text"]["gaps"] == 0
    for topic in ("mouth/text", "mouth/other"):
        row = slow.counters()[topic]
        assert row["published"] == 120
        assert row["queue_full"] > 0
        assert row["unexplained"] == 0
        assert row["gaps"] == row["queue_full"]
        assert balances(row)
        heard = [i for i in heard_slow if (i.gap or i.message.header).topic == topic]
        assert all_numbers(heard) == list(range(120))


def all_numbers(results):
    """Return the sequence numbers of messages and gaps in the order in which they came."""
    numbers = []
    for item in results:
        if item.gap is not None:
            numbers += range(item.gap.first_seq, item.gap.first_seq + item.gap.missing)
        else:
            numbers.append(item.message.header.seq)
    return numbers


def test_a_restarted_publisher_is_heard_again_as_a_new_life(host):
    subscriber = host.subscriber("ear", ["mouth/text"])
    for life, count in ((1, 3), (2, 4)):
        publisher = host.publisher("mouth", incarnation=life)
        while not publisher.joined():
            subscriber.wait(NS_PER_MS)  # it takes part in joining a second time
            publisher.serve()
        say(publisher, count)
        results = collect(subscriber, count)
        lives = [(i.message.header.incarnation, i.message.header.seq) for i in results]
        assert lives == [(life, seq) for seq in range(count)]
        publisher.close()
        until_stated(subscriber, "mouth/text")
    row = subscriber.counters()["mouth/text"]
    assert (row["published"], row["received"], row["lives"]) == (7, 7, 2)
    assert row["unexplained"] == 0


def test_a_publisher_that_begins_anew_is_heard_as_a_new_life_over_the_same_connection(host):
    publisher, subscriber = host.publisher("a"), host.subscriber("s", ["a/x", "a/fact"])
    meet(publisher, "s")
    publisher.latch("fact", {"of": "a"})
    publisher.publish("x", Kind.TENSOR, stamp_ns=1)
    publisher.publish("x", Kind.TENSOR, stamp_ns=2)
    publisher.renew()
    publisher.publish("x", Kind.TENSOR, stamp_ns=3)
    publisher.serve()
    headers = [item.message.header for item in collect(subscriber, 5) if item.message]
    values = [h for h in headers if h.topic == "a/x"]
    assert [(h.seq, h.stamp_ns) for h in values] == [(0, 1), (1, 2), (0, 3)]
    assert values[0].incarnation == values[1].incarnation != values[2].incarnation
    facts = [h for h in headers if h.topic == "a/fact"]
    assert [h.incarnation for h in facts] == [values[0].incarnation, values[2].incarnation]
    counters = subscriber.counters()["a/x"]
    assert (counters["lives"], counters["received"], counters["unexplained"]) == (2, 3, 0)
    assert counters["published"] == 3


def test_losses_that_the_node_names_reach_the_subscriber(host):
    subscriber = host.subscriber("ear", ["mouth/text"])
    publisher = host.publisher("mouth")
    meet(publisher, "ear")
    publisher.name_loss("text", "reader_overrun", 2)
    publisher.name_loss("text", "reader_overrun")
    say(publisher, 1)
    publisher.close()
    until_stated(subscriber, "mouth/text")
    assert subscriber.counters()["mouth/text"]["lost"] == {"reader_overrun": 3}


def test_a_wait_ends_by_a_message_by_a_wake_and_by_time(host):
    subscriber = host.subscriber("ear", ["mouth/text"])
    publisher = host.publisher("mouth")
    meet(publisher, "ear")
    collect(subscriber, 1, 50 * NS_PER_MS)  # the statement that greets whoever joins
    assert not subscriber.wait(NS_PER_MS)
    subscriber.wake()
    assert subscriber.wait(5 * NS_PER_S)
    assert not subscriber.wait(0)
    say(publisher, 1)
    assert subscriber.wait(5 * NS_PER_S)
    assert stamps(subscriber.drain()) == [0]
    publisher.wake()
    assert publisher.wait(5 * NS_PER_S)


def test_drain_takes_no_more_than_asked_and_loses_nothing(host):
    subscriber = host.subscriber("ear", ["mouth/text"])
    publisher = host.publisher("mouth")
    meet(publisher, "ear")
    say(publisher, 10)
    first = []
    while not first:
        subscriber.wait(NS_PER_S)
        first = subscriber.drain(4)
    assert len(first) <= 4
    rest = collect(subscriber, 10 - len(first))
    assert stamps([*first, *rest]) == list(range(10))


def test_a_message_that_the_wire_cannot_carry_takes_no_number(host):
    subscriber = host.subscriber("ear", ["mouth/text"])
    publisher = host.publisher("mouth")
    meet(publisher, "ear")
    with pytest.raises(ContractError, match="an array of complex128 cannot be sent"):
        publisher.publish("text", Kind.TENSOR, (np.zeros(2, complex),), stamp_ns=0)
    with pytest.raises(ContractError, match="mouth/text: a field is not"):
        publisher.publish("text", Kind.TEXT, stamp_ns=0, fields={"text": object()})
    with pytest.raises(ContractError, match="write node/output"):
        publisher.publish("a b", Kind.TEXT, stamp_ns=0)
    say(publisher, 1)
    assert [item.message.header.seq for item in collect(subscriber, 1)] == [0]


def test_a_closed_publisher_refuses(host):
    publisher = host.publisher("mouth")
    publisher.close()
    with pytest.raises(ContractError, match="the publisher of mouth is closed"):
        say(publisher, 1)


def test_gaps_are_reported_right_before_what_follows_them(host):
    subscriber = host.subscriber("ear", ["mouth/text"])
    publisher = host.publisher("mouth", incarnation=5)
    meet(publisher, "ear")
    sent = itertools.count()
    real_send = publisher._send

    def every_third_is_lost(header, arrays=()):
        lose = header.kind is Kind.TEXT and next(sent) % 3 == 1
        return True if lose else real_send(header, arrays)

    publisher._send = every_third_is_lost
    say(publisher, 5)
    publisher.close()
    results = until_stated(subscriber, "mouth/text")
    assert stamps(results) == [0, 2, 3]
    gaps = [item.gap for item in results]
    assert gaps == [None, Gap("mouth/text", 5, 1, 1), None, None, Gap("mouth/text", 5, 4, 1)]
    row = subscriber.counters()["mouth/text"]
    assert (row["published"], row["received"], row["unexplained"]) == (5, 3, 2)
    assert balances(row)
