"""Whatever is written comes back exactly: every kind, dtype, shape and header field."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tectum.message import DTYPES, AnyArray, Header, Kind, Message
from tectum.recording.reader import LogReader, Record
from tectum.recording.store import ImageStorage
from tectum.recording.writer import Compression, LogWriter, WriteOptions
from tectum.testing.messages import make_message

RAW = WriteOptions(images=ImageStorage("raw"), overwrite=True)
RANDOM = np.random.default_rng(3)


def written(path: Path, messages: list[Message], options: WriteOptions = RAW) -> Path:
    with LogWriter(path, options) as writer:
        for number, message in enumerate(messages):
            writer.write(message, arrived_ns=1_000 + number)
    return path


def read(path: Path) -> list[Record]:
    with LogReader(path) as reader:
        records = list(reader.messages())
        assert reader.complaints == ()
        assert not reader.skipped
        assert reader.messages_total == len(records)
    return records


def assert_same(found: Message, expected: Message) -> None:
    assert found.header == expected.header
    assert len(found.payloads) == len(expected.payloads)
    for index in range(len(expected.payloads)):
        one, other = found.array(index), expected.array(index)
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert np.array_equal(one, other)
        assert not one.flags.writeable
        assert one.flags.aligned


def noise(dtype: str, *shape: int) -> AnyArray:
    return np.asarray(RANDOM.random(shape) * 200).astype(dtype)


MESSAGES = {
    "bgr8": ("c/image", Kind.IMAGE, [noise("uint8", 6, 7, 3)], {"encoding": "bgr8"}),
    "rgb8": ("c/image", Kind.IMAGE, [noise("uint8", 6, 7, 3)], {"encoding": "rgb8"}),
    "mono8": ("c/image", Kind.IMAGE, [noise("uint8", 6, 7)], {"encoding": "mono8"}),
    "mono8 with a channel": ("c/i", Kind.IMAGE, [noise("uint8", 6, 7, 1)], {"encoding": "mono8"}),
    "mono16": ("c/image", Kind.IMAGE, [noise("uint16", 6, 7)], {"encoding": "mono16"}),
    "depth": ("c/depth", Kind.IMAGE, [noise("float32", 6, 7)], {"encoding": "32FC1"}),
    "jpeg": ("c/image", Kind.IMAGE, [noise("uint8", 99)], {"encoding": "jpeg"}),
    "unheard-of image": ("c/image", Kind.IMAGE, [noise("uint8", 5)], {"encoding": "nv12"}),
    "image of no encoding": ("c/image", Kind.IMAGE, [noise("uint8", 2, 2, 3)], {}),
    "empty image": ("c/image", Kind.IMAGE, [noise("uint8", 0, 4, 3)], {"encoding": "bgr8"}),
    "audio": ("m/audio", Kind.AUDIO, [noise("int16", 320, 2)], {"rate_hz": 16_000, "first": 640}),
    "mono audio": ("m/audio", Kind.AUDIO, [noise("int16", 320)], {"rate_hz": 16_000, "first": 0}),
    "empty audio": ("m/audio", Kind.AUDIO, [noise("int16", 0, 1)], {"rate_hz": 8_000, "first": 0}),
    "points": ("l/p", Kind.POINTS, [noise("float32", 50, 4)], {"names": ["x", "y", "z", "ring"]}),
    "no points": ("l/p", Kind.POINTS, [noise("float32", 0, 3)], {"names": ["x", "y", "z"]}),
    "double points": ("l/p", Kind.POINTS, [noise("float64", 5, 3)], {"names": ["x", "y", "z"]}),
    "misnamed points": ("l/p", Kind.POINTS, [noise("float32", 5, 3)], {"names": ["x", "y"]}),
    "pose": ("g/pose", Kind.POSE, [noise("float64", 7)], {}),
    "transform": ("g/pose", Kind.POSE, [noise("float64", 7)], {"child_frame_id": "ego"}),
    "tensors": ("n/t", Kind.TENSOR, [noise(d, 2, 3) for d in DTYPES], {"names": list(DTYPES)}),
    "scalar tensor": ("n/t", Kind.TENSOR, [noise("float32")], {"names": ["a"]}),
    "text": ("n/text", Kind.TEXT, [], {"text": "grüß dich"}),
    "boxes": (
        "d/boxes",
        Kind.BOXES,
        [noise("float32", 3, 4), noise("float32", 3), noise("int32", 3)],
        {"labels": ["car", "person"]},
    ),
    "result": (
        "p/result",
        Kind.RESULT,
        [noise("float32", 2, 2)],
        {"result": {"trigger": 3, "flags": [], "outputs": {"siren": {"value": 0.25}}, "n": None}},
    ),
    "ledger": ("p/ledger", Kind.LEDGER, [], {"rows": [{"trigger": 0, "stamp_ns": 2**62}]}),
    "journal": ("p/journal", Kind.JOURNAL, [], {"events": [["t", 5]], "marks": b"\x00\xff"}),
    "health": ("p/health", Kind.HEALTH, [], {"state": "running", "alive": True}),
    "statement": ("c/@statement", Kind.STATEMENT, [], {"published": {"c/image": 3}}),
    "latched": ("c/info", Kind.LATCHED, [], {"fact": "labels", "labels": ["a"]}),
}  # fmt: skip


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_a_message_comes_back_exactly(tmp_path: Path, name: str, compression: Compression) -> None:
    topic, kind, arrays, fields = MESSAGES[name]
    message = make_message(
        topic, kind, *arrays,
        seq=17, stamp_ns=1_700_000_000_123_456_789, span_ns=5, error_ns=6, sent_ns=7,
        incarnation=2**63 - 1, frame_id="ego", **fields,
    )  # fmt: skip
    options = WriteOptions(images=ImageStorage("raw"), compression=compression)

    [record] = read(written(tmp_path / "log.mcap", [message], options))

    assert record.log_ns == 1_000
    assert_same(record.message, message)


def test_every_kind_is_among_these_messages() -> None:
    covered = {kind for _, kind, _, _ in MESSAGES.values()}

    assert covered == set(Kind) - {Kind.PROMISE, Kind.END}


def test_messages_of_many_topics_come_back_in_the_order_of_their_arrival(tmp_path: Path) -> None:
    messages = [
        make_message(topic, kind, *arrays, seq=number, **fields)
        for number, (topic, kind, arrays, fields) in enumerate(list(MESSAGES.values()) * 5)
    ]
    options = WriteOptions(images=ImageStorage("raw"), chunk_bytes=500)  # many chunks

    records = read(written(tmp_path / "log.mcap", messages, options))

    assert [record.message.header.seq for record in records] == list(range(len(messages)))
    for record, message in zip(records, messages, strict=True):
        assert_same(record.message, message)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
ns = st.integers(-(2**63), 2**63 - 1)
headers = st.builds(
    Header,
    topic=st.from_regex(r"[a-z]{1,5}/@?[a-z]{1,5}", fullmatch=True),
    kind=st.sampled_from([Kind.TEXT, Kind.RESULT, Kind.TENSOR, Kind.HEALTH, Kind.LATCHED]),
    seq=st.integers(0, 2**63 - 1),
    stamp_ns=ns,
    span_ns=ns,
    error_ns=ns,
    sent_ns=ns,
    incarnation=st.integers(0, 2**63 - 1),
    frame_id=st.text(max_size=9),
    fields=st.dictionaries(st.text(max_size=8), values, max_size=5),
    buffers=st.just(()),
)


@given(st.lists(headers, min_size=1, max_size=6))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_header_comes_back_exactly(tmp_path: Path, headers: list[Header]) -> None:
    messages = [Message(header) for header in headers]

    records = read(written(tmp_path / "log.mcap", messages))

    assert [record.message.header for record in records] == headers


def test_promises_and_ends_are_kept_beside_the_messages(tmp_path: Path) -> None:
    promise = make_message("l/points", Kind.PROMISE, stamp_ns=77, begun=True)
    end = make_message("l/points", Kind.END, stamp_ns=99)
    text = make_message("n/text", Kind.TEXT, text="between")
    path = written(tmp_path / "log.mcap", [promise, text, end])

    with LogReader(path) as reader:
        assert list(reader.topics) == ["n/text"]
        assert [record.message.header for record in reader.signs()] == [promise.header, end.header]
        assert [record.log_ns for record in reader.signs(["l/*"])] == [1_000, 1_002]
        assert list(reader.signs(["n/*"])) == []
