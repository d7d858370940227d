"""Where a player is told to pause, resume, step, seek or play faster: a socket in the run's folder.

    -> {"order": "pause" | "resume" | "toggle" | "step" | "seek" | "rate" | "status", "by_ns": ..,
        "to_ns": .., "rate": ..}
    <- {"state": "playing" | "paused", "at_ns": .., "begin_ns": .., "end_ns": .., "rate": ..}
       or {"error": "..."}

Lines of JSON, one answer each; `at_ns`, `begin_ns`, `end_ns` are log times, `by_ns` recorded time.
The folder is private to its owner, and so is the socket. A thread of its own hears; orders are
carried out by the player, who then answers.
"""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tectum.errors import ConfigError, DataError

__all__ = ["SUFFIX", "Asked", "PlaybackDesk", "PlaybackOrder", "parse_order", "send_order"]

SUFFIX = ".playback"
"""Of the socket's name, behind that of the node."""
_ANSWER_S = 2.0
_LONGEST = 4096
ORDERS = ("pause", "resume", "toggle", "step", "seek", "rate", "status")


@dataclass(frozen=True, slots=True)
class PlaybackOrder:
    """What a player is told."""

    order: str
    by_ns: int = 0
    """step: how much recorded time, 0: the player's choice; seek: from where it is."""
    to_ns: int | None = None
    """seek: the log time; goes before `by_ns`."""
    rate: float = 0.0


@dataclass(slots=True)
class Asked:
    """An order that waits to be carried out, and then its answer."""

    order: PlaybackOrder
    answered: threading.Event = field(default_factory=threading.Event)
    answer: dict[str, Any] = field(default_factory=dict)


class PlaybackDesk:
    """The player's end. `open` and `close` from the loop thread, `serve` from the reader thread."""

    def __init__(self, folder: Path, node: str) -> None:
        """Listen in `folder`, for the player called `node`."""
        self._path = folder / f"{node}{SUFFIX}"
        self._asked: queue.SimpleQueue[Asked] = queue.SimpleQueue()
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Begin to listen.

        Raises:
            OSError: the folder takes no socket (its path is too long for one, for instance).
        """
        self._path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX)
        try:
            listening.bind(str(self._path))
            self._path.chmod(0o600)
            listening.listen(4)
        except OSError:
            listening.close()
            raise
        self._socket = listening
        threading.Thread(target=self._hear, name="playback desk", daemon=True).start()

    def ask(self, order: PlaybackOrder) -> Asked:
        """Leave an order for the player; from any thread."""
        asked = Asked(order)
        self._asked.put(asked)
        return asked

    def serve(self, obey: Callable[[PlaybackOrder], dict[str, Any]]) -> None:
        """Carry out what has been asked; `obey` returns the answer."""
        for asked in self._waiting():
            asked.answer = obey(asked.order)
            asked.answered.set()

    def close(self) -> None:
        """Listen no more; who still waits is told that the player has ended."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None
            self._path.unlink(missing_ok=True)
        for asked in self._waiting():
            asked.answer = {"error": "the player has ended"}
            asked.answered.set()

    def _waiting(self) -> Iterator[Asked]:
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._asked.get_nowait()

    def _hear(self) -> None:
        listening = self._socket
        while listening is not None:
            try:
                connection, _ = listening.accept()
            except OSError:
                return  # closed
            with connection, contextlib.suppress(OSError, UnicodeDecodeError):
                connection.settimeout(_ANSWER_S)
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        with connection.makefile("rwb") as lines:
            line = lines.readline(_LONGEST)
            try:
                asked = self.ask(parse_order(line))
            except ConfigError as error:
                answer: dict[str, Any] = {"error": str(error)}
            else:
                done = asked.answered.wait(_ANSWER_S)
                answer = asked.answer if done else {"error": "the player does not answer"}
            lines.write(json.dumps(answer).encode() + b"\n")


def parse_order(line: bytes) -> PlaybackOrder:
    """Return the order in a line.

    Raises:
        ConfigError: it is none.
    """
    try:
        document = json.loads(line)
        to_ns = document.get("to_ns")
        order = PlaybackOrder(
            str(document["order"]),
            int(document.get("by_ns", 0)),
            None if to_ns is None else int(to_ns),
            float(document.get("rate", 0.0)),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        msg = "an order to a player is a line of JSON with a key 'order'"
        raise ConfigError(msg) from error
    if order.order not in ORDERS:
        msg = f"a player does not know {order.order!r}; it knows {', '.join(ORDERS)}"
        raise ConfigError(msg)
    if order.order == "rate" and not 0.01 <= order.rate <= 100:
        msg = f"rate {order.rate:g}: a player takes 0.01 to 100"
        raise ConfigError(msg)
    if order.order == "step" and order.by_ns < 0:
        msg = f"step {order.by_ns} ns: a step goes forward; seek goes back"
        raise ConfigError(msg)
    return order


def send_order(path: Path, order: PlaybackOrder) -> dict[str, Any]:
    """Tell the player whose socket is `path`, and return its answer.

    Raises:
        DataError: it does not answer, or refuses.
    """
    document = {"order": order.order, "by_ns": order.by_ns, "to_ns": order.to_ns}
    document["rate"] = order.rate
    name = path.name.removesuffix(SUFFIX)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2 * _ANSWER_S)
            connection.connect(str(path))
            connection.sendall(json.dumps(document).encode() + b"\n")
            with connection.makefile("rb") as lines:
                answer = json.loads(lines.readline(_LONGEST))
    except (OSError, ValueError) as error:
        msg = f"the player {name} does not answer: {error}"
        raise DataError(msg) from error
    if not isinstance(answer, dict) or "error" in answer:
        msg = f"the player {name}: {answer.get('error') if isinstance(answer, dict) else answer}"
        raise DataError(msg)
    return answer
