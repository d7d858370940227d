"""A log opens with the ordinary `mcap` tools, and its records are what Foxglove's schemas say."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory

from tectum.message import Kind, Message
from tectum.recording.reader import LogReader
from tectum.recording.store import ImageStorage
from tectum.recording.writer import LogWriter, WriteOptions
from tectum.testing.messages import make_message

STAMP_NS = 1_700_000_000_123_456_789
RAMP = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, :, None] * 3, (48, 64, 3)).copy()


def decoded(path: Path) -> dict[str, Any]:
    """Read as a stranger would: with the schemas in the file, by topic (the last of each)."""
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
        return {item.channel.topic: item for item in reader.iter_decoded_messages()}


def written(path: Path, *messages: Message, images: ImageStorage | None = None) -> Path:
    with LogWriter(path, WriteOptions(images=images or ImageStorage())) as writer:
        for number, message in enumerate(messages):
            writer.write(message, arrived_ns=STAMP_NS + 5_000 + number)
    return path


def test_times_and_names_are_where_viewers_look_for_them(tmp_path: Path) -> None:
    image = make_message("camera/image", Kind.IMAGE, RAMP, stamp_ns=STAMP_NS, encoding="bgr8")

    item = decoded(written(tmp_path / "a.mcap", image))["camera/image"]

    assert item.schema.name == "foxglove.CompressedImage"
    assert item.message.log_time == STAMP_NS + 5_000
    assert item.message.publish_time == STAMP_NS
    stamp = item.decoded_message.timestamp
    assert stamp.seconds * 1_000_000_000 + stamp.nanos == STAMP_NS


@pytest.mark.parametrize("encoding", ["bgr8", "rgb8", "mono8"])
def test_a_raw_picture_becomes_a_jpeg_that_looks_alike(tmp_path: Path, encoding: str) -> None:
    picture = RAMP.copy()
    picture[..., 0] //= 4  # so that blue and red differ
    if encoding == "mono8":
        picture = np.ascontiguousarray(picture[..., 1])
    image = make_message("camera/image", Kind.IMAGE, picture, encoding=encoding, frame_id="eye")
    path = written(tmp_path / "a.mcap", image)

    stored = decoded(path)["camera/image"].decoded_message

    assert (stored.format, stored.frame_id) == ("jpeg", "eye")
    seen = cv2.imdecode(np.frombuffer(stored.data, np.uint8), cv2.IMREAD_COLOR)
    expected = picture if encoding != "rgb8" else picture[..., ::-1]
    if encoding == "mono8":
        seen = seen[..., 0]
    assert np.abs(seen.astype(int) - expected).mean() < 3

    with LogReader(path) as reader:
        [record] = reader.messages()
        [as_stored] = reader.messages(images="stored")
    assert record.message.header == image.header
    assert np.abs(record.message.array().astype(int) - picture).mean() < 3
    assert as_stored.message.header.fields == {"encoding": "jpeg"}
    assert as_stored.message.array().tobytes() == stored.data


def test_quality_sets_the_size(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)
    image = make_message("camera/image", Kind.IMAGE, noise, encoding="bgr8")
    sizes = [
        len(decoded(path)["camera/image"].decoded_message.data)
        for quality in (30, 95)
        if (path := written(tmp_path / f"{quality}", image, images=ImageStorage("jpeg", quality)))
    ]

    assert sizes[0] < sizes[1] / 2


def test_a_raw_picture_is_stored_raw_on_request(tmp_path: Path) -> None:
    image = make_message("camera/image", Kind.IMAGE, RAMP, encoding="rgb8")

    path = written(tmp_path / "a.mcap", image, images=ImageStorage("raw"))

    stored = decoded(path)["camera/image"].decoded_message
    assert (stored.width, stored.height, stored.step, stored.encoding) == (64, 48, 192, "rgb8")
    assert stored.data == RAMP.tobytes()


def test_a_jpeg_picture_stays_as_the_device_gave_it(tmp_path: Path) -> None:
    data = np.frombuffer(cv2.imencode(".jpg", RAMP)[1].tobytes(), np.uint8)
    image = make_message("camera/image", Kind.IMAGE, data, encoding="jpeg")

    stored = decoded(written(tmp_path / "a.mcap", image))["camera/image"].decoded_message

    assert stored.data == data.tobytes()


def test_depth_is_never_stored_with_loss(tmp_path: Path) -> None:
    depth = np.linspace(0, 80, 48 * 64, dtype=np.float32).reshape(48, 64)
    image = make_message("camera/depth", Kind.IMAGE, depth, encoding="32FC1")

    stored = decoded(written(tmp_path / "a.mcap", image))["camera/depth"].decoded_message

    assert stored.encoding == "32FC1"
    assert np.array_equal(np.frombuffer(stored.data, np.float32).reshape(48, 64), depth)


def test_a_cloud_has_its_fields_by_name(tmp_path: Path) -> None:
    points = np.arange(20, dtype=np.float32).reshape(5, 4)
    names = ["x", "y", "z", "intensity"]
    cloud = make_message("lidar/points", Kind.POINTS, points, frame_id="lidar", names=names)

    stored = decoded(written(tmp_path / "a.mcap", cloud))["lidar/points"].decoded_message

    assert (stored.frame_id, stored.point_stride) == ("lidar", 16)
    assert [(f.name, f.offset, f.type) for f in stored.fields] == [
        (name, 4 * index, 7) for index, name in enumerate(names)
    ]
    assert stored.pose.orientation.w == 1.0
    assert np.array_equal(np.frombuffer(stored.data, np.float32).reshape(5, 4), points)


def test_sound_is_interleaved_pcm(tmp_path: Path) -> None:
    samples = np.array([[1, -1], [2, -2], [3, -3]], np.int16)
    sound = make_message("m/audio", Kind.AUDIO, samples, rate_hz=16_000, first=0)

    stored = decoded(written(tmp_path / "a.mcap", sound))["m/audio"].decoded_message

    assert (stored.format, stored.sample_rate, stored.number_of_channels) == ("pcm-s16", 16_000, 2)
    assert np.frombuffer(stored.data, "<i2").tolist() == [1, -1, 2, -2, 3, -3]


def test_a_pose_of_a_frame_is_a_transform(tmp_path: Path) -> None:
    pose = np.array([1.0, 2.0, 3.0, 0.0, 0.0, 0.6, 0.8])
    message = make_message("gps/pose", Kind.POSE, pose, frame_id="map", child_frame_id="ego")

    stored = decoded(written(tmp_path / "a.mcap", message))["gps/pose"].decoded_message

    assert (stored.parent_frame_id, stored.child_frame_id) == ("map", "ego")
    assert (stored.translation.x, stored.rotation.z, stored.rotation.w) == (1.0, 0.6, 0.8)


def test_numbers_of_a_result_can_be_plotted_by_anyone(tmp_path: Path) -> None:
    document = {"outcome": "partial", "outputs": {"siren": {"probability": 0.75}}}
    result = make_message("p/result", Kind.RESULT, result=document)

    item = decoded(written(tmp_path / "a.mcap", result))["p/result"]

    values = {value.key: value.text or value.number for value in item.decoded_message.values}
    assert item.schema.name == "tectum.Message"
    assert values == {"result.outcome": "partial", "result.outputs.siren.probability": 0.75}
    assert item.decoded_message.header.topic == "p/result"


def test_headers_lie_beside_well_known_records(tmp_path: Path) -> None:
    cloud = make_message(
        "l/points", Kind.POINTS, np.zeros((2, 3), np.float32), seq=41, names=["x", "y", "z"]
    )

    found = decoded(written(tmp_path / "a.mcap", cloud))

    assert found["tectum/headers"].decoded_message.seq == 41
    assert found["tectum/headers"].message.sequence == found["l/points"].message.sequence
    assert found["tectum/headers"].message.log_time == found["l/points"].message.log_time


def test_the_run_and_its_rig_are_in_the_file(tmp_path: Path) -> None:
    turn = [[0.0, -1.0, 0.0, 0.5], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.25], [0, 0, 0, 1]]
    camera_matrix = [[700.0, 0.0, 600.0], [0.0, 701.0, 170.0], [0.0, 0.0, 1.0]]
    rig = {
        "frames": {"lidar": {"parent": "camera", "matrix": turn}},
        "cameras": {
            "front": {
                "frame": "camera",
                "width": 1242,
                "height": 375,
                "matrix": camera_matrix,
                "distortion": [],
            }
        },
    }
    run = {"run": "abc", "graph": {"graph": "kitti", "budget": "100ms"}, "rig": rig}
    path = tmp_path / "a.mcap"
    with LogWriter(path) as writer:
        writer.write_run(run, now_ns=STAMP_NS)

    found = decoded(path)
    [transform] = found["rig/transforms"].decoded_message.transforms
    calibration = found["rig/front"].decoded_message

    assert (transform.parent_frame_id, transform.child_frame_id) == ("camera", "lidar")
    assert transform.translation.z == 0.25
    assert transform.rotation.z == pytest.approx(np.sqrt(0.5))
    assert (calibration.frame_id, calibration.width) == ("camera", 1242)
    assert np.reshape(calibration.K, (3, 3)).tolist() == camera_matrix
    assert np.reshape(calibration.P, (3, 4))[:, :3].tolist() == camera_matrix
    with LogReader(path) as reader:
        assert reader.run == run
        assert reader.metadata["tectum/run"]["run"] == "abc"


def test_a_latched_fact_is_found_without_reading_the_log(tmp_path: Path) -> None:
    old = make_message("c/info", Kind.LATCHED, fact="labels", labels=["a"])
    new = make_message("c/info", Kind.LATCHED, fact="labels", labels=["a", "b"], seq=1)

    with LogReader(written(tmp_path / "a.mcap", old, new)) as reader:
        assert reader.latched == {"c/info": new.header}
        assert [record.message.header for record in reader.messages()] == [old.header, new.header]
