"""Where the records of an MCAP file lie, found also in a file that was cut or damaged.

The ordinary reader needs the index at the end, and refuses a file without it; here the file is
walked from its beginning, frame by frame, without reading what the frames hold. A frame that makes
no sense ends the walk, or, where the index at the end is whole, the walk goes on at the next chunk
that it names. Whatever was wrong is in `complaints`, in words; nothing is passed over silently.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Attachment, Channel, MessageIndex, Metadata, Schema

from tectum.errors import DataError
from tectum.recording.index import FRAME, MAGIC, Frame, Index, parsed, read_index
from tectum.recording.names import parts_of

__all__ = [
    "PARSE_ERRORS",
    "Count",
    "Scan",
    "Segment",
    "opened",
    "scanned",
    "take_definition",
]

_CHUNK_HEAD = struct.Struct("<QQQI")
PARSE_ERRORS = (McapError, struct.error, ValueError, IndexError, OverflowError)


class Count(NamedTuple):
    """How many records of a channel, and the log times of the first and last."""

    records: int
    first_ns: int
    last_ns: int


@dataclass(slots=True)
class Segment:
    """A stretch of schema, channel and message records: a chunk, or bare records in a row."""

    frame: int
    """Where its record begins in the file."""
    begin: int
    end: int
    compression: str = ""
    nbytes: int = -1
    """Size after decompression; -1: not compressed."""
    crc: int = 0
    whole: bool = True
    """False: the file ends within it."""
    first_ns: int = 0
    last_ns: int = (1 << 64) - 1
    counts: dict[int, Count] = field(default_factory=dict)
    """Per channel, as the records behind the chunk say; these are under no checksum."""
    channels: frozenset[int] | None = None
    """The channels in it, where the index at the end says so; None where they are not known."""


@dataclass(slots=True)
class Scan:
    """What the walk through a file found."""

    nbytes: int
    segments: list[Segment] = field(default_factory=list)
    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    metadata: list[Metadata] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    totals: dict[int, int] | None = None
    """Records per channel, where the index at the end says so."""
    finished: bool = False
    """The file has its index and its end."""
    complaints: list[str] = field(default_factory=list)


def opened(path: Path) -> IO[bytes]:
    """Open a log for reading.

    Raises:
        DataError: it is not there, is empty, or is not an MCAP file.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        series = list(parts_of(path))
        msg = f"there is no log at {path}" + (
            f", but its series from {series[0].name} on; `tectum log mend` makes one log of it"
            if series
            else ""
        )
        raise DataError(msg) from None
    except OSError as error:
        msg = f"the log {path} cannot be opened: {error.strerror}"
        raise DataError(msg) from error
    begin = file.read(len(MAGIC))
    if begin == MAGIC:
        return file
    file.close()
    size = path.stat().st_size
    what = "is empty" if size == 0 else "is not an MCAP file: it does not begin like one"
    if 0 < size < len(MAGIC) and MAGIC.startswith(begin):
        what = f"holds nothing: it was cut after {size} bytes"
    msg = f"{path} {what}"
    raise DataError(msg)


def scanned(file: IO[bytes]) -> Scan:
    """Walk through an opened log."""
    nbytes = os.fstat(file.fileno()).st_size
    found = read_index(file, nbytes)
    index = found or Index()
    scan = Scan(nbytes, schemas=index.schemas, channels=index.channels, totals=index.totals)
    for frame in _frames(file, scan, sorted(index.chunks)):
        try:
            _take(file, frame, scan)
        except PARSE_ERRORS:
            name = _name(frame.opcode)
            scan.complaints.append(f"the {name} record at byte {frame.begin} is damaged: left out")
    for segment in scan.segments:
        _trust(index, segment)
    if found is None and scan.finished and not scan.complaints:
        scan.complaints.append("the index at the end is damaged: read without it")
    return scan


def _trust(index: Index, segment: Segment) -> None:
    """Take what the index says of a chunk: it is under a checksum, the chunk's own head is not."""
    chunk = index.chunks.get(segment.frame)
    if chunk is not None:
        segment.first_ns, segment.last_ns = chunk.message_start_time, chunk.message_end_time
        segment.channels = frozenset(chunk.message_index_offsets) or None


