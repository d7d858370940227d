"""Record a graph that is running already: a recorder joins it for a while, and nobody waits for it.

The recorder lives in this process as one more node of the run: it has a folder entry of its own in
memory only, hears what it is told to, and ends with the run, after a duration, or on Ctrl-C.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tectum.clock import NS_PER_MS, GraphClock
from tectum.node.host import NodeHost
from tectum.rundir import find_run, is_alive, read_run
from tectum.transport.endpoint import ipc_endpoint
from tectum_launch.registry import SHIPPED

__all__ = ["Joined", "record_run"]

_LOOK_NS = 100 * NS_PER_MS
"""Between two looks at whether the run still lives."""


@dataclass(frozen=True, slots=True)
class Joined:
    """What is to be recorded, and for how long."""

    log: Path
    topics: tuple[str, ...] = ("*",)
    run: str | None = None
    """Id or folder; None: the newest living run."""
    duration_ns: int = 0
    """0: until the run ends."""


def record_run(joined: Joined) -> Path:
    """Record until the run ends, the duration is over, or Ctrl-C; return the log.

    Raises:
        DataError: no such run lives, or the log exists or cannot be written.
        ConfigError: a topic is not published in the run.
    """
    folder = find_run(joined.run)
    run = read_run(folder)
    name = f"record-{os.getpid()}"
    run["nodes"][name] = _record(folder, name, joined)
    clock = GraphClock(int(run["offset_ns"]))
    recorder = _Recorder(NodeHost(name, run, folder, clock))
    end_ns = clock.now_ns() + joined.duration_ns
    try:
        while recorder.is_alive() and is_alive(run):
            if joined.duration_ns and clock.now_ns() >= end_ns:
                break
            clock.sleep_until_ns(clock.now_ns() + _LOOK_NS)
    except KeyboardInterrupt:
        pass  # asked to end, which is no failure
    recorder.finish()
    return joined.log


class _Recorder(threading.Thread):
    """The loop thread of the recorder."""

    def __init__(self, host: NodeHost) -> None:
        super().__init__(name="recorder", daemon=True)
        self._host = host
        self._error: Exception | None = None
        host.start()
        self.start()

    def run(self) -> None:
        try:
            self._host.live(lambda report: None)
        except Exception as error:  # raised again by `finish`
            self._error = error

    def finish(self) -> None:
        """Let the recorder write what it has heard, and wait for it."""
        self._host.stop()
        self.join()
        if self._error is not None:
            raise self._error


def _record(folder: Path, name: str, joined: Joined) -> dict[str, Any]:
    """Return the recorder's entry among the nodes of the run."""
    return {
        "class": SHIPPED["recorder"],
        "config": {"path": str(joined.log.resolve()), "topics": list(joined.topics)},
        "endpoint": ipc_endpoint(folder, name),
        "outputs": {},
        "subscribes": list(joined.topics),
        "subscribers": [],
        "pid": os.getpid(),
    }
