"""An MCAP file that is being written: chunks with their index, attachments, metadata, summary.

Each write puts whole records at the end of the file. What the system refuses (a full disk) is cut
off again, so that the file ends with a whole record and the room that half a chunk took is there
for the summary. Format: https://mcap.dev/spec; small records are built by the `mcap` package.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import FileIO
from typing import Any, Literal

from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Attachment,
    AttachmentIndex,
    Channel,
    ChunkIndex,
    DataEnd,
    Footer,
    Header,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
    SummaryOffset,
)

from tectum.recording.chunk import Chunk
from tectum.recording.index import FRAME, MAGIC
from tectum.recording.splice import Buffer

__all__ = ["Compression", "McapFile"]

Compression = Literal["none", "lz4", "zstd"]
_CHUNK_HEAD = struct.Struct("<QQQII")
_FOOTER = struct.Struct("<BQQQ")


class McapFile:
    """Writes into an opened file. Methods raise OSError where the system refuses."""

    def __init__(
        self, file: FileIO, *, profile: str, library: str, compression: Compression = "none"
    ) -> None:
        """Write the beginning of the file, which stays the caller's to close."""
        self._file = file
        self._compression = compression
        self._chunk = Chunk()
        self.message = self._chunk.add
        """`message(channel, sequence, log_ns, publish_ns, pieces)`: add one to the chunk.

        Returns the bytes of its data, and touches no disk.
        """
        self._schemas: list[Schema] = []
        self._channels: list[Channel] = []
        self._chunks: list[ChunkIndex] = []
        self._attachments: list[AttachmentIndex] = []
        self._metadata: list[MetadataIndex] = []
        self._counts: dict[int, int] = {}
        self._end = 0
        self._write(MAGIC + _record(Header(profile, library)))

    @property
    def nbytes(self) -> int:
        """Return the bytes of the file, with those that wait to be written."""
        return self._end + self._chunk.nbytes

    @property
    def pending_bytes(self) -> int:
        """Return the bytes of records that wait for `flush`."""
        return self._chunk.nbytes if self._chunk.messages else 0

    @property
    def pending_messages(self) -> int:
        """Return the messages that wait for `flush`."""
        return self._chunk.messages

    def schema(self, name: str, encoding: str, data: bytes) -> int:
        """Define a schema; return its id."""
        schema = Schema(id=len(self._schemas) + 1, name=name, encoding=encoding, data=data)
        self._schemas.append(schema)
        self._chunk.define(_record(schema))
        return schema.id

    def channel(
        self, topic: str, encoding: str, schema: int, metadata: Mapping[str, str] | None = None
    ) -> int:
        """Define a channel; return its id. Schema 0: none."""
        number = len(self._channels) + 1
        channel = Channel(
            id=number,
            topic=topic,
            message_encoding=encoding,
            schema_id=schema,
            metadata=dict(metadata or {}),
        )
        self._channels.append(channel)
        self._chunk.define(_record(channel))
        return number

    def metadata(self, name: str, values: Mapping[str, str]) -> None:
        """Add words by key, before the chunk that is being filled."""
        record = _record(Metadata(metadata=dict(values), name=name))
        begin = self._end
        self._write(record)
        self._metadata.append(MetadataIndex(offset=begin, length=len(record), name=name))

    def attachment(
        self, name: str, media_type: str, data: bytes, *, create_ns: int, log_ns: int
    ) -> None:
        """Add a file within the file, before the chunk that is being filled."""
        made = Attachment(
            create_time=create_ns, log_time=log_ns, name=name, media_type=media_type, data=data
        )
        record = _record(made)
        begin = self._end
        self._write(record)
        self._attachments.append(
            AttachmentIndex(
                offset=begin,
                length=len(record),
                create_time=create_ns,
                log_time=log_ns,
                data_size=len(data),
                name=name,
                media_type=media_type,
            )
        )

    def flush(self) -> None:
        """Write the chunk and its index. Where that fails its messages are lost."""
        if not self._chunk.messages:
            return
        try:
            self._write_chunk()
        finally:
            self._chunk.clear()

    def finish(self) -> None:
        """Write what waits, and the summary."""
        self.flush()
        data_end = _record(DataEnd(0))
        begin = self._end + len(data_end)
        groups, summary = [], b""
        for opcode, group in self._summary():
            records = b"".join(_record(item) for item in group)
            if records:
                groups.append(
                    SummaryOffset(
                        group_opcode=opcode,
                        group_start=begin + len(summary),
                        group_length=len(records),
                    )
                )
            summary += records
        offsets_begin = begin + len(summary)
        summary += b"".join(_record(group) for group in groups)
        head = _FOOTER.pack(Opcode.FOOTER, 20, begin, offsets_begin)
        crc = zlib.crc32(head, zlib.crc32(summary))
        footer = _record(
            Footer(summary_start=begin, summary_offset_start=offsets_begin, summary_crc=crc)
        )
        self._write(data_end, summary, footer, MAGIC)

    def _summary(self) -> Sequence[tuple[Opcode, Sequence[Any]]]:
        return (
            (Opcode.SCHEMA, self._schemas),
            (Opcode.CHANNEL, self._channels),
            (Opcode.STATISTICS, [self._statistics()]),
            (Opcode.CHUNK_INDEX, self._chunks),
            (Opcode.ATTACHMENT_INDEX, self._attachments),
            (Opcode.METADATA_INDEX, self._metadata),
        )

    def _statistics(self) -> Statistics:
        starts = [chunk.message_start_time for chunk in self._chunks]
        ends = [chunk.message_end_time for chunk in self._chunks]
        return Statistics(
            attachment_count=len(self._attachments),
            channel_count=len(self._channels),
            channel_message_counts=dict(self._counts),
            chunk_count=len(self._chunks),
            message_count=sum(self._counts.values()),
            message_end_time=max(ends, default=0),
            message_start_time=min(starts, default=0),
            metadata_count=len(self._metadata),
            schema_count=len(self._schemas),
        )

    def _write_chunk(self) -> None:
        chunk, records = self._chunk, self._chunk.records
        name = "" if self._compression == "none" else self._compression
        data = _packed(records, self._compression)
        length = _CHUNK_HEAD.size + len(name) + 8 + len(data)
        head = FRAME.pack(Opcode.CHUNK, length)
        head += _CHUNK_HEAD.pack(
            chunk.first_ns, chunk.last_ns, len(records), zlib.crc32(records), len(name)
        )
        head += name.encode() + len(data).to_bytes(8, "little")
        indexes = chunk.index_records()
        begin, index_begin = self._end, self._end + FRAME.size + length
        self._write(head, data, *indexes.values())
        offsets = {}
        for channel, record in indexes.items():
            offsets[channel] = index_begin
            index_begin += len(record)
        self._chunks.append(
            ChunkIndex(
                chunk_start_offset=begin,
                chunk_length=FRAME.size + length,
                message_start_time=chunk.first_ns,
                message_end_time=chunk.last_ns,
                message_index_offsets=offsets,
                message_index_length=self._end - begin - FRAME.size - length,
                compression=name,
                compressed_size=len(data),
                uncompressed_size=len(records),
            )
        )
        for channel, count in chunk.counts().items():
            self._counts[channel] = self._counts.get(channel, 0) + count

    def _write(self, *pieces: Buffer) -> None:
        """Write all of `pieces`, or leave the file as it was."""
        waiting = [memoryview(piece) for piece in pieces if len(piece)]
        size = sum(len(piece) for piece in waiting)
        try:
            while waiting:
                written = os.writev(self._file.fileno(), waiting[:_MOST_PIECES])
                while waiting and written >= len(waiting[0]):
                    written -= len(waiting.pop(0))
                if written:
                    waiting[0] = waiting[0][written:]
        except OSError:
            with suppress(OSError):  # a device cannot be cut
                os.ftruncate(self._file.fileno(), self._end)
                os.lseek(self._file.fileno(), self._end, os.SEEK_SET)
            raise
        self._end += size


_MOST_PIECES = 512
"""The system takes so many in one call, and more."""


def _record(record: Any) -> bytes:
    builder: Any = RecordBuilder()
    record.write(builder)
    data: bytes = builder.end()
    return data


def _packed(records: memoryview, compression: Compression) -> Buffer:
    if compression == "lz4":
        import lz4.frame  # type: ignore[import-untyped]  # noqa: PLC0415 - where it is used

        data: bytes = lz4.frame.compress(records)
        return data
    if compression == "zstd":
        import zstandard  # noqa: PLC0415 - where it is used

        return zstandard.compress(records)
    return records
