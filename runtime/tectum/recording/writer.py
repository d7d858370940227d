"""Write messages to an MCAP file that the ordinary tools open.

Every message becomes a record in a well-known schema with its header beside it on the channel
`tectum/headers` (both carry the same MCAP sequence number and lie in the same chunk), or a
`tectum.Message` that holds its own header. Log time is the arrival, publish time the stamp.
A file that a crash cuts is readable up to the last flush; a flush comes at least every `flush_ns`
of arrival time. One thread at a time; pictures are encoded in the thread that calls `write`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

from mcap.writer import CompressionType, Writer

import tectum
from tectum.clock import NS_PER_MS
from tectum.errors import DataError
from tectum.message import Header, Kind, Message
from tectum.recording.headers import header_bytes
from tectum.recording.rig import rig_records
from tectum.recording.schemas import HEADER, MESSAGE, schema_bytes
from tectum.recording.store import ImageStorage, stored

__all__ = [
    "FORMAT_VERSION",
    "HEADERS_TOPIC",
    "LATCHED_PREFIX",
    "RUN_ATTACHMENT",
    "SIGNS_TOPIC",
    "Compression",
    "LogWriter",
    "WriteOptions",
    "disk_errors",
    "opened_to_write",
]

FORMAT_VERSION = "1"
HEADERS_TOPIC = "tectum/headers"
SIGNS_TOPIC = "tectum/signs"
"""Promises and ends: headers without a message."""
RUN_ATTACHMENT = "tectum/run.json"
LATCHED_PREFIX = "tectum/latched/"
"""Latched facts are kept as attachments too, so that they are found without reading the log."""

Compression = Literal["none", "lz4", "zstd"]
_COMPRESSION = {
    "none": CompressionType.NONE,
    "lz4": CompressionType.LZ4,
    "zstd": CompressionType.ZSTD,
}
_SIGNS = (Kind.PROMISE, Kind.END)
_NEVER = 1 << 62
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


class _Record(NamedTuple):
    topic: str
    schema: str
    data: bytes
    kind: str = ""


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
        # Chunks are closed by `flush`, so that a record and its header stay together.
        compression = _COMPRESSION[self._options.compression]
        self._mcap = Writer(self._file, chunk_size=_NEVER, compression=compression)
        self._mcap.start(profile="tectum", library=f"tectum {tectum.__version__}")
        self._mcap.add_metadata("tectum", {"format": FORMAT_VERSION, "tectum": tectum.__version__})
        self._channels: dict[tuple[str, str, str], int] = {}
        self._schemas: dict[str, int] = {}
        self._sequence = 0
        self._pending_bytes = 0
        self._flushed_ns: int | None = None
        self._rig: Mapping[str, Any] | None = None
        self.messages = 0
        """Messages written so far."""
        self.bytes = 0
        """Bytes of records written so far, before compression."""

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
        if header.kind in _SIGNS:
            sign = _Record(SIGNS_TOPIC, HEADER, header_bytes(header))
            self._add(sign, arrived_ns, header.stamp_ns)
        else:
            self._write_data(message, arrived_ns)
            self.messages += 1
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
            self._mcap.add_metadata("tectum/run", facts)
            self._mcap.add_attachment(now_ns, now_ns, RUN_ATTACHMENT, "application/json", whole)
        description = document.get("description")
        for owner in (document, description if isinstance(description, Mapping) else {}):
            rig = owner.get("rig")
            if isinstance(rig, Mapping):
                self.write_rig(rig, now_ns)

    def write_facts(self, name: str, facts: Mapping[str, str]) -> None:
        """Keep words about the recording itself as the metadata `name`."""
        with disk_errors(self.path):
            self._mcap.add_metadata(name, dict(facts))

    def write_rig(self, rig: Mapping[str, Any], now_ns: int) -> None:
        """Keep a rig as calibrations and transforms for viewers; once, if it is the same."""
        if rig == self._rig:
            return
        self._rig = rig
        for topic, schema, data in rig_records(rig, now_ns):
            self._add(_Record(topic, schema, data), now_ns, now_ns)

    def flush(self) -> None:
        """Close the chunk and hand everything to the system: a crash no longer takes it.

        Raises:
            DataError: the file cannot be written (a full disk).
        """
        with disk_errors(self.path):
            self._mcap.flush()  # type: ignore[no-untyped-call]
        self._pending_bytes = 0

    def flush_at(self, now_ns: int) -> None:
        """Flush if the interval has passed; for times in which nothing arrives."""
        if self._pending_bytes:
            self._flush_if_due(now_ns)

    def close(self) -> None:
        """Write the index and close the file; further calls do nothing.

        Raises:
            DataError: the index cannot be written; what was flushed is readable all the same.
        """
        if self._file.closed:
            return
        try:
            with disk_errors(self.path):
                self._mcap.finish()  # type: ignore[no-untyped-call]
                self._file.flush()
        finally:
            _close_quietly(self._file)

    def _write_data(self, message: Message, arrived_ns: int) -> None:
        header = message.header
        schema, data = stored(message, self._options.images)
        if schema != MESSAGE:
            beside = _Record(HEADERS_TOPIC, HEADER, header_bytes(header))
            self._add(beside, arrived_ns, header.stamp_ns)
        self._add(_Record(header.topic, schema, data, header.kind), arrived_ns, header.stamp_ns)

    def _add(self, record: _Record, log_ns: int, publish_ns: int) -> None:
        with disk_errors(self.path):
            self._mcap.add_message(
                channel_id=self._channel(record),
                log_time=_clamped(log_ns),
                publish_time=_clamped(publish_ns),
                sequence=self._sequence,
                data=record.data,
            )
        self._pending_bytes += len(record.data)
        self.bytes += len(record.data)

    def _channel(self, record: _Record) -> int:
        topic, schema, _, kind = record
        known = self._channels.get((topic, schema, kind))
        if known is not None:
            return known
        if schema not in self._schemas:
            described = schema_bytes(schema)
            self._schemas[schema] = self._mcap.register_schema(schema, "protobuf", described)
        channel = self._mcap.register_channel(
            topic, "protobuf", self._schemas[schema], {"kind": kind} if kind else {}
        )
        self._channels[topic, schema, kind] = channel
        return channel

    def _attach_fact(self, header: Header, now_ns: int) -> None:
        name, data = LATCHED_PREFIX + header.topic, header_bytes(header)
        with disk_errors(self.path):
            self._mcap.add_attachment(
                _clamped(header.stamp_ns), _clamped(now_ns), name, "application/protobuf", data
            )
        rig = header.fields.get("rig")
        if isinstance(rig, Mapping):
            self.write_rig(rig, now_ns)

    def _flush_if_due(self, now_ns: int) -> None:
        if self._flushed_ns is None:
            self._flushed_ns = now_ns
        due = now_ns - self._flushed_ns >= self._options.flush_ns
        if due or self._pending_bytes >= self._options.chunk_bytes:
            self.flush()
            self._flushed_ns = now_ns


def opened_to_write(path: Path, *, overwrite: bool) -> IO[bytes]:
    """Create the file of a log.

    Raises:
        DataError: it exists, or its folder does not, or cannot be written to.
    """
    try:
        return path.open("wb" if overwrite else "xb")
    except FileExistsError:
        msg = f"{path} exists already: remove it, choose another path, or allow it with overwrite"
        raise DataError(msg) from None
    except FileNotFoundError:
        msg = f"{path} cannot be written: the folder {path.parent} does not exist; create it first"
        raise DataError(msg) from None
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror}"
        raise DataError(msg) from error


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Say what the system refuses (a full disk) as a `DataError`."""
    try:
        yield
    except OSError as error:
        msg = f"{path} cannot be written further: {error.strerror}"
        raise DataError(msg) from error


def _close_quietly(file: IO[bytes]) -> None:
    with suppress(OSError):  # the failure to write was raised before
        file.close()


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _clamped(time_ns: int) -> int:
    return min(max(time_ns, 0), _LARGEST_TIME)
