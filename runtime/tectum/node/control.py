"""What a launcher and a node's process say to each other: lines of JSON over an inherited socket.

    process -> launcher   {"node": NAME, "state": STATE, "error": TEXT, "lasting_ns": N}   Report
    launcher -> process   {"order": ORDER}                                                Order

States come in this order: `ready` (opened; it listens and publishes nothing yet), `joined` (all
its subscribers have connected), `running` (after the start), `spoke` (it published its first
message), `ending` (it closes), `ended` or `failed` (with `error`, one line). `alive` comes every
100 ms from the loop thread; when it stops coming, the loop hangs, unless it said `busy`: silence of
up to `lasting_ns` is no hang. While a node opens or closes, its loop owes no sign of life.
The launcher sends `start` once all are joined, and `stop`. The end of the file means stop now.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Channel", "Lines", "Order", "Report", "State", "order_line", "parse_report"]

MAX_LINE_BYTES = 64 * 1024
MAX_ERROR_LETTERS = 4000


class State(StrEnum):
    """How far a node has come."""

    READY = "ready"
    JOINED = "joined"
    RUNNING = "running"
    ALIVE = "alive"
    BUSY = "busy"
    SPOKE = "spoke"
    ENDING = "ending"
    FAILED = "failed"
    ENDED = "ended"


class Order(StrEnum):
    """What a launcher asks of a process."""

    START = "start"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Report:
    """What a process says of one of its nodes."""

    node: str
    state: State
    error: str = ""
    """Why it failed, for a person."""
    lasting_ns: int = 0
    """How long a busy node will give no sign of life, at most."""


def order_line(order: Order) -> bytes:
    """Return the line that carries `order`."""
    return json.dumps({"order": order}).encode() + b"\n"


def parse_report(line: bytes) -> Report | None:
    """Return the report in `line`, or None for a line that is none."""
    try:
        document = json.loads(line)
        node, state = str(document["node"]), State(document["state"])
        return Report(node, state, document.get("error", ""), int(document.get("lasting_ns", 0)))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


class Lines:
    """Cuts bytes as they come into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes; an endless one is cut and dropped."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            self._rest = b""
        return lines


class Channel:
    """The process's end. `report` may be called from any thread; it never waits."""

    def __init__(self, connection: socket.socket) -> None:
        """Speak over `connection`, one end of a stream socket pair."""
        self._socket = connection
        self._lines = Lines()

    def fileno(self) -> int:
        """Return the descriptor, to wait on it."""
        return self._socket.fileno()

    def report(self, report: Report) -> None:
        """Send `report`; where the launcher does not read or is gone, it is dropped."""
        document: dict[str, str | int] = {"node": report.node, "state": report.state}
        if report.error:
            document["error"] = report.error[:MAX_ERROR_LETTERS]
        if report.lasting_ns:
            document["lasting_ns"] = report.lasting_ns
        line = json.dumps(document) + "\n"
        with contextlib.suppress(OSError):
            self._socket.send(line.encode(), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def orders(self) -> Iterator[Order] | None:
        """Wait for bytes and return the orders in them; None at the end of the file."""
        try:
            data = self._socket.recv(4096)
        except OSError:
            data = b""
        return self._parse(self._lines.feed(data)) if data else None

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    @staticmethod
    def _parse(lines: list[bytes]) -> Iterator[Order]:
        for line in lines:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                yield Order(json.loads(line)["order"])
