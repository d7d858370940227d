"""Why a connection to another host does not come about, or is no more; libzmq itself is silent.

A refused peer of ZeroMQ gets nothing and no error: it would wait for ever. The socket's monitor
tells of handshakes that failed, but not of peers that are hung up on because they do not speak
ZeroMQ at all: those are connections that end without a handshake. Each kind is said when its count
doubles.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

import zmq

from tectum.repeated import has_doubled
from tectum.transport.presence import Presence

__all__ = ["Refusals"]

_AUTH = int(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
_PROTOCOL = int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
_NO_DETAIL = int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
_KINDS = {_AUTH: "not_trusted", _PROTOCOL: "protocol", _NO_DETAIL: "broken_off"}
_BEGUN = int(zmq.EVENT_ACCEPTED) | int(zmq.EVENT_CONNECTED)
_ENDED = int(zmq.EVENT_DISCONNECTED)
_SUCCEEDED = int(zmq.EVENT_HANDSHAKE_SUCCEEDED)
_MOST_PENDING = 1024
_log = logging.getLogger(__name__)


class Refusals:
    """Watches one socket. For its thread; `look` now and then."""

    def __init__(
        self,
        socket: zmq.Socket[Any],
        sentences: Mapping[str, str],
        who: str,
        presence: Presence | None = None,
    ) -> None:
        """Watch `socket`: `sentences` says what each kind means, with places `{who}` and `{at}`.

        Kinds: `not_trusted`, `protocol`, `broken_off`, `stranger`. `presence` is told of the
        connections that came about.
        """
        self._socket, self._sentences, self._who = socket, sentences, who
        self._presence = presence
        events = _AUTH | _PROTOCOL | _NO_DETAIL | _BEGUN | _ENDED | _SUCCEEDED
        self._monitor: zmq.Socket[bytes] = socket.get_monitor_socket(events)
        self.counts: Counter[str] = Counter()
        self._pending: dict[int, str] = {}
        """Connections without a handshake so far: descriptor -> endpoint. The monitor does not say
        whose a handshake was: it is taken for the oldest one's, which leaves the counts right."""

    def look(self) -> None:
        """Take up what has happened, and say it."""
        while int(self._monitor.get(zmq.EVENTS)) & zmq.POLLIN:
            from zmq.utils.monitor import parse_monitor_message  # noqa: PLC0415 - brings asyncio

            event = parse_monitor_message(self._monitor.recv_multipart(zmq.NOBLOCK))
            at = event["endpoint"].decode("utf-8", "replace")
            kind = self._kind(int(event["event"]), int(event["value"]), at)
            if kind:
                self._count(kind, at)

    def close(self) -> None:
        """Stop watching."""
        self._socket.disable_monitor()
        self._monitor.close(0)

    def _kind(self, event: int, descriptor: int, at: str) -> str:
        """Return which kind of refusal an event tells of, or an empty string."""
        if event & _BEGUN:
            self._pending[descriptor] = at
            if len(self._pending) > _MOST_PENDING:
                del self._pending[next(iter(self._pending))]
            return ""
        if event == _ENDED:
            strange = self._pending.pop(descriptor, None) is not None
            if self._presence is not None and not strange:
                _say(self._presence.left(descriptor))
            return "stranger" if strange else ""
        if self._pending:
            connection = next(iter(self._pending))
            endpoint = self._pending.pop(connection)
            if self._presence is not None and event == _SUCCEEDED:
                _say(self._presence.joined(connection, endpoint))
        return _KINDS.get(event, "")

    def _count(self, kind: str, at: str) -> None:
        self.counts[kind] += 1
        if has_doubled(self.counts[kind]):
            sentence = self._sentences[kind].format(who=self._who, at=at)
            _log.warning("%s (%d times so far)", sentence, self.counts[kind])


def _say(sentence: str) -> None:
    if sentence:
        _log.warning("%s", sentence)


LISTENING = {
    "not_trusted": "{who} refused a peer at {at}: its key is not trusted here",
    "protocol": "{who} refused a peer at {at}: it does not encrypt, speaks another protocol, or "
    "has another key for this host than it has",
    "broken_off": "a peer of {who} at {at} broke off before it had said who it is",
    "stranger": "{who} refused a peer at {at}: it does not speak ZeroMQ, or in a version without "
    "encryption",
}
CONNECTING = {
    "not_trusted": "{who} is refused by {at}: the key of this host is not trusted there; there, "
    "run: tectum keys trust NAME KEY, with what `tectum keys list` says here",
    "protocol": "{who} cannot connect to {at}: it speaks another protocol, or does not encrypt",
    "broken_off": "{who} cannot connect to {at}: it broke off; it refuses the key of this "
    "host, has another key than the one that is trusted here, or does not encrypt",
    "stranger": "{who} cannot connect to {at}: what answers there does not speak ZeroMQ",
}
