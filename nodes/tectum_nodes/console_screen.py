"""A terminal that is drawn on in place, without ever waiting for it.

A terminal may be slow or stopped (Ctrl-S); pictures that it cannot take are left out. The terminal
is opened anew by its path, so that not waiting is a matter of this opening alone.
"""

from __future__ import annotations

import io
import os
import select
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["Screen"]

_LAST_WORDS_S = 0.2


class Screen:
    """A context manager that takes a terminal and gives it back."""

    def __init__(self, path: str) -> None:
        """Draw on the terminal at `path`."""
        self._path = path

    def __enter__(self) -> Screen:
        from rich.console import Console  # noqa: PLC0415 - where it is used
        from rich.live import Live  # noqa: PLC0415

        self._file = _Unhurried(os.open(self._path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK))
        self._console = Console(file=cast("IO[str]", self._file), force_terminal=True)
        self._measure()
        self._live = Live(console=self._console, auto_refresh=False)
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        self._file.finish()

    def show(self, view: RenderableType) -> None:
        """Draw `view` in place of the one before, unless the terminal still takes that one."""
        if self._file.pump():
            self._measure()
            self._live.update(view, refresh=True)
            self._file.pump()

    def _measure(self) -> None:
        """Follow the terminal's size, which rich looks for at this process's own streams."""
        width, height = os.get_terminal_size(self._file.fileno())
        if width and height:
            self._console.size = (width, height)


class _Unhurried(io.TextIOBase):
    """Text for a terminal, kept until it can be written."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._waiting = b""

    def fileno(self) -> int:
        return self._fd

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._waiting += text.encode()
        return len(text)

    def pump(self) -> bool:
        """Write what the terminal takes; return whether that was all."""
        try:
            while self._waiting:
                self._waiting = self._waiting[os.write(self._fd, self._waiting) :]
        except BlockingIOError:
            return False
        return True

    def finish(self) -> None:
        """Write the rest, if the terminal takes it soon, and close."""
        while not self.pump():
            if not select.select([], [self._fd], [], _LAST_WORDS_S)[1]:
                break
        os.close(self._fd)
        self.close()
