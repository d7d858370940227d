"""Cut, flipped, empty and foreign files: read as far as they go, said in words, and mended."""

import os
import random
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from mcap.reader import make_reader

from tectum.errors import DataError
from tectum.message import Kind, Message
from tectum.recording.mend import mend
from tectum.recording.reader import LogReader
from tectum.recording.writer import Compression, LogWriter, WriteOptions
from tectum.testing.messages import make_message

COUNT = 60
NAMES = ["x", "y", "z"]


def cloud(seq: int) -> Message:
    points = np.random.default_rng(seq).random((40, 3), dtype=np.float32)
    return make_message("l/points", Kind.POINTS, points, seq=seq, names=NAMES)


def write(path: Path, compression: Compression = "none") -> None:
    options = WriteOptions(compression=compression, chunk_bytes=4_000, overwrite=True)
    with LogWriter(path, options) as writer:
        writer.write_run({"graph": {"graph": "test"}}, now_ns=0)
        for seq in range(COUNT):
            writer.write(cloud(seq), arrived_ns=seq)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.mcap"
    write(path)
    return path


def seqs_that_are_right(reader: LogReader) -> list[int]:
    """Return the sequence numbers of all messages read; each must be exactly what was written."""
    found = []
    for record in reader.messages():
        expected = cloud(record.message.header.seq)
        assert record.message.header == expected.header
        assert np.array_equal(record.message.array(), expected.array())
        found.append(record.message.header.seq)
    return found


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_a_log_cut_anywhere_gives_a_beginning_and_says_that_it_was_cut(
    tmp_path: Path, compression: Compression
) -> None:
    path = tmp_path / "log.mcap"
    write(path, compression)
    whole = path.read_bytes()
    before = 0
    for cut in sorted(random.Random(1).sample(range(20, len(whole)), 40)):
        path.write_bytes(whole[:cut])
        with LogReader(path) as reader:
            seqs = seqs_that_are_right(reader)
            assert seqs == list(range(len(seqs)))
            assert len(seqs) >= before
            before = len(seqs)
            assert reader.messages_total == len(seqs)
            if not reader.finished:
                assert f"cut short: {len(seqs)} messages" in reader.complaints[0]
    assert before == COUNT


