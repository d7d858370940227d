"""The process of a node: `python -m tectum.node --run DIR --node NAME [--control-fd N]`.

Exit codes: 0 it ended by itself or was asked to, 1 something is wrong that a person can put right
(one line on stderr), 3 a bug (with its traceback). Without `--control-fd` there is no launcher:
the node starts by itself as soon as its subscribers have joined, and ends on Ctrl-C.
"""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path

import zmq

from tectum.clock import GraphClock
from tectum.errors import TectumError
from tectum.node.control import Channel, Report, State
from tectum.node.host import NodeHost
from tectum.node.watcher import Watcher, die_with_launcher
from tectum.rundir import read_run

__all__ = ["main"]

SWITCH_INTERVAL_S = 0.0005
"""A busy Python thread makes a 3 ms wake-up late by 5.2 ms at the default, by 0.7 ms at this."""
LAST_WORDS_MS = 200


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one node and return the exit code of the process."""
    options = _options(arguments)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    channel = None
    if options.control_fd is not None:
        channel = Channel(socket.socket(fileno=options.control_fd))
        if not die_with_launcher(options.launcher or os.getppid()):
            return 1
    code = _live(options.node, options.run, channel)
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


def _live(name: str, folder: Path, channel: Channel | None) -> int:
    def report(what: Report) -> None:
        if channel is not None:
            channel.report(what)
        elif what.state is State.JOINED:
            host.start()

    watcher = None
    try:
        run = read_run(folder)
        host = NodeHost(name, run, folder, GraphClock(int(run["offset_ns"])))
        watcher = Watcher(channel, on_start=host.start, on_stop=host.stop)
        host.live(report)
        return 0
    except TectumError as error:
        line = " ".join(str(error).split())
        report(Report(name, State.FAILED, line))
        sys.stderr.write(f"{line}\n")
        return 1
    except Exception as error:
        report(Report(name, State.FAILED, f"{type(error).__name__}: {error}"))
        traceback.print_exc()
        return 3
    finally:
        if watcher is not None:
            watcher.close()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tectum.node", description="Run one node.")
    parser.add_argument("--run", type=Path, required=True, help="directory of the run")
    parser.add_argument("--node", required=True, help="name of the node in the graph")
    parser.add_argument("--control-fd", type=int, help="socket inherited from the launcher")
    parser.add_argument("--launcher", type=int, help="process id of the launcher")
    return parser.parse_args(arguments)
