"""The launcher's end of the nursery, from which nodes are forked with everything imported.

Where there is none (another system, or it does not answer) nodes are started from scratch; one that
died is replaced. Start it from the main thread, early: it imports while the graph is compiled. See
`tectum.node.nursery`.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["Nursery"]

IMPORTS = ("tectum.node.sensor", "tectum_nodes.fusion", "onnxruntime", "ruamel.yaml")
"""What nearly every graph needs."""
IMPORTING_S = 60.0
"""How long a launch waits for the imports; starting from scratch would need them for each node."""
ANSWER_S = 5.0
"""A nursery that has not answered by then is replaced."""
CLOSING_S = 1.0
_ROOM = 2048
_SET_REAPER, _GET_REAPER = 36, 37
"""PR_SET_CHILD_SUBREAPER and PR_GET_CHILD_SUBREAPER of prctl(2)."""


class Nursery:
    """A nursery, or the want of one. A context manager."""

    def __init__(self) -> None:
        """Start it, where this system can have one."""
        self._process: subprocess.Popen[bytes] | None = None
        self._was_reaper = 0
        self._ready, self._wait_s = False, 0.0
        self._run = ""
        self._groups: set[int] = set()
        self._modules = list(IMPORTS)
        if sys.platform == "linux":
            self._was_reaper = _reaper()
            _be_reaper(1)
            self._start(IMPORTING_S)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it; it has nothing left to see to."""
        self._tell({"run": ""})
        self._give_up(CLOSING_S)
        if sys.platform == "linux":
            _be_reaper(self._was_reaper)

    def import_modules(self, modules: Iterable[str]) -> None:
        """Import further modules, so that nodes find them imported."""
        self._modules = list(dict.fromkeys([*self._modules, *modules]))
        self._tell({"import": self._modules})

    def watch_run(self, folder: Path) -> None:
        """Remove `folder` with what belongs to it, should this process be killed."""
        self._run = str(folder)
        self._tell({"run": self._run})

    def born(self, pid: int) -> None:
        """Kill this process group, should this process be killed."""
        self._groups.add(pid)
        self._tell({"born": [pid]})

    def buried(self, pid: int) -> None:
        """Take it that this process group is gone."""
        self._groups.discard(pid)
        self._tell({"buried": [pid]})

    def fork(
        self, arguments: Sequence[str], environment: Mapping[str, str], descriptors: Sequence[int]
    ) -> int | None:
        """Return the process id of a new node, a child of this process; None: none was forked.

        Args:
            arguments: of `tectum.node`, but for the control socket and the launcher.
            environment: all that it finds in its environment.
            descriptors: its end of the control socket, its stdout, its stderr.
        """
        had = self._environment
        changed = {key: value for key, value in environment.items() if had.get(key) != value}
        removed = [key for key in had if key not in environment]
        request = {"fork": list(arguments), "set": changed, "unset": removed}
        if not (self._is_ready() and self._tell(request, descriptors)):
            return None
        pid: int | None = self._answer(ANSWER_S, "pid")
        if pid is None:
            self._replace()
        return pid

    def _is_ready(self) -> bool:
        """Return whether it has imported what it was started with; the first time, wait for it."""
        if self._process is not None and not self._ready:
            self._ready = bool(self._answer(self._wait_s, "ready"))
        return self._process is not None and self._ready

    def _answer(self, timeout_s: float, key: str) -> Any:
        """Return what it says, or None where it is gone or does not answer in time."""
        self._socket.settimeout(timeout_s)
        try:
            return json.loads(self._socket.recv(4096)).get(key)
        except (OSError, ValueError):
            return None
        finally:
            self._socket.settimeout(ANSWER_S)

    def _replace(self) -> None:
        """Start another, which sees to what this one did, and is asked once it is ready."""
        self._give_up(0)
        self._start(0)
        self._tell({"run": self._run, "born": list(self._groups), "import": self._modules})

    def _start(self, wait_s: float) -> None:
        """Start it; `wait_s`: how long the first who asks waits for its imports."""
        self._ready, self._wait_s = False, wait_s
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(ANSWER_S)
        command = [sys.executable, "-m", "tectum.node.nursery", "--socket", str(theirs.fileno())]
        command += ["--launcher", str(os.getpid())]
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        command += [word for module in self._modules for word in ("--import", module)]
        with theirs:
            self._process = subprocess.Popen(
                [*command, "--room", " " * _ROOM],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                process_group=0,
                env=self._environment,
            )

    def _tell(self, request: dict[str, Any], descriptors: Sequence[int] = ()) -> bool:
        if self._process is None:
            return False
        try:
            socket.send_fds(self._socket, [json.dumps(request).encode()], list(descriptors))
        except OSError:
            if self._ready:
                self._replace()
            else:
                self._give_up(0)
            return False
        return True

    def _give_up(self, grace_s: float) -> None:
        """End the process; nothing is asked of it any more."""
        process, self._process = self._process, None
        if process is None:
            return
        self._socket.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
        process.kill()
        process.wait()


def _reaper() -> int:
    flag = ctypes.c_int()
    ctypes.CDLL(None).prctl(_GET_REAPER, ctypes.byref(flag), 0, 0, 0)
    return flag.value


def _be_reaper(flag: int) -> None:
    ctypes.CDLL(None).prctl(_SET_REAPER, ctypes.c_ulong(flag), 0, 0, 0)
