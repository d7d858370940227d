"""How the process of nodes is started: forked from the nursery, or from scratch; and waited for."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from tectum_launch.nursery import Nursery

__all__ = ["Started", "start_process"]


class Started(Protocol):
    """A process that was started. It leads a process group of its own."""

    @property
    def pid(self) -> int:
        """Return its process id."""
        ...

    @property
    def streams(self) -> tuple[int, int]:
        """Return the descriptors of its stdout and stderr."""
        ...

    def poll(self) -> int | None:
        """Return its exit code (negative: the signal), or None while it lives."""
        ...

    def wait(self) -> None:
        """Wait for its end."""
        ...


def start_process(
    nodes: tuple[str, ...],
    run: Path,
    environment: Mapping[str, str],
    control: socket.socket,
    nursery: Nursery | None,
) -> Started:
    """Return the new process of `nodes`; `control` is its end of the control socket."""
    arguments = ["--run", str(run), *(word for node in nodes for word in ("--node", node))]
    if nursery:
        forked = _fork(arguments, environment, control, nursery)
        if forked:
            return forked
    command = [sys.executable, "-m", "tectum.node", *arguments]
    command += ["--control-fd", str(control.fileno()), "--launcher", str(os.getpid())]
    return _FromScratch(command, environment, control)


def _fork(
    arguments: list[str], environment: Mapping[str, str], control: socket.socket, nursery: Nursery
) -> _Forked | None:
    out, errors = os.pipe(), os.pipe()
    ends = (control.fileno(), out[1], errors[1])
    try:
        pid = nursery.fork(arguments, environment, ends)
    finally:
        os.close(out[1])
        os.close(errors[1])
    if pid is not None:
        return _Forked(pid, (out[0], errors[0]))
    os.close(out[0])
    os.close(errors[0])
    return None


class _Forked:
    """A child of this process that the nursery forked."""

    def __init__(self, pid: int, streams: tuple[int, int]) -> None:
        self.pid, self.streams = pid, streams
        self._code: int | None = None

    def poll(self) -> int | None:
        self._reap(os.WNOHANG)
        return self._code

    def wait(self) -> None:
        self._reap(0)

    def _reap(self, options: int) -> None:
        if self._code is None:
            try:
                pid, status = os.waitpid(self.pid, options)
            except ChildProcessError:  # somebody else in this process has reaped it
                pid, status = self.pid, 1 << 8
            self._code = os.waitstatus_to_exitcode(status) if pid else None


class _FromScratch:
    """A child with an interpreter of its own."""

    def __init__(
        self, command: list[str], environment: Mapping[str, str], control: socket.socket
    ) -> None:
        out, errors = os.pipe(), os.pipe()
        self.streams = (out[0], errors[0])
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out[1],
                stderr=errors[1],
                pass_fds=(control.fileno(),),
                process_group=0,
                env=dict(environment),
            )
        except BaseException:
            for stream in self.streams:
                with contextlib.suppress(OSError):
                    os.close(stream)
            raise
        finally:
            os.close(out[1])
            os.close(errors[1])
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.poll()

    def wait(self) -> None:
        self._process.wait()
