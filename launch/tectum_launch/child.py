"""One process of a graph: started, heard, asked, signalled, reaped. It decides nothing.

It has one node, or several where the graph says so. It leads a process group of its own, so that
what it starts ends with it; it inherits one socket, by which it reports and is ordered, and whose
end tells it that the launcher is gone. Start it from the main thread: on Linux a process dies with
the thread that started it. `starting` says how a process is started.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tectum.node.control import Lines, Order, Report, order_line, parse_report
from tectum_launch.nursery import Nursery
from tectum_launch.starting import start_process

__all__ = ["Child", "cause_of"]


def cause_of(code: int, last_words: str) -> str:
    """Return how a process ended, for a person."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    said = f": {last_words}" if last_words else ""
    return f"exit code {code}{said}"


class Child:
    """The process of some nodes."""

    def __init__(
        self,
        nodes: tuple[str, ...],
        run: Path,
        environment: Mapping[str, str],
        nursery: Nursery | None = None,
    ) -> None:
        """Start it: forked by `nursery` where that is given and can, else from scratch."""
        self.nodes = nodes
        self.ended: set[str] = set()
        """Those of its nodes that have ended by themselves while others go on."""
        self.failed: set[str] = set()
        """Those of its nodes that said why they cannot go on; the others end with them."""
        self.halted = False
        """Whether it was asked to end."""
        self.last_words = ""
        """The last line that it wrote to stderr."""
        self.control, theirs = socket.socketpair()
        self.control.setblocking(False)
        self._reports = Lines()
        with theirs:
            self._process = start_process(nodes, run, environment, theirs, nursery)
        self._text: dict[int, Lines] = {}
        for stream in self._process.streams:
            os.set_blocking(stream, False)
            self._text[stream] = Lines()

    @property
    def ends(self) -> bool:
        """Return whether all of its nodes end now, so that none of them ends by itself."""
        return self.halted or bool(self.failed)

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    @property
    def streams(self) -> tuple[int, ...]:
        """Return the descriptors of its stdout and stderr."""
        return tuple(self._text)

    def exit_code(self) -> int | None:
        """Return its exit code (negative: the signal), or None while it lives."""
        return self._process.poll()

    def is_frozen(self) -> bool:
        """Return whether somebody has stopped it (SIGSTOP), where the system can tell."""
        if not hasattr(os, "waitid"):
            return False
        options = os.WSTOPPED | os.WCONTINUED | os.WNOHANG | os.WNOWAIT
        try:
            state = os.waitid(os.P_PID, self.pid, options)
        except ChildProcessError:
            return False
        return state is not None and state.si_code in (os.CLD_STOPPED, os.CLD_TRAPPED)

    def reports(self) -> list[Report] | None:
        """Return what it has reported since the last call; None once its end is closed."""
        data = _read(self.control.recv)
        if not data:
            return None if data is None else []
        return [report for line in self._reports.feed(data) if (report := parse_report(line))]

    def lines(self, stream: int) -> list[str] | None:
        """Return the lines that it has written to `stream` since; None once that is closed."""
        data = _read(lambda size: os.read(stream, size))
        if not data:
            return None if data is None else []
        lines = [line.decode(errors="replace").rstrip() for line in self._text[stream].feed(data)]
        if stream == self.streams[1]:
            self.last_words = next((line for line in reversed(lines) if line), self.last_words)
        return lines

    def order(self, order: Order) -> None:
        """Send an order; a process that no longer hears is dealt with by signals."""
        with contextlib.suppress(OSError):
            self.control.send(order_line(order))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and to all that it has started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def remaining_lines(self) -> Iterator[tuple[int, str]]:
        """Yield what is left in the pipes of a process that has ended."""
        for stream in self.streams:
            while lines := self.lines(stream):
                yield from ((stream, line) for line in lines)

    def close(self) -> None:
        """Reap it, and end what it left running in its group."""
        self._process.wait()
        self.signal(signal.SIGKILL)
        self.control.close()
        for stream in self.streams:
            os.close(stream)


def _read(source: Callable[[int], bytes]) -> bytes | None:
    """Return what there is to read, no bytes where there is nothing now; None at the end."""
    try:
        return source(65536) or None
    except BlockingIOError:
        return b""
    except OSError:
        return None
