"""Waiting for sockets and for a wake-up from another thread, to the microsecond.

`zmq.Poller` counts in milliseconds, which is coarse beside a delivery margin of 2 ms; `select` on
the sockets' descriptors is not. A descriptor of ZeroMQ only says that something changed (libzmq,
ZMQ_FD), so `ZMQ_EVENTS` is read before every wait; one of the system says what is.
"""

from __future__ import annotations

import contextlib
import select
import socket

import zmq

from tectum.clock import NS_PER_S, Clock

__all__ = ["Waiter", "can_be_read"]

_EVENTS, _POLLIN = zmq.EVENTS, int(zmq.POLLIN)


def can_be_read(item: zmq.Socket[bytes]) -> bool:
    """Return whether a message waits in a socket."""
    return bool(int(item.get(_EVENTS)) & _POLLIN)


class Waiter:
    """Waits until one of its sockets can be read. For one thread, `wake` excepted."""

    def __init__(self, clock: Clock, *sockets: zmq.Socket[bytes]) -> None:
        """Wait for `sockets` by `clock`."""
        self._clock = clock
        self._sockets = sockets
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._plain: list[int] = []
        self._descriptors = [self._reader.fileno(), *(int(item.FD) for item in sockets)]

    def add(self, descriptor: int) -> None:
        """Wait for a descriptor of the system as well."""
        self._plain.append(descriptor)
        self._descriptors.append(descriptor)

    def remove(self, descriptor: int) -> None:
        """Wait for a descriptor no longer, before it is closed."""
        self._plain.remove(descriptor)
        self._descriptors.remove(descriptor)

    def wait(self, timeout_ns: int) -> bool:
        """Return True when a socket can be read or `wake` was called, False on time-out."""
        until_ns = self._clock.now_ns() + timeout_ns
        while not self._readable():
            changed = self.wait_for_change(until_ns - self._clock.now_ns())
            if not changed:
                return False
            if any(item in changed for item in (self._descriptors[0], *self._plain)):
                return True
        return True

    def wait_for_change(self, timeout_ns: int) -> list[int]:
        """Return what is readable or changed when that is something, nothing on time-out.

        For who has just seen that nothing waits in the sockets and has not used them since. What
        has changed may concern libzmq alone.
        """
        timeout_s = timeout_ns / NS_PER_S if timeout_ns > 0 else 0
        changed = select.select(self._descriptors, [], [], timeout_s)[0]
        if self._descriptors[0] in changed:
            self._forget_wakes()
        return changed

    def wake(self) -> None:
        """End a `wait` now or the next one; may be called from any thread or signal handler."""
        with contextlib.suppress(OSError):  # full: it is awake already; closed: nobody waits
            self._writer.send(b"\0")

    def close(self) -> None:
        """Give back the descriptors; the sockets belong to the caller."""
        self._reader.close()
        self._writer.close()

    def _readable(self) -> bool:
        return any(can_be_read(item) for item in self._sockets)

    def _forget_wakes(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._reader.recv(4096)
