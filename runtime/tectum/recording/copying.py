"""Copy records from one log into another as they are: nothing is decoded."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from tectum.recording.content import Entry
from tectum.recording.mcap_file import McapFile
from tectum.recording.scan import Scan

__all__ = ["Copier", "copy_facts"]


def copy_facts(
    scan: Scan, writer: McapFile, copied: set[bytes], *, wanted: Callable[[str], bool] | None = None
) -> None:
    """Copy metadata and attachments (of `wanted` names) that are not among `copied`."""
    for metadata in scan.metadata:
        key = repr((metadata.name, metadata.metadata)).encode()
        if key not in copied:
            copied.add(key)
            writer.metadata(metadata.name, metadata.metadata)
    for item in scan.attachments:
        key = item.name.encode() + sha256(item.data).digest()
        if key not in copied and (wanted is None or wanted(item.name)):
            copied.add(key)
            writer.attachment(
                item.name,
                item.media_type,
                item.data,
                create_ns=item.create_time,
                log_ns=item.log_time,
            )


class Copier:
    """Copies message records; gives schemas and channels new numbers as they come."""

    def __init__(self, scan: Scan, writer: McapFile) -> None:
        """Copy what `scan` has found, to `writer`."""
        self._scan, self._writer = scan, writer
        self._channels: dict[int, int] = {}
        self._schemas: dict[int, int] = {0: 0}

    def copy(self, entry: Entry, log_ns: int | None = None) -> None:
        """Copy one record, with another log time where one is given."""
        if entry.channel not in self._scan.channels:
            return  # the reader has complained
        self._writer.message(
            self._channel(entry.channel),
            entry.sequence,
            entry.log_ns if log_ns is None else log_ns,
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
