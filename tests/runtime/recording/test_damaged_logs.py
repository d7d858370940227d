"""Five hundred damaged logs: each is read as far as it goes, or refused in a sentence.

Logs with everything that a run says are cut, flipped, overwritten and shuffled, by seed; all that
looks into a log is let loose on each. Nothing but a `DataError` may come of it, quickly, and in
little memory; and what is given as whole is what was written.
"""

import random
import resource
import signal
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import numpy as np
import pytest

from tectum.errors import DataError
from tectum.message import Kind, Message, Value
from tectum.recording.info import info_document, info_text
from tectum.recording.mend import mend
from tectum.recording.reader import LogReader
from tectum.recording.store import ImageStorage
from tectum.recording.writer import Compression, LogWriter, WriteOptions
from tectum.testing.messages import make_message

LOGS = 500
EACH = 50
"""Logs per test, so that they can be spread."""
SECONDS = 10
"""For all that looks into one log of 50 kB."""
MEMORY = 30_000_000
"""Bytes for all that looks into one log."""
BEATS = 8


def messages() -> Iterator[Message]:
    """Yield a short run with every kind of record."""
    chance = np.random.default_rng(5)
    plan: dict[str, Value] = {"name": "fusion", "inputs": []}
    yield make_message("p/result", Kind.LATCHED, fact="plan", plan=plan)
    for beat in range(BEATS):
        picture = chance.integers(0, 256, (20, 30, 3), np.uint8)
        points = chance.random((20, 3), dtype=np.float32)
        sound = chance.integers(-99, 99, 160).astype(np.int16)
        at = {"seq": beat, "stamp_ns": 1_000 * beat}
        yield make_message("l/points", Kind.PROMISE, stamp_ns=1_000 * beat, begun=True)
        yield make_message("c/image", Kind.IMAGE, picture, **at, encoding="bgr8")
        yield make_message("l/points", Kind.POINTS, points, **at, names=["x", "y", "z"])
        yield make_message("m/audio", Kind.AUDIO, sound, **at, rate_hz=16_000, first=160 * beat)
        yield make_message("g/pose", Kind.POSE, np.arange(7.0), **at)
        yield make_message("p/result", Kind.RESULT, **at, result={"trigger": beat, "flags": []})
        yield make_message("p/journal", Kind.JOURNAL, **at, events=[["t", beat]], marks=b"\x01")
    yield make_message("c/image", Kind.END, stamp_ns=99_000)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return whole logs: each compression with raw pictures, and one with JPEG."""
    folder = tmp_path_factory.mktemp("whole")
    kinds: dict[str, tuple[Compression, ImageStorage]] = {
        "none": ("none", ImageStorage("raw")),
        "lz4": ("lz4", ImageStorage("raw")),
        "zstd": ("zstd", ImageStorage("raw")),
        "jpeg": ("none", ImageStorage("jpeg")),
    }
    logs = {}
    for name, (compression, images) in kinds.items():
        options = WriteOptions(images=images, compression=compression, chunk_bytes=5_000)
        with LogWriter(folder / name, options) as writer:
            writer.write_run({"graph": "test", "rig": {"cameras": {}}}, 0)
            for number, message in enumerate(messages()):
                writer.write(message, number)
            writer.write_facts("tectum/recording", {"messages": "many"})
        logs[name] = (folder / name).read_bytes()
    return logs


def cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def flip(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 1, 8, 100))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def flip_at_the_end(data: bytearray, chance: random.Random) -> None:
    """Flip within the index, which is the part that readers trust."""
    for _ in range(chance.choice((1, 3))):
        data[-chance.randrange(1, min(6_000, len(data)))] ^= 1 << chance.randrange(8)


def overwrite(data: bytearray, chance: random.Random) -> None:
    length = chance.choice((1, 9, 512, 4096))
    begin = chance.randrange(len(data))
    data[begin : begin + length] = chance.choice((bytes(length), chance.randbytes(length)))


def leave_out(data: bytearray, chance: random.Random) -> None:
    begin = chance.randrange(len(data))
    del data[begin : begin + chance.choice((1, 100, 4096))]


def put_in(data: bytearray, chance: random.Random) -> None:
    begin = chance.randrange(len(data))
    data[begin:begin] = chance.randbytes(chance.choice((1, 100, 4096)))


def cut_and_flip(data: bytearray, chance: random.Random) -> None:
    """Cut, and flip behind the last whole chunk: what no checksum covers any more."""
    cut(data, chance)
    for _ in range(3):
        if data:
            data[-chance.randrange(1, min(20_000, len(data)) + 1)] ^= 1 << chance.randrange(8)


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    cut, flip, flip_at_the_end, overwrite, leave_out, put_in, cut_and_flip,
)  # fmt: skip


@contextmanager
def quickly_and_in_little_memory() -> Iterator[None]:
    def too_long(_signal: int, _frame: FrameType | None) -> None:
        msg = f"looking into a log took more than {SECONDS} s"
        raise AssertionError(msg)

    before = signal.signal(signal.SIGALRM, too_long)
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.alarm(SECONDS)
    tracemalloc.reset_peak()
    base, _ = tracemalloc.get_traced_memory()
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert tracemalloc.get_traced_memory()[1] - base < MEMORY
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident < 200_000  # kB


def look(path: Path) -> tuple[int, bool]:
    """Look at all there is in a log; return how many messages, and whether something was wrong."""
    with LogReader(path) as reader:
        count = 0
        for record in reader.messages():
            message = record.message
            for index in range(len(message.payloads)):
                try:
                    array = message.array(index)
                except DataError:
                    continue  # a picture of a cut chunk that cannot be decoded
                assert array.nbytes <= 10_000_000
            count += 1
        for _ in reader.messages(order="stamp", images="stored"):
            pass
        for everything in (reader.signs(), reader.raw()):
            for _ in everything:
                pass
        facts = (reader.run, reader.rig, reader.latched, reader.metadata, reader.topics)
        assert len(facts) == 5
        return count, bool(reader.complaints)


@pytest.mark.parametrize("first", range(0, LOGS, EACH))
def test_whatever_is_damaged_is_read_as_far_as_it_goes_or_refused_in_a_sentence(
    tmp_path: Path, whole: dict[str, bytes], first: int
) -> None:
    target = tmp_path / "mended.mcap"
    refused, read = [], []
    tracemalloc.start()
    try:
        for number in range(first, first + EACH):
            chance, path = random.Random(number), tmp_path / f"seed-{number}.mcap"
            data = bytearray(whole[chance.choice(list(whole))])
            chance.choice(DAMAGES)(data, chance)
            path.write_bytes(data)
            with quickly_and_in_little_memory():
                try:
                    read.append(look(path))
                    info_text(info_document(path))
                    mended = mend(path, target, overwrite=True)
                    with LogReader(target) as reader:
                        assert reader.complaints == ()
                    assert str(target) in mended.sentence()
                except DataError as error:
                    refused.append(str(error))
            path.unlink()
    finally:
        tracemalloc.stop()
    assert all(str(tmp_path) in text for text in refused)
    assert len(refused) <= EACH // 10
    everything = 1 + 6 * BEATS
    assert all(wrong or count == everything for count, wrong in read)
    assert sum(count for count, _ in read) > EACH * everything / 3
    assert sum(wrong for _, wrong in read) > EACH / 2
