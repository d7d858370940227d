"""Write messages to an MCAP file that the ordinary tools open.

Every message becomes a record in a well-known schema with its header beside it on the channel
`tectum/headers` (both carry the same MCAP sequence number and lie in the same chunk), or a
`tectum.Message` that holds its own header. Log time is the arrival, publish time the stamp.
A file that a crash cuts is readable up to the last flush; a flush comes at least every `flush_ns`
of arrival time. One thread at a time; pictures are encoded in the thread that calls `write`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import tectum
from tectum.clock import NS_PER_MS
from tectum.errors import DataError
from tectum.message import Header, Kind, Message
from tectum.recording.headers import header_bytes
from tectum.recording.mcap_file import Compression, McapFile
from tectum.recording.rig import rig_records
from tectum.recording.schemas import HEADER, MESSAGE, schema_bytes
from tectum.recording.splice import Buffer
from tectum.recording.store import ImageStorage, stored
from tectum.recording.target import disk_errors, opened_to_write

__all__ = [
    "FORMAT_VERSION",
    "HEADERS_TOPIC",
    "LATCHED_PREFIX",
    "RUN_ATTACHMENT",
    "SIGNS_TOPIC",
    "Compression",
    "LogWriter",
    "WriteOptions",
]

FORMAT_VERSION = "1"
HEADERS_TOPIC = "tectum/headers"
SIGNS_TOPIC = "tectum/signs"
"""Promises and ends: headers without a message."""
RUN_ATTACHMENT = "tectum/run.json"
LATCHED_PREFIX = "tectum/latched/"
"""Latched facts are kept as attachments too, so that they are found without reading the log."""

_SIGNS = (Kind.PROMISE, Kind.END)
_LARGEST_TIME = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How a log is written."""

    images: ImageStorage = field(default_factory=ImageStorage)
    compression: Compression = "none"
    """Per chunk. zstd costs about 14 ms a lidar scan and saves a quarter of it."""
    flush_ns: int = 500 * NS_PER_MS
    chunk_bytes: int = 1 << 20
    overwrite: bool = False
    """Replace a file that exists."""


class _Place(NamedTuple):
    """Which channel a record belongs to."""

    topic: str
    schema: str
    kind: str
    """Which the channel names, so that viewers and readers need not look into a record."""


_HEADER_PLACE = _Place(HEADERS_TOPIC, HEADER, "")
_SIGN_PLACE = _Place(SIGNS_TOPIC, HEADER, "")


