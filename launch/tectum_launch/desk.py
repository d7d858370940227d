"""The desk of an embedded fusion node: its results, for the caller to take, and its books.

Results that nobody takes do not pile up: the oldest go, and are counted.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping

from tectum.clock import GraphClock
from tectum.inference.stage import Stage, StageOutput
from tectum.ledger.row import Row
from tectum.ledger.tally import Tally
from tectum.message import Header, Kind, Value
from tectum.node.failures import FailureLog
from tectum.node.result import ResultMaker
from tectum.node.shell import Shell
from tectum.pipeline.events import Event
from tectum.pipeline.orders import Note
from tectum.pipeline.plan import Plan
from tectum.result_stream import Result

__all__ = ["Desk"]

_RESULTS_KEPT = 1024


class Desk:
    """A `tectum.node.shell.Sink` that keeps results."""

    def __init__(self, plan: Plan, stages: Mapping[str, Stage]) -> None:
        """Keep the results of `plan`."""
        self.shell: Shell | None = None
        """Set by the owner, once there is one."""
        self.ready = threading.Event()
        """Set while there is a result to take, or none will come any more."""
        self.untaken = 0
        """Results that went because nobody took them."""
        self.failed = FailureLog(logging.getLogger("tectum"), GraphClock()).add
        """Says which stage failed."""
        self._node, self._outputs = plan.name, plan.answers
        self._maker = ResultMaker(plan, stages)
        self._results: deque[Result] = deque()
        self._tally = Tally(plan)
        self._ended = False

    @property
    def over(self) -> bool:
        """Return whether every result was taken and none will come any more."""
        return self._ended and not self._results

    @property
    def digest(self) -> str:
        """Return the digest of all decisions so far."""
        return self.shell.pipeline.digest.hexdigest() if self.shell else ""

    def take(self) -> list[Result]:
        """Return the results since the last call."""
        if not self._ended:
            self.ready.clear()
        return [self._results.popleft() for _ in range(len(self._results))]

    def end(self) -> None:
        """No result will come any more."""
        self._ended = True
        self.ready.set()

    def report(self) -> dict[str, Value]:
        """Return the core of a report."""
        counters = self.shell.pipeline.counters() if self.shell else {}
        core = self._tally.document(counters=counters, digest=self.digest, unexplained=0)
        return {**core, "untaken_results": self.untaken}

    def deliver(self, row: Row, answer: StageOutput | None) -> None:
        """Keep a result."""
        document = self._maker.document(row, answer)
        arrays = dict(answer.arrays) if answer is not None else {}
        topic = f"{self._node}/{self._outputs[row.head]}"
        header = Header(topic, Kind.RESULT, row.trigger, row.stamp_ns, row.span_ns)
        if len(self._results) >= _RESULTS_KEPT:
            self._results.popleft()
            self.untaken += 1
        self._results.append(Result(document, arrays, header))
        self.ready.set()

    def close_row(self, row: Row) -> None:
        """Count a row."""
        self._tally.add(row)

    def note(self, note: Note) -> None:
        """Take up what changed about an input, for the report."""
        self._tally.note(note)

    def journal(self, events: list[Event]) -> None:
        """Need nothing of it."""
