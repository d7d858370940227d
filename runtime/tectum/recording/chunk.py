"""The chunk of an MCAP file that is being filled: its records in a row, and where they begin.

A payload is copied once, into one buffer that is kept from chunk to chunk: memory that is asked
for anew costs more than the copy. Pure bytes; `mcap_file` writes them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from mcap.opcode import Opcode

from tectum.recording.index import FRAME
from tectum.recording.splice import Buffer

__all__ = ["Chunk"]

_MESSAGE = struct.Struct("<BQHIQQ")
_MESSAGE_OPCODE = int(Opcode.MESSAGE)
_MESSAGE_BYTES = _MESSAGE.size - FRAME.size
"""Of a message record, before its data."""
_INDEX = struct.Struct("<BQHI")
_INDEX_BYTES = _INDEX.size - FRAME.size
_FIRST_BYTES = 3 << 19
"""Room for a chunk of the usual size; pages that are never touched cost nothing."""


class Chunk:
    """Records that wait to be written together."""

    def __init__(self) -> None:
        self.first_ns = 0
        """Log times of the earliest and the latest message."""
        self.last_ns = 0
        self.messages = 0
        self._buffer = memoryview(bytearray(_FIRST_BYTES))
        self._used = 0
        self._index: dict[int, list[int]] = {}
        """Channel -> log time and offset of each message, in turn."""

    @property
    def nbytes(self) -> int:
        """Return the bytes of the records so far."""
        return self._used

    @property
    def records(self) -> memoryview:
        """Return the records so far; valid until the next change."""
        return self._buffer[: self._used]

    def define(self, record: bytes) -> None:
        """Add a whole record of a schema or channel."""
        end = self._used + len(record)
        if end > len(self._buffer):
            self._grow(end)
        self._buffer[self._used : end] = record
        self._used = end

    def add(
        self, channel: int, sequence: int, log_ns: int, publish_ns: int, pieces: Iterable[Buffer]
    ) -> int:
        """Add a message whose data come in pieces (of bytes); return the bytes of its data."""
        begin, position = self._used, self._used + _MESSAGE.size
        for piece in pieces:
            end = position + len(piece)
            if end > len(self._buffer):
                self._grow(end)
            self._buffer[position:end] = piece
            position = end
        nbytes = position - begin - _MESSAGE.size
        if position > len(self._buffer):
            self._grow(position)
        _MESSAGE.pack_into(
            self._buffer, begin, _MESSAGE_OPCODE, nbytes + _MESSAGE_BYTES, channel, sequence,
            log_ns, publish_ns,
        )  # fmt: skip
        index = self._index.get(channel)
        if index is None:
            index = self._index[channel] = []
        index += (log_ns, begin)
        if not self.messages or log_ns < self.first_ns:
            self.first_ns = log_ns
        self.last_ns = max(self.last_ns, log_ns)
        self._used, self.messages = position, self.messages + 1
        return nbytes

    def counts(self) -> dict[int, int]:
        """Return the messages per channel."""
        return {channel: len(entries) // 2 for channel, entries in self._index.items()}

    def index_records(self) -> dict[int, bytes]:
        """Return the record that says where the messages of each channel lie."""
        return {
            channel: _INDEX.pack(
                Opcode.MESSAGE_INDEX, _INDEX_BYTES + 8 * len(entries), channel, 8 * len(entries)
            )
            + struct.pack(f"<{len(entries)}Q", *entries)
            for channel, entries in self._index.items()
        }

    def clear(self) -> None:
        """Begin anew, with the same buffer."""
        self._used = self.messages = self.first_ns = self.last_ns = 0
        self._index.clear()

    def _grow(self, nbytes: int) -> None:
        larger = memoryview(bytearray(max(nbytes, 2 * len(self._buffer))))
        larger[: len(self._buffer)] = self._buffer
        self._buffer = larger
