"""What a log has of its fusion nodes: plan, journal and rows of each life of each node.

A fusion node that was restarted has several lives; each has a pipeline, and so a journal, of its
own, numbered from 0. Where the recorder was started again within a life, its journal ends there: no
event that follows can be fed to a pipeline that lacks those in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tectum.errors import ConfigError, DataError, nearest_name
from tectum.ledger.codec import row_from
from tectum.ledger.row import Row
from tectum.message import Header, Kind, Value
from tectum.pipeline.events import Event
from tectum.pipeline.plan import Plan, plan_from
from tectum.recording.gap import Gap
from tectum.recording.journal import decode_journal
from tectum.recording.reader import LogReader

__all__ = ["Life", "lives_of"]


@dataclass(slots=True)
class Life:
    """One life of a fusion node, as it was recorded."""

    node: str
    incarnation: int
    plan: Plan
    batches: list[Mapping[str, Value]] = field(default_factory=list)
    """The journal as it is stored; see `events`."""
    rows: list[Row] = field(default_factory=list)
    """In the order in which they were closed."""
    gap: Gap | None = None
    """Behind which its journal and its rows go on, but not here."""
    later: int = 0
    """How many rows were recorded behind it."""

    def events(self) -> Iterator[Event]:
        """Yield the events of the journal.

        Raises:
            DataError: an event is missing or is not what was written, or nobody recorded what
                followed; those before were yielded.
        """
        yield from self.recorded()
        if self.gap is not None:
            msg = f"the journal has a gap ({self.gap.sentence()})"
            raise DataError(msg)

    def recorded(self) -> Iterator[Event]:
        """Yield the events up to the gap, where there is one; errors within as of `events`."""
        return (taken.event for taken in decode_journal(self.batches))


def lives_of(reader: LogReader, node: str | None = None) -> list[Life]:
    """Return the lives of the fusion nodes of a log, or of one, in the order of the log.

    Raises:
        DataError: it has no journal, none of `node`, or no plan to it.
    """
    topics = {
        name: topic.kind
        for name, topic in reader.topics.items()
        if topic.kind in (Kind.JOURNAL, Kind.LEDGER)
    }
    nodes = {name.partition("/")[0] for name, kind in topics.items() if kind is Kind.JOURNAL}
    _check(reader, nodes, node)
    chosen = [name for name in topics if name.partition("/")[0] in ({node} if node else nodes)]
    plans, gaps = _plans(reader), reader.gaps
    begun: dict[tuple[str, int], int] = {}
    lives: dict[tuple[str, int], Life] = {}
    for record in reader.messages(chosen):
        header = record.message.header
        name = header.topic.partition("/")[0]
        key = (name, header.incarnation)
        if key not in lives:
            lives[key] = Life(*key, _plan_of(reader, plans, key))
            begun[key] = record.log_ns
        within = (gap for gap in gaps if begun[key] <= gap.begin_ns < record.log_ns)
        _take(lives[key], header, next(within, None))
    return list(lives.values())


def _check(reader: LogReader, nodes: set[str], node: str | None) -> None:
    if not nodes:
        msg = (
            f"{reader.path} has no journal: it can be played and simulated, not verified; "
            "record the topics of the fusion node too, topics: ['*']"
        )
        raise DataError(msg)
    if node is not None and node not in nodes:
        near = nearest_name(node, nodes)
        msg = f"{reader.path} has no journal of {node!r}{near} (it has: {', '.join(sorted(nodes))})"
        raise DataError(msg)


def _take(life: Life, header: Header, gap: Gap | None) -> None:
    """Take a message of a life, before which lies `gap`."""
    rows = header.fields.get("rows") if header.kind is Kind.LEDGER else None
    documents = rows if isinstance(rows, list) else []
    if gap is not None:
        life.gap = gap
        life.later += len(documents)
        return
    if header.kind is Kind.JOURNAL:
        life.batches.append(header.fields)
    life.rows += map(row_from, documents)


def _plans(reader: LogReader) -> dict[tuple[str, int], Plan]:
    """Return the recorded plans by node and incarnation."""
    plans = {}
    names = list(reader.latched)
    for record in reader.messages(names) if names else ():
        header = record.message.header
        if header.kind is Kind.LATCHED and header.fields.get("fact") == "plan":
            key = (header.topic.partition("/")[0], header.incarnation)
            plans[key] = _plan(reader, header.fields.get("plan"))
    return plans


def _plan_of(
    reader: LogReader, plans: Mapping[tuple[str, int], Plan], key: tuple[str, int]
) -> Plan:
    if key in plans:
        return plans[key]
    msg = f"{reader.path} has a journal of {key[0]!r}, but not the plan that belongs to it"
    raise DataError(msg)


def _plan(reader: LogReader, document: object) -> Plan:
    try:
        return plan_from(document if isinstance(document, dict) else {})
    except ConfigError as error:
        msg = f"{reader.path}: {error}"
        raise DataError(msg) from error
