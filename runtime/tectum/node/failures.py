"""Saying that stages fail, without drowning everything else that is said.

A stage that fails does so at every trigger: each is named once a second at the most, with how often
it failed meanwhile.
"""

from __future__ import annotations

from logging import Logger, LoggerAdapter
from traceback import extract_tb

from tectum.clock import NS_PER_S, Clock
from tectum.errors import TectumError
from tectum.node.shell import Failure

__all__ = ["FailureLog"]


class FailureLog:
    """Logs failures of one fusion node's stages."""

    def __init__(self, log: Logger | LoggerAdapter[Logger], clock: Clock) -> None:
        """Say them to `log`, by the time of `clock`."""
        self._log, self._clock = log, clock
        self._next_ns: dict[str, int] = {}
        self._unsaid: dict[str, int] = {}

    def add(self, failure: Failure) -> None:
        """Say a failure, or count it."""
        now_ns, stage = self._clock.now_ns(), failure.stage
        if now_ns < self._next_ns.get(stage, 0):
            self._unsaid[stage] = self._unsaid.get(stage, 0) + 1
            return
        self._next_ns[stage] = now_ns + NS_PER_S
        unsaid = self._unsaid.pop(stage, 0)
        times = f" ({unsaid} more times before)" if unsaid else ""
        words = _words(failure.error)
        self._log.error("stage %s (%s) failed: %s%s", stage, failure.variant, words, times)


def _words(error: BaseException) -> str:
    """Return what went wrong; of an accident in a user's own code also its kind and place."""
    if isinstance(error, TectumError):
        return str(error)
    steps = extract_tb(error.__traceback__)
    where = f" at {steps[-1].filename}:{steps[-1].lineno}" if steps else ""
    return f"{type(error).__name__}: {error}{where}"
