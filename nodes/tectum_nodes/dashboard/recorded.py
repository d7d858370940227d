"""A recording at one instant, on a board: what was seen, heard and answered just then.

The board is brought to an instant by letting it hear what was recorded in the seconds before, at
the recorded times; from there it goes on by itself. So a page shows a moment of a recording as it
would have shown it then: a topic that was silent is silent. Explicit time; for one thread.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.errors import ConfigError, DataError
from tectum.message import Kind
from tectum.pipeline.plan import Plan, plan_from
from tectum.recording.reader import LogReader, Record
from tectum.recording.series_reader import open_log
from tectum_nodes.dashboard.board import Board

__all__ = ["Recorded", "plans_of"]

_SENSED_NS = 6 * NS_PER_S
"""How far before an instant one has to listen to know rates, and to have the sound before it."""
_ANSWERED_NS = 12 * NS_PER_S
"""How far before an instant the timeline begins."""
_EXPLAINED_NS = 3 * NS_PER_S
"""Rows of the ledger come after what they explain: so far ahead they are looked for."""
_STEP_NS = 250 * NS_PER_MS
_WHOLE_SOUND_S, _SOUND_S = 6.0, 0.5
_UNHEARD = (Kind.JOURNAL, Kind.LEDGER, Kind.STATEMENT, Kind.LATCHED)
"""Kinds that the board does not hear in their turn."""


class Recorded:
    """A recording with a playhead; a context manager that closes it."""

    def __init__(self, path: Path, *, width: int = 960) -> None:
        """Open `path`, with the playhead where everything has been heard first, standing still.

        Raises:
            DataError: it is no recording, or holds nothing to be shown.
        """
        self.reader = open_log(path)
        self.begin_ns, self.end_ns = self.reader.span_ns
        self.at_ns = self.begin_ns
        self.rate = 0.0
        """How many recorded seconds go by in one; 0: it stands still."""
        topics = {
            name: (topic.kind.value, name.partition("/")[0])
            for name, topic in self.reader.topics.items()
            if topic.kind is not None and topic.kind is not Kind.STATEMENT
        }
        if not topics:
            self.reader.close()
            msg = f"{path} holds nothing that can be shown"
            raise DataError(msg)
        kinds = {name: Kind(kind) for name, (kind, _) in topics.items()}
        self._heard = [name for name, kind in kinds.items() if kind not in _UNHEARD]
        self._sensed = [name for name in self._heard if kinds[name] is not Kind.RESULT]
        self._results = [name for name, kind in kinds.items() if kind is Kind.RESULT]
        self._ledgers = [name for name, kind in kinds.items() if kind is Kind.LEDGER]
        self.board = Board(topics, plans_of(self.reader), width=width)
        self._now_ns = 0
        self.seek(self._first_sight_ns())

    def __enter__(self) -> Recorded:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give everything back."""
        self.board.release()
        self.reader.close()

    def seek(self, at_ns: int) -> None:
        """Bring the board to an instant of the recording."""
        at_ns = max(self.begin_ns, min(at_ns, self.end_ns))
        self.at_ns = at_ns
        board = self.board
        board.forget()
        board.audio_s = _WHOLE_SOUND_S
        answered, sensed = at_ns - _ANSWERED_NS, at_ns - _SENSED_NS
        self._rows = _Feed(self.reader, self._ledgers, answered - _EXPLAINED_NS)
        self._messages = _Feed(self.reader, self._heard, sensed, signs=True)
        recent = list(self._messages.until(at_ns))
        answers = list(_Feed(self.reader, self._results, answered).until(sensed - 1))
        heard = {record.message.header.topic for record in recent}
        for record in (*self._earlier({*self._sensed} - heard, sensed), *answers):
            board.take(record.message, record.log_ns)
        step_ns = max(sensed, self.begin_ns)
        for record in recent:
            while step_ns < record.log_ns:
                self._look(step_ns)
                step_ns += _STEP_NS
            board.take(record.message, record.log_ns)
        self._look(at_ns)
        self._explain()

    def turn(self, now_ns: int) -> None:
        """Go on with the recording, where it plays, by the time since the last turn."""
        elapsed_ns, self._now_ns = now_ns - self._now_ns, now_ns
        if self.rate and self.at_ns < self.end_ns:
            self.at_ns = min(self.end_ns, self.at_ns + round(elapsed_ns * self.rate))
            self._hear(self.at_ns)
            self.board.audio_s = _SOUND_S * max(1.0, self.rate)
        elif self.rate:
            self.rate = 0.0

    def steer(self, wanted: dict[str, Any]) -> None:
        """Follow `{"seek": NS}` and `{"rate": FACTOR}`; what is neither is passed over."""
        at_ns, rate = wanted.get("seek"), wanted.get("rate")
        if isinstance(rate, (int, float)) and 0 <= rate <= 100:
            if rate and self.at_ns >= self.end_ns and at_ns is None:
                self.seek(self.begin_ns)
            self.rate = float(rate)
        if isinstance(at_ns, (int, float)) and abs(at_ns) < 1 << 62:
            self.seek(int(at_ns))

    def _first_sight_ns(self) -> int:
        """Return when there was something of everything that came in the first seconds."""
        firsts = (self.reader.topics[name].first_ns for name in self._heard)
        soon = [first for first in firsts if first <= self.begin_ns + _SENSED_NS]
        return max(soon, default=self.begin_ns)

    def _hear(self, at_ns: int) -> None:
        for record in self._messages.until(at_ns):
            self.board.take(record.message, record.log_ns)
        self._explain()

    def _explain(self) -> None:
        for record in self._rows.until(self.at_ns + _EXPLAINED_NS):
            self.board.take(record.message, record.log_ns)

    def _look(self, at_ns: int) -> None:
        """Let rates be measured, as a page that is watched does."""
        for vitals in self.board.vitals.values():
            vitals.rate_hz(at_ns)

    def _earlier(self, topics: set[str], end_ns: int) -> Iterator[Record]:
        """Yield the last message before `end_ns` of each topic that has one."""
        wanted = {name for name in topics if self.reader.topics[name].first_ns < end_ns}
        length_ns = 2 * _SENSED_NS
        while wanted and end_ns > self.begin_ns:
            last: dict[str, Record] = {}
            begin_ns = max(0, end_ns - length_ns)
            for record in self.reader.messages(sorted(wanted), begin_ns=begin_ns, end_ns=end_ns):
                last[record.message.header.topic] = record
            yield from last.values()
            wanted -= last.keys()
            end_ns, length_ns = begin_ns, 2 * length_ns


class _Feed:
    """The messages of some topics, in the order of their arrival, from an instant on."""

    def __init__(
        self, reader: LogReader, topics: Sequence[str], begin_ns: int, *, signs: bool = False
    ) -> None:
        begin_ns = max(0, begin_ns)
        records = reader.messages(topics, begin_ns=begin_ns)
        if signs:
            said = reader.signs(topics, begin_ns=begin_ns)
            records = heapq.merge(records, said, key=lambda record: record.log_ns)
        self._records = records
        self._next = next(records, None) if topics else None

    def until(self, end_ns: int) -> Iterator[Record]:
        """Yield what arrived until `end_ns` and was not yielded before."""
        while self._next is not None and self._next.log_ns <= end_ns:
            record, self._next = self._next, next(self._records, None)
            yield record


def plans_of(reader: LogReader) -> dict[str, Plan]:
    """Return the plan of each fusion node that a recording has; of older versions: none."""
    facts = [item for item in reader.latched.values() if item.fields.get("fact") == "plan"]
    plans: dict[str, Plan] = {}
    for header in facts:
        document: Any = header.fields["plan"]
        try:
            plans[header.topic.partition("/")[0]] = plan_from(document)
        except ConfigError:
            continue
    return plans
