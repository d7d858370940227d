"""One recording in one file, or in several that follow each other, each complete by itself.

`drive.mcap` that is split lies in `drive-00001.mcap`, `drive-00002.mcap`, ...: names that sort as
the files follow. Each begins with what the run is, its rig and its constant facts. A recorder that
is started again within its run goes on beside what it has written (`drive-2.mcap`, or the next
number of the series) and replaces nothing of it; each file says in which life of the recorder it
was written, so that all of them are read as one log, with the times between (`belonging`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tectum.message import Kind, Message
from tectum.recording.names import life_path, part_path, parts_of
from tectum.recording.part_note import PART, Owner, PartNote, part_note
from tectum.recording.writer import LogWriter, WriteOptions

__all__ = ["LogSeries", "Split"]


@dataclass(frozen=True, slots=True)
class Split:
    """When the next file begins; both 0: never."""

    nbytes: int = 0
    """A file has about so much."""
    every_ns: int = 0

    def __bool__(self) -> bool:
        """Return whether there will be several files."""
        return bool(self.nbytes or self.every_ns)

    def is_due(self, nbytes: int, lasted_ns: int) -> bool:
        """Return whether a file of `nbytes` that has lasted so long is to be the last."""
        by_size = self.nbytes and nbytes >= self.nbytes
        return bool(by_size or (self.every_ns and lasted_ns >= self.every_ns))


class LogSeries:
    """A recording that is being written. One thread at a time."""

    def __init__(
        self,
        path: Path,
        options: WriteOptions | None = None,
        split: Split | None = None,
        owner: Owner | None = None,
    ) -> None:
        """Create the first file.

        Raises:
            DataError: it exists and is not this owner's (unless the options allow to replace it),
                or cannot be written.
        """
        self._path = path
        self._options = options or WriteOptions()
        self._split, self._owner = split or Split(), owner or Owner()
        self._number, self._life = self._begin()
        self._run: Mapping[str, Any] | None = None
        self._facts: dict[tuple[str, str], Message] = {}
        self._began_ns: int | None = None
        self._done_messages = self._done_bytes = self._lost = 0
        self.files: list[Path] = []
        """The files so far."""
        self._writer = self._opened()

    @property
    def path(self) -> Path:
        """Return the file that is written now."""
        return self._writer.path

    @property
    def messages(self) -> int:
        """Return the messages written so far, in all files."""
        return self._done_messages + self._writer.messages

    @property
    def file_messages(self) -> int:
        """Return the messages in the file that is written now."""
        return self._writer.messages

    @property
    def bytes(self) -> int:
        """Return the bytes of records written so far, in all files."""
        return self._done_bytes + self._writer.bytes

    @property
    def lost(self) -> int:
        """Return the messages that the system refused after they were written."""
        return self._lost + self._writer.lost

    @property
    def closed(self) -> bool:
        """Return whether nothing more can be written."""
        return self._writer.closed

    def write_run(self, document: Mapping[str, Any], now_ns: int) -> None:
        """Keep what the run is, in this file and in those that follow."""
        self._run = document
        self._writer.write_run(document, now_ns)

    def write(self, message: Message, arrived_ns: int) -> None:
        """Add a message; errors as of `LogWriter.write`."""
        if self._began_ns is None:
            self._began_ns = arrived_ns
        if message.header.kind is Kind.LATCHED:
            fact = message.header.fields.get("fact")
            self._facts[message.header.topic, str(fact)] = Message(message.header)
        self._writer.write(message, arrived_ns)

    def flush_at(self, now_ns: int) -> None:
        """Flush if the interval has passed."""
        self._writer.flush_at(now_ns)

    def is_due(self, now_ns: int) -> bool:
        """Return whether the next file should begin."""
        lasted_ns = now_ns - self._began_ns if self._began_ns is not None else 0
        return self._split.is_due(self._writer.file_bytes, lasted_ns)

    def begin_next(self, facts: Mapping[str, str], now_ns: int) -> None:
        """Finish this file, with `facts` about the recording, and begin the next.

        Raises:
            DataError: one of them cannot be written; then the series is closed.
        """
        self.close(facts)
        self._number += 1
        following = self._opened()
        self._done_messages, self._done_bytes = self.messages, self.bytes
        self._lost, self._writer, self._began_ns = self.lost, following, now_ns
        if self._run is not None:
            following.write_run(self._run, now_ns)
        for fact in self._facts.values():
            following.write(fact, now_ns)

    def close(self, facts: Mapping[str, str] | None = None) -> None:
        """Finish the file, with `facts` about the recording; further calls do nothing.

        Raises:
            DataError: it cannot be finished; what was flushed is readable all the same.
        """
        if self._writer.closed:
            return
        try:
            if facts is not None:
                self._writer.write_facts("tectum/recording", facts)
        finally:
            self._writer.close()

    def _opened(self) -> LogWriter:
        path = self._file(self._number)
        writer = LogWriter(path, self._options)
        note = PartNote(self._number, self._life, self._owner)
        writer.write_facts(PART, note.facts(self._path.name))
        self.files.append(path)
        return writer

    def _file(self, number: int) -> Path:
        return part_path(self._path, number) if self._split else life_path(self._path, number)

    def _begin(self) -> tuple[int, int]:
        """Return (number of the first file to write, life); make room for it where allowed."""
        if not self._split:
            number = self._next_life()
            return number, number
        found = parts_of(self._path)
        own = [note for path in found if (note := self._own_note(path))]
        if own:
            return max(found.values()) + 1, max(note.life for note in own) + 1
        for path in found if self._options.overwrite else ():
            path.unlink()
        return 1, 1

    def _next_life(self) -> int:
        number = 1
        while (path := self._file(number)).exists():
            if number == 1 and self._own_note(path) is None:
                break  # to be refused, or replaced
            number += 1
        return number

    def _own_note(self, path: Path) -> PartNote | None:
        """Return what `path` says of itself, where this owner has written it before."""
        note = part_note(path) if self._owner.run else None
        return note if note and note.owner == self._owner else None