def test_a_cut_chunk_without_compression_gives_its_whole_messages(log: Path) -> None:
    options = WriteOptions(chunk_bytes=1 << 30, overwrite=True)  # all in one chunk
    with LogWriter(log, options) as writer:
        for seq in range(COUNT):
            writer.write(cloud(seq), arrived_ns=seq)
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])

    with LogReader(log) as reader:
        assert COUNT // 4 < len(seqs_that_are_right(reader)) < COUNT


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_a_flipped_bit_never_gives_a_wrong_message(
    tmp_path: Path, compression: Compression
) -> None:
    """Whatever bit is flipped, a message is read as it was written or not at all."""
    path = tmp_path / "log.mcap"
    write(path, compression)
    whole = path.read_bytes()
    chance = random.Random(2)
    lost = 0
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[chance.randrange(8, len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        with LogReader(path) as reader:
            seqs = seqs_that_are_right(reader)
            assert len(set(seqs)) == len(seqs)
            assert len(seqs) == COUNT or reader.complaints
            lost += COUNT - len(seqs)
    assert 0 < lost < 60 * COUNT / 4


def test_a_damaged_chunk_costs_its_own_messages_only(log: Path) -> None:
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 0xFF
    log.write_bytes(data)

    with LogReader(log) as reader:
        seqs = seqs_that_are_right(reader)
        assert COUNT - 12 <= len(seqs) < COUNT
        assert {0, COUNT - 1} <= set(seqs)
        [complaint] = reader.complaints
    assert "is damaged: left out" in complaint


def test_bytes_that_make_no_sense_are_passed_over_to_the_next_chunk(log: Path) -> None:
    data = bytearray(log.read_bytes())
    with log.open("rb") as file:
        summary = make_reader(file).get_summary()
    assert summary is not None
    start = summary.chunk_indexes[3].chunk_start_offset
    data[start : start + 9] = b"\0" * 9
    log.write_bytes(data)

    with LogReader(log) as reader:
        seqs = seqs_that_are_right(reader)
        assert {0, COUNT - 1} <= set(seqs)
        assert "read on at the next chunk" in reader.complaints[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"GIF89a and so on", "is not an MCAP file"),
        (b"\x89MCA", "holds nothing: it was cut after 4 bytes"),
    ],
)
def test_what_is_no_log_is_refused_in_a_sentence(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "log.mcap"
    path.write_bytes(content)

    with pytest.raises(DataError, match=words) as refused:
        LogReader(path)
    assert str(path) in str(refused.value)


def test_a_log_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no log at .*nothing\.mcap"):
        LogReader(tmp_path / "nothing.mcap")
    with pytest.raises(DataError, match="cannot be opened: Is a directory"):
        LogReader(tmp_path)


def test_random_bytes_behind_the_magic_are_survived(tmp_path: Path) -> None:
    path = tmp_path / "log.mcap"
    chance = random.Random(4)
    for _ in range(100):
        path.write_bytes(b"\x89MCAP0\r\n" + chance.randbytes(chance.randrange(400)))
        with LogReader(path) as reader:
            assert list(reader.messages()) == []
            assert reader.complaints


def test_a_mended_log_is_an_ordinary_one(log: Path, tmp_path: Path) -> None:
    log.write_bytes(log.read_bytes()[: log.stat().st_size * 2 // 3])
    target = tmp_path / "mended.mcap"

    report = mend(log, target)

    with target.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        topics = [channel.topic for _, channel, _ in reader.iter_messages()]
    assert topics.count("l/points") == report.messages
    assert 0 < report.messages < COUNT
    assert f"has {report.messages} messages, all that could be read" in report.sentence()
    assert "cut short" in report.sentence()
    with LogReader(target) as mended, LogReader(log) as cut:
        assert mended.complaints == ()
        assert seqs_that_are_right(mended) == seqs_that_are_right(cut)
        assert mended.run == {"graph": {"graph": "test"}}


def test_mending_a_whole_log_copies_it(log: Path, tmp_path: Path) -> None:
    report = mend(log, tmp_path / "copy.mcap")

    assert report.messages == COUNT
    assert "was whole" in report.sentence()


def test_mending_neither_overwrites_nor_mends_onto_itself(log: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mcap"
    other.write_text("precious")

    with pytest.raises(DataError, match="is the log to be mended itself"):
        mend(log, log)
    with pytest.raises(DataError, match="exists already"):
        mend(log, other)
    assert other.read_text() == "precious"


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    with pytest.raises(DataError, match="/dev/full cannot be written further: No space left"):
        LogWriter(Path("/dev/full"), WriteOptions(overwrite=True))


@contextmanager
def files_of_at_most(nbytes: int) -> Iterator[None]:
    """Let the system refuse larger files, as a full disk would; also those that tests report to."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)


def fill(writer: LogWriter) -> None:
    """Write more than the system takes."""
    for seq in range(4 * COUNT):
        writer.write(cloud(seq), arrived_ns=seq)


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_a_chunk_that_the_system_refuses_is_cut_off_again_and_the_log_is_finished(
    tmp_path: Path, compression: Compression
) -> None:
    path = tmp_path / "log.mcap"
    with files_of_at_most(50_000):
        writer = LogWriter(path, WriteOptions(chunk_bytes=20_000, compression=compression))
        with pytest.raises(DataError, match=r"log\.mcap cannot be written further: File too large"):
            fill(writer)
        writer.close()

    assert 20 < writer.lost < 40  # a chunk
    with LogReader(path) as reader:
        assert reader.complaints == ()
        assert reader.finished
        assert seqs_that_are_right(reader) == list(range(writer.messages))
    with path.open("rb") as file:
        found = [message for _, _, message in make_reader(file, validate_crcs=True).iter_messages()]
    assert len(found) == 2 * writer.messages  # each with its header


def test_a_log_without_room_for_its_index_ends_with_its_last_whole_chunk(tmp_path: Path) -> None:
    path = tmp_path / "log.mcap"
    with files_of_at_most(50_000):
        writer = LogWriter(path, WriteOptions(chunk_bytes=4_000))
        with pytest.raises(DataError, match="File too large"):
            fill(writer)
    with files_of_at_most(path.stat().st_size):
        with pytest.raises(DataError, match="File too large"):
            writer.close()
        writer.close()  # closed: nothing more to say

    with LogReader(path) as reader:
        assert [text for text in reader.complaints if "cut short" not in text] == []
        assert seqs_that_are_right(reader) == list(range(writer.messages))


def test_a_log_that_cannot_even_begin_is_not_left_in_the_way(tmp_path: Path) -> None:
    with files_of_at_most(10), pytest.raises(DataError, match="cannot be written further"):
        LogWriter(tmp_path / "log.mcap")
    assert list(tmp_path.iterdir()) == []
