"""The desk of a fusion node: where results, rows and the journal leave it, and its books are kept.

It decides nothing and owns no socket; it publishes through the node's context, and keeps the ledger
and report files in the run's directory.
"""

from __future__ import annotations

from collections.abc import Mapping

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.inference.stage import Stage, StageOutput
from tectum.ledger.came import came
from tectum.ledger.clock_words import CLOCK_CHANGES, clock_sentence
from tectum.ledger.codec import row_document
from tectum.ledger.merging import HISTOGRAMS
from tectum.ledger.recovery import Recovery
from tectum.ledger.row import Row
from tectum.ledger.tally import Tally
from tectum.message import Kind, Value
from tectum.node.base import Context
from tectum.node.result import ResultMaker, result_arrays
from tectum.node.run_faults import all_faults
from tectum.node.shell import Shell
from tectum.pipeline.events import Event
from tectum.pipeline.orders import Note
from tectum.pipeline.plan import Plan, plan_document
from tectum.recording.journal import JournalEncoder
from tectum.transport.base import Subscriber
from tectum_nodes.fusion_files import LedgerFile, ReportFile
from tectum_nodes.fusion_lives import close_life, histogram_documents

__all__ = ["Desk"]

_HEALTH_EVERY_NS = 500 * NS_PER_MS
_REPORT_EVERY_NS = NS_PER_S
_MOST_CAME = 256
"""Arrivals that are kept for the ledger's file while no row is closed."""


class Desk:
    """Where results, rows and the journal leave the fusion node, and its books are kept."""

    def __init__(self, context: Context, plan: Plan, stages: Mapping[str, Stage]) -> None:
        """Open the ledger and report files in the run's directory, after closing former ones."""
        self.shell: Shell
        self._context = context
        self._plan = plan
        self._maker = ResultMaker(plan, stages)
        self._outputs = plan.answers
        self._journal = JournalEncoder()
        self._tally = Tally(plan)
        self._recovery: Recovery | None = None
        self._former_ns = close_life(context.folder, context.name, plan)
        self._ledger = LedgerFile(context.folder / f"{context.name}.ledger", plan)
        self._report = ReportFile(context.folder / f"{context.name}.report.json")
        self._came: dict[str, list[list[int]]] = {}
        self._next_health_ns = self._next_report_ns = 0

    def begin(self) -> None:
        """Watch from now on how answers recover from the faults of the run."""
        faults = all_faults(self._context.run, self._context.epoch_ns)
        if faults:
            self._recovery = Recovery(faults, max(self._context.epoch_ns, self._former_ns))

    def constants(self) -> dict[str, Value]:
        """Return what never changes: the plan and the models' hashes, for recordings and tools."""
        return {
            "fact": "plan",
            "plan": plan_document(self._plan),
            "models": dict(self._maker.models),
        }

    def deliver(self, row: Row, answer: StageOutput | None) -> None:
        """Send one result."""
        document = self._maker.document(row, answer)
        self._context.publish(
            self._outputs[row.head],
            Kind.RESULT,
            result_arrays(answer),
            stamp_ns=row.stamp_ns,
            span_ns=row.span_ns,
            fields={"result": document},
        )

    def close(self) -> None:
        """Close the ledger file."""
        self._ledger.close()

    def close_row(self, row: Row) -> None:
        """Write a final row to the ledger, and to its file also what came since the last one."""
        self._tally.add(row)
        if self._recovery:
            self._recovery.add(row)
        document = row_document(row)
        self._ledger.add({"row": document, "came": self._came})
        self._came = {}
        self._publish_ledger(row.stamp_ns, rows=[document], notes=[])

    def note(self, note: Note) -> None:
        """Write a note to the ledger, and say it where a person should know."""
        document: dict[str, Value] = note._asdict()
        self._ledger.add({"note": document})
        self._publish_ledger(note.now_ns, rows=[], notes=[document])
        self._tally.note(note)
        if note.change in CLOCK_CHANGES:
            self._context.log.warning("%s", clock_sentence(note, self._plan))
        elif note.change in ("silent", "never_heard", "revived", "clock_step"):
            self._context.log.warning("input %s: %s", note.input, note.change.replace("_", " "))

    def journal(self, events: list[Event]) -> None:
        """Write events to the journal."""
        for name, samples in came(events, self._plan).items():
            self._came.setdefault(name, []).extend(samples)
        if sum(map(len, self._came.values())) > _MOST_CAME:
            self._ledger.add({"came": self._came})
            self._came = {}
        self._context.publish(
            "journal",
            Kind.JOURNAL,
            stamp_ns=events[-1].now_ns,
            fields=self._journal.batch(events),
        )

    def report_now_and_then(self, subscriber: Subscriber) -> None:
        """Send health twice a second; write the report once a second."""
        now_ns = self._context.clock.now_ns()
        if now_ns >= self._next_health_ns:
            self._next_health_ns = now_ns + _HEALTH_EVERY_NS
            recent = {"recent_misses": self._tally.misses.recent()}
            document = self._document(subscriber)
            health = {"state": "running", **document, **recent, **self._listening()}
            self._context.publish("health", Kind.HEALTH, stamp_ns=now_ns, fields=health)
        if now_ns >= self._next_report_ns:
            self._next_report_ns = now_ns + _REPORT_EVERY_NS
            self.report(subscriber)

    def report(self, subscriber: Subscriber) -> None:
        """Write the report's core to the run's directory."""
        histograms = {HISTOGRAMS: histogram_documents(self._tally)}
        self._report.write(self._document(subscriber) | histograms)

    def _document(self, subscriber: Subscriber) -> dict[str, Value]:
        transport = subscriber.counters()
        unexplained = 0
        for counts in transport.values():
            lost = counts.get("unexplained", 0)
            unexplained += lost if isinstance(lost, int) else 0
        document = self._tally.document(
            counters=self.shell.pipeline.counters(),
            digest=self.shell.pipeline.digest.hexdigest(),
            unexplained=unexplained,
        )
        document["transport"] = transport
        if self._recovery:
            document["recovery"] = self._recovery.document()
        return document

    def _listening(self) -> dict[str, Value]:
        states = self.shell.pipeline.listening()
        return {"listening": {name: list(state) for name, state in states.items()}}

    def _publish_ledger(self, stamp_ns: int, *, rows: list[Value], notes: list[Value]) -> None:
        fields: dict[str, Value] = {"rows": rows, "notes": notes}
        self._context.publish("ledger", Kind.LEDGER, stamp_ns=stamp_ns, fields=fields)
