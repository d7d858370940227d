"""The robot's half, seen from the graph's: started, given its plan, heard, given what to publish.

Three ways lead there: a socket pair for the plan and for what is to be said (its end ends the
robot's half), and two ZeroMQ sockets of this user alone (PULL and PUSH over a Unix socket) for the
messages. `receive` is for one thread, everything else for another.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import zmq

from tectum.clock import NS_PER_MS, NS_PER_S, Clock
from tectum.errors import DeviceError
from tectum.node.control import Lines
from tectum.transport.endpoint import check_endpoint
from tectum_nodes.ros2.robot import HEAD, QUEUE

__all__ = ["Handed", "RobotProcess"]

_PROGRAM = Path(__file__).with_name("robot.py")
_READY_NS = 25 * NS_PER_S
_GRACE_S = 0.7
_WAIT_MS = 100
_FD = "<descriptor>"
"""Stands in a command for the number of the socket that is inherited."""
_SOURCED = 'program=("$1" "$2" "$3"); shift 3; for file; do . "$file"; done; exec "${program[@]}"'
"""What bash does where files are to be sourced before."""


class Handed(NamedTuple):
    """What the robot's half handed over: a message, or (no `data`) only its counts."""

    place: int
    """Of the topic among those that it hears."""
    heard: int
    """How many have come there, this one included."""
    lost: int
    """How many were published and never came there."""
    data: memoryview | None


class RobotProcess:
    """A Python with rclpy that bridges."""

    def __init__(
        self, name: str, folder: Path, clock: Clock, python: str, setup: tuple[str, ...]
    ) -> None:
        """Bind its sockets in the run's `folder`; start nothing yet.

        Raises:
            DeviceError: there is no such Python, or no such file to source.
        """
        self._name, self._clock, self._python = name, clock, python
        self._command = _command(name, python, setup)
        self._endpoints = {
            way: check_endpoint(f"ipc://{folder / name}.{way}") for way in ("to_graph", "to_ros")
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._lines = Lines()
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        self._in, self._out = context.socket(zmq.PULL), context.socket(zmq.PUSH)
        for each, endpoint in zip((self._in, self._out), self._endpoints.values(), strict=True):
            each.set_hwm(QUEUE)
            each.setsockopt(zmq.LINGER, 200)
            each.bind(endpoint)

    def start(self, plan: Mapping[str, Any]) -> str:
        """Start it with a plan (see `robot`), wait until it is ready, return its middleware.

        Raises:
            DeviceError: it cannot work, and why.
        """
        self._control, theirs = socket.socketpair()
        command = [str(theirs.fileno()) if word is _FD else word for word in self._command]
        with theirs:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),), env=_environment()
            )
        self._control.sendall((json.dumps({**plan, **self._endpoints}) + "\n").encode())
        self._control.setblocking(False)
        until_ns = self._clock.now_ns() + _READY_NS
        while self._clock.now_ns() < until_ns:
            code = self._process.poll()  # before hearing: nothing is said after it
            for what, content in self.said():
                if what == "ready":
                    return str(content["rmw"])
                if what == "trouble":
                    self._fail(str(content))
            if code is not None:
                self._fail(f"{self._python} ended with exit code {code}")
            self._clock.sleep_until_ns(self._clock.now_ns() + 5 * NS_PER_MS)
        self._fail(f"{self._python} was not ready within {_READY_NS // NS_PER_S} s")
        raise AssertionError

    def said(self) -> Iterator[tuple[str, Any]]:
        """Yield what it has said since: (what, content)."""
        assert self._control is not None, "`start` makes it"
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while data := self._control.recv(65536):
                for line in self._lines.feed(data):
                    yield from json.loads(line).items()

    def check(self) -> None:
        """See that it lives.

        Raises:
            DeviceError: it has ended.
        """
        assert self._process is not None, "`start` makes it"
        code = self._process.poll()
        if code is not None:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            self._fail(f"the robot's half of the bridge {how}")

    def receive(self) -> Handed | None:
        """Wait a moment for what it hands over."""
        if not self._in.poll(_WAIT_MS, zmq.POLLIN):
            return None
        place, heard, lost = HEAD.unpack(self._in.recv())
        data = self._in.recv(copy=False).buffer if self._in.get(zmq.RCVMORE) else None
        return Handed(place, heard, lost, data)

    def publish(self, index: int, data: bytes) -> bool:
        """Have it publish on the topic `index` of those that it says; False: its queue is full."""
        try:
            self._out.send(HEAD.pack(index, 0, 0), zmq.SNDMORE | zmq.NOBLOCK)
            self._out.send(data, zmq.NOBLOCK, copy=len(data) < 65536)
        except zmq.Again:
            return False
        return True

    def close(self) -> None:
        """End it; nobody receives any more."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            try:
                self._process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._in.close()
        self._out.close()

    def _fail(self, why: str) -> None:
        msg = f"{self._name}: {why}"
        raise DeviceError(msg)


def _command(name: str, python: str, setup: tuple[str, ...]) -> list[str]:
    """Return how it is started, without the number of its socket."""
    found = shutil.which(python)
    if found is None:
        msg = f"{name}: there is no Python {python!r}: write python: PATH of the one that has rclpy"
        raise DeviceError(msg)
    for file in setup:
        if not Path(file).expanduser().is_file():
            msg = f"{name}: there is no file {file!r} to source: name ROS 2's setup.bash in setup"
            raise DeviceError(msg)
    if not setup:
        return [found, str(_PROGRAM), _FD]
    files = [str(Path(file).expanduser()) for file in setup]
    return ["bash", "-c", _SOURCED, "bash", found, str(_PROGRAM), _FD, *files]


def _environment() -> dict[str, str]:
    """Return the environment without what is of our own Python."""
    own = ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONSAFEPATH", "__PYVENV_LAUNCHER__")
    return {key: value for key, value in os.environ.items() if key not in own}
