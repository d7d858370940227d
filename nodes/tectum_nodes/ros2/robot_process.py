"""The robot's half, seen from the graph's: started, given its plan, heard, given what to publish.

A socket pair carries the plan and what is to be said, and its end ends the robot's half; another
one the packets of the messages, whose bytes lie in memory that both halves have (`way`).
Nothing of it has a name, so nothing stays behind. For one thread.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

from tectum.clock import NS_PER_MS, NS_PER_S, Clock
from tectum.errors import DeviceError
from tectum.node.control import Lines
from tectum_nodes.ros2.way import ROOM, Ring, Way

__all__ = ["Handed", "RobotProcess"]

_PROGRAM = Path(__file__).with_name("robot.py")
_READY_NS = 50 * NS_PER_S
_GRACE_S = 0.7
_KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "134217728"}
"""For the C library: what one large message took is kept for the next, else its pages are given
back and cleared anew for every copy that rclpy makes of it."""
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
    """Valid until it is `done`."""
    end: int = 0
    """Where its bytes end, for `done`."""


class RobotProcess:
    """A Python with rclpy that bridges."""

    def __init__(self, name: str, clock: Clock, python: str, setup: tuple[str, ...]) -> None:
        """Start nothing yet.

        Raises:
            DeviceError: there is no such Python, or no such file to source.
        """
        self._name, self._clock, self._python = name, clock, python
        self._command = _command(name, python, setup)
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._lines = Lines()
        self._packets: socket.socket | None = None
        self._way: Way | None = None

    def start(self, plan: Mapping[str, Any]) -> str:
        """Start it with a plan (see `robot`), wait until it is ready, return its middleware.

        Raises:
            DeviceError: it cannot work, and why.
        """
        with contextlib.ExitStack() as stack:
            self._control, control = socket.socketpair()
            self._packets, packets = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            given = {"packets": stack.enter_context(packets).fileno()}
            for way in ("to_graph", "to_ros"):
                given[way] = stack.enter_context(_memory()).fileno()
            rings = Ring(given["to_ros"]), Ring(given["to_graph"])
            self._way = Way(self._packets, *rings)
            descriptor = stack.enter_context(control).fileno()
            command = [str(descriptor) if word is _FD else word for word in self._command]
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                pass_fds=(descriptor, *given.values()),
                env=_environment(),
            )
        with contextlib.suppress(OSError):  # it has ended already: that is seen below
            self._control.sendall((json.dumps({**plan, "descriptors": given}) + "\n").encode())
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

    @property
    def descriptor(self) -> int:
        """Return what can be read when it hands something over."""
        assert self._packets is not None, "`start` makes it"
        return self._packets.fileno()

    def wait(self, timeout_ns: int) -> None:
        """Wait until it hands something over."""
        select.select([self.descriptor], [], [], timeout_ns / NS_PER_S)

    def receive(self) -> Handed | None:
        """Return what it has handed over next; None: nothing.

        Raises:
            DeviceError: it has ended.
        """
        assert self._way is not None, "`start` makes it"
        try:
            came = self._way.receive(0)
        except EOFError:
            self._end_of_packets()
            return None
        if came is None:
            return None
        place, heard, lost, begin, size, end = came
        return Handed(place, heard, lost, self._way.look(begin, size) if size else None, end)

    def _end_of_packets(self) -> None:
        """Say how it ended: its end of the socket is closed, the process is about to."""
        assert self._process is not None, "`start` makes it"
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)
        self.check()
        self._fail("the robot's half of the bridge has closed its end")

    def done(self, handed: Handed) -> None:
        """Give back the bytes of what was handed over, in the order in which it came."""
        assert self._way is not None, "`start` makes it"
        self._way.done(handed.end)

    def publish(self, place: int, data: bytes) -> bool:
        """Have it publish on a topic of those that it says; False: there is no room."""
        assert self._way is not None, "`start` makes it"
        return self._way.send(place, 0, 0, data)

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
        if self._packets is not None:
            self._packets.close()

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


def _memory() -> IO[bytes]:
    """Return a file in memory, where there is such, without a name."""
    shared = Path("/dev/shm")
    file = tempfile.TemporaryFile(dir=shared if shared.is_dir() else None)  # noqa: SIM115
    file.truncate(ROOM)
    return file


def _environment() -> dict[str, str]:
    """Return the environment without what is of our own Python."""
    own = ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONSAFEPATH", "__PYVENV_LAUNCHER__")
    return _KEEP_MEMORY | {key: value for key, value in os.environ.items() if key not in own}