class LogWriter:
    """A log that is being written; a context manager that finishes it."""

    def __init__(self, path: Path, options: WriteOptions | None = None) -> None:
        """Create the file.

        Raises:
            DataError: it exists, or its folder does not, or cannot be written to.
        """
        self.path = path
        self._options = options or WriteOptions()
        self._file = opened_to_write(path, overwrite=self._options.overwrite)
        try:
            self._begin()
        except DataError:
            self._file.close()
            if path.is_file():  # nothing is in it, and it would be in the way of the next attempt
                path.unlink()
            raise
        self._channels: dict[_Place, int] = {}
        self._schemas: dict[str, int] = {}
        self._sequence = 0
        self._flushed_ns: int | None = None
        self._rig: Mapping[str, Any] | None = None
        self.messages = 0
        """Messages written so far, those included that wait for a flush."""
        self.lost = 0
        """Messages that waited for a flush which the system refused; no longer in `messages`."""
        self._pending = 0
        self.bytes = 0
        """Bytes of records written so far, before compression."""

    @property
    def closed(self) -> bool:
        """Return whether nothing more can be written."""
        return self._file.closed

    @property
    def file_bytes(self) -> int:
        """Return the bytes of the file, with those that wait for a flush."""
        return self._mcap.nbytes

    def __enter__(self) -> LogWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, message: Message, arrived_ns: int) -> None:
        """Add a message that arrived at `arrived_ns`.

        Raises:
            DataError: the file cannot be written (a full disk), or a picture not encoded.
        """
        header = message.header
        times = (_clamped(arrived_ns), _clamped(header.stamp_ns))
        if header.kind in _SIGNS:
            self._add(_SIGN_PLACE, (header_bytes(header),), times)
        else:
            self._write_data(message, times)
            self.messages += 1
            self._pending += 1
        if header.kind is Kind.LATCHED:
            self._attach_fact(header, arrived_ns)
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        self._flush_if_due(arrived_ns)

    def write_run(self, document: Mapping[str, Any], now_ns: int) -> None:
        """Keep what a run is (`run.json`: effective graph, clock, processes) in the file.

        It goes into the metadata, for the ordinary tools, and whole into an attachment. The rig,
        where it has one (`rig`, or that of its `description`), becomes calibrations and transforms.
        """
        facts = {key: _text(value) for key, value in document.items()}
        whole = json.dumps(document, ensure_ascii=False, indent=1).encode()
        with disk_errors(self.path):
            self._mcap.metadata("tectum/run", facts)
            self._mcap.attachment(
                RUN_ATTACHMENT, "application/json", whole, create_ns=now_ns, log_ns=now_ns
            )
        description = document.get("description")
        for owner in (document, description if isinstance(description, Mapping) else {}):
            rig = owner.get("rig")
            if isinstance(rig, Mapping):
                self.write_rig(rig, now_ns)

    def write_facts(self, name: str, facts: Mapping[str, str]) -> None:
        """Keep words about the recording itself as the metadata `name`."""
        with disk_errors(self.path):
            self._mcap.metadata(name, facts)

    def write_rig(self, rig: Mapping[str, Any], now_ns: int) -> None:
        """Keep a rig as calibrations and transforms for viewers; once, if it is the same."""
        if rig == self._rig:
            return
        self._rig = rig
        for topic, schema, data in rig_records(rig, now_ns):
            self._add(_Place(topic, schema, ""), (data,), (_clamped(now_ns), _clamped(now_ns)))

    def flush(self) -> None:
        """Close the chunk and hand everything to the system: a crash no longer takes it.

        Raises:
            DataError: the file cannot be written (a full disk).
        """
        pending, self._pending = self._pending, 0
        try:
            with disk_errors(self.path):
                self._mcap.flush()
        except DataError:
            self.messages -= pending
            self.lost += pending
            raise

    def flush_at(self, now_ns: int) -> None:
        """Flush if the interval has passed; for times in which nothing arrives."""
        if self._mcap.pending_bytes:
            self._flush_if_due(now_ns)

    def close(self) -> None:
        """Write the index and close the file; further calls do nothing.

        Raises:
            DataError: the index cannot be written; what was flushed is readable all the same.
        """
        if self._file.closed:
            return
        try:
            self.flush()
            with disk_errors(self.path):
                self._mcap.finish()
        finally:
            with suppress(OSError):  # the failure to write was raised before
                self._file.close()

    def _begin(self) -> None:
        with disk_errors(self.path):
            self._mcap = McapFile(
                self._file,
                profile="tectum",
                library=f"tectum {tectum.__version__}",
                compression=self._options.compression,
            )
            self._mcap.metadata("tectum", {"format": FORMAT_VERSION, "tectum": tectum.__version__})

    def _write_data(self, message: Message, times: tuple[int, int]) -> None:
        header = message.header
        schema, pieces = stored(message, self._options.images)
        if schema != MESSAGE:
            self._add(_HEADER_PLACE, (header_bytes(header),), times)
        self._add(_Place(header.topic, schema, header.kind), pieces, times)

    def _add(self, place: _Place, pieces: Sequence[Buffer], times: tuple[int, int]) -> None:
        """Add a record with its log and publish time."""
        channel = self._channels.get(place) or self._channel(place)
        self.bytes += self._mcap.message(channel, self._sequence, *times, pieces)

    def _channel(self, place: _Place) -> int:
        topic, schema, kind = place
        if schema not in self._schemas:
            self._schemas[schema] = self._mcap.schema(schema, "protobuf", schema_bytes(schema))
        metadata = {"kind": kind} if kind else {}
        channel = self._mcap.channel(topic, "protobuf", self._schemas[schema], metadata)
        self._channels[place] = channel
        return channel

    def _attach_fact(self, header: Header, now_ns: int) -> None:
        with disk_errors(self.path):
            self._mcap.attachment(
                LATCHED_PREFIX + header.topic,
                "application/protobuf",
                header_bytes(header),
                create_ns=_clamped(header.stamp_ns),
                log_ns=_clamped(now_ns),
            )
        rig = header.fields.get("rig")
        if isinstance(rig, Mapping):
            self.write_rig(rig, now_ns)

    def _flush_if_due(self, now_ns: int) -> None:
        if self._flushed_ns is None:
            self._flushed_ns = now_ns
        due = now_ns - self._flushed_ns >= self._options.flush_ns
        if due or self._mcap.pending_bytes >= self._options.chunk_bytes:
            self.flush()
            self._flushed_ns = now_ns


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _clamped(time_ns: int) -> int:
    return time_ns if 0 <= time_ns <= _LARGEST_TIME else (_LARGEST_TIME if time_ns > 0 else 0)
