"""Every pair of ends that do not fit: nothing is heard, and each side says why, in this order."""

import contextlib
import logging
import secrets
import socket
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.message import Kind
from tectum.transport.endpoint import ipc_endpoint, tcp_endpoint
from tectum.transport.keys import make_keys, read_keys, trust
from tectum.transport.publisher import Remote, ZmqPublisher
from tectum.transport.security import Insecure, Secured
from tectum.transport.subscriber import Far, ZmqSubscriber

pytestmark = pytest.mark.realtime
CLOCK = GraphClock()
TOPIC = "eye/image"
PATIENCE_NS = 20 * NS_PER_S
"""Ends the wait of a test that fails; the sentences come within a second."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def keys(tmp_path):
    """Keys of a robot and a desk that trust each other, and of a stranger who trusts the robot."""
    made = {name: make_keys(name, tmp_path / name) for name in ("robot", "desk", "stranger")}
    trust("desk", made["desk"].public, tmp_path / "robot")
    for name in ("desk", "stranger"):
        trust("robot", made["robot"].public, tmp_path / name)
    trust("robot", secrets.token_hex(32), tmp_path / "deceived")
    (tmp_path / "deceived" / "own.json").write_text((tmp_path / "desk" / "own.json").read_text())
    (tmp_path / "deceived" / "own.json").chmod(0o600)
    return {name: read_keys(tmp_path / name) for name in (*made, "deceived")}


class Meeting:
    """A publisher at a port, and whoever comes there."""

    def __init__(self, folder, security, caplog):
        self.endpoint = tcp_endpoint("127.0.0.1", free_port())
        remote = Remote(self.endpoint, security)
        self.publisher = ZmqPublisher(
            "eye", ipc_endpoint(Path(folder), "eye"), CLOCK, remote=remote
        )
        self.caplog, self.ends = caplog, [self.publisher]

    def hear(self, name, security):
        end = hearer(name, self.endpoint, security)
        self.ends.append(end)
        return end

    def until(self, *beginnings, hearers=()):
        """Let all work until sentences that begin so were said, and return what was heard."""
        heard, until_ns = [], CLOCK.now_ns() + PATIENCE_NS
        while CLOCK.now_ns() < until_ns and not all(
            any(text.startswith(words) for text in said(self.caplog)) for words in beginnings
        ):
            self.publisher.wait(5 * NS_PER_MS)
            self.publisher.serve()
            picture = (np.zeros((4, 4), np.uint8),)
            fields = {"encoding": "mono8"}
            self.publisher.publish("image", Kind.IMAGE, picture, stamp_ns=1, fields=fields)
            for end in hearers:
                heard += end.drain()
        return heard


def hearer(name, endpoint, security):
    far = Far({endpoint: "robot"}, {"eye": "robot"}, {}, security)
    return ZmqSubscriber(name, [], [TOPIC], CLOCK, nodes=["eye"], far=far)


@pytest.fixture
def meeting(caplog):
    """Return a function that opens a publisher's port."""
    caplog.set_level(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        made = []

        def open_port(security):
            made.append(Meeting(folder, security, caplog))
            return made[-1]

        yield open_port
        for end in (end for item in made for end in item.ends):
            end.close()


def said(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


LISTENING_STRANGER = "refused a peer at 127.0.0.1 (1 times so far): its key is not trusted"


@pytest.mark.parametrize(
    ("here", "there", "listening", "connecting"),
    [
        ("robot", "stranger", LISTENING_STRANGER, "ear is refused by AT: the key of this host"),
        ("robot", "deceived", "eye refused a peer at AT: it does not encrypt, speaks another",
         "ear cannot connect to AT"),
        ("robot", "insecure", "eye refused a peer at AT: it does not encrypt, speaks another",
         "ear cannot connect to AT"),
        ("insecure", "desk", "eye refused a peer at AT: it does not encrypt, speaks another",
         "ear cannot connect to AT: it speaks another protocol, or does not encrypt"),
    ],
)  # fmt: skip
def test_a_peer_that_does_not_fit_hears_nothing_and_both_sides_say_why(
    meeting, keys, caplog, here, there, listening, connecting
):
    def security(name):
        return Insecure() if name == "insecure" else Secured(keys[name])

    port = meeting(security(here))
    ear = port.hear("ear", security(there))
    wanted = [text.replace("AT", port.endpoint) for text in (listening, connecting)]
    heard = port.until(*wanted, hearers=[ear])
    texts = said(caplog)
    for words in wanted:
        assert any(text.startswith(words) for text in texts), texts
    assert [item for item in heard if item.message] == []
    assert "ear" not in port.publisher.joined()


def test_who_is_trusted_is_served_while_strangers_knock(meeting, keys, caplog):
    port = meeting(Secured(keys["robot"]))
    address, number = port.endpoint.removeprefix("tcp://").split(":")
    stop = threading.Event()

    def knock():
        while not stop.is_set():
            with (
                contextlib.suppress(ConnectionError),  # the door is shut in its face
                socket.create_connection((address, int(number))) as raw,
            ):
                raw.sendall(secrets.token_bytes(300))
            stop.wait(0.02)

    thread = threading.Thread(target=knock)
    thread.start()
    try:
        stranger = port.hear("stranger", Secured(keys["stranger"]))
        desk = port.hear("desk", Secured(keys["desk"]))
        nonsense = f"eye refused a peer at {port.endpoint}: it does not speak ZeroMQ"
        port.until(LISTENING_STRANGER, nonsense, hearers=[stranger, desk])
        assert any(text.startswith(nonsense) for text in said(caplog))
        heard, until_ns = [], CLOCK.now_ns() + PATIENCE_NS
        while len(heard) < 20 and CLOCK.now_ns() < until_ns:
            port.until("eye refused a peer at", hearers=[])
            port.publisher.wait(5 * NS_PER_MS)
            port.publisher.serve()
            picture = (np.zeros((4, 4), np.uint8),)
            fields = {"encoding": "mono8"}
            port.publisher.publish("image", Kind.IMAGE, picture, stamp_ns=1, fields=fields)
            assert [item for item in stranger.drain() if item.message] == []
            heard += [item for item in desk.drain() if item.message]
        assert len(heard) >= 20
        assert port.publisher.joined() == {"desk"}
        assert len(said(caplog)) < 40, "what is said again and again is said ever less often"
    finally:
        stop.set()
        thread.join()


def test_a_port_that_talks_nonsense_is_named_by_who_connects(keys, caplog):
    caplog.set_level(logging.WARNING)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(0.05)
        endpoint = tcp_endpoint("127.0.0.1", server.getsockname()[1])
        ear, until_ns = hearer("ear", endpoint, Secured(keys["desk"])), CLOCK.now_ns() + PATIENCE_NS
        while not said(caplog) and CLOCK.now_ns() < until_ns:
            try:
                with server.accept()[0] as peer:
                    peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" + secrets.token_bytes(200))
            except TimeoutError:
                pass
            except OSError:  # it has hung up already
                pass
            assert [item for item in ear.drain() if item.message] == []
        words = f"ear cannot connect to {endpoint}: what answers there does not speak ZeroMQ"
        assert said(caplog)[0].startswith(words)
        ear.close()
