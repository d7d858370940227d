"""Keys for a recording that is played: while a graph runs in a terminal, they pause and seek it.

Read in a thread of its own from the terminal on stdin, which is given back as it was. Where stdin
is no terminal nothing is read.
"""

from __future__ import annotations

import os
import select
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tectum.errors import DataError, TectumError
from tectum.rundir import live_runs, read_run
from tectum_launch.playback import find_players, playback_text, tell_players
from tectum_launch.terminal import Terminal

__all__ = ["KEYS", "Keyboard", "playback_keys"]

KEYS: dict[bytes, tuple[str, str]] = {
    b" ": ("toggle", ""),
    b"n": ("step", ""),
    b"\x1b[C": ("seek", "+5s"),
    b"\x1b[D": ("seek", "-5s"),
    b"0": ("seek", "0s"),
}
"""Key -> order and value. The arrows are those to the right and to the left."""
_HELP = "keys: space pauses, n steps, the arrows left and right seek 5 s, 0 begins again"
_LOOK_S = 0.2


@contextmanager
def playback_keys(terminal: Terminal, *, wanted: bool) -> Iterator[None]:
    """Obey the keys while the graph runs, where a recording is played in a terminal."""
    if not (wanted and sys.stdin.isatty() and _has_the_keys(sys.stdin.fileno())):
        yield
        return
    keyboard = Keyboard(sys.stdin.fileno(), terminal)
    terminal.say("", "info", _HELP)
    keyboard.start()
    try:
        yield
    finally:
        keyboard.close()


class Keyboard(threading.Thread):
    """Reads keys from a terminal and tells the players of this process's run."""

    def __init__(self, fd: int, terminal: Terminal) -> None:
        """Read from the terminal `fd`; what comes of a key is said on `terminal`."""
        super().__init__(name="keyboard", daemon=True)
        self._fd, self._terminal = fd, terminal
        self._before = termios.tcgetattr(fd)
        self._done = threading.Event()
        tty.setcbreak(fd, termios.TCSADRAIN)

    def run(self) -> None:
        """Obey keys until `close`."""
        while not self._done.is_set():
            if select.select([self._fd], [], [], _LOOK_S)[0]:
                keys = os.read(self._fd, 64)
                if not keys:
                    return
                self._obey(keys)

    def close(self) -> None:
        """Give the terminal back."""
        self._done.set()
        self.join(2 * _LOOK_S)
        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    def _obey(self, keys: bytes) -> None:
        order = KEYS.get(keys)
        if order is None:
            return
        try:
            answers = tell_players(find_players(_own_run()), *order)
        except TectumError as error:
            self._terminal.say("", "warning", str(error))
            return
        for node, status in answers.items():
            self._terminal.say("", "info", playback_text(node, status))


def _has_the_keys(fd: int) -> bool:
    """Return whether keys come here: a process in the background that asked would be stopped."""
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return True  # no terminal that controls this process: nobody stops it


def _own_run() -> Path:
    """Return the folder of the run that this process launched."""
    for folder in live_runs():
        if read_run(folder).get("pid") == os.getpid():
            return folder
    msg = "the graph does not run yet"
    raise DataError(msg)
