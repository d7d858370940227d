"""A copy has the order of arrival, is the same each time, opens everywhere, or is not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.PointCloud_pb2 import PointCloud
from foxglove_schemas_protobuf.PoseInFrame_pb2 import PoseInFrame
from foxglove_schemas_protobuf.RawAudio_pb2 import RawAudio
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory

from tectum.errors import DataError
from tectum.message import Kind
from tectum.node.base import Announcement, Capture
from tectum.recording.reader import LogReader
from tectum_nodes.importing.base import Item, Source, Stream
from tectum_nodes.importing.copying import import_log, in_order

S = 1_000_000_000
TOPICS = {"picture": "camera/image", "scan": "lidar/points", "sound": "mic/audio", "at": "ego/pose"}
RIG = {
    "frames": {"lidar": {"parent": "camera", "matrix": np.eye(4).tolist()}},
    "cameras": {
        "camera": {"frame": "camera", "width": 8, "height": 6, "matrix": np.eye(3).tolist()}
    },
}


def scan(number: int, at_ns: int) -> Capture:
    points, fields = np.full((2, 3), number, np.float32), {"names": ["x", "y", "z"]}
    return Capture("scan", Kind.POINTS, (points,), at_ns, S // 10, 5, "lidar", fields)


def picture(number: int, at_ns: int) -> Capture:
    pixels, fields = np.full((6, 8, 3), number, np.uint8), {"encoding": "bgr8"}
    return Capture("picture", Kind.IMAGE, (pixels,), at_ns, frame_id="camera", fields=fields)


def sound(number: int, at_ns: int) -> Capture:
    fields = {"rate_hz": 8000, "first": number * 8000}
    return Capture(
        "sound", Kind.AUDIO, (np.zeros((80, 1), np.int16),), at_ns, S // 100, fields=fields
    )


def pose(number: int, at_ns: int) -> Capture:
    numbers = np.array([number, 0, 0, 0, 0, 0, 1.0])
    return Capture("at", Kind.POSE, (numbers,), at_ns, frame_id="map")


class Made(Source):
    """A source that says one of each kind, out of order by 0.2 s, and can fail on the way."""

    title = "made"

    def __init__(self, *, fails: bool = False) -> None:
        super().__init__(Path("made"), None)
        self._fails = fails

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        return False

    def streams(self) -> tuple[Stream, ...]:
        return tuple(Stream(name, None, "") for name in TOPICS)

    def rig(self) -> dict[str, Any]:
        return RIG

    def items(self, wanted: frozenset[str]) -> Iterator[Item]:
        for number in range(10):
            at_ns = (100 + number) * S
            if self._fails and number == 5:
                msg = "the disk of the source is gone"
                raise DataError(msg)
            yield Item(at_ns + S // 5, scan(number, at_ns))
            yield Item(at_ns, Announcement("scan", at_ns))
            yield Item(at_ns + S // 10, picture(number, at_ns))
            yield Item(at_ns + 1, sound(number, at_ns))
            yield Item(at_ns + 2, pose(number, at_ns))


def test_messages_come_in_the_order_of_arrival_with_numbers_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "log.mcap"
    report = import_log(Made(), TOPICS, path)
    assert report.topics == dict.fromkeys(TOPICS.values(), 10)
    with LogReader(path) as reader:
        records, signs = list(reader.messages()), list(reader.signs())
        assert reader.rig == RIG
        assert reader.metadata["tectum/import"] == {"messages": "40"}
    arrivals = [record.log_ns for record in records]
    assert arrivals == sorted(arrivals)
    scans = [r.message.header for r in records if r.message.header.topic == "lidar/points"]
    assert [h.seq for h in scans] == list(range(10))
    assert {(h.span_ns, h.error_ns, h.frame_id) for h in scans} == {(S // 10, 5, "lidar")}
    kinds = [record.message.header.kind for record in signs]
    assert kinds == [Kind.PROMISE] * 10 + [Kind.END] * 4


def test_a_part_in_time_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "log.mcap"
    report = import_log(
        Made(), TOPICS, path, span_of=lambda begin_ns: (begin_ns + 3 * S, begin_ns + 5 * S)
    )
    assert report.topics == dict.fromkeys(TOPICS.values(), 2)
    assert (report.first_ns, report.last_ns) == (103 * S, 104 * S + S // 5)


def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        import_log(Made(), TOPICS, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_log_that_exists_is_kept_and_a_failure_leaves_none(tmp_path: Path) -> None:
    path = tmp_path / "log.mcap"
    path.write_text("mine")
    with pytest.raises(DataError, match="exists already"):
        import_log(Made(), TOPICS, path)
    assert path.read_text() == "mine"
    with pytest.raises(DataError, match="the disk of the source is gone"):
        import_log(Made(fails=True), TOPICS, tmp_path / "other.mcap")
    with pytest.raises(DataError, match="made gave no message: nothing lies in the time asked for"):
        import_log(
            Made(), TOPICS, tmp_path / "none.mcap", span_of=lambda ns: (ns + 99 * S, 1 << 62)
        )
    assert [file.name for file in tmp_path.iterdir()] == ["log.mcap"]


def test_a_message_that_is_not_of_its_kind_is_counted(tmp_path: Path) -> None:
    class Wrong(Made):
        def items(self, wanted: frozenset[str]) -> Iterator[Item]:
            yield from super().items(wanted)
            yield Item(110 * S, Capture("scan", Kind.POINTS, (np.zeros(3),), 110 * S))

    report = import_log(Wrong(), TOPICS, tmp_path / "log.mcap")
    ((text, count),) = report.troubles.items()
    assert "points has buffers [float64 (3,)]; allowed: one float32 (points, fields)" in text
    assert count == 1
    assert report.topics["lidar/points"] == 10


def test_items_are_put_in_order_within_their_slack() -> None:
    def item(at_ns: int) -> Item:
        return Item(at_ns, Announcement("x", at_ns))

    given = [item(at) for at in (5, 3, 9, 7, 30, 26, 28)]
    assert [found.arrived_ns for found in in_order(given, 5)] == [3, 5, 7, 9, 26, 28, 30]


def test_the_log_opens_in_the_tools_of_mcap_and_decodes_with_the_public_schemas(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log.mcap"
    import_log(Made(), TOPICS, path)
    public = {
        "camera/image": ("foxglove.CompressedImage", CompressedImage),
        "lidar/points": ("foxglove.PointCloud", PointCloud),
        "mic/audio": ("foxglove.RawAudio", RawAudio),
        "ego/pose": ("foxglove.PoseInFrame", PoseInFrame),
    }
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
        summary = reader.get_summary()
        assert summary is not None
        assert summary.statistics is not None
        decoded = 0
        for schema, channel, message, by_file in reader.iter_decoded_messages():
            if channel.topic not in public:
                continue
            name, of_public = public[channel.topic]
            assert schema is not None
            assert schema.name == name
            by_public = of_public.FromString(message.data)
            assert by_public.SerializeToString() == by_file.SerializeToString()
            assert (
                by_public.timestamp.seconds * S + by_public.timestamp.nanos == message.publish_time
            )
            decoded += 1
        names = {schema.name for schema in summary.schemas.values()}
    assert decoded == 40
    assert {"foxglove.CameraCalibration", "foxglove.FrameTransforms"} <= names
