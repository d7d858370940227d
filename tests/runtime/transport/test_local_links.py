"""Local links between real ends: who gets one, who goes, who is full, who talks nonsense."""

import errno
import logging
import os
import random
import socket
import stat
import tempfile
from pathlib import Path

import numpy as np
import pytest
import zmq

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.message import Header, Kind
from tectum.transport import local_socket
from tectum.transport.endpoint import ipc_endpoint
from tectum.transport.local_frames import packed
from tectum.transport.local_socket import link_path, listening_at
from tectum.transport.payload import FramePayload
from tectum.transport.pool_file import PoolFile, pools_are_possible, remove_pools
from tectum.transport.publisher import ZmqPublisher
from tectum.transport.subscriber import ZmqSubscriber
from tectum.transport.wire import encode

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.skipif(not pools_are_possible(), reason="needs Linux"),
]
CLOCK = GraphClock()
TOPIC = "eye/text"


class Host:
    """A folder, and the ends that were made there."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.endpoint = ipc_endpoint(self.folder, "eye")
        self.link = link_path(self.endpoint)
        self.ends = []

    def publisher(self, **options):
        self.ends.append(ZmqPublisher("eye", self.endpoint, CLOCK, **options))
        return self.ends[-1]

    def subscriber(self, name="ear", topics=(TOPIC,), **options):
        self.ends.append(ZmqSubscriber(name, [self.endpoint], topics, CLOCK, **options))
        return self.ends[-1]


@pytest.fixture
def host():
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        made = Host(folder)
        yield made
        for end in made.ends:
            end.close()
        remove_pools(made.folder.name)


def meet(publisher, *names, subscribers=()):
    until_ns = CLOCK.now_ns() + 5 * NS_PER_S
    while publisher.joined() != set(names) and CLOCK.now_ns() < until_ns:
        publisher.wait(5 * NS_PER_MS)
        publisher.serve()
        for subscriber in subscribers:
            subscriber.drain()
    assert publisher.joined() == set(names)


def collect(subscriber, count):
    results, until_ns = [], CLOCK.now_ns() + 5 * NS_PER_S
    while len(results) < count and CLOCK.now_ns() < until_ns:
        subscriber.wait(10 * NS_PER_MS)
        results += subscriber.drain()
    return results


def say(publisher, text, stamp_ns=0):
    publisher.publish("text", Kind.TEXT, stamp_ns=stamp_ns, fields={"text": text})


def texts(results):
    return [item.message.header.fields["text"] for item in results if item.message]


def test_ends_of_one_host_meet_by_a_link_and_nothing_goes_over_zeromq(host):
    publisher, ear = host.publisher(), host.subscriber()
    meet(publisher, "ear")
    assert not publisher._here.is_heard()
    say(publisher, "hello")
    assert texts(collect(ear, 1)) == ["hello"]


@pytest.mark.parametrize("options", [{"hold": 0}, {"delivery": "lossless"}])
def test_who_reads_no_shared_memory_or_wants_to_lose_nothing_joins_over_zeromq(host, options):
    publisher, ear = host.publisher(), host.subscriber(**options)
    meet(publisher, "ear")
    assert publisher._here.is_heard()
    say(publisher, "hello")
    assert texts(collect(ear, 1)) == ["hello"]


def test_the_link_is_its_owners_alone_and_gone_when_the_publisher_closes(host):
    publisher = host.publisher()
    assert stat.S_IMODE(host.link.stat().st_mode) == 0o600
    publisher.close()
    assert list(host.folder.iterdir()) == []


def test_a_successor_takes_the_place_and_the_predecessor_leaves_it_to_him(host):
    first = host.publisher()
    second = host.publisher()
    first.close()
    ear = host.subscriber()
    meet(second, "ear")
    say(second, "hello")
    assert texts(collect(ear, 1)) == ["hello"]


def test_a_name_that_a_killed_publisher_left_is_taken_by_the_next(host):
    left, _ = listening_at(host.link)
    left.close()  # its name stays, as after SIGKILL
    ear = host.subscriber()
    publisher = host.publisher()
    meet(publisher, "ear")
    assert not publisher._here.is_heard()
    say(publisher, "hello")
    assert texts(collect(ear, 1)) == ["hello"]


def test_who_dies_is_known_at_once_and_the_others_hear_on(host):
    publisher, ear = host.publisher(), host.subscriber()
    other = host.subscriber("other")
    meet(publisher, "ear", "other")
    other._links.close()  # the kernel does no more when a process dies
    assert publisher.wait(5 * NS_PER_S)
    publisher.serve()
    assert publisher.joined() == {"ear"}
    say(publisher, "on")
    assert texts(collect(ear, 1)) == ["on"]


def test_a_foreign_publisher_that_comes_later_is_joined_over_zeromq(host):
    ear = host.subscriber()
    foreign = zmq.Context.instance().socket(zmq.XPUB)
    foreign.bind(host.endpoint)
    until_ns, said = CLOCK.now_ns() + 5 * NS_PER_S, b""
    while not said.startswith(b"\1\xffjoin/ear") and CLOCK.now_ns() < until_ns:
        ear.wait(10 * NS_PER_MS)
        said = foreign.recv() if foreign.poll(10) else said
    foreign.send_multipart(encode(Header(TOPIC, Kind.TEXT, 0, 5, fields={"text": "hello"})))
    assert texts(collect(ear, 1)) == ["hello"]
    foreign.close(0)


def test_a_reader_that_does_not_read_is_left_out_once_stated_and_grows_no_memory(host):
    publisher, slow = host.publisher(queue=8), host.subscriber("slow")
    meet(publisher, "slow")
    (peer,) = publisher._links._peers.values()
    for index in range(400):
        say(publisher, "x" * 20_000, index)
        assert len(peer.waiting) <= 8
    assert len(publisher._full) == 1
    results = collect(slow, 1)
    publisher.close()
    until_ns = CLOCK.now_ns() + 5 * NS_PER_S
    while not slow.counters()[TOPIC]["final"] and CLOCK.now_ns() < until_ns:
        slow.wait(10 * NS_PER_MS)
        results += slow.drain()
    row = slow.counters()[TOPIC]
    assert row["published"] == 400
    assert row["queue_full"] == 400 - len(texts(results)) > 0
    assert row["unexplained"] == 0


def test_what_waits_goes_on_when_there_is_room_without_anything_new(host):
    publisher, ear = host.publisher(), host.subscriber()
    meet(publisher, "ear")
    long = "y" * 3_000_000  # more than any socket takes at once
    say(publisher, long)
    heard, until_ns = [], CLOCK.now_ns() + 5 * NS_PER_S
    while not heard and CLOCK.now_ns() < until_ns:
        heard += texts(ear.drain())
        assert heard or publisher.wait(NS_PER_S)
        publisher.serve()
    assert heard == [long]


def test_nonsense_from_those_who_link_hurts_nobody(host, caplog):
    publisher, chance = host.publisher(), random.Random(5)
    ear = host.subscriber()
    for turn in range(300):
        with socket.socket(socket.AF_UNIX) as fool:
            fool.connect(str(host.link))
            key = chance.choice([b"", b"\1", b"\0eye/text\0", b"\1\xffjoin/", b"\1\xffjoin/x/-1"])
            fool.sendall(chance.choice([chance.randbytes(50), packed([key]), packed([key] * 9)]))
            if turn % 50 == 0:
                publisher.serve()
    with caplog.at_level(logging.WARNING):
        meet(publisher, "ear")
    say(publisher, "still here")
    assert texts(collect(ear, 1)) == ["still here"]


def test_a_link_that_speaks_nonsense_is_counted_hung_up_on_and_left_for_a_better_one(host):
    fool, _ = listening_at(host.link)
    ear = host.subscriber()
    peer, _ = fool.accept()
    peer.sendall(packed([b"eye/text\0", b"no header"]) + b"\xff" * 100)
    until_ns = CLOCK.now_ns() + 5 * NS_PER_S
    while ear.counters().get("?", {}).get("refused") != 1 and CLOCK.now_ns() < until_ns:
        ear.wait(10 * NS_PER_MS)
        assert ear.drain() == []
    assert ear.counters()[TOPIC]["refused"] == 1
    assert peer.recv(4096)  # its subscriptions
    assert peer.recv(4096) == b""
    fool.close()
    publisher = host.publisher()
    meet(publisher, "ear")
    say(publisher, "better")
    assert texts(collect(ear, 1)) == ["better"]
    peer.close()


def test_another_user_is_hung_up_on(host, monkeypatch):
    publisher = host.publisher()
    monkeypatch.setattr(local_socket.os, "getuid", lambda: os.geteuid() + 1)
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(host.link))
        stranger.sendall(packed([b"\1\xffjoin/stranger/8"]))
        publisher.serve()
        stranger.settimeout(5)
        with pytest.raises(ConnectionResetError):
            stranger.recv(1)
    assert publisher.joined() == set()
    with pytest.raises(PermissionError, match="belongs to another user"):
        local_socket.connected_to(host.link)


def test_without_room_in_shared_memory_all_join_anew_over_zeromq(host, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(PoolFile, "create", full)
    publisher, ear = host.publisher(), host.subscriber(topics=["eye/image"])
    meet(publisher, "ear")
    image, fields = np.full((400, 400), 7, np.uint8), {"encoding": "mono8"}
    publisher.publish("image", Kind.IMAGE, (image,), stamp_ns=0, fields=fields)
    meet(publisher, subscribers=[ear])
    meet(publisher, "ear", subscribers=[ear])
    assert publisher._here.is_heard()
    assert not host.link.exists()
    publisher.publish("image", Kind.IMAGE, (image,), stamp_ns=1, fields=fields)
    results = collect(ear, 2)  # the gap may come by itself, with a statement
    message = next(item.message for item in results if item.message)
    assert isinstance(message.payloads[0], FramePayload)
    np.testing.assert_array_equal(message.array(), image)
    row = ear.counters()["eye/image"]
    assert (row["published"], row["received"], row["disconnected"]) == (2, 1, 1)
    assert row["unexplained"] == 0
