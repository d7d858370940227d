"""Reading a log: orders, spans, patterns; and logs that others wrote."""

from pathlib import Path

import numpy as np
import pytest
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
from foxglove_schemas_protobuf.Log_pb2 import Log
from foxglove_schemas_protobuf.PackedElementField_pb2 import PackedElementField
from foxglove_schemas_protobuf.PointCloud_pb2 import PointCloud
from foxglove_schemas_protobuf.RawAudio_pb2 import RawAudio
from foxglove_schemas_protobuf.RawImage_pb2 import RawImage
from google.protobuf.timestamp_pb2 import Timestamp
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from mcap_protobuf.writer import Writer

from tectum.errors import DataError
from tectum.message import Kind, Message
from tectum.recording.info import info_document, info_text
from tectum.recording.log_topics import matches
from tectum.recording.reader import LogReader
from tectum.recording.store import ImageStorage
from tectum.recording.writer import LogWriter, WriteOptions
from tectum.testing.messages import make_message

# stamps   10    40    20    30    60    50
# arrival  100   101   102   103   104   105
STAMPS = [10, 40, 20, 30, 60, 50]
AT = Timestamp(seconds=3, nanos=7)
AT_NS = 3_000_000_007


@pytest.fixture
def shuffled(tmp_path: Path) -> Path:
    path = tmp_path / "log.mcap"
    with LogWriter(path, WriteOptions(chunk_bytes=1)) as writer:  # a chunk per message
        for number, stamp_ns in enumerate(STAMPS):
            topic = f"{'ab'[number % 2]}/text"
            text = make_message(topic, Kind.TEXT, seq=number, stamp_ns=stamp_ns, text="x")
            writer.write(text, arrived_ns=100 + number)
    return path


def stamps(messages: list[Message]) -> list[int]:
    return [message.header.stamp_ns for message in messages]


def test_messages_come_in_the_order_of_arrival_or_of_stamps(shuffled: Path) -> None:
    with LogReader(shuffled) as reader:
        assert stamps([record.message for record in reader.messages()]) == STAMPS
        by_stamp = [record.message for record in reader.messages(order="stamp")]
    assert stamps(by_stamp) == sorted(STAMPS)


def test_spans_are_half_open(shuffled: Path) -> None:
    with LogReader(shuffled) as reader:
        arrivals = [record.log_ns for record in reader.messages(begin_ns=101, end_ns=104)]
        by_stamp = reader.messages(order="stamp", begin_ns=20, end_ns=50)
        assert stamps([record.message for record in by_stamp]) == [20, 30, 40]
    assert arrivals == [101, 102, 103]


def test_topics_are_chosen_by_name_or_pattern(shuffled: Path) -> None:
    with LogReader(shuffled) as reader:
        assert [record.log_ns for record in reader.messages(["a/text"])] == [100, 102, 104]
        assert len(list(reader.messages(["*/text"]))) == 6
        assert list(reader.messages(["c/*"])) == []


def test_an_exact_name_may_hold_brackets() -> None:
    assert matches("a/[x]", ["a/[x]"])
    assert not matches("a/image_raw", ["a/image"])


def test_topics_are_counted(shuffled: Path) -> None:
    with LogReader(shuffled) as reader:
        topic = reader.topics["b/text"]
        assert (topic.kind, topic.messages) == (Kind.TEXT, 3)
        assert (topic.first_ns, topic.last_ns) == (101, 105)
        assert reader.messages_total == 6
        assert reader.span_ns == (100, 105)
        assert reader.finished


def test_info_tells_a_person_what_is_in_a_log(shuffled: Path) -> None:
    document = info_document(shuffled)
    text = info_text(document)

    assert document["topics"]["a/text"]["messages"] == 3
    assert "6 messages" in text
    assert "a/text" in text
    assert "!" not in text


