"""The files of a ROS 2 bag as rows (topic, time, bytes): sqlite3 (`.db3`) and MCAP, whole or cut.

Nothing of ROS is needed: sqlite3 is Python's, MCAP is read as our own logs are. Messages or whole
files that are compressed with zstd are unpacked.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import quote

from tectum.errors import DataError
from tectum.recording.reader import LogReader

__all__ = ["BagFile", "BagTopic", "Row", "opened_bag_file"]


class BagTopic(NamedTuple):
    """A topic of a file."""

    type: str
    """`sensor_msgs/msg/Image`."""
    messages: int | None
    """None: the file is damaged, and does not tell."""


class Row(NamedTuple):
    """A message as it lies in the file."""

    topic: str
    time_ns: int
    """When it was recorded."""
    data: bytes | memoryview


_COUNTS = (
    "SELECT topics.name, COUNT(*) FROM messages "
    "JOIN topics ON topics.id = messages.topic_id GROUP BY topics.id"
)


class BagFile(Protocol):
    """One file of a bag."""

    def topics(self) -> Mapping[str, BagTopic]:
        """Return its topics."""
        ...

    def rows(self, topics: frozenset[str], troubles: Counter[str]) -> Iterator[Row]:
        """Yield the messages of `topics` in the order of the file; damage goes in `troubles`.

        Raises:
            DataError: the file cannot be read.
        """
        ...


def opened_bag_file(path: Path, *, packed_messages: bool = False) -> BagFile:
    """Return the reader of a file by its name.

    `packed_messages`: each message is compressed by itself (`compression_mode: MESSAGE`).

    Raises:
        DataError: there is no such file.
    """
    if not path.is_file():
        msg = f"there is no bag file {path}: put it beside its metadata.yaml, or name another bag"
        raise DataError(msg)
    name = path.name.removesuffix(".zstd")
    return McapFile(path) if name.endswith(".mcap") else SqliteFile(path, packed_messages)


class McapFile:
    """An MCAP file of rosbag2 or of any other writer of CDR messages."""

    def __init__(self, path: Path) -> None:
        """Read from `path`."""
        self._path = path

    def topics(self) -> Mapping[str, BagTopic]:
        """Return its topics."""
        with _plain(self._path) as path, LogReader(path) as reader:
            return {
                name: BagTopic(topic.schema, topic.messages)
                for name, topic in reader.topics.items()
            }

    def rows(self, topics: frozenset[str], troubles: Counter[str]) -> Iterator[Row]:
        """Yield the messages of `topics`; chunks that are damaged or cut are left out."""
        with _plain(self._path) as path, LogReader(path) as reader:
            for record in reader.raw(sorted(topics)):
                yield Row(record.topic, record.log_ns, record.data)
            for complaint in reader.complaints:
                troubles[f"{self._path.name}: {complaint}"] += 1


class SqliteFile:
    """A file of rosbag2's sqlite3 storage."""

    def __init__(self, path: Path, packed_messages: bool) -> None:
        """Read from `path`."""
        self._path, self._packed = path, packed_messages

    def topics(self) -> Mapping[str, BagTopic]:
        """Return its topics; of a damaged file without their counts."""
        with self._opened() as database:
            found = dict(database.execute("SELECT name, type FROM topics ORDER BY id"))
        try:
            with self._opened() as database:
                counts = dict(database.execute(_COUNTS))
        except _Damaged:
            return {name: BagTopic(type_name, None) for name, type_name in found.items()}
        return {name: BagTopic(type_name, counts.get(name, 0)) for name, type_name in found.items()}

    def rows(self, topics: frozenset[str], troubles: Counter[str]) -> Iterator[Row]:
        """Yield the messages of `topics`; where the file is damaged the rest is missing."""
        marks = ", ".join("?" * len(topics))
        # In the order of the file: as it was heard, and readable up to a damage.
        query = (
            "SELECT topics.name, messages.timestamp, messages.data FROM messages "
            f"CROSS JOIN topics ON topics.id = messages.topic_id WHERE topics.name IN ({marks}) "
            "ORDER BY messages.id"
        )
        try:
            with self._opened() as database:
                for name, time_ns, data in database.execute(query, sorted(topics)):
                    if isinstance(time_ns, int) and isinstance(data, bytes):
                        yield Row(name, time_ns, _unpacked(data) if self._packed else data)
                    else:
                        troubles[f"{name}: a row of the bag is not a time and bytes"] += 1
        except _Damaged as error:
            troubles[f"{error}: what follows is missing"] += 1

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with _plain(self._path) as path:
            address = f"file:{quote(str(path))}?mode=ro&immutable=1"
            try:
                with closing(sqlite3.connect(address, uri=True)) as database:
                    database.execute("PRAGMA writable_schema=ON")  # else a cut file is refused
                    yield database
            except sqlite3.Error as error:
                msg = f"the bag file {self._path} cannot be read: {error}"
                raise _Damaged(msg) from error


class _Damaged(DataError):
    """A file that is no database, or not a whole one."""


@contextmanager
def _plain(path: Path) -> Iterator[Path]:
    """Lend a file that is not compressed: itself, or a copy that goes afterwards."""
    if path.suffix != ".zstd":
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="tectum-bag-") as folder:
        _unpack_file(path, Path(folder) / path.stem)
        yield Path(folder) / path.stem


def _unpacked(data: bytes) -> bytes:
    import zstandard  # noqa: PLC0415 - where it is used

    try:
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    except zstandard.ZstdError as error:
        msg = f"a message of {len(data)} bytes cannot be unpacked (zstd: {error})"
        raise DataError(msg) from error


def _unpack_file(packed: Path, target: Path) -> None:
    import zstandard  # noqa: PLC0415 - where it is used

    try:
        with packed.open("rb") as source, target.open("wb") as sink:
            zstandard.ZstdDecompressor().copy_stream(source, sink)
    except (OSError, zstandard.ZstdError) as error:
        msg = f"the bag file {packed} cannot be unpacked (zstd: {error})"
        raise DataError(msg) from error
