"""The nursery: a process that has imported what nodes need, and forks them at once when asked.

`python -m tectum.node.nursery --socket FD --launcher PID --import MODULE ... --room SPACES`. Linux.
It speaks over a socket of packets (JSON, with descriptors):

    launcher -> nursery   {"fork": [ARGUMENT ...], "set": {NAME: VALUE}, "unset": [NAME ...]}
                              + control, stdout, stderr
                          {"run": DIR}  {"born": [PID ...]}  {"buried": [PID ...]}
                          {"import": [MODULE ...]}
    nursery -> launcher   {"ready": true}, once; {"pid": PID} for each fork

A node is forked twice, so that it is a child of the launcher, which has made itself the reaper of
its descendants (prctl(2), PR_SET_CHILD_SUBREAPER): it dies and is reaped like one that the launcher
started. The nursery never has a thread or a socket of a node.

It outlives its launcher for a moment: where that was killed, it ends what is left of the nodes'
process groups and removes the run's directory, with sockets and shared memory.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.node import process
from tectum.rundir import process_started, remove_run

__all__ = ["main"]

LARGEST_REQUEST = 64 * 1024
ADOPTION_NS = 2 * NS_PER_S
"""How long a node waits to become a child of the launcher."""
BURIAL_NS = 3 * NS_PER_S // 2
"""How long is waited until killed nodes are gone: one may just be making shared memory."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Fork nodes until the launcher closes its end; then see to what it left."""
    options = _options(arguments)
    connection = socket.socket(fileno=options.socket)
    with contextlib.suppress(ImportError):
        for module in options.imports:
            importlib.import_module(module)
    gc.freeze()  # what is imported stays in pages that all nodes share
    return _Nursery(connection, options.launcher).serve()


class _Nursery:
    """Serves one launcher."""

    def __init__(self, connection: socket.socket, launcher: int) -> None:
        self._connection, self._launcher = connection, launcher
        self._run = ""
        self._groups: set[int] = set()

    def serve(self) -> int:
        with contextlib.suppress(OSError):
            self._connection.send(b'{"ready": true}')
        while True:
            data, descriptors = self._heard()
            if not data:
                self._undertake()
                return 0
            self._heed(json.loads(data), descriptors)
            for descriptor in descriptors:
                os.close(descriptor)

    def _heard(self) -> tuple[bytes, list[int]]:
        """Return the next request and its descriptors; nothing once the launcher is gone."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self._connection, LARGEST_REQUEST, 3)
        except ConnectionError:  # it left without reading all that it was told
            return b"", []
        return data, descriptors

    def _heed(self, request: dict[str, Any], descriptors: list[int]) -> None:
        self._run = request.get("run", self._run)
        self._groups |= set(request.get("born", ()))
        self._groups -= set(request.get("buried", ()))
        for module in request.get("import", ()):
            with contextlib.suppress(ImportError):  # its node will say what is missing
                importlib.import_module(module)
        if "fork" in request:
            self._fork(request, descriptors)

    def _fork(self, request: dict[str, Any], descriptors: list[int]) -> None:
        """Fork a node and say which process it is, once it is the launcher's."""
        reader, writer = os.pipe()
        between = os.fork()
        if between == 0:
            node = os.fork()
            if node == 0:
                os.close(reader)
                os.close(writer)
                self._connection.close()
                _be_node(request, descriptors, self._launcher)
            os.write(writer, str(node).encode())
            os._exit(0)
        os.close(writer)
        os.waitpid(between, 0)
        node = int(os.read(reader, 32))
        os.close(reader)
        self._groups.add(node)
        self._connection.send(json.dumps({"pid": node}).encode())

    def _undertake(self) -> None:
        """End what is left of the nodes of a launcher that is gone, and remove its run."""
        clock = GraphClock()
        until_ns = clock.now_ns() + BURIAL_NS
        while True:
            for group in self._groups:
                _kill(group)
            clock.sleep_until_ns(clock.now_ns() + 10 * NS_PER_MS)
            if clock.now_ns() > until_ns or not any(map(process_started, self._groups)):
                break
        if self._run:
            remove_run(Path(self._run))


def _be_node(request: dict[str, Any], descriptors: list[int], launcher: int) -> None:
    """Live as the process of a node; never returns."""
    code = 1
    try:
        os.setpgid(0, 0)
        control, out, errors = descriptors
        os.dup2(out, 1)
        os.dup2(errors, 2)
        os.close(out)
        os.close(errors)
        _have_environment(request["set"], request["unset"])
        command = [*request["fork"], "--control-fd", str(control), "--launcher", str(launcher)]
        _be_called([sys.executable, "-m", "tectum.node", *command])
        _await_adoption(launcher)
        process.leave(process.main(command))
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _await_adoption(launcher: int) -> None:
    """Wait until this process is the launcher's child; if it never is, the launcher is gone."""
    clock = GraphClock()
    until_ns = clock.now_ns() + ADOPTION_NS
    while os.getppid() != launcher and clock.now_ns() < until_ns:
        clock.sleep_until_ns(clock.now_ns() + NS_PER_MS // 2)


def _have_environment(changed: dict[str, str], removed: list[str]) -> None:
    """Find in the environment what the launcher says, and on the path of modules what is there."""
    os.environ.update(changed)
    for name in removed:
        os.environ.pop(name, None)
    path = changed.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[1:1] = [part for part in path if part and part not in sys.path]


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _be_called(words: Sequence[str]) -> None:
    """Let `ps` and `pgrep -f` show these words, as far as the nursery's own left room (proc(5))."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        begin, end = int(fields[45]), int(fields[46])  # arg_start and arg_end
        text = b"\0".join(word.encode() for word in words)[: end - begin - 1]
        ctypes.memmove(begin, text.ljust(end - begin, b"\0"), end - begin)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tectum.node.nursery")
    parser.add_argument("--socket", type=int, required=True)
    parser.add_argument("--launcher", type=int, required=True)
    parser.add_argument("--import", dest="imports", action="append", default=[])
    parser.add_argument("--room", help="spaces, to be overwritten by the words of a node")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