def test_an_empty_log_is_a_log(tmp_path: Path) -> None:
    path = tmp_path / "log.mcap"
    LogWriter(path).close()

    with LogReader(path) as reader:
        assert list(reader.messages()) == []
        assert reader.complaints == ()
        assert reader.span_ns == (0, 0)
    assert "0 messages" in info_text(info_document(path))


def test_messages_outlive_their_reader(tmp_path: Path) -> None:
    path = tmp_path / "log.mcap"
    picture = np.full((4, 4, 3), 9, np.uint8)
    with LogWriter(path, WriteOptions(images=ImageStorage("raw"))) as writer:
        writer.write(make_message("c/image", Kind.IMAGE, picture, encoding="bgr8"), 5)
    with LogReader(path) as reader:
        [record] = reader.messages()
    path.unlink()

    assert np.array_equal(record.message.array(), picture)


def test_a_log_is_not_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "log.mcap"
    path.write_text("precious")

    with pytest.raises(DataError, match="exists already: remove it, choose another path"):
        LogWriter(path)
    assert path.read_text() == "precious"
    LogWriter(path, WriteOptions(overwrite=True)).close()
    with LogReader(path) as reader:
        assert reader.finished


def test_a_log_needs_its_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the folder .*nowhere does not exist"):
        LogWriter(tmp_path / "nowhere" / "log.mcap")


def test_records_moved_into_other_chunks_by_other_tools_find_their_headers(tmp_path: Path) -> None:
    """As `mcap compress` does: the same records in order, in chunks of its own."""
    ours, theirs = tmp_path / "ours.mcap", tmp_path / "theirs.mcap"
    names = ["x", "y", "z"]
    with LogWriter(ours) as writer:
        for seq in range(40):
            cloud = np.full((10, 3), seq, np.float32)
            message = make_message("l/p", Kind.POINTS, cloud, seq=1000 + seq, names=names)
            writer.write(message, arrived_ns=seq)
    rechunked(ours, theirs)

    with LogReader(theirs) as reader:
        found = [record.message for record in reader.messages(order="stamp")]
        assert [message.header.seq for message in found] == [1000 + seq for seq in range(40)]
        assert reader.complaints == ()


def rechunked(source: Path, target: Path) -> None:
    from mcap.reader import make_reader

    with source.open("rb") as file, target.open("wb") as out:
        writer = McapWriter(out, chunk_size=1_000, compression=CompressionType.LZ4)
        writer.start()
        channels: dict[int, int] = {}
        for schema, channel, message in make_reader(file).iter_messages(log_time_order=False):
            if channel.id not in channels:
                assert schema is not None
                schema_id = writer.register_schema(schema.name, schema.encoding, schema.data)
                channels[channel.id] = writer.register_channel(
                    channel.topic, channel.message_encoding, schema_id, channel.metadata
                )
            writer.add_message(
                channels[channel.id],
                message.log_time,
                message.data,
                message.publish_time,
                message.sequence,
            )
        writer.finish()


