"""Take a part of a log: a stretch of time, some topics, or both; a log of its own again.

Records are copied as they are, with their headers. Constant facts and the rig that were said
before the stretch are said at its begin. A journal can be fed back only from its first event on and
as a whole: where time is cut off it is left out, and the part can be simulated and played, but not
verified. The files of a series become one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tectum.errors import ConfigError, DataError
from tectum.message import Kind
from tectum.recording.belonging import files_of
from tectum.recording.content import Contents, Entry
from tectum.recording.copying import Copier, copy_facts
from tectum.recording.headers import header_from
from tectum.recording.log_topics import matches
from tectum.recording.mcap_file import McapFile
from tectum.recording.order import NEVER_NS
from tectum.recording.reader import LogReader
from tectum.recording.scan import PARSE_ERRORS, Scan, opened, scanned
from tectum.recording.series_reader import named_log, open_log
from tectum.recording.target import disk_errors, opened_to_write
from tectum.recording.writer import HEADERS_TOPIC, LATCHED_PREFIX, SIGNS_TOPIC

__all__ = ["CutReport", "Part", "cut"]

_RIG = "rig/*"


@dataclass(frozen=True, slots=True)
class Part:
    """What is taken of a log; times are log times, half-open."""

    begin_ns: int = 0
    end_ns: int = NEVER_NS
    topics: tuple[str, ...] = ("*",)
    """Names or patterns with `*`."""


@dataclass(frozen=True, slots=True)
class CutReport:
    """What `cut` did."""

    source: Path
    target: Path
    messages: int
    """Messages that the target has."""
    span_ns: tuple[int, int]
    without_journal: bool
    complaints: tuple[str, ...]

    def sentence(self) -> str:
        """Return the report in a sentence."""
        seconds = (self.span_ns[1] - self.span_ns[0]) / 1e9
        text = f"{self.target} has {self.messages} messages, {seconds:.1f} s of {self.source}"
        if self.without_journal:
            text += ", without its journal: it can be simulated and played, not verified"
        return f"{text} ({'; '.join(self.complaints)})" if self.complaints else text


def cut(source: Path, target: Path, part: Part, *, overwrite: bool = False) -> CutReport:
    """Copy `part` of `source` (a log, the name of a series, a folder) into `target`.

    Raises:
        DataError: `source` is no log at all, or `target` exists or cannot be written.
        ConfigError: the part holds nothing.
    """
    named = named_log(source)
    files = files_of(named)
    if target.exists() and any(target.samefile(path) for path in files if path.exists()):
        msg = f"{target} is the log itself: name another file"
        raise DataError(msg)
    with open_log(named) as reader:
        complaints, without = reader.complaints, _cuts_journal(reader, part)
        _check(reader, part)
    with opened_to_write(target, overwrite=overwrite) as file, disk_errors(target):
        writer = McapFile(file, profile="tectum", library="tectum log cut")
        copied: set[bytes] = set()
        for path in files:
            _copy(path, writer, part, copied, without_journal=without)
        writer.metadata("tectum/cut", _words(named, part))
        writer.finish()
    with LogReader(target) as reader:
        return CutReport(named, target, reader.messages_total, reader.span_ns, without, complaints)


def _check(reader: LogReader, part: Part) -> None:
    """Refuse a part in which nothing lies."""
    first_ns, last_ns = reader.span_ns
    unknown = [name for name in part.topics if not any(matches(t, [name]) for t in reader.topics)]
    if unknown:
        msg = f"{reader.path} has no topic {unknown[0]!r}; it has: {', '.join(reader.topics)}"
        raise ConfigError(msg)
    if part.begin_ns >= part.end_ns or part.begin_ns > last_ns or part.end_ns <= first_ns:
        seconds = (last_ns - first_ns) / 1e9
        msg = f"nothing lies in that part: {reader.path} lasts {seconds:.3f} s"
        raise ConfigError(msg)


def _cuts_journal(reader: LogReader, part: Part) -> bool:
    """Return whether time is cut off from the journal of a run."""
    journals = [topic for topic in reader.topics.values() if topic.kind is Kind.JOURNAL]
    return any(topic.first_ns < part.begin_ns or topic.last_ns >= part.end_ns for topic in journals)


def _words(source: Path, part: Part) -> dict[str, str]:
    return {
        "source": source.name,
        "begin_ns": str(part.begin_ns),
        "end_ns": "" if part.end_ns == NEVER_NS else str(part.end_ns),
        "topics": ", ".join(part.topics),
    }


def _copy(
    path: Path, writer: McapFile, part: Part, copied: set[bytes], *, without_journal: bool
) -> None:
    with opened(path) as file:
        scan = scanned(file)
        chosen = _Chosen(scan, part, without_journal=without_journal)
        copy_facts(scan, writer, copied, wanted=chosen.is_wanted_fact)
        copier, contents = Copier(scan, writer), Contents(file, scan)
        for number in range(len(scan.segments)):
            entries = contents.entries(number)
            for entry in chosen.of(entries):
                copier.copy(entry, max(entry.log_ns, part.begin_ns))
            writer.flush()


class _Chosen:
    """Which records of one file belong to a part."""

    def __init__(self, scan: Scan, part: Part, *, without_journal: bool) -> None:
        self._scan, self._part, self._without_journal = scan, part, without_journal

    def of(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return those of a segment that are in the part, in their order.

        A record and its header carry the same sequence number and lie in one chunk.
        """
        kept = {
            entry.sequence
            for entry in entries
            if self._topic(entry) not in (HEADERS_TOPIC, SIGNS_TOPIC) and self._is_in(entry)
        }
        return [entry for entry in entries if self._is_kept(entry, kept)]

    def is_wanted_fact(self, name: str) -> bool:
        """Return whether an attachment goes with the part."""
        topic = name.removeprefix(LATCHED_PREFIX)
        return topic == name or matches(topic, self._part.topics)

    def _is_kept(self, entry: Entry, kept: set[int]) -> bool:
        topic = self._topic(entry)
        if topic == HEADERS_TOPIC:
            return entry.sequence in kept
        if topic == SIGNS_TOPIC:
            return self._is_in_time(entry) and self._is_wanted_sign(entry)
        return self._is_in(entry)

    def _is_in(self, entry: Entry) -> bool:
        channel = self._scan.channels.get(entry.channel)
        if channel is None:
            return False
        kind = channel.metadata.get("kind", "")
        if kind == Kind.JOURNAL and self._without_journal:
            return False
        if matches(channel.topic, (_RIG,)):
            return True
        if not matches(channel.topic, self._part.topics):
            return False
        early = kind == Kind.LATCHED and entry.log_ns < self._part.end_ns
        return early or self._is_in_time(entry)

    def _is_in_time(self, entry: Entry) -> bool:
        return self._part.begin_ns <= entry.log_ns < self._part.end_ns

    def _is_wanted_sign(self, entry: Entry) -> bool:
        try:
            topic = header_from(bytes(entry.data)).topic
        except (DataError, *PARSE_ERRORS):
            return False
        return matches(topic, self._part.topics)

    def _topic(self, entry: Entry) -> str:
        channel = self._scan.channels.get(entry.channel)
        return channel.topic if channel else ""
