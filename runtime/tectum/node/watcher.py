"""The thread that hears what a process is told from outside: orders, SIGTERM, its launcher's end.

A thread of its own, so that a loop that is busy or stuck is stopped all the same: when the launcher
is gone the process ends within `GRACE_NS`, whatever its nodes do. Where the kernel can promise it
(Linux), the process also dies with its launcher.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable

from tectum.clock import NS_PER_S
from tectum.node.control import Channel, Order

__all__ = ["Watcher", "die_with_launcher"]

GRACE_NS = NS_PER_S
_PR_SET_PDEATHSIG = 1


def die_with_launcher(launcher: int) -> bool:
    """Let the kernel kill this process when its launcher dies; False where that has happened.

    The signal follows the thread that started this process (prctl(2)): a launcher starts its
    nodes from a thread that lives as long as itself.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == launcher


class Watcher:
    """Turns orders and signals into calls. Made in the main thread, before nodes open."""

    def __init__(
        self, channel: Channel | None, *, on_start: Callable[[], None], on_stop: Callable[[], None]
    ) -> None:
        """Watch `channel` and SIGTERM; the calls come from the watcher's thread.

        SIGINT is ignored where there is a launcher: Ctrl-C reaches it as well, and it decides.
        """
        self._channel = channel
        self._on_start, self._on_stop = on_start, on_stop
        self._signalled, self._signal_writer = socket.socketpair()
        self._signal_writer.setblocking(False)
        self._ended = threading.Event()
        signal.set_wakeup_fd(self._signal_writer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, _leave_it_to_the_thread)
        signal.signal(signal.SIGINT, signal.SIG_IGN if channel else _leave_it_to_the_thread)
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Say that the process ends by itself; the thread ends with the process."""
        self._ended.set()

    def _watch(self) -> None:
        sources: list[Channel | socket.socket] = [self._signalled]
        if self._channel is not None:
            sources.append(self._channel)
        while True:
            readable, _, _ = select.select(sources, [], [])
            if self._signalled in readable:
                self._signalled.recv(4096)
                self._on_stop()
            if self._channel in readable and not self._obey(self._channel):
                break
        self._on_stop()
        if not self._ended.wait(GRACE_NS / NS_PER_S):
            os._exit(1)

    def _obey(self, channel: Channel | None) -> bool:
        """Carry out the orders that have come; False when the launcher is gone."""
        orders = channel.orders() if channel else None
        if orders is None:
            return False
        for order in orders:
            if order is Order.START:
                self._on_start()
            else:
                self._on_stop()
        return True


def _leave_it_to_the_thread(number: int, frame: object) -> None:
    """Do nothing: the interpreter has already written to the wake-up descriptor."""
    del number, frame
