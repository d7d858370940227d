"""The signals that ask a launcher to stop, as bytes on a socket: for its loop to read."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Iterator
from types import FrameType

__all__ = ["signals_as_bytes"]


@contextlib.contextmanager
def signals_as_bytes() -> Iterator[socket.socket]:
    """Give a socket on which SIGINT, SIGTERM and SIGHUP arrive as bytes."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, _nothing) for number in numbers}
    former = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(former)
        for number, handler in before.items():
            signal.signal(number, handler)
        reader.close()
        writer.close()


def _nothing(number: int, frame: FrameType | None) -> None:
    """Leave it to the loop: the interpreter has already written to the wake-up socket."""
    del number, frame