def _frames(file: IO[bytes], scan: Scan, chunk_starts: list[int]) -> Iterator[Frame]:
    position = len(MAGIC)
    while position < scan.nbytes:
        head = os.pread(file.fileno(), FRAME.size, position)
        opcode, length = FRAME.unpack(head) if len(head) == FRAME.size else (0, 0)
        begin = position + FRAME.size
        if opcode != 0 and length <= scan.nbytes - begin:
            yield Frame(opcode, begin, begin + length)
            position = begin + length
            if opcode == Opcode.FOOTER:
                return
            continue
        resume = next((start for start in chunk_starts if start > position), None)
        if resume is None:
            _end_early(file, Frame(opcode, begin, scan.nbytes), scan)
            return
        scan.complaints.append(
            f"bytes {position} to {resume} are damaged: left out, read on at the next chunk"
        )
        position = resume


def _end_early(file: IO[bytes], frame: Frame, scan: Scan) -> None:
    if scan.finished:
        scan.complaints.append(f"the index at byte {frame.begin} is damaged: not needed, left out")
        return
    scan.complaints.append(f"the file ends within a record at byte {frame.begin - FRAME.size}")
    if frame.opcode == Opcode.CHUNK:
        try:
            _take_chunk(file, frame, scan, whole=False)
        except PARSE_ERRORS:
            return


def _take(file: IO[bytes], frame: Frame, scan: Scan) -> None:
    if frame.opcode == Opcode.CHUNK:
        _take_chunk(file, frame, scan, whole=True)
    elif frame.opcode == Opcode.MESSAGE:
        _take_bare(frame, scan)
    elif frame.opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
        _take_bare(frame, scan)
        take_definition(frame.opcode, _content(file, frame), scan)
    elif frame.opcode == Opcode.MESSAGE_INDEX:
        _take_index(parsed(MessageIndex, _content(file, frame)), scan)
    elif frame.opcode == Opcode.METADATA:
        scan.metadata.append(parsed(Metadata, _content(file, frame)))
    elif frame.opcode == Opcode.ATTACHMENT:
        _take_attachment(_content(file, frame), scan)
    elif frame.opcode == Opcode.DATA_END:
        scan.finished = True


def take_definition(opcode: int, content: bytes, scan: Scan) -> None:
    """Note a schema or channel record."""
    if opcode == Opcode.SCHEMA:
        schema = parsed(Schema, content)
        scan.schemas[schema.id] = schema
    elif opcode == Opcode.CHANNEL:
        channel = parsed(Channel, content)
        scan.channels[channel.id] = channel


def _take_chunk(file: IO[bytes], frame: Frame, scan: Scan, *, whole: bool) -> None:
    head = os.pread(file.fileno(), min(frame.end - frame.begin, 256), frame.begin)
    first_ns, last_ns, nbytes, crc = _CHUNK_HEAD.unpack_from(head)
    name_length = int.from_bytes(head[28:32], "little")
    begin = frame.begin + 32 + name_length + 8
    compression = head[32 : 32 + name_length].decode()
    packed = int.from_bytes(head[32 + name_length : 40 + name_length], "little")
    if len(head) < 40 + name_length or (whole and begin + packed != frame.end):
        msg = "its lengths disagree"
        raise ValueError(msg)
    start = frame.begin - FRAME.size
    segment = Segment(start, begin, frame.end, compression, nbytes, crc, whole, first_ns, last_ns)
    scan.segments.append(segment)


def _take_bare(frame: Frame, scan: Scan) -> None:
    begin = frame.begin - FRAME.size
    last = scan.segments[-1] if scan.segments else None
    if last is not None and last.nbytes < 0 and last.end == begin and begin - last.begin < 1 << 20:
        last.end = frame.end
    elif not scan.finished:
        scan.segments.append(Segment(begin, begin, frame.end))


def _take_index(index: MessageIndex, scan: Scan) -> None:
    if not scan.segments or not index.records:
        return
    times = [log_ns for log_ns, _ in index.records]
    count = Count(len(times), min(times), max(times))
    scan.segments[-1].counts[index.channel_id] = count


def _take_attachment(content: bytes, scan: Scan) -> None:
    attachment = parsed(Attachment, content)
    if zlib.crc32(content[:-4]) != int.from_bytes(content[-4:], "little"):
        scan.complaints.append(f"the attachment {attachment.name!r} is damaged: left out")
        return
    scan.attachments.append(attachment)


def _content(file: IO[bytes], frame: Frame) -> bytes:
    return os.pread(file.fileno(), frame.end - frame.begin, frame.begin)


def _name(opcode: int) -> str:
    try:
        return Opcode(opcode).name.lower().replace("_", " ")
    except ValueError:
        return f"unknown ({opcode})"
