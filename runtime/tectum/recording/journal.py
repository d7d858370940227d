"""The journal of a pipeline as plain data: exact there and back, and a change in it is found.

A batch holds some events in the order in which the pipeline took them up. Each event has a mark, a
hash of it and of all events before it, so that verification names the first event that differs
from what was written; batches say the number of their first event, so that a missing one is found.
Pure functions: nothing is read or written here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import msgpack

from tectum.errors import DataError
from tectum.message import Sample, SampleRef, Value
from tectum.pipeline.events import (
    Arrived,
    Delivered,
    Ended,
    Event,
    Finished,
    Measured,
    Missed,
    Promised,
    Stopped,
    Tick,
)

__all__ = ["VERSION", "JournalEncoder", "Taken", "decode_journal", "event_from", "event_plain"]

VERSION = 1
MARK_BYTES = 8
_START = b"tectum journal 1"

_CODES: dict[type[Any], str] = {
    Arrived: "a",
    Promised: "p",
    Ended: "e",
    Missed: "x",
    Measured: "m",
    Finished: "f",
    Delivered: "d",
    Stopped: "s",
    Tick: "t",
}
"""Event -> its code in a journal; a code is never given a second meaning."""

_TYPES: dict[str, type[Any]] = {code: kind for kind, code in _CODES.items()}


class Taken(NamedTuple):
    """An event of a journal with its number, from 0 on."""

    number: int
    event: Event


class JournalEncoder:
    """Makes batches of the events of one pipeline life; keeps the running hash."""

    __slots__ = ("_chain", "_number")

    def __init__(self) -> None:
        """Begin before the first event."""
        self._chain = _START
        self._number = 0

    def batch(self, events: Iterable[Event]) -> dict[str, Value]:
        """Return the fields of a message of kind journal for the next `events`."""
        first, plain, marks = self._number, [], bytearray()
        for event in events:
            row = event_plain(event)
            self._chain = _next(self._chain, row)
            marks += self._chain[:MARK_BYTES]
            plain.append(row)
        self._number += len(plain)
        return {"version": VERSION, "first": first, "events": plain, "marks": bytes(marks)}


def decode_journal(batches: Iterable[Mapping[str, Value]]) -> Iterator[Taken]:
    """Yield the events of `batches`, in order from number 0.

    Raises:
        DataError: an event is missing or is not what was written; the message names it, and every
            event before it has been yielded.
    """
    chain, number = _START, 0
    for batch in batches:
        plain, marks = _checked(batch, number)
        for index, row in enumerate(plain):
            chain = _next(chain, row)
            mark = marks[index * MARK_BYTES : (index + 1) * MARK_BYTES]
            if mark != chain[:MARK_BYTES]:
                msg = f"event {number} of the journal is not what was written: {_shown(row)}"
                raise DataError(msg)
            yield Taken(number, event_from(row))
            number += 1


def event_plain(event: Event) -> list[Value]:
    """Return an event as a flat list: its code, then its fields in order."""
    code = _CODES[type(event)]
    if isinstance(event, Delivered) and not event.head:
        return [code, event.now_ns, event.trigger]
    if not isinstance(event, Arrived):
        return [code, *event]
    s = event.sample
    return [
        code, event.now_ns,
        s.ref.input, s.ref.incarnation, s.ref.seq,
        s.stamp_ns, s.span_ns, s.error_ns, s.nbytes,
        s.first, s.count, s.rate_hz,
    ]  # fmt: skip


def event_from(row: Sequence[Value]) -> Event:
    """Return the event that `event_plain` gave.

    Raises:
        DataError: it is not an event of this version.
    """
    try:
        kind = _TYPES[str(row[0])]
        fields: list[Any] = list(row[1:])
        if kind is Arrived:
            now_ns, name, incarnation, seq, *rest = fields
            return Arrived(now_ns, Sample(SampleRef(name, incarnation, seq), *rest))
        event: Event = kind(*fields)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        msg = f"this is not an event of journal version {VERSION}: {_shown(row)}"
        raise DataError(msg) from error
    return event


def _next(chain: bytes, row: Sequence[Value]) -> bytes:
    """Return the running hash after one more event: of its canonical MessagePack bytes."""
    return blake2b(msgpack.packb(row), key=chain, digest_size=16).digest()


def _checked(batch: Mapping[str, Value], number: int) -> tuple[list[list[Value]], bytes]:
    version, first = batch.get("version"), batch.get("first")
    events, marks = batch.get("events"), batch.get("marks")
    if version != VERSION:
        msg = f"the journal has version {version!r}; this version of Tectum reads {VERSION}"
        raise DataError(msg)
    if first != number:
        msg = f"events {number} to {first} of the journal are missing"
        raise DataError(msg)
    rows = [row for row in events if isinstance(row, list)] if isinstance(events, list) else []
    if not isinstance(marks, bytes) or not len(marks) == MARK_BYTES * len(rows) > 0:
        msg = f"the batch of the journal from event {number} on is damaged"
        raise DataError(msg)
    return rows, marks


def _shown(row: Sequence[Value]) -> str:
    text = repr(list(row))
    return text if len(text) <= 120 else text[:117] + "..."
