"""The flag that ends a run early: options of ONNX Runtime, lent to one run at a time.

Making one takes as long as a small head does. ONNX Runtime's flag is sticky: one that was raised is
never lent again, and whoever would raise it for a run that has ended comes too late.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

__all__ = ["Flag", "Flags", "run_options"]


class Flag:
    """The options of one run at a time."""

    __slots__ = ("_loan", "_raised", "options")

    _lock = threading.Lock()
    """One for all: held for moments, and made for none."""

    def __init__(self) -> None:
        """Make new ones."""
        self.options = run_options()
        self._loan, self._raised = 0, False

    def raiser(self) -> Callable[[], None]:
        """Return what ends the run that it is lent to now, and no other."""
        return partial(self._raise, self._loan)

    def lower(self) -> bool:
        """Take it back from its run; return whether it may be lent again."""
        with self._lock:
            self._loan += 1
            return not self._raised

    def _raise(self, loan: int) -> None:
        with self._lock:
            if loan == self._loan:
                self._raised = self.options.terminate = True


class Flags:
    """Those of the runs of one session. May be called from several threads."""

    def __init__(self) -> None:
        """Begin with none."""
        self._idle: deque[Flag] = deque()

    def lend(self) -> Flag:
        """Return one that no run has."""
        try:
            return self._idle.pop()
        except IndexError:
            return Flag()

    def take_back(self, flag: Flag) -> None:
        """Keep it for another run, if it can serve one."""
        if flag.lower():
            self._idle.append(flag)


def run_options() -> Any:
    """Return options of a run."""
    import onnxruntime  # noqa: PLC0415 - heavy

    options = onnxruntime.RunOptions()
    options.log_severity_level = 4  # a stopped run is no error: the exception says it
    return options
