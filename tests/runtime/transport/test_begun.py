"""Messages that are announced before their bytes are there: prepared early, handed out in time."""

import random
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.message import Kind
from tectum.transport.endpoint import ipc_endpoint
from tectum.transport.lease import PoolPayload
from tectum.transport.local_frames import BEGUN, DONE, SOON, Unpacker, packed
from tectum.transport.local_peer import LocalPeer
from tectum.transport.local_socket import connected_to, link_path
from tectum.transport.pool_file import holders, pools_are_possible, remove_pools
from tectum.transport.publisher import ANNOUNCED_FROM_BYTES, ZmqPublisher
from tectum.transport.subscriber import ZmqSubscriber
from tectum.transport.topic_frames import EARLY
from tectum.transport.wire import decode_reference

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.skipif(not pools_are_possible(), reason="needs Linux"),
]
CLOCK = GraphClock()
TOPIC = "eye/image"
SHAPE = (700, 500)


class Gate:
    """Stands for the bytes of a pool: what is copied there stops half-way, until it is opened."""

    def __init__(self, file, then=lambda: None):
        self.reached, self.opened = threading.Event(), threading.Event()
        self._file, self._bytes, self._then = file, file.bytes, then
        file.bytes = self

    def __setitem__(self, place, content):
        half = place.start + len(content) // 2
        self._bytes[place.start : half] = content[: half - place.start]
        self._file.bytes = self._bytes
        self.reached.set()
        self.opened.wait(10)
        self._then()
        self._bytes[place] = content


class Host:
    """A publisher in a folder, and who listens to it."""

    def __init__(self, folder):
        self.endpoint = ipc_endpoint(Path(folder), "eye")
        self.publisher = ZmqPublisher("eye", self.endpoint, CLOCK)
        self.subscribers = []

    def subscriber(self, name="ear", **options):
        made = ZmqSubscriber(name, [self.endpoint], [TOPIC], CLOCK, **options)
        self.subscribers.append(made)
        self.meet(name)
        return made

    def meet(self, name):
        until_ns = CLOCK.now_ns() + 5 * NS_PER_S
        while name not in self.publisher.joined() and CLOCK.now_ns() < until_ns:
            self.publisher.wait(5 * NS_PER_MS)
            self.publisher.serve()

    def say(self, value):
        array = np.full(SHAPE, value, np.uint8)
        fields = {"encoding": "mono8"}
        return self.publisher.publish("image", Kind.IMAGE, (array,), stamp_ns=value, fields=fields)

    def gate(self, **options):
        return Gate(self.publisher._pools._pools[TOPIC].file, **options)

    @contextmanager
    def copying(self, value):
        """Say something whose copy has stopped half-way; it goes on at the end."""
        gate = self.gate()
        thread = threading.Thread(target=self.say, args=[value])
        thread.start()
        assert gate.reached.wait(10)
        try:
            yield
        finally:
            gate.opened.set()
            thread.join()

    def pool(self):
        return self.publisher._pools._pools[TOPIC].file.name


@pytest.fixture
def host():
    assert np.prod(SHAPE) >= ANNOUNCED_FROM_BYTES
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        made = Host(folder)
        yield made
        for subscriber in made.subscribers:
            subscriber.close()
        made.publisher.close()
        remove_pools(Path(folder).name)


def collect(subscriber, count):
    results, until_ns = [], CLOCK.now_ns() + 5 * NS_PER_S
    while len(results) < count and CLOCK.now_ns() < until_ns:
        subscriber.wait(10 * NS_PER_MS)
        results += [item for item in subscriber.drain() if item.gap or of_image(item)]
    return results


def of_image(item):
    return item.message.header.topic == TOPIC


def stamps(results):
    return [item.message.header.stamp_ns for item in results]


def true(item):
    return bool((item.message.array() == item.message.header.stamp_ns).all())


def begun(subscriber):
    """Wait until a message has begun; return it as it was prepared."""
    until_ns = CLOCK.now_ns() + 5 * NS_PER_S
    while CLOCK.now_ns() < until_ns:
        assert not subscriber.wait(NS_PER_MS)
        for link in subscriber._links._links.values():
            if link.begun is not None:
                return link.begun
    raise AssertionError


def test_a_message_is_leased_while_its_bytes_are_copied_and_handed_out_when_they_are_there(host):
    ear = host.subscriber()
    host.say(1)
    assert all(map(true, collect(ear, 1)))
    with host.copying(2):
        assert begun(ear).payloads is not None
        assert sum(map(len, holders(host.pool()).values())) == 1
        assert not ear.wait(20 * NS_PER_MS)
        assert ear.drain() == []
        assert ear.counters()[TOPIC]["received"] == 1
    (item,) = collect(ear, 1)
    assert stamps([item]) == [2]
    assert true(item)
    assert isinstance(item.message.payloads[0], PoolPayload)
    del item
    assert holders(host.pool()) == {}


