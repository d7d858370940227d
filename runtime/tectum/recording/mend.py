"""Make an ordinary log of one that a crash cut or that is damaged.

Everything that can be read is copied, record by record and in its order, into a new file with an
index; nothing is decoded and the source is not touched. What could not be read is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tectum.errors import DataError
from tectum.recording.content import Contents, Entry
from tectum.recording.mcap_file import McapFile
from tectum.recording.reader import LogReader
from tectum.recording.scan import Scan, opened, scanned
from tectum.recording.target import disk_errors, opened_to_write

__all__ = ["MendReport", "mend"]


@dataclass(frozen=True, slots=True)
class MendReport:
    """What `mend` did."""

    source: Path
    target: Path
    messages: int
    """Messages that the target has."""
    last_ns: int
    """Log time of the last of them."""
    complaints: tuple[str, ...]
    """What was wrong with the source; empty: nothing, and the target is a copy."""

    def sentence(self) -> str:
        """Return the report in a sentence."""
        if not self.complaints:
            return f"{self.source} was whole; {self.target} is a copy with {self.messages} messages"
        wrong = "; ".join(self.complaints)
        return f"{self.target} has {self.messages} messages, all that could be read ({wrong})"


def mend(source: Path, target: Path, *, overwrite: bool = False) -> MendReport:
    """Copy all that can be read of `source` into `target`.

    Raises:
        DataError: `source` is no log at all, or `target` exists or cannot be written.
    """
    if target.exists() and target.samefile(source):
        msg = f"{target} is the log to be mended itself: name another file"
        raise DataError(msg)
    with LogReader(source) as reader:
        complaints = reader.complaints
    with opened(source) as file:
        scan = scanned(file)
        _copy(scan, Contents(file, scan), target, overwrite=overwrite)
        complaints += tuple(text for text in scan.complaints if text not in complaints)
    with LogReader(target) as reader:
        return MendReport(source, target, reader.messages_total, reader.span_ns[1], complaints)


def _copy(scan: Scan, contents: Contents, target: Path, *, overwrite: bool) -> None:
    with opened_to_write(target, overwrite=overwrite) as file, disk_errors(target):
        writer = McapFile(file, profile="tectum", library="tectum log mend")
        for metadata in scan.metadata:
            writer.metadata(metadata.name, metadata.metadata)
        for item in scan.attachments:
            writer.attachment(
                item.name,
                item.media_type,
                item.data,
                create_ns=item.create_time,
                log_ns=item.log_time,
            )
        copier = _Copier(scan, writer)
        for number in range(len(scan.segments)):
            for entry in contents.entries(number):
                copier.copy(entry)
            writer.flush()
        writer.finish()


class _Copier:
    """Copies message records; gives schemas and channels new numbers as they come."""

    def __init__(self, scan: Scan, writer: McapFile) -> None:
        self._scan, self._writer = scan, writer
        self._channels: dict[int, int] = {}
        self._schemas: dict[int, int] = {0: 0}

    def copy(self, entry: Entry) -> None:
        if entry.channel not in self._scan.channels:
            return  # the reader has complained
        self._writer.message(
            self._channel(entry.channel),
            entry.sequence,
            entry.log_ns,
            entry.publish_ns,
            (entry.data,),
        )

    def _channel(self, number: int) -> int:
        if number not in self._channels:
            channel = self._scan.channels[number]
            self._channels[number] = self._writer.channel(
                channel.topic,
                channel.message_encoding,
                self._schema(channel.schema_id),
                channel.metadata,
            )
        return self._channels[number]

    def _schema(self, number: int) -> int:
        schema = self._scan.schemas.get(number)
        if schema is None:
            return 0
        if number not in self._schemas:
            new = self._writer.schema(schema.name, schema.encoding, schema.data)
            self._schemas[number] = new
        return self._schemas[number]
