"""The process of a node, or of several: `python -m tectum.node --run DIR --node NAME ...`.

Exit codes: 0 they ended by themselves or were asked to, 1 something is wrong that a person can put
right (one line on stderr), 3 a bug (with its traceback). Without `--control-fd` there is no
launcher: a node starts by itself as soon as its subscribers have joined, and ends on Ctrl-C.
Nodes that share a process have a thread each, and share their fate: where one fails all end.
"""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import zmq

from tectum.clock import GraphClock
from tectum.errors import TectumError
from tectum.node.control import Channel, Report, State
from tectum.node.host import NodeHost
from tectum.node.scheduling import Scheduling, apply_scheduling, scheduling_from
from tectum.node.watcher import Watcher, die_with_launcher
from tectum.rundir import read_run
from tectum.transport.security import Doorman

__all__ = ["main"]

SWITCH_INTERVAL_S = 0.0005
"""A busy Python thread makes a 3 ms wake-up late by 5.2 ms at the default, by 0.7 ms at this."""
LAST_WORDS_MS = 200


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the nodes and return the exit code of the process."""
    options = _options(arguments)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    _log_lines(named=len(options.node) > 1)
    channel = None
    if options.control_fd is not None:
        channel = Channel(socket.socket(fileno=options.control_fd))
        if not die_with_launcher(options.launcher or os.getppid()):
            return 1
    code = _Household(channel).live(options.node, options.run)
    Doorman.dismiss()
    zmq.Context.instance().destroy(linger=LAST_WORDS_MS)
    return code


def leave(code: int) -> None:
    """End the process; a reader thread that hangs in a driver does not keep it."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    if threading.active_count() > 2:  # besides this one and the watcher
        os._exit(code)
    sys.exit(code)


class _Household:
    """The nodes of this process."""

    def __init__(self, channel: Channel | None) -> None:
        self._channel = channel
        self._hosts: dict[str, NodeHost] = {}
        self._codes: list[int] = []

    def live(self, names: Sequence[str], folder: Path) -> int:
        """Live the lives of all nodes and return the worst of their exit codes."""
        try:
            run = read_run(folder)
            clock = GraphClock(int(run["offset_ns"]))
            self._hosts = {name: NodeHost(name, run, folder, clock) for name in names}
        except TectumError as error:
            return self._failed(names[0], error)
        for sentence in apply_scheduling(_scheduling(run, names)):
            logging.getLogger("tectum.node").warning(sentence, extra={"node": names[0]})
        watcher = Watcher(self._channel, on_start=self._start, on_stop=self._stop)
        first, *others = self._hosts.values()
        threads = [threading.Thread(target=self._live_one, args=(host,)) for host in others]
        for thread in threads:
            thread.start()
        self._live_one(first)
        for thread in threads:
            thread.join()
        watcher.close()
        return max(self._codes)

    def _live_one(self, host: NodeHost) -> None:
        code = 0
        try:
            host.live(self._report)
        except Exception as error:
            code = self._failed(host.name, error)
            self._stop()
        self._codes.append(code)

    def _failed(self, name: str, error: Exception) -> int:
        """Say what went wrong and return the exit code that says of which kind it is."""
        if isinstance(error, TectumError):
            line = " ".join(str(error).split())
            self._report(Report(name, State.FAILED, line))
            sys.stderr.write(f"{line}\n")
            return 1
        self._report(Report(name, State.FAILED, f"{type(error).__name__}: {error}"))
        traceback.print_exception(error)
        return 3

    def _report(self, what: Report) -> None:
        if self._channel is not None:
            self._channel.report(what)
        elif what.state is State.JOINED:
            self._hosts[what.node].start()

    def _start(self) -> None:
        for host in self._hosts.values():
            host.start()

    def _stop(self) -> None:
        for host in self._hosts.values():
            host.stop()


def _scheduling(run: Mapping[str, Any], names: Sequence[str]) -> Scheduling:
    """Return what the nodes of a process ask for together."""
    asked: dict[str, Any] = {}
    for name in names:
        asked |= run["nodes"][name].get("scheduling", {})
    return scheduling_from(asked)


def _log_lines(*, named: bool) -> None:
    """Write log lines to stderr, with the node's name where several share the process."""
    form = "%(levelname)s [%(node)s] %(message)s" if named else "%(levelname)s %(message)s"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(form, defaults={"node": ""}))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tectum.node", description="Run nodes.")
    parser.add_argument("--run", type=Path, required=True, help="directory of the run")
    parser.add_argument(
        "--node", action="append", required=True, help="name of a node in the graph; repeatable"
    )
    parser.add_argument("--control-fd", type=int, help="socket inherited from the launcher")
    parser.add_argument("--launcher", type=int, help="process id of the launcher")
    return parser.parse_args(arguments)