def test_a_wait_lasts_no_longer_than_asked_for_where_a_copy_does_not_end(host):
    ear = host.subscriber()
    host.say(1)
    collect(ear, 1)
    with host.copying(2):
        begun(ear)
        ear.wake()
        assert ear.wait(5 * NS_PER_S)  # by the wake
        assert not ear.wait(5 * NS_PER_MS)
        assert not ear.wait(0)


def test_others_are_heard_while_one_copies(host):
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        endpoints = [host.endpoint, ipc_endpoint(Path(folder), "mouth")]
        mouth = ZmqPublisher("mouth", endpoints[1], CLOCK)
        ear = ZmqSubscriber("ear", endpoints, [TOPIC, "mouth/text"], CLOCK)
        host.subscribers += [ear, mouth]
        host.meet("ear")
        while not mouth.joined():
            mouth.wait(5 * NS_PER_MS)
            mouth.serve()
        host.say(1)
        collect(ear, 1)
        with host.copying(2):
            while not any(link.begun for link in ear._links._links.values()):
                ear.wait(5 * NS_PER_MS)
                ear.drain()
            mouth.publish("text", Kind.TEXT, stamp_ns=3, fields={"text": "meanwhile"})
            heard = []
            while not heard:
                assert ear.wait(5 * NS_PER_S)
                heard = [item for item in ear.drain() if item.message.header.kind is Kind.TEXT]
        assert stamps(collect(ear, 1)) == [2]


def test_who_wants_the_newest_skips_what_was_prepared_and_gives_its_lease_back(host):
    ear = host.subscriber(delivery="newest")
    host.say(1)
    collect(ear, 1)
    with host.copying(2):
        assert begun(ear).payloads is not None
    host.say(3)
    with host.copying(4):
        results = collect(ear, 2)
        assert [item.gap.cause for item in results if item.gap] == ["skipped"]
        (item,) = [item for item in results if item.message]
        assert stamps([item]) == [3]
        assert true(item)
        (slots,) = holders(host.pool()).values()
        assert len(slots) == 1 + (begun(ear).payloads is not None) == 2
    del item, results
    assert stamps(collect(ear, 1)) == [4]
    row = ear.counters()[TOPIC]
    assert (row["published"], row["received"], row["skipped"]) == (4, 3, 1)
    assert row["unexplained"] == 0


def test_who_is_roused_sleeps_on_until_something_has_come(host):
    ear = host.subscriber()
    collect(ear, 0)
    ear.drain()
    host.publisher._links.rouse(TOPIC)
    assert not ear.wait(50 * NS_PER_MS)
    assert ear.drain() == []
    host.say(1)
    assert stamps(collect(ear, 1)) == [1]


def test_who_holds_all_that_it_may_gets_a_copy_made_when_the_bytes_are_there(host):
    ear = host.subscriber(hold=1)
    host.say(1)
    held = collect(ear, 1)
    with host.copying(2):
        assert begun(ear).payloads is None
    (item,) = collect(ear, 1)
    assert true(item)
    assert sum(map(len, holders(host.pool()).values())) == 1
    assert all(map(true, held))


def test_a_message_that_was_begun_and_never_finished_is_given_up_and_its_number_used_again(host):
    ear = host.subscriber()
    host.say(1)
    collect(ear, 1)

    def interrupted():
        raise KeyboardInterrupt

    gate = host.gate(then=interrupted)
    gate.opened.set()
    with pytest.raises(KeyboardInterrupt):
        host.say(2)
    begun(ear)
    host.publisher.serve()  # a statement comes between
    assert host.say(3).seq == 1
    results = collect(ear, 1)
    assert stamps(results) == [3]
    assert all(map(true, results))
    row = ear.counters()[TOPIC]
    assert (row["published"], row["received"], row["gaps"]) == (2, 2, 0)