def test_logs_of_others_are_read_where_their_schemas_are_known(tmp_path: Path) -> None:
    path = tmp_path / "foreign.mcap"
    fields = [PackedElementField(name=n, offset=4 * i, type=7) for i, n in enumerate("xyz")]
    fields.append(PackedElementField(name="ring", offset=12, type=3))
    layout = np.dtype({"names": ["xyz", "ring"], "formats": ["3<f4", "<u2"], "itemsize": 16})
    points = np.zeros(2, layout)
    points["xyz"], points["ring"] = [[1, 2, 3], [4, 5, 6]], [7, 8]
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    padded = np.zeros((2, 16), np.uint8)
    padded[:, :12] = picture.reshape(2, 12)
    with Writer(str(path)) as writer:
        for topic, message in {
            "/camera/jpeg": CompressedImage(timestamp=AT, data=b"\xff\xd8", format="jpeg"),
            "/camera/raw": RawImage(
                timestamp=AT, width=4, height=2, encoding="8UC3", step=16, data=padded.tobytes()
            ),
            "/lidar": PointCloud(
                timestamp=AT, frame_id="l", point_stride=16, fields=fields, data=points.tobytes()
            ),
            "/mic": RawAudio(
                timestamp=AT,
                format="pcm-s16",
                sample_rate=8000,
                number_of_channels=1,
                data=b"\1\0\2\0",
            ),
            "/tf": FrameTransform(timestamp=AT, parent_frame_id="map", child_frame_id="ego"),
            "/log": Log(message="hello"),
        }.items():
            writer.write_message(topic, message, log_time=9, publish_time=8)

    with LogReader(path) as reader:
        found = {record.message.header.topic: record.message for record in reader.messages()}
        assert reader.skipped == {"foxglove.Log": 1}
        assert reader.topics["/log"].kind is None
        assert reader.run == {}

    assert {message.header.stamp_ns for message in found.values()} == {AT_NS}
    assert found["/camera/jpeg"].header.fields == {"encoding": "jpeg"}
    assert found["/camera/raw"].header.fields == {"encoding": "bgr8"}
    assert np.array_equal(found["/camera/raw"].array(), picture)
    assert found["/lidar"].header.fields == {"names": ["x", "y", "z", "ring"]}
    assert found["/lidar"].array().tolist() == [[1, 2, 3, 7], [4, 5, 6, 8]]
    assert found["/lidar"].header.frame_id == "l"
    assert found["/mic"].array().tolist() == [[1], [2]]
    assert found["/mic"].header.fields["rate_hz"] == 8000
    assert found["/tf"].header.kind is Kind.POSE
    assert found["/tf"].header.fields == {"child_frame_id": "ego"}


def test_audio_of_others_is_one_timeline_with_its_lost_blocks_as_gaps(tmp_path: Path) -> None:
    # 20 ms at 8 kHz, stamped to within 3 ms; block 4 was lost
    path = tmp_path / "foreign.mcap"
    with Writer(str(path)) as writer:
        for number in (0, 1, 2, 3, 5, 6):
            stamp_ns = AT_NS + number * 20_000_000 + number % 3 * 1_500_000
            block = RawAudio(
                timestamp=Timestamp(seconds=stamp_ns // 10**9, nanos=stamp_ns % 10**9),
                format="pcm-s16",
                sample_rate=8000,
                number_of_channels=1,
                data=bytes(320),
            )
            writer.write_message("/mic", block, log_time=stamp_ns, publish_time=stamp_ns)

    with LogReader(path) as reader:
        headers = [record.message.header for record in reader.messages()]
        again = [record.message.header for record in reader.messages()]
    firsts = [header.fields["first"] for header in headers]
    assert [first - firsts[0] for first in firsts] == [0, 160, 320, 480, 800, 960]
    assert [header.seq for header in headers] == [0, 1, 2, 3, 4, 5]
    assert again == headers


def test_a_foreign_log_without_chunks_is_read(tmp_path: Path) -> None:
    path = tmp_path / "foreign.mcap"
    with path.open("wb") as out:
        writer = McapWriter(out, use_chunking=False)
        writer.start()
        schema = writer.register_schema("foxglove.Log", "protobuf", b"")
        channel = writer.register_channel("/log", "protobuf", schema)
        for time in range(5):
            writer.add_message(channel, time, b"", time)
        writer.finish()

    with LogReader(path) as reader:
        assert reader.topics["/log"].messages == 5
        assert reader.finished
        assert reader.complaints == ()


def test_an_image_that_does_not_fit_its_size_is_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "foreign.mcap"
    with Writer(str(path)) as writer:
        wrong = RawImage(width=400, height=2, encoding="bgr8", step=1200, data=b"abc")
        writer.write_message("/camera", wrong, log_time=9, publish_time=8)

    with LogReader(path) as reader:
        assert list(reader.messages()) == []
        assert "holds 3 bytes, which do not fit 400 x 2 bgr8" in reader.complaints[0]
