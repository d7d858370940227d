"""A program in another language as a node: what it says is passed on, checked and counted."""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.message import Kind
from tectum.node.control import Order, State
from tectum.rundir import process_started
from tectum.testing.processes import ProcessRun
from tectum_nodes.program import ProgramNode

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(60)]

SPEAKER = """
import os, signal, sys, time
import msgpack, zmq

node = os.environ["TECTUM_NODE"]
socket = zmq.Context().socket(zmq.XPUB)
socket.setsockopt(zmq.LINGER, 500)
socket.bind(os.environ["TECTUM_ENDPOINT"])
while not socket.recv().startswith(b"\\1\\xffjoin/"):
    pass

def say(output, kind, number, fields, buffers=(), frames=()):
    header = dict(v=1, k=kind, i=77, q=number, t=1000 + number, s=0, b=list(buffers), x=fields)
    socket.send_multipart([f"{node}/{output}\\0".encode(), msgpack.packb(header), *frames])

def picture(number, shape=(300, 400)):
    pixels = bytes([number]) * (shape[0] * shape[1])
    say("image", "image", number, {"encoding": "mono8"}, [["uint8", list(shape)]], [pixels])

print("speaking", flush=True)
"""
SAYS_MUCH = f"""{SPEAKER}
say("image", "latched", 0, {{"fact": "lens"}})
for number in (1, 2, 3, 6):
    picture(number)
say("image", "promise", 7, {{"begun": True}})
say("image", "text", 7, {{"text": "no picture"}})
socket.send_multipart([f"{{node}}/image\\0".encode(), b"nonsense"])
say("words", "text", 0, {{"text": "the end"}})
"""
STAYS = f"{SPEAKER}\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\ntime.sleep(60)\n"


@pytest.fixture
def eye(tmp_path):
    """Return a function that lays out a run of one program, given as Python text."""

    def lay_out(text, **config):
        path = tmp_path / "speaker.py"
        path.write_text(text)
        entry = {
            "command": f"{sys.executable} {path}",
            "outputs": {"image": "image", "words": "text"},
        }
        return ProcessRun({"eye": (ProgramNode, {**entry, **config})})

    return lay_out


def hear(run, *topics):
    ear = run.subscribe("ear", *topics)
    run.spawn()
    run.start()
    return ear


def test_what_a_program_says_is_passed_on_and_what_it_lost_is_named(eye):
    with eye(SAYS_MUCH) as run:
        ear = hear(run, "eye/image", "eye/words")
        received = run.collect(ear, "eye/image")
        code, errors = run.processes["eye"].end()
        assert code == 0, errors
        messages = [item.message for item in received if item.message]
        images = [item for item in messages if item.header.kind is Kind.IMAGE]
        assert [int(item.array()[0, 0]) for item in images] == [1, 2, 3, 6]
        assert [item.header.stamp_ns for item in images] == [1001, 1002, 1003, 1006]
        assert images[0].array().shape == (300, 400)
        assert images[0].array().dtype == np.uint8
        kinds = [item.header.kind for item in messages if item.header.topic == "eye/image"]
        assert kinds[0] is Kind.LATCHED
        assert kinds[-2:] == [Kind.PROMISE, Kind.END]
        (text,) = [item for item in messages if item.header.kind is Kind.TEXT]
        assert text.header.fields["text"] == "the end"
        counts = ear.counters()["eye/image"]
        assert counts["lost"] == {"program": 2, "wrong_kind": 1}
        assert counts["unexplained"] == 0
        assert "image: refused 1 messages of kind text; the graph says that it is image" in errors


def test_a_program_that_fails_says_so_and_the_node_fails_with_it(eye):
    with eye(f"{SPEAKER}\nsys.exit('the lens is dirty')") as run:
        hear(run, "eye/image")
        report = run.processes["eye"].wait_for(State.FAILED)
        assert "ended with exit code 1" in report.error
        code, errors = run.processes["eye"].end()
        assert code == 1
        assert "the lens is dirty" in errors


def test_a_program_ends_with_its_node(eye):
    with eye(STAYS) as run:
        hear(run, "eye/image")
        run.processes["eye"].wait_for(State.RUNNING)
        run.clock.sleep_until_ns(run.clock.now_ns() + NS_PER_S)
        begun_ns = run.clock.now_ns()
        run.processes["eye"].order(Order.STOP)
        code, errors = run.processes["eye"].end()
        assert code == 0, errors
        assert run.clock.now_ns() - begun_ns < 5000 * NS_PER_MS


def test_a_program_that_is_frozen_is_given_up_and_killed_with_its_node(eye):
    with eye(f"{SPEAKER}\nprint('pid', os.getpid(), flush=True)\nsignal.pause()\n") as run:
        run.spawn()
        node = run.processes["eye"]
        run.start()
        children = Path(f"/proc/{node.process.pid}/task/{node.process.pid}/children")
        while not children.read_text():
            run.clock.sleep_until_ns(run.clock.now_ns() + 10 * NS_PER_MS)
        program = int(children.read_text())
        os.kill(program, signal.SIGSTOP)
        assert "is stopped (SIGSTOP)" in node.wait_for(State.FAILED).error
        assert node.end()[0] == 1
        assert not process_started(program)


def test_a_program_that_is_not_there_is_named_before_the_start(eye):
    with eye("", command="./no-such-program --fast") as run:
        run.spawn()
        report = run.processes["eye"].wait_for(State.FAILED)
        assert "eye: there is no program './no-such-program' to run" in report.error
