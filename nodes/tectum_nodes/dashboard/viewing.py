"""A recording in a browser: the page of the dashboard, with a time line to go along.

One playhead for all who look: whoever steers steers for everybody. Served on this machine alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tectum.clock import NS_PER_MS, Clock
from tectum.errors import ConfigError
from tectum_nodes.dashboard.overview import Overview
from tectum_nodes.dashboard.questions import Answer, Questions
from tectum_nodes.dashboard.recorded import Recorded
from tectum_nodes.dashboard.why_question import why_answer

__all__ = ["Viewing"]

_TURN_NS = 40 * NS_PER_MS
_STATE_EVERY_NS = 200 * NS_PER_MS


class Viewing:
    """Serves one recording; a context manager. `turn` is to be called again and again."""

    def __init__(self, log: Path, clock: Clock, *, port: int = 0) -> None:
        """Open `log` and serve it on `port` (0: any that is free).

        Raises:
            DataError: it is no recording, or holds nothing to be shown.
            ConfigError: the port is taken, or aiohttp is not installed.
        """
        try:
            from tectum_nodes.dashboard.server import PageServer  # noqa: PLC0415 - extra `ui`
        except ImportError as error:
            msg = f"the page needs aiohttp ({error}): pip install 'tectum[ui]'"
            raise ConfigError(msg) from error
        self.recorded = Recorded(log)
        self._clock, self._log = clock, log
        self._questions = Questions()
        self._state_due_ns = 0
        board = self.recorded.board
        self._introduce()
        self._server = PageServer(board.slots, self._questions.ask, host="127.0.0.1", port=port)
        try:
            self.address = self._server.open()
        except ConfigError:
            self.recorded.close()
            raise
        self._overview = Overview(log, board.slots, board.plans)
        self.recorded.turn(clock.now_ns())

    def __enter__(self) -> Self:
        """Do nothing further."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the server and close the recording."""
        self._server.close()
        self._overview.close()
        self.recorded.close()

    def turn(self) -> None:
        """Go on playing, answer, show."""
        recorded, board = self.recorded, self.recorded.board
        now_ns = self._clock.now_ns()
        recorded.turn(now_ns)
        self._questions.answer_all(self._answer)
        board.show()
        if now_ns >= self._state_due_ns:
            self._state_due_ns = now_ns + _STATE_EVERY_NS
            log = {"at_ns": recorded.at_ns, "rate": recorded.rate}
            board.show_state(recorded.at_ns, {}, log=log)
        board.slots.wake()

    def play(self) -> None:
        """Turn until somebody stops it with Ctrl-C."""
        due_ns = self._clock.now_ns()
        while True:
            self.turn()
            due_ns = max(due_ns + _TURN_NS, self._clock.now_ns())
            self._clock.sleep_until_ns(due_ns)

    def _answer(self, question: Mapping[str, Any]) -> Answer:
        if "why" in question:
            return why_answer(question, self.recorded.board)
        self.recorded.steer(dict(question))
        self._state_due_ns = 0
        return None

    def _introduce(self) -> None:
        reader, recorded = self.recorded.reader, self.recorded
        run = reader.run
        description = run.get("description", {})
        graph = description.get("graph", "") if isinstance(description, dict) else ""
        recorded.board.introduce(
            str(graph or self._log.stem),
            str(run.get("id", self._log.name)),
            recorded.at_ns,
            recorded.begin_ns,
            log={
                "name": self._log.name,
                "begin_ns": recorded.begin_ns,
                "end_ns": recorded.end_ns,
                "complaints": list(reader.complaints),
            },
        )
