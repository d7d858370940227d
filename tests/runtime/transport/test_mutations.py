"""Ten thousand mutated messages: nothing dies, nothing gets in, everything is counted."""

import logging
import random
import tempfile
import threading
from itertools import islice
from pathlib import Path

import pytest
import zmq

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.errors import WireError
from tectum.message import Kind
from tectum.node.control import Order, State
from tectum.testing.mutations import mutations, overheard
from tectum.testing.nodes import Echo, Metronome
from tectum.testing.processes import ProcessRun
from tectum.transport.endpoint import ipc_endpoint
from tectum.transport.kinds import kind_trouble
from tectum.transport.local_frames import MAX_FRAMES, packed
from tectum.transport.local_socket import link_path, listening_at
from tectum.transport.pool_file import remove_pools
from tectum.transport.publisher import ZmqPublisher
from tectum.transport.subscriber import ZmqSubscriber
from tectum.transport.topic_frames import shared_topic
from tectum.transport.wire import decode_reference

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(120)]
CLOCK = GraphClock()
TOPICS = [f"eye/{name}" for name in ("image", "audio", "points", "pose", "boxes", "text")]
PREFIXES = tuple(f"{topic}\0".encode() for topic in [*TOPICS, "eye/@statement"])
MANY, AT_A_TIME = 10_000, 100


@pytest.fixture
def real():
    """Real messages, some of whose pictures still lie in the shared memory of their publisher."""
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        endpoint = ipc_endpoint(Path(folder), "eye")
        publisher = ZmqPublisher("eye", endpoint, CLOCK)
        spy = zmq.Context.instance().socket(zmq.SUB)
        for topic in (b"eye/", *map(shared_topic, TOPICS), b"\xffjoin/spy/8"):
            spy.subscribe(topic)
        spy.connect(endpoint)
        until_ns = CLOCK.now_ns() + 5 * NS_PER_S
        while "spy" not in publisher.joined() and CLOCK.now_ns() < until_ns:
            publisher.wait(10 * NS_PER_MS)
            publisher.serve()
        found = [frames for number in range(3) for frames in overheard(spy, publisher, number)]
        assert {frames[0].rstrip(b"\0").decode() for frames in found} >= set(TOPICS)
        assert any(decode_reference(frames)[1] for frames in found)
        yield found
        spy.close(0)
        publisher.close()
        remove_pools(Path(folder).name)


def speak(folder):
    """Return a raw socket in the place of the publisher `eye`."""
    socket = zmq.Context.instance().socket(zmq.XPUB)
    socket.set(zmq.SNDHWM, 0)
    socket.bind(ipc_endpoint(Path(folder), "eye"))
    return socket


def refused(frames):
    try:
        decode_reference(frames)
    except WireError:
        return True
    return False


def is_statement(frames):
    """Return whether a message is sound and for the books alone."""
    return not refused(frames) and decode_reference(frames)[0].kind is Kind.STATEMENT


def test_ten_thousand_mutated_messages_are_each_refused_or_sound(real, caplog):
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        socket, endpoint = speak(folder), ipc_endpoint(Path(folder), "eye")
        ear = ZmqSubscriber("ear", [endpoint], TOPICS, CLOCK, queue=4 * AT_A_TIME)
        for _ in range(len(TOPICS) + 2):
            assert socket.poll(5000)
            socket.recv()
        sent, handed_out, unspoken, surely_wrong = 0, 0, 0, 0
        stream = mutations(real, random.Random(20261124))
        with caplog.at_level(logging.WARNING):
            while sent < MANY:
                for frames, surely in islice(stream, AT_A_TIME):
                    if frames[0].startswith(PREFIXES):  # else no socket would pass it on
                        socket.send_multipart(frames)
                        assert refused(frames) or not surely, frames[:2]
                        sent, surely_wrong = sent + 1, surely_wrong + surely
                        unspoken += is_statement(frames)
                handed_out += sum(map(sound, everything(ear)))
        rows = ear.counters().values()
        counted = {
            key: sum(row.get(key, 0) for row in rows)
            for key in ("refused", "duplicates", "overtaken")
        }
        assert sent == handed_out + unspoken + sum(counted.values())
        assert counted["refused"] >= surely_wrong > MANY // 3
        assert min(handed_out, unspoken, counted["overtaken"]) > 0
        assert 0 < len(caplog.records) <= 15 * len(rows)  # said when a count doubles
        ear.close()
        socket.close(0)


