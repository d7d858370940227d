"""What a recording holds of its fusion nodes: the plan, the journal and the rows of each life.

A node that was brought back has several lives, told apart by their incarnation; each has a journal
of its own that begins with event 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tectum.errors import DataError, nearest_name
from tectum.ledger.codec import row_from
from tectum.ledger.row import Row
from tectum.message import Kind, Value
from tectum.pipeline.events import Event
from tectum.pipeline.plan import Plan, plan_from
from tectum.recording.journal import decode_journal
from tectum.recording.reader import LogReader

__all__ = ["LoggedFusion", "read_fusions"]


@dataclass(slots=True)
class LoggedFusion:
    """One life of one fusion node, as it was recorded."""

    node: str
    plan: Plan
    batches: list[Mapping[str, Value]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def events(self) -> Iterator[Event]:
        """Yield the journal.

        Raises:
            DataError: an event is missing or is not what was written; named by its number.
        """
        return (taken.event for taken in decode_journal(self.batches))


def read_fusions(log: Path, node: str = "") -> list[LoggedFusion]:
    """Return every life of the fusion nodes of `log` (or of `node` alone), in order of begin.

    Raises:
        DataError: there is no such recording, or no such fusion node in it.
    """
    with LogReader(log) as reader:
        plans = {
            header.topic.partition("/")[0]: plan_from(dict(plan))
            for header in reader.latched.values()
            if header.fields.get("fact") == "plan"
            and isinstance(plan := header.fields.get("plan"), Mapping)
        }
        if not plans:
            msg = f"{log} has no plan of a fusion node: it was not recorded from one"
            raise DataError(msg)
        if node and node not in plans:
            known = ", ".join(plans)
            msg = f"{log} has no fusion node {node!r}; it has: {known}{nearest_name(node, plans)}"
            raise DataError(msg)
        return _lives(reader, {name: plan for name, plan in plans.items() if node in ("", name)})


def _lives(reader: LogReader, plans: Mapping[str, Plan]) -> list[LoggedFusion]:
    lives: dict[tuple[str, int], LoggedFusion] = {}
    kinds = (Kind.JOURNAL, Kind.LEDGER)
    topics = [name for name, topic in reader.topics.items() if topic.kind in kinds]
    for record in reader.messages(topics) if topics else ():
        header = record.message.header
        name = header.topic.partition("/")[0]
        if name not in plans or header.kind not in kinds:
            continue
        life = lives.setdefault((name, header.incarnation), LoggedFusion(name, plans[name]))
        if header.kind is Kind.JOURNAL:
            life.batches.append(header.fields)
        else:
            rows = header.fields.get("rows")
            life.rows += [row_from(row) for row in rows] if isinstance(rows, list) else []
    return list(lives.values())
