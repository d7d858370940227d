"""Between hosts: known keys get in, everybody else does not, and both sides say so."""

import logging
import secrets
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import zmq

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.errors import ConfigError
from tectum.message import Kind
from tectum.testing.waiting import until
from tectum.transport.endpoint import check_remote, ipc_endpoint, tcp_endpoint
from tectum.transport.keys import make_keys, read_keys, trust
from tectum.transport.payload import FramePayload
from tectum.transport.pool_file import pools_are_possible, remove_pools
from tectum.transport.publisher import Remote, ZmqPublisher
from tectum.transport.security import Insecure, Secured
from tectum.transport.subscriber import Far, ZmqSubscriber

pytestmark = pytest.mark.realtime
CLOCK = GraphClock()
TOPIC = "eye/image"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def rings(tmp_path):
    """Keys of a robot and a desk that trust each other, and of a stranger who trusts the robot."""
    made = {name: make_keys(name, tmp_path / name) for name in ("robot", "desk", "stranger")}
    trust("desk", made["desk"].public, tmp_path / "robot")
    for name in ("desk", "stranger"):
        trust("robot", made["robot"].public, tmp_path / name)
    return {name: read_keys(tmp_path / name) for name in made}


class Robot:
    """A publisher that other hosts may hear."""

    def __init__(self, folder, security):
        self.endpoint = tcp_endpoint("127.0.0.1", free_port())
        self.local = ipc_endpoint(Path(folder), "eye")
        self.publisher = ZmqPublisher(
            "eye", self.local, CLOCK, remote=Remote(self.endpoint, security)
        )
        self.ends = [self.publisher]

    def hearer(self, name, security, **options):
        far = Far({self.endpoint: "robot"}, {"eye": "robot"}, {}, security)
        end = ZmqSubscriber(name, [], [TOPIC], CLOCK, nodes=["eye"], far=far, **options)
        self.ends.append(end)
        return end

    def turn(self, *subscribers, until=lambda: False, seconds=5.0):
        """Let both sides work until something holds or the time is over; return what was heard."""
        heard, until_ns = [], CLOCK.now_ns() + round(seconds * NS_PER_S)
        while not until() and CLOCK.now_ns() < until_ns:
            self.publisher.wait(5 * NS_PER_MS)
            self.publisher.serve()
            for subscriber in subscribers:
                heard += subscriber.drain()
        return heard

    def say(self, value):
        array = np.full((600, 600), value, np.uint8)
        fields = {"encoding": "mono8"}
        self.publisher.publish("image", Kind.IMAGE, (array,), stamp_ns=value, fields=fields)


@pytest.fixture
def robot(rings):
    yield from _robot(Secured(rings["robot"]))


@pytest.fixture
def careless_robot():
    yield from _robot(Insecure())


def _robot(security):
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        made = Robot(folder, security)
        yield made
        for end in made.ends:
            end.close()
        remove_pools(Path(folder).name)