@pytest.mark.parametrize("prepared", [True, False], ids=["prepared", "not read before"])
def test_a_publisher_that_dies_while_it_copies_costs_that_message_which_has_a_name(host, prepared):
    host.publisher.close()
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_begun import *
host = Host({str(Path(host.endpoint.removeprefix("ipc://")).parent)!r})
host.meet("ear")
host.say(1)
gate = host.gate(then=lambda: None)
threading.Thread(target=host.say, args=[2], daemon=True).start()
gate.reached.wait()
print("half", flush=True)
sys.stdin.read()
"""
    ear = ZmqSubscriber("ear", [host.endpoint], [TOPIC], CLOCK)
    host.subscribers.append(ear)
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "half\n"
    results = collect(ear, 1) if prepared else []
    if prepared:
        assert begun(ear).payloads is not None
    process.kill()
    process.communicate()
    results += collect(ear, 2 - len(results))
    assert [item.gap.cause if item.gap else true(item) for item in results] == [
        True, "disconnected",
    ]  # fmt: skip
    row = ear.counters()[TOPIC]
    assert (row["published"], row["received"], row["disconnected"]) == (2, 1, 1)
    assert row["unexplained"] == 0
    host.publisher = ZmqPublisher("eye", host.endpoint, CLOCK)
    host.meet("ear")
    host.say(7)
    results = collect(ear, 1)
    assert stamps(results) == [7]
    assert all(map(true, results))
    host.publisher.close()
    row = finished(ear)
    assert (row["published"], row["received"], row["disconnected"]) == (3, 2, 1)
    assert (row["lives"], row["unexplained"]) == (2, 0)


def finished(ear):
    until_ns = CLOCK.now_ns() + 5 * NS_PER_S
    while not ear.counters()[TOPIC]["final"] and CLOCK.now_ns() < until_ns:
        ear.wait(10 * NS_PER_MS)
        ear.drain()
    return ear.counters()[TOPIC]


@pytest.mark.parametrize("early", [True, False])
def test_who_does_not_ask_for_it_is_told_of_nothing_that_is_not_there(host, early):
    topic = b"eye/image\0"
    said = [*([EARLY] if early else []), topic, b"=" + topic, b"\xffjoin/raw/8"]
    with connected_to(link_path(host.endpoint)) as raw:
        raw.setblocking(True)
        raw.sendall(b"".join(packed([b"\1" + item]) for item in said))
        host.meet("raw")
        host.say(1)
        raw.settimeout(0.05)
        heard = read(raw)
        with host.copying(2):
            while_copied = read(raw)
        after = read(raw)
    first = Unpacker().feed(heard)[0]
    assert heard == (SOON + packed(first, BEGUN) + DONE if early else packed(first))
    if early:
        assert after == DONE
        frames = Unpacker().feed(while_copied + after)[0]
        assert while_copied == SOON + packed(frames, BEGUN)
    else:
        assert while_copied == b""
        (frames,) = Unpacker().feed(after)
    header, reference = decode_reference(frames)
    assert (header.stamp_ns, reference.nbytes) == (2, np.prod(SHAPE))


def read(raw):
    """Return what comes before a pause, without statements."""
    stream, rest = b"", b""
    while True:
        try:
            stream += raw.recv(65_536)
        except TimeoutError:
            break
    while stream:
        count = int.from_bytes(stream[:4], "little") & ~BEGUN  # of a word: 0
        sizes = [int.from_bytes(stream[4 + 4 * i : 8 + 4 * i], "little") for i in range(count)]
        size = 4 + 4 * count + sum(sizes)
        rest += b"" if b"@statement" in stream[:size] else stream[:size]
        stream = stream[size:]
    return rest


class Narrow:
    """A socket that takes as much as chance has it, and keeps it."""

    def __init__(self, chance):
        self.taken, self.chance, self.open = b"", chance, False

    def send(self, data, flags):
        assert flags == socket.MSG_NOSIGNAL
        size = len(data) if self.open else self.chance.choice([0, 0, 1, 3, 7, 20, 99])
        if not size:
            raise BlockingIOError
        self.taken += bytes(data[:size])
        return min(size, len(data))


@pytest.mark.parametrize("seed", range(200))
def test_however_little_a_socket_takes_each_message_comes_whole_once_and_in_its_turn(seed):
    chance = random.Random(seed)
    end = Narrow(chance)
    peer, expected = LocalPeer(end), []
    peer.subscribed.add(EARLY)
    for number in range(12):
        frames = [b"%d" % number, bytes(number)]
        kind = chance.choice(["plain", "begun", "given up"])
        if chance.randrange(2):
            peer.rouse()
        has_begun = kind != "plain" and peer.begin(packed(frames, BEGUN))
        if kind == "given up":
            peer.give_up()
            continue
        if has_begun:
            peer.finish()
        else:
            assert peer.send(packed(frames), 1000)
        expected.append(frames)
    end.open = True
    peer.flush()
    unpacker, found = Unpacker(), []
    while end.taken:
        size = chance.randrange(1, 9)
        found += unpacker.feed(end.taken[:size])
        end.taken = end.taken[size:]
    assert unpacker.broken is None
    assert found == expected
