"""Read a recording that lies in several files as the one log that it is.

`open_log` takes what people name: a log, with what its recorder wrote when it was started again
(`drive-2.mcap`, ...), the name of a series (`drive.mcap` where there are `drive-00001.mcap`,
`drive-00002.mcap`, ...), or a folder that holds one recording and no other.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, Literal

from tectum.errors import DataError
from tectum.message import Header
from tectum.recording.belonging import (
    files_of,
    gaps_between,
    missing_files,
    recordings_in,
)
from tectum.recording.gap import Gap
from tectum.recording.log_topics import LogTopic, joined_topics
from tectum.recording.reader import LogReader, RawRecord, Record

__all__ = ["SeriesReader", "named_log", "open_log"]


def open_log(path: Path) -> LogReader:
    """Open a log, a series or the only recording in a folder; the caller closes it.

    Raises:
        DataError: there is no such recording, or it is not a log at all.
    """
    named = named_log(path)
    files = files_of(named)
    return LogReader(named) if files == [named] else SeriesReader(named, files)


def named_log(path: Path) -> Path:
    """Return the name of the recording that `path` means: itself, or the only one in a folder.

    Raises:
        DataError: it is a folder that holds none, or several.
    """
    if not path.is_dir():
        return path
    found = recordings_in(path)
    if len(found) == 1:
        return found[0]
    names = ", ".join(log.name for log in found[:8]) or "none"
    msg = f"{path} is a folder; name one recording in it (it has: {names})"
    raise DataError(msg)


class SeriesReader(LogReader):
    """Several files that follow each other, as one log."""

    def __init__(self, path: Path, files: Sequence[Path]) -> None:
        """Open all `files` of the recording `path`.

        Raises:
            DataError: one of them is not a log at all.
        """
        self.path = path
        self._parts: list[LogReader] = []
        try:
            for file in files:
                self._parts.append(LogReader(file))
        except DataError:
            self.close()
            raise

    def close(self) -> None:
        """Close all files."""
        for part in self._parts:
            part.close()

    @property
    def skipped(self) -> Counter[str]:  # type: ignore[override]  # of one file it is kept, here summed
        """Schema (or reason) -> records that could not become messages."""
        return sum((part.skipped for part in self._parts), Counter())

    @property
    def finished(self) -> bool:
        """Return whether every file was closed properly."""
        return all(part.finished for part in self._parts)

    @property
    def complaints(self) -> tuple[str, ...]:
        """Return what was found wrong so far, with the name of the file."""
        found = (f"{part.path.name}: {text}" for part in self._parts for text in part.complaints)
        between = (gap.sentence() for gap in self.gaps)
        return (*missing_files(self.path), *between, *found)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Return the times in which nobody recorded, because the recorder was started again."""
        return gaps_between(self._parts)

    @property
    def topics(self) -> dict[str, LogTopic]:
        """Return the topics of all files with their counts, by name."""
        return reduce(joined_topics, (part.topics for part in self._parts))

    @property
    def span_ns(self) -> tuple[int, int]:
        """Return the log times of the first and last record."""
        spans = [part.span_ns for part in self._parts if part.messages_total]
        first = min((first_ns for first_ns, _ in spans), default=0)
        return first, max((last_ns for _, last_ns in spans), default=0)

    @property
    def run(self) -> dict[str, Any]:
        """Return `run.json` of the recorded run, as the first file that has it says."""
        return next((run for part in self._parts if (run := part.run)), {})

    @property
    def metadata(self) -> dict[str, dict[str, str]]:
        """Return the metadata records by name; of several, the last."""
        return {name: facts for part in self._parts for name, facts in part.metadata.items()}

    @property
    def latched(self) -> dict[str, Header]:
        """Return the latched facts by topic; of several on one topic, the last."""
        return {topic: fact for part in self._parts for topic, fact in part.latched.items()}

    def messages(
        self,
        topics: Sequence[str] | None = None,
        *,
        begin_ns: int = 0,
        end_ns: int | None = None,
        order: Literal["log", "stamp"] = "log",
        images: Literal["published", "stored"] = "published",
    ) -> Iterator[Record]:
        """Yield messages of all files in one order; see `LogReader.messages`."""
        parts = (
            part.messages(topics, begin_ns=begin_ns, end_ns=end_ns, order=order, images=images)
            for part in self._parts
        )
        if order == "stamp":
            return heapq.merge(*parts, key=lambda record: record.message.header.stamp_ns)
        return heapq.merge(*parts, key=lambda record: record.log_ns)

    def signs(self, topics: Sequence[str] | None = None, *, begin_ns: int = 0) -> Iterator[Record]:
        """Yield what was said besides messages, in log order; see `LogReader.signs`."""
        parts = (part.signs(topics, begin_ns=begin_ns) for part in self._parts)
        return heapq.merge(*parts, key=lambda record: record.log_ns)

    def raw(self, topics: Sequence[str] | None = None) -> Iterator[RawRecord]:
        """Yield records as they are, in the order of their arrival."""
        parts = (part.raw(topics) for part in self._parts)
        return heapq.merge(*parts, key=lambda record: record.log_ns)
