"""Make an ordinary log of one that a crash cut or that is damaged.

Everything that can be read is copied, record by record and in its order, into a new file with an
index; nothing is decoded and the source is not touched. What could not be read is said. The files
of a series become one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tectum.errors import DataError
from tectum.recording.belonging import files_of
from tectum.recording.content import Contents
from tectum.recording.copying import Copier, copy_facts
from tectum.recording.mcap_file import McapFile
from tectum.recording.reader import LogReader
from tectum.recording.scan import opened, scanned
from tectum.recording.series_reader import open_log
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
    """Copy all that can be read of `source`, a log or the name of a series, into `target`.

    Raises:
        DataError: `source` is no log at all, or `target` exists or cannot be written.
    """
    sources = files_of(source)
    if target.exists() and any(target.samefile(path) for path in sources if path.exists()):
        msg = f"{target} is the log to be mended itself: name another file"
        raise DataError(msg)
    with open_log(source) as reader:
        complaints = list(reader.complaints)
    with opened_to_write(target, overwrite=overwrite) as file, disk_errors(target):
        writer = McapFile(file, profile="tectum", library="tectum log mend")
        copied: set[bytes] = set()
        for path in sources:
            named = f"{path.name}: " if len(sources) > 1 else ""
            complaints += (named + text for text in _copy(path, writer, copied))
        writer.finish()
    with LogReader(target) as reader:
        last_ns = reader.span_ns[1]
        once = tuple(dict.fromkeys(complaints))
        return MendReport(source, target, reader.messages_total, last_ns, once)


def _copy(source: Path, writer: McapFile, copied: set[bytes]) -> list[str]:
    """Copy one file; metadata and attachments that were `copied` are not repeated."""
    with opened(source) as file:
        scan = scanned(file)
        copy_facts(scan, writer, copied)
        copier, contents = Copier(scan, writer), Contents(file, scan)
        for number in range(len(scan.segments)):
            for entry in contents.entries(number):
                copier.copy(entry)
            writer.flush()
        return scan.complaints
