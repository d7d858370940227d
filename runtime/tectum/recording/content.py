"""What a segment of a log holds: its records, checked against its checksum.

A chunk whose checksum is wrong is refused as a whole, since nobody knows which of its bytes
changed. A chunk that the end of the file cuts gives the records that are whole.
"""

from __future__ import annotations

import os
import struct
import zlib
from functools import lru_cache
from typing import IO, NamedTuple

from mcap.opcode import Opcode

from tectum.errors import DataError
from tectum.recording.index import frames_in
from tectum.recording.scan import PARSE_ERRORS, Scan, Segment, take_definition

__all__ = ["Contents", "Entry"]

_MESSAGE = struct.Struct("<HIQQ")
_KEPT_SEGMENTS = 8


class Entry(NamedTuple):
    """A message record; its data is a view that keeps its segment in memory."""

    channel: int
    sequence: int
    log_ns: int
    publish_ns: int
    data: memoryview


class Contents:
    """Reads segments of one file; the last few are kept. Finds schemas and channels on the way."""

    def __init__(self, file: IO[bytes], scan: Scan) -> None:
        """Read from `file`, whose `scan` gets the definitions that are found in chunks."""
        self._file, self._scan = file, scan
        self.entries = lru_cache(_KEPT_SEGMENTS)(self._entries)
        """`entries(number)`: the message records of a segment, in the order of the file.

        Empty for a damaged one, which is then in the complaints of the scan.
        """
        self._damaged: set[int] = set()

    def _entries(self, number: int) -> list[Entry]:
        segment = self._scan.segments[number]
        try:
            data = _data(self._file, segment)
        except DataError as error:
            if number not in self._damaged:
                self._damaged.add(number)
                self._scan.complaints.append(f"{error}: left out")
            return []
        return self._parsed(data)

    def _parsed(self, data: memoryview) -> list[Entry]:
        entries = []
        for frame in frames_in(data):
            content = data[frame.begin : frame.end]
            if frame.opcode == Opcode.MESSAGE and len(content) >= _MESSAGE.size:
                channel, sequence, log_ns, publish_ns = _MESSAGE.unpack_from(content)
                data_view = content[_MESSAGE.size :]
                entries.append(Entry(channel, sequence, log_ns, publish_ns, data_view))
            elif frame.opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                self._define(frame.opcode, bytes(content))
        return entries

    def _define(self, opcode: int, content: bytes) -> None:
        """Note a schema or channel; a chunk without a checksum may hold a damaged one."""
        try:
            take_definition(opcode, content, self._scan)
        except PARSE_ERRORS:
            text = "a definition in a chunk is damaged: left out"
            if text not in self._scan.complaints:
                self._scan.complaints.append(text)


def _data(file: IO[bytes], segment: Segment) -> memoryview:
    packed = os.pread(file.fileno(), segment.end - segment.begin, segment.begin)
    data = packed if segment.nbytes < 0 else _unpacked(packed, segment)
    whole = segment.whole and segment.nbytes >= 0
    if whole and (len(data) != segment.nbytes or _differs(data, segment.crc)):
        msg = f"the chunk at byte {segment.begin} is damaged"
        raise DataError(msg)
    return memoryview(data)


def _differs(data: bytes, crc: int) -> bool:
    return crc != 0 and zlib.crc32(data) != crc


def _unpacked(packed: bytes, segment: Segment) -> bytes:
    """Return the decompressed data; of a cut chunk, what its whole blocks give."""
    try:
        if segment.compression == "lz4":
            import lz4.frame  # type: ignore[import-untyped]  # noqa: PLC0415 - where it is used

            data: bytes = lz4.frame.LZ4FrameDecompressor().decompress(packed)
            return data
        if segment.compression == "zstd":
            import zstandard  # noqa: PLC0415 - where it is used

            return zstandard.ZstdDecompressor().decompressobj().decompress(packed)
    except Exception as error:  # zstandard's error has no other base
        msg = f"the chunk at byte {segment.begin} cannot be decompressed"
        raise DataError(msg) from error
    if segment.compression:
        msg = f"the chunk at byte {segment.begin} has the unknown compression {segment.compression}"
        raise DataError(msg)
    return packed