def said(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_who_has_a_trusted_key_hears_with_the_payload_inline(robot, rings):
    desk = robot.hearer("desk_node", Secured(rings["desk"]))
    robot.turn(desk, until=lambda: "desk_node" in robot.publisher.joined())
    robot.say(7)
    heard = robot.turn(desk, seconds=0.3)
    (message,) = [item.message for item in heard if item.message]
    assert isinstance(message.payloads[0], FramePayload)
    assert (message.array() == 7).all()


def test_who_loses_another_host_says_so_by_name_and_when_it_is_back(robot, rings, caplog):
    desk = robot.hearer("desk_node", Secured(rings["desk"]))
    robot.turn(desk, until=lambda: "desk_node" in robot.publisher.joined())
    robot.turn(desk, seconds=0.1)
    assert said(caplog) == []
    robot.publisher.close()
    lost = "desk_node has lost its connection to robot: it tries again until robot is there; what "
    until(lambda: (desk.drain(), said(caplog))[1])
    assert [line.startswith(lost) for line in said(caplog)] == [True]
    remote = Remote(robot.endpoint, Secured(rings["robot"]))
    robot.publisher = ZmqPublisher("eye", robot.local, CLOCK, remote=remote)
    robot.ends.append(robot.publisher)
    robot.turn(desk, until=lambda: len(said(caplog)) > 1)
    assert said(caplog)[1:] == ["desk_node is connected to robot again"]


@pytest.mark.skipif(not pools_are_possible(), reason="needs Linux")
def test_one_publisher_serves_this_host_by_memory_and_the_other_by_its_port(robot, rings):
    near = ZmqSubscriber("near", [robot.local], [TOPIC], CLOCK)
    robot.ends.append(near)
    desk = robot.hearer("desk_node", Secured(rings["desk"]))
    robot.turn(desk, near, until=lambda: robot.publisher.joined() == {"near", "desk_node"})
    for value in range(5):
        robot.say(value)
    results = {"near": near, "desk": desk}
    for name, subscriber in results.items():
        heard = robot.turn(subscriber, seconds=0.3)
        values = [int(item.message.array()[3, 3]) for item in heard if item.message]
        assert values == list(range(5))
        kinds = {type(item.message.payloads[0]).__name__ for item in heard if item.message}
        assert kinds == {"PoolPayload" if name == "near" else "FramePayload"}


def test_an_unknown_key_gets_nothing_and_both_sides_say_why(robot, rings, caplog):
    with caplog.at_level(logging.WARNING):
        stranger = robot.hearer("stranger_node", Secured(rings["stranger"]))
        robot.turn(stranger, until=lambda: len(said(caplog)) >= 2, seconds=3)
        robot.say(1)
        heard = robot.turn(stranger, seconds=0.3)
    assert heard == []
    assert robot.publisher.joined() == set()
    key = rings["stranger"].public
    texts = said(caplog)
    assert any(f"is not trusted; if it is yours, run: tectum keys trust NAME {key}" in text
               for text in texts)  # fmt: skip
    assert any(text.startswith(f"stranger_node is refused by {robot.endpoint}") for text in texts)


def test_a_wrong_key_for_the_other_host_gets_nothing_and_both_sides_say_why(
    robot, rings, caplog, tmp_path
):
    trust("robot", secrets.token_hex(32), tmp_path / "desk")
    wrong = Secured(read_keys(tmp_path / "desk"))
    with caplog.at_level(logging.WARNING):
        desk = robot.hearer("desk_node", wrong)
        robot.turn(desk, until=lambda: len(said(caplog)) >= 2, seconds=3)
    assert robot.publisher.joined() == set()
    texts = said(caplog)
    assert any(text.startswith("eye refused a peer at") for text in texts)
    assert any(text.startswith(f"desk_node cannot connect to {robot.endpoint}") for text in texts)


def test_plain_zeromq_and_garbage_get_nothing_and_the_publisher_says_so(robot, rings, caplog):
    with caplog.at_level(logging.WARNING):
        plain = zmq.Context.instance().socket(zmq.SUB)
        plain.subscribe(b"")
        plain.connect(robot.endpoint)
        address, port = robot.endpoint.removeprefix("tcp://").split(":")
        for _ in range(20):
            with socket.create_connection((address, int(port))) as raw:
                raw.sendall(secrets.token_bytes(500))
        robot.turn(until=lambda: bool(said(caplog)), seconds=3)
        desk = robot.hearer("desk_node", Secured(rings["desk"]))
        robot.turn(desk, until=lambda: "desk_node" in robot.publisher.joined())
        robot.say(5)
        heard = robot.turn(desk, seconds=0.3)
    assert [int(item.message.array()[0, 0]) for item in heard if item.message] == [5]
    assert plain.poll(0) == 0
    plain.close(0)
    assert any(text.startswith("eye refused a peer at") for text in said(caplog))


def test_insecure_works_and_is_loud(careless_robot, caplog):
    with caplog.at_level(logging.WARNING):
        desk = careless_robot.hearer("desk_node", Insecure())
    joined = careless_robot.publisher.joined
    careless_robot.turn(desk, until=lambda: "desk_node" in joined())
    careless_robot.say(9)
    heard = careless_robot.turn(desk, seconds=0.3)
    assert [int(item.message.array()[0, 0]) for item in heard if item.message] == [9]
    assert any("INSECURE" in text for text in said(caplog))


@pytest.mark.parametrize(
    "endpoint",
    ["tcp://0.0.0.0:7400", "tcp://*:7400", "tcp://[::]:7400", "tcp://host:7400", "ipc:///x",
     "tcp://10.0.0.1:0", "tcp://224.0.0.1:7400", "tcp://10.0.0.1:x"],
)  # fmt: skip
def test_only_one_numeric_address_is_listened_on(endpoint):
    with pytest.raises(ConfigError, match="the one address that is meant"):
        check_remote(endpoint)


def test_without_security_nothing_but_a_unix_socket_is_possible():
    with pytest.raises(ConfigError, match="by other means than ipc"):
        ZmqPublisher("eye", "tcp://127.0.0.1:7400", CLOCK)
    with pytest.raises(ConfigError, match="by other means than ipc"):
        ZmqSubscriber("ear", ["tcp://127.0.0.1:7400"], [TOPIC], CLOCK)


PARTING = """
import sys
from pathlib import Path
import zmq
from tectum.transport.keys import read_keys
from tectum.transport.security import Doorman
keys = read_keys(Path(sys.argv[1]))
for _ in range(200):
    doorman = Doorman.at_work(keys)
    Doorman.dismiss()
    assert not doorman._thread.is_alive()
    zmq.Context.instance().destroy(linger=200)
Doorman.dismiss()
print("alive")
"""


def test_a_process_with_a_doorman_closes_its_sockets_again_and_again_and_lives(rings, tmp_path):
    command = [sys.executable, "-c", PARTING, str(tmp_path / "robot")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr
