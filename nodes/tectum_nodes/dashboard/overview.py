"""What all triggers of a recording came to, in few numbers: the strip above its time line.

A recording may be long: it is read once, from begin to end, by a thread of its own that fills a
slot as it goes.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tectum.clock import NS_PER_MS
from tectum.errors import TectumError
from tectum.message import Kind
from tectum.pipeline.plan import Plan
from tectum.recording.reader import LogReader
from tectum.recording.series_reader import open_log
from tectum_nodes.dashboard.frames import frame
from tectum_nodes.dashboard.slots import Slots

__all__ = ["BINS", "Overview"]

BINS = 600
_OUTCOMES = ("complete", "partial", "shed")
_TOLD_EVERY = 500


class Overview:
    """Counts outcomes by time, in a thread, until all of them are counted or it is closed."""

    def __init__(self, path: Path, slots: Slots, plans: Mapping[str, Plan]) -> None:
        """Begin to read `path` and to fill the slot `overview`; `plans` of its fusion nodes."""
        self._path, self._slots = path, slots
        self._budgets_ms = {node: plan.budget_ns / NS_PER_MS for node, plan in plans.items()}
        self._begin_ns = 0
        self._bins = [[0] * len(_OUTCOMES) for _ in range(BINS)]
        self._troubles_ns = [0] * BINS
        self._totals: dict[str, dict[str, Any]] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="overview", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._thread.join()

    def wait(self) -> None:
        """Wait until everything has been counted."""
        self._thread.join()

    def _run(self) -> None:
        try:
            with open_log(self._path) as reader:
                self._count(reader)
        except TectumError:
            return  # said by who plays the same recording

    def _count(self, reader: LogReader) -> None:
        self._begin_ns, end_ns = reader.span_ns
        length_ns = max(1, end_ns - self._begin_ns)
        results = [name for name, topic in reader.topics.items() if topic.kind is Kind.RESULT]
        for number, record in enumerate(reader.messages(results) if results else ()):
            if self._closing.is_set():
                return
            document: Any = record.message.header.fields.get("result")
            if isinstance(document, Mapping) and document.get("outcome") in _OUTCOMES:
                place = min(BINS - 1, (record.log_ns - self._begin_ns) * BINS // length_ns)
                self._take(record.log_ns, place, document)
            if number % _TOLD_EVERY == _TOLD_EVERY - 1:
                self._tell(done=False)
        self._tell(done=True)

    def _take(self, log_ns: int, place: int, document: Mapping[str, Any]) -> None:
        outcome, node = str(document["outcome"]), str(document.get("node", ""))
        self._bins[place][_OUTCOMES.index(outcome)] += 1
        if outcome != "complete" and not self._troubles_ns[place]:
            self._troubles_ns[place] = log_ns
        total = self._totals.setdefault(node, {"counts": dict.fromkeys(_OUTCOMES, 0), "on_time": 0})
        total["counts"][outcome] += 1
        budget_ms = self._budgets_ms.get(node, 0.0)
        on_time = not budget_ms or float(document.get("latency_ms", 0.0)) <= budget_ms
        total["on_time"] += outcome != "shed" and on_time

    def _tell(self, *, done: bool) -> None:
        """Show the counts; `troubles_ms` are the first triggers of bins that were not complete."""
        troubles_ms = [(at - self._begin_ns) / NS_PER_MS for at in self._troubles_ns if at]
        head = {
            "t": "overview",
            "counts": self._bins,
            "totals": self._totals,
            "troubles_ms": troubles_ms,
            "done": done,
        }
        self._slots.put("overview", frame(head))
        self._slots.wake()
