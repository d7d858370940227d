"""The index at the end of a finished MCAP file, and the framing that all records share.

The index is used only when its checksum is right: then the times and channels of chunks, the
counts, schemas and channels can be trusted, whatever happened to the rest of the file.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import IO, Any, NamedTuple

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, ChunkIndex, Schema, Statistics

__all__ = ["FRAME", "MAGIC", "Frame", "Index", "frames_in", "parsed", "read_index"]

MAGIC = b"\x89MCAP0\r\n"
FRAME = struct.Struct("<BQ")
"""What stands before each record: opcode and length."""

_FOOTER = struct.Struct("<QQI")
_TAIL_BYTES = FRAME.size + _FOOTER.size + len(MAGIC)


class Frame(NamedTuple):
    """A record: its opcode, and where its content lies."""

    opcode: int
    begin: int
    end: int


@dataclass(slots=True)
class Index:
    """What the index says."""

    chunks: dict[int, ChunkIndex] = field(default_factory=dict)
    """By where the chunk begins in the file."""
    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    totals: dict[int, int] | None = None
    """Records per channel."""


def frames_in(data: memoryview) -> Iterator[Frame]:
    """Yield the whole frames of a stretch of records; stop where one does not fit."""
    position = 0
    while position + FRAME.size <= len(data):
        opcode, length = FRAME.unpack_from(data, position)
        begin = position + FRAME.size
        if length > len(data) - begin:
            return
        yield Frame(opcode, begin, begin + length)
        position = begin + length


def parsed(kind: Any, content: bytes) -> Any:
    """Return the record of a class of `mcap.records`."""
    return kind.read(ReadDataStream(BytesIO(content)))


def read_index(file: IO[bytes], nbytes: int) -> Index | None:
    """Return the index of a file of `nbytes`; None where it is damaged, or the file has no end.

    A file that was written without an index has an empty one.
    """
    tail = os.pread(file.fileno(), _TAIL_BYTES, max(0, nbytes - _TAIL_BYTES))
    if len(tail) < _TAIL_BYTES or not tail.endswith(MAGIC) or tail[0] != Opcode.FOOTER:
        return None
    start, _, crc = _FOOTER.unpack_from(tail, FRAME.size)
    end = nbytes - _TAIL_BYTES
    if start == 0:
        return Index()
    if start > end:
        return None
    summary = os.pread(file.fileno(), end - start, start)
    covered = summary + tail[: FRAME.size + _FOOTER.size - 4]
    if crc and zlib.crc32(covered) != crc:
        return None
    try:
        return _index(summary)
    except (McapError, struct.error, ValueError):
        return None


def _index(summary: bytes) -> Index:
    index = Index()
    for frame in frames_in(memoryview(summary)):
        content = summary[frame.begin : frame.end]
        if frame.opcode == Opcode.CHUNK_INDEX:
            chunk = parsed(ChunkIndex, content)
            index.chunks[chunk.chunk_start_offset] = chunk
        elif frame.opcode == Opcode.SCHEMA:
            schema = parsed(Schema, content)
            index.schemas[schema.id] = schema
        elif frame.opcode == Opcode.CHANNEL:
            channel = parsed(Channel, content)
            index.channels[channel.id] = channel
        elif frame.opcode == Opcode.STATISTICS:
            index.totals = dict(parsed(Statistics, content).channel_message_counts)
    return index
