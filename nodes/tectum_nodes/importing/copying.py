"""Copies a source into a log of ours, message by message, and says what became of it.

Messages get what those of a live run have: topic, numbers without a gap, stamp, span, arrival; and
each stream ends with its end. The same source gives the same log, byte for byte. The rig lies in
the log as that of a recorded graph does. Where the copy fails the unfinished log is removed.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tectum.clock import NS_PER_S
from tectum.errors import DataError
from tectum.message import AnyArray, ArrayPayload, BufferSpec, Header, Kind, Message
from tectum.node.base import Announcement, Capture
from tectum.recording.writer import LogWriter, WriteOptions
from tectum.transport.kinds import kind_trouble
from tectum_nodes.importing.base import Item, Source

__all__ = ["Imported", "import_log", "in_order"]

INCARNATION = 1
"""Of all that is imported: there was no process whose life it would be."""
_REORDER_NS = NS_PER_S
"""A source may say things in the wrong order by so much of arrival."""

SpanOf = Callable[[int], tuple[int, int]]
"""Arrival of the first message -> the first arrival that is taken, and the first that is not."""


@dataclass(slots=True)
class Imported:
    """What became of an import."""

    topics: dict[str, int]
    """Topic -> messages."""
    troubles: Mapping[str, int]
    """What could not be taken, in words -> how often."""
    first_ns: int = 0
    last_ns: int = 0
    """Arrival of the first and last message."""
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def messages(self) -> int:
        """Return how many there are in all."""
        return sum(self.topics.values())


def import_log(
    source: Source,
    topics: Mapping[str, str],
    target: Path,
    *,
    options: WriteOptions | None = None,
    facts: Mapping[str, Any] | None = None,
    rig: Mapping[str, Any] | None = None,
    span_of: SpanOf | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> Imported:
    """Write the streams `topics` (stream -> topic) of `source` into the new log `target`.

    Args:
        source: what is read.
        topics: what of it, and under which names.
        target: the log.
        options: how it is written.
        facts: said of the import, beside its rig.
        rig: goes before what the source tells.
        span_of: which part in time; default: all.
        progress: called with the number of messages so far, after each.

    Raises:
        DataError: the log exists or cannot be written, or the source has nothing in that time.
    """
    rig = rig if rig is not None else source.rig()
    items = _within(in_order(source.items(frozenset(topics)), _REORDER_NS), span_of)
    copied = _Copied(topics)
    with LogWriter(target, options) as writer:
        try:
            for item in items:
                if not copied.report.first_ns:
                    document = {"imported": dict(facts or {}), "rig": dict(rig) if rig else None}
                    writer.write_run(document, item.arrived_ns)
                copied.write(item, writer)
                progress(copied.report.messages)
            copied.end(writer)
            report = copied.finish(source)
            counts = {"messages": str(report.messages)}
            counts |= {f"trouble: {text}": str(count) for text, count in report.troubles.items()}
            writer.write_facts("tectum/import", counts)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
    return report


def in_order(items: Iterable[Item], within_ns: int) -> Iterator[Item]:
    """Yield items by arrival that come in the wrong order by at most `within_ns`."""
    held: list[tuple[int, int, Item]] = []
    for number, item in enumerate(items):
        heapq.heappush(held, (item.arrived_ns, number, item))
        while held[0][0] < item.arrived_ns - within_ns:
            yield heapq.heappop(held)[2]
    while held:
        yield heapq.heappop(held)[2]


def _within(items: Iterator[Item], span_of: SpanOf | None) -> Iterator[Item]:
    begin_ns, end_ns = -1, -1
    for item in items:
        if end_ns < 0:
            begin_ns, end_ns = span_of(item.arrived_ns) if span_of else (0, 1 << 62)
        if item.arrived_ns >= end_ns:
            return
        if item.arrived_ns >= begin_ns:
            yield item


class _Copied:
    """The topics of a log that is being written."""

    def __init__(self, topics: Mapping[str, str]) -> None:
        self._topics = topics
        self.report = Imported(dict.fromkeys(topics.values(), 0), {})

    def write(self, item: Item, writer: LogWriter) -> None:
        said, report = item.said, self.report
        topic = self._topics[said.output]
        report.first_ns = report.first_ns or item.arrived_ns
        report.last_ns = item.arrived_ns
        if isinstance(said, Announcement):
            writer.write(
                _sign(topic, Kind.PROMISE, said.stamp_ns, begun=said.begun), item.arrived_ns
            )
            return
        message = _message(said, topic, report.topics[topic], item.arrived_ns)
        trouble = kind_trouble(message.header)
        if trouble is not None:
            report.refused[f"{topic}: {trouble}"] += 1
            return
        writer.write(message, item.arrived_ns)
        report.topics[topic] += 1

    def end(self, writer: LogWriter) -> None:
        for topic in self.report.topics:
            writer.write(_sign(topic, Kind.END, self.report.last_ns), self.report.last_ns)

    def finish(self, source: Source) -> Imported:
        report = self.report
        report.troubles = dict(source.troubles + report.refused)
        if not report.messages:
            why = "; ".join(f"{count} x {text}" for text, count in report.troubles.items())
            msg = f"{source.path} gave no message: {why or 'nothing lies in the time asked for'}"
            raise DataError(msg)
        return report


def _sign(topic: str, kind: Kind, stamp_ns: int, **fields: bool) -> Message:
    return Message(Header(topic, kind, 0, stamp_ns, incarnation=INCARNATION, fields=fields))


def _message(said: Capture, topic: str, seq: int, arrived_ns: int) -> Message:
    arrays = [_plain(array) for array in said.arrays]
    header = Header(
        topic,
        said.kind,
        seq,
        said.stamp_ns,
        said.span_ns,
        said.error_ns,
        arrived_ns,
        INCARNATION,
        said.frame_id,
        dict(said.fields),
        tuple(BufferSpec(array.dtype.name, array.shape) for array in arrays),
    )
    return Message(header, tuple(map(ArrayPayload, arrays)))


def _plain(array: AnyArray) -> AnyArray:
    """Return an array in C order and this machine's byte order."""
    native: AnyArray = np.ascontiguousarray(array)
    return native.astype(native.dtype.newbyteorder("="), copy=False)
