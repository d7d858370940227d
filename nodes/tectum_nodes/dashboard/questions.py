"""Questions: what other threads ask of the one that knows. It answers them in its own time."""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

__all__ = ["Answer", "Questions"]

Answer = dict[str, Any] | None
"""The head of a frame; None: nothing is to be said."""


class Questions:
    """A queue of questions. `ask` is for any thread, `answer_all` for the one that knows."""

    def __init__(self) -> None:
        """Know of no question yet."""
        self._waiting: queue.SimpleQueue[tuple[Mapping[str, Any], Future[Answer]]]
        self._waiting = queue.SimpleQueue()

    def ask(self, question: Mapping[str, Any]) -> Future[Answer]:
        """Return what will be the answer."""
        answer: Future[Answer] = Future()
        self._waiting.put((question, answer))
        return answer

    def answer_all(self, answer: Callable[[Mapping[str, Any]], Answer]) -> None:
        """Answer all questions that wait."""
        while not self._waiting.empty():
            question, waiting = self._waiting.get()
            if waiting.set_running_or_notify_cancel():
                waiting.set_result(answer(question))
