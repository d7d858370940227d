"""Read a log: its facts, and its messages exactly as they were published.

Files that a crash cut or that are damaged are read as far as they go, in one way for all files;
`complaints` says in words what was wrong, and grows while reading. Files that others wrote are
read where their schemas are Foxglove's; what is not understood is counted in `skipped`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tectum.errors import DataError
from tectum.message import Header, Kind, Message
from tectum.recording.content import Contents, Entry
from tectum.recording.gap import Gap
from tectum.recording.headers import header_from
from tectum.recording.log_topics import LogTopic, counts_of, joined, matches, summed
from tectum.recording.moments import moment_text
from tectum.recording.numbers import Numbers
from tectum.recording.order import NEVER_NS, Place, Span, places
from tectum.recording.restore import KIND_OF, foreign, restored
from tectum.recording.scan import Count, opened, scanned
from tectum.recording.schemas import HEADER, MESSAGE
from tectum.recording.writer import HEADERS_TOPIC, LATCHED_PREFIX, RUN_ATTACHMENT, SIGNS_TOPIC

__all__ = ["LogReader", "RawRecord", "Record"]


class Record(NamedTuple):
    """A message of a log and when it arrived at the recorder."""

    log_ns: int
    message: Message


class RawRecord(NamedTuple):
    """A record as it lies in the file, of any schema and encoding."""

    topic: str
    schema: str
    log_ns: int
    data: memoryview


class LogReader:
    """An opened log; a context manager that closes it."""

    def __init__(self, path: Path) -> None:
        """Open `path` and find out what it holds.

        Raises:
            DataError: there is no such file, or it is not a log at all.
        """
        self.path = path
        self._file = opened(path)
        self._scan = scanned(self._file)
        self._contents = Contents(self._file, self._scan)
        self._headers = lru_cache(16)(self._headers_of)
        self.skipped: Counter[str] = Counter()
        """Schema (or reason) -> records that could not become messages."""
        self._counts = self._counted()

    def __enter__(self) -> LogReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; messages that were read stay valid."""
        self._file.close()

    @property
    def finished(self) -> bool:
        """Return whether the log was closed properly; if not, a crash cut it."""
        return self._scan.finished

    @property
    def complaints(self) -> tuple[str, ...]:
        """Return what was found wrong so far, each in a sentence."""
        cut = () if self.finished else (self._cut_short(),)
        return (*cut, *self._scan.complaints)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Return the times in which nobody recorded, because the recorder was started again."""
        return ()

    @property
    def topics(self) -> dict[str, LogTopic]:
        """Return the topics with their counts, by name."""
        found: dict[str, LogTopic] = {}
        for channel_id, count in sorted(self._counts.items()):
            channel = self._scan.channels[channel_id]
            if channel.topic in (HEADERS_TOPIC, SIGNS_TOPIC):
                continue
            schema = self._scan.schemas.get(channel.schema_id)
            name = schema.name if schema is not None else ""
            topic = LogTopic(channel.topic, self._kind(channel_id), name, *count)
            before = found.get(topic.name)
            found[topic.name] = topic if before is None else joined(before, topic)
        return dict(sorted(found.items()))

    @property
    def messages_total(self) -> int:
        """Return how many messages can be read, of all topics."""
        return sum(topic.messages for topic in self.topics.values())

    @property
    def span_ns(self) -> tuple[int, int]:
        """Return the log times of the first and last record; (0, 0) for an empty log."""
        counts = self._counts.values()
        first = min((count.first_ns for count in counts), default=0)
        return first, max((count.last_ns for count in counts), default=0)

    @property
    def run(self) -> dict[str, Any]:
        """Return `run.json` of the recorded run; empty for a log of others."""
        for attachment in self._scan.attachments:
            if attachment.name == RUN_ATTACHMENT:
                document = json.loads(attachment.data)
                return document if isinstance(document, dict) else {}
        return {}

    @property
    def rig(self) -> dict[str, Any] | None:
        """Return the rig of the recorded graph, or None where there is none."""
        run = self.run
        description = run.get("description")
        rig = run.get("rig") or (isinstance(description, dict) and description.get("rig"))
        return rig if isinstance(rig, dict) else None

    @property
    def metadata(self) -> dict[str, dict[str, str]]:
        """Return the metadata records by name."""
        return {record.name: dict(record.metadata) for record in self._scan.metadata}

    @property
    def latched(self) -> dict[str, Header]:
        """Return the latched facts by topic; of several on one topic, the last."""
        headers = (
            header_from(attachment.data)
            for attachment in self._scan.attachments
            if attachment.name.startswith(LATCHED_PREFIX)
        )
        return {header.topic: header for header in headers}

    def messages(
        self,
        topics: Sequence[str] | None = None,
        *,
        begin_ns: int = 0,
        end_ns: int | None = None,
        order: Literal["log", "stamp"] = "log",
        images: Literal["published", "stored"] = "published",
    ) -> Iterator[Record]:
        """Yield messages in the order of their arrival, or of their stamps.

        `topics` are names or patterns with `*`. The times are log times (`order="stamp"`: stamps),
        half-open. Pictures that were published raw and stored as JPEG come raw, decoded when they
        are looked at, or with `images="stored"` as JPEG.
        """
        numbers = Numbers()
        span = Span(begin_ns, NEVER_NS if end_ns is None else end_ns, order)
        for place in places(self._scan, self._contents, self._data_ids(topics), span):
            entry = self._contents.entries(place.segment)[place.number]
            try:
                message = self._message(place, entry, numbers, raw=images == "published")
            except DataError as error:
                self._scan.complaints.append(f"{error}: left out")
                continue
            if message is not None:
                yield Record(entry.log_ns, message)

    def signs(self, topics: Sequence[str] | None = None, *, begin_ns: int = 0) -> Iterator[Record]:
        """Yield what was said on topics besides messages (kinds promise and end), in log order."""
        ids = self._channel_ids([SIGNS_TOPIC])
        for place in places(self._scan, self._contents, ids, Span(begin_ns)):
            entry = self._contents.entries(place.segment)[place.number]
            header = header_from(bytes(entry.data))
            if topics is None or matches(header.topic, topics):
                yield Record(entry.log_ns, Message(header))

    def raw(self, topics: Sequence[str] | None = None) -> Iterator[RawRecord]:
        """Yield records as they are, in the order of their arrival; for files of others."""
        for place in places(self._scan, self._contents, self._data_ids(topics), Span()):
            entry = self._contents.entries(place.segment)[place.number]
            channel = self._scan.channels[entry.channel]
            schema = self._scan.schemas.get(channel.schema_id)
            name = schema.name if schema is not None else ""
            yield RawRecord(channel.topic, name, entry.log_ns, entry.data)

    def _message(
        self, place: Place, entry: Entry, numbers: Numbers, *, raw: bool
    ) -> Message | None:
        schema = self._schema(entry.channel)
        if schema == MESSAGE:
            return restored(entry.data, schema, b"", raw=raw)
        header = self._header(place.segment, entry.sequence)
        if header is not None and schema in KIND_OF:
            return restored(entry.data, schema, header, raw=raw)
        topic = self._scan.channels[entry.channel].topic
        message = foreign(entry.data, schema, topic, numbers.seq[topic], entry.log_ns)
        if message is None:
            self.skipped[schema or "no schema"] += 1
            return None
        return numbers.given(message)

    def _header(self, segment: int, sequence: int) -> bytes | None:
        """Return the header beside a record; other tools may have moved it to the next chunk."""
        for number in (segment, segment - 1, segment + 1):
            if 0 <= number < len(self._scan.segments):
                found: bytes | None = self._headers(number).get(sequence)
                if found is not None:
                    return found
        return None

    def _headers_of(self, segment: int) -> Mapping[int, bytes]:
        entries = self._contents.entries(segment)
        ids = self._channel_ids([HEADERS_TOPIC])
        return {entry.sequence: bytes(entry.data) for entry in entries if entry.channel in ids}

    def _data_ids(self, topics: Sequence[str] | None) -> set[int]:
        own = (HEADERS_TOPIC, SIGNS_TOPIC)
        return {
            channel.id
            for channel in self._scan.channels.values()
            if channel.topic not in own and (topics is None or matches(channel.topic, topics))
        }

    def _channel_ids(self, names: Iterable[str]) -> set[int]:
        wanted = set(names)
        return {
            channel.id
            for channel in self._scan.channels.values()
            if channel.topic in wanted and self._schema(channel.id) == HEADER
        }

    def _counted(self) -> dict[int, Count]:
        """Return the counts per channel, from the index, or by reading where there is none."""
        counts = summed(segment.counts for segment in self._scan.segments)
        if {channel: count.records for channel, count in counts.items()} != self._scan.totals:
            numbers = range(len(self._scan.segments))
            counts = summed(counts_of(self._contents.entries(number)) for number in numbers)
        return {channel: count for channel, count in counts.items() if self._is_known(channel)}

    def _is_known(self, channel: int) -> bool:
        if channel in self._scan.channels:
            return True
        self._scan.complaints.append(f"nothing says what channel {channel} is: left out")
        return False

    def _kind(self, channel: int) -> Kind | None:
        schema = self._schema(channel)
        if schema in KIND_OF:
            return KIND_OF[schema]
        named = self._scan.channels[channel].metadata.get("kind", "")
        return Kind(named) if schema == MESSAGE and named in set(Kind) else None

    def _schema(self, channel: int) -> str:
        known = self._scan.channels.get(channel)
        schema = self._scan.schemas.get(known.schema_id) if known is not None else None
        if schema is None or schema.encoding != "protobuf":
            return ""
        return schema.name

    def _cut_short(self) -> str:
        _, last_ns = self.span_ns
        return f"cut short: {self.messages_total} messages, last at {moment_text(last_ns)}"