def test_mutated_messages_on_a_link_are_each_refused_or_sound_too(real):
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        endpoint = ipc_endpoint(Path(folder), "eye")
        listener, _ = listening_at(link_path(endpoint))
        ear = ZmqSubscriber("ear", [endpoint], TOPICS, CLOCK)
        peer, _ = listener.accept()
        peer.settimeout(20)
        stream = islice(mutations(real, random.Random(11)), MANY // 4)
        said = [frames for frames, _ in stream if len(frames) <= MAX_FRAMES]
        speaker = threading.Thread(target=lambda: [peer.sendall(packed(item)) for item in said])
        speaker.start()
        handed_out, counted, until_ns = 0, 0, CLOCK.now_ns() + 30 * NS_PER_S
        unspoken = sum(map(is_statement, said))
        while handed_out + unspoken + counted < len(said) and CLOCK.now_ns() < until_ns:
            handed_out += sum(map(sound, everything(ear)))
            keys = ("refused", "duplicates", "overtaken")
            counted = sum(row.get(key, 0) for row in ear.counters().values() for key in keys)
        speaker.join()
        assert handed_out + unspoken + counted == len(said)
        assert min(handed_out, unspoken, counted) > 0
        ear.close()
        peer.close()
        listener.close()


def everything(ear):
    """Return the messages among all that has been sent."""
    results, quiet_turns = [], 0
    while quiet_turns < 3:
        quiet_turns = 0 if ear.wait(20 * NS_PER_MS) else quiet_turns + 1
        results += [item.message for item in ear.drain() if item.message is not None]
    return results


def sound(message):
    """Return True for a message whose parts agree with each other and with its kind."""
    header = message.header
    assert header.topic in TOPICS
    assert kind_trouble(header) is None
    for spec, payload in zip(header.buffers, message.payloads, strict=True):
        array = payload.array()
        assert (array.dtype.name, array.shape) == (spec.dtype, spec.shape)
        assert array.nbytes == 0 or array.reshape(-1)[-1:].size == 1
        assert not array.flags.writeable
    message.release()
    return True


def test_a_living_node_outlives_them_and_hears_what_is_right(real):
    good = [frames for frames in real if frames[0] == b"eye/text\0"]
    nodes = {"eye": (Metronome, {}), "echo": (Echo, {"topics": ["eye/*"]})}
    with ProcessRun(nodes) as run:
        socket = speak(run.folder)
        hearer = run.subscribe("hearer", "echo/text", "echo/@health", queue=100_000)
        run.spawn("echo")
        run.start()
        run.processes["echo"].wait_for(State.RUNNING)
        sent = 0
        for frames, _ in islice(mutations(real, random.Random(7)), 30 * AT_A_TIME):
            frames[0] = b"eye/beat\0"
            if refused(frames):
                socket.send_multipart(frames)
                sent += 1
        beat = [b"eye/beat\0", *good[-1][1:]]
        socket.send_multipart(beat)
        lines, health = [], {}
        until_ns = CLOCK.now_ns() + 20 * NS_PER_S
        while CLOCK.now_ns() < until_ns and health.get("refused", 0) < sent:
            hearer.wait(20 * NS_PER_MS)
            for item in hearer.drain():
                if item.message and item.message.header.kind is Kind.TEXT:
                    lines.append(item.message.header.fields["text"])
                elif item.message and item.message.header.kind is Kind.HEALTH:
                    health = item.message.header.fields["inputs"].get("eye/beat", {})
        assert health["refused"] == sent > AT_A_TIME
        assert health["received"] == 1
        assert lines == ["eye/beat text 2"]
        run.processes["echo"].order(Order.STOP)
        code, errors = run.processes["echo"].end()
        assert code == 0, errors
        assert 0 < errors.count("refused") <= 20
        socket.close(0)


def test_a_publisher_outlives_nonsense_from_those_who_subscribe():
    chance = random.Random(3)
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        endpoint = ipc_endpoint(Path(folder), "eye")
        publisher = ZmqPublisher("eye", endpoint, CLOCK)
        fool = zmq.Context.instance().socket(zmq.XSUB)
        fool.connect(endpoint)
        names = [
            b"",
            b"/",
            b"a/b/c",
            b"\xff\xfe/8",
            b"x/-1",
            b"x/9" * 60,
            b"\0/lossles",
            b"x/\xd9\xa3",
        ]
        for _ in range(2000):
            join = b"\xffjoin/" + chance.choice(names) + chance.randbytes(chance.randrange(3))
            noise = chance.randbytes(chance.randrange(1, 300))
            fool.send(chance.choice([b"\1" + join, b"\0" + join, b"\1" + noise, noise]))
        fool.send_multipart([b"\1more", b"than", b"one"])
        ear = ZmqSubscriber("ear", [endpoint], ["eye/text"], CLOCK)
        until_ns = CLOCK.now_ns() + 10 * NS_PER_S
        while "ear" not in publisher.joined() and CLOCK.now_ns() < until_ns:
            publisher.wait(10 * NS_PER_MS)
            publisher.serve()
            ear.drain()
        publisher.publish("text", Kind.TEXT, stamp_ns=1, fields={"text": "still here"})
        (message,) = [item for item in everything(ear) if item.header.kind is Kind.TEXT]
        assert message.header.fields["text"] == "still here"
        ear.close()
        fool.close(0)
        publisher.close()
