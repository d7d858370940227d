"""Who may connect from another host, and how: CURVE with known keys, or not at all.

`Secured` sets a socket up as one end of an encrypted connection. Every process that listens to
other hosts has one doorman: a thread that is asked by libzmq about each peer (ZAP, RFC 27) and says
by name whom it lets in and whom it refuses. `Insecure` is for graphs that ask for it in so many
words; it is said loudly and often.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any

import zmq
from zmq.utils import z85

from tectum.repeated import has_doubled
from tectum.transport.keys import KeyRing

__all__ = ["Doorman", "Insecure", "Secured", "Security"]

ZAP_ENDPOINT = "inproc://zeromq.zap.01"
DOMAIN = b"tectum"
KEYS_REMEMBERED = 256
"""Of peers that were refused, so that each is named once."""
PARTING_S = 1.0
"""How long a doorman that is dismissed may take to go."""
_DISMISSAL = b""
"""Not a question of libzmq, whose questions begin with a version; only this process is heard."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Secured:
    """Encrypted, between hosts that know each other's keys."""

    keys: KeyRing

    def guard_server(self, socket: zmq.Socket[Any]) -> None:
        """Let only trusted hosts connect to `socket`, which is bound afterwards."""
        Doorman.at_work(self.keys)
        socket.set(zmq.CURVE_SERVER, 1)
        socket.set(zmq.CURVE_SECRETKEY, _z85(self.keys.secret))
        socket.set(zmq.ZAP_DOMAIN, DOMAIN)
        with contextlib.suppress(AttributeError):
            socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)

    def guard_client(self, socket: zmq.Socket[Any], host: str) -> None:
        """Let `socket`, in connections that are made afterwards, speak with `host` alone.

        Raises:
            ConfigError: the key of `host` is not known here.
        """
        socket.set(zmq.CURVE_SERVERKEY, _z85(self.keys.of(host)))
        socket.set(zmq.CURVE_PUBLICKEY, _z85(self.keys.public))
        socket.set(zmq.CURVE_SECRETKEY, _z85(self.keys.secret))


@dataclass(frozen=True, slots=True)
class Insecure:
    """Neither encrypted nor authenticated: `insecure: true` in the graph."""

    def guard_server(self, socket: zmq.Socket[Any]) -> None:
        """Say that anybody who reaches this host can listen."""
        del socket
        _log.warning("INSECURE: anybody on the network can listen, and nothing is encrypted")

    def guard_client(self, socket: zmq.Socket[Any], host: str) -> None:
        """Say that nobody knows who is at the other end."""
        del socket
        _log.warning("INSECURE: whoever answers as %s is believed, nothing is encrypted", host)


Security = Secured | Insecure


class Doorman:
    """Answers libzmq's questions about peers in this process, in a thread of its own."""

    _at_work: Doorman | None = None
    _lock = threading.Lock()

    def __init__(self, keys: KeyRing) -> None:
        """Begin to answer; use `at_work`, since libzmq asks one doorman per process."""
        self.keys = keys
        self.refused: Counter[tuple[str, str]] = Counter()
        """Address and key -> how often they were refused; of an address with ever new keys those
        beyond `KEYS_REMEMBERED` count together."""
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.REP)
        self._socket.set(zmq.LINGER, 0)
        self._socket.bind(ZAP_ENDPOINT)
        self._thread = threading.Thread(target=self._work, name="doorman", daemon=True)
        self._thread.start()

    @classmethod
    def at_work(cls, keys: KeyRing) -> Doorman:
        """Return the doorman of this process, who trusts the hosts in `keys`."""
        with cls._lock:
            if cls._at_work is None or not cls._at_work._thread.is_alive():
                cls._at_work = cls(keys)
            cls._at_work.keys = keys
            return cls._at_work

    @classmethod
    def dismiss(cls) -> None:
        """End the work of the doorman of this process, if there is one.

        To be called before all sockets of the process are closed: a socket that is closed under
        the thread that waits in it makes libzmq abort the process, or hang.
        """
        with cls._lock:
            doorman, cls._at_work = cls._at_work, None
        if doorman is not None and doorman._thread.is_alive():
            door: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.REQ)
            with door:
                door.set(zmq.LINGER, 0)
                door.connect(ZAP_ENDPOINT)
                door.send(_DISMISSAL)
                doorman._thread.join(PARTING_S)

    def _work(self) -> None:
        with contextlib.suppress(zmq.ContextTerminated, zmq.ZMQError):
            while (question := self._socket.recv_multipart()) != [_DISMISSAL]:
                self._socket.send_multipart(self._answer(question))
        with contextlib.suppress(zmq.ZMQError):
            self._socket.close(0)

    def _answer(self, question: list[bytes]) -> list[bytes]:
        """Return version, request, status, text, user and metadata, as RFC 27 has it."""
        version, request, _, address, _, mechanism, *credentials = [*question, *[b""] * 7][:7]
        key = credentials[0].hex() if credentials else ""
        host = self.keys.owner(key) if mechanism == b"CURVE" else ""
        if host:
            _log.info("%s at %s connects", host, address.decode("ascii", "replace"))
            return [version, request, b"200", b"OK", host.encode(), b""]
        self._refuse(address.decode("ascii", "replace"), key)
        return [version, request, b"400", b"key not trusted", b"", b""]

    def _refuse(self, address: str, key: str) -> None:
        who = (address, key)
        if who not in self.refused and len(self.refused) >= KEYS_REMEMBERED:
            who = (address, "")
        self.refused[who] += 1
        count = self.refused[who]
        if has_doubled(count):
            _log.warning(
                "refused a peer at %s (%d times so far): its key is not trusted; if it is yours, "
                "run: tectum keys trust NAME %s", address, count, key or "KEY",
            )  # fmt: skip


def _z85(key: str) -> bytes:
    return z85.encode(bytes.fromhex(key))
