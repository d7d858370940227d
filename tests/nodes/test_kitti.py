"""KITTI folders of every kind are found, stamped on one time line, and calibrated."""

import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from tectum.errors import DataError
from tectum.message import Kind
from tectum.node.base import Capture
from tectum.testing import FakeClock, MemoryContext
from tectum_nodes.kitti import KittiCamera, KittiLidar

MS = 1_000_000
EPOCH_NS = 1_000_000_000_000
DATA = Path(os.environ.get("TECTUM_DATA") or Path(__file__).parents[3] / "shared/data")
SEQUENCE = DATA / "kitti_seq"
needs_data = pytest.mark.skipif(
    not SEQUENCE.is_dir(), reason="no kitti_seq: set TECTUM_DATA to the recordings"
)

P2 = np.array([[700.0, 0, 600, 45], [0, 700.0, 170, -0.3], [0, 0, 1, 0.005]])
R0 = cv2.Rodrigues(np.array([0.01, -0.02, 0.005]))[0]
TR = np.hstack([np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]]), [[0.01], [-0.07], [-0.27]]])


def numbers(matrix: np.ndarray) -> str:
    return " ".join(repr(float(number)) for number in matrix.ravel())


def put_picture(path: Path, frame: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((20, 60, 3), frame, np.uint8))


def put_scan(path: Path, frame: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.full((5 + frame, 4), frame, np.float32).tofile(path)


def object_kind(folder: Path, frames: int) -> None:
    for frame in range(frames):
        put_picture(folder / f"image_2/{frame:06}.png", frame)
        put_scan(folder / f"velodyne/{frame:06}.bin", frame)
    (folder / "calib").mkdir()
    lines = [f"P0: {numbers(P2)}", f"P2: {numbers(P2)}", f"R0_rect: {numbers(R0)}"]
    lines.append(f"Tr_velo_to_cam: {numbers(TR)}")
    (folder / "calib/000000.txt").write_text("\n".join(lines))


def sequence_kind(folder: Path, frames: int) -> None:
    for frame in range(frames):
        put_picture(folder / f"image_02/{frame:010}.jpg", frame)
        put_scan(folder / f"velodyne_fov/{frame:010}.bin", frame)
    lines = [f"P2: {numbers(P2)}", f"R0_rect: {numbers(R0)}", f"Tr_velo_to_cam: {numbers(TR)}"]
    (folder / "calib.txt").write_text("\n".join(lines))
    times = "\n".join(f"{frame * 0.1:.6f}" for frame in range(frames))
    (folder / "timestamps_nominal_10hz.txt").write_text(times)


def raw_kind(folder: Path, frames: int) -> None:
    for frame in range(frames):
        put_picture(folder / f"image_02/data/{frame:010}.png", frame)
        put_scan(folder / f"velodyne_points/data/{frame:010}.bin", frame)
    (folder / "calib_cam_to_cam.txt").write_text(
        f"calib_time: 09-Jan-2012\nP_rect_02: {numbers(P2)}\nR_rect_00: {numbers(R0)}\n"
    )
    (folder / "calib_velo_to_cam.txt").write_text(
        f"R: {numbers(TR[:, :3])}\nT: {numbers(TR[:, 3])}\n"
    )
    for name, offset_us in (("image_02", 4_000), ("velodyne_points", 0)):
        lines = [
            f"2011-09-26 14:30:{15 + frame // 10}.{(frame % 10) * 100_000 + offset_us:06}123"
            for frame in range(frames)
        ]
        (folder / name / "timestamps.txt").write_text("\n".join(lines) + "\n")


KINDS: dict[str, Callable[[Path, int], None]] = {
    "object": object_kind,
    "sequence": sequence_kind,
    "raw": raw_kind,
}


def camera(folder: Path, **config: object) -> KittiCamera:
    return KittiCamera(KittiCamera.Config(folder=str(folder), **config))


def lidar(folder: Path, **config: object) -> KittiLidar:
    return KittiLidar(KittiLidar.Config(folder=str(folder), **config))


def context(**options: object) -> MemoryContext:
    return MemoryContext("sensor", clock=FakeClock(EPOCH_NS), **options)


def played(node: KittiCamera | KittiLidar) -> Iterator[Capture]:
    here = context()
    node.open(here)
    for item in node.captures(here):
        assert isinstance(item, Capture)
        yield item


def offsets_ms(captures: list[Capture]) -> list[float]:
    return [(capture.stamp_ns - EPOCH_NS) / MS for capture in captures]


@pytest.mark.parametrize("kind", KINDS)
def test_frames_of_every_kind_of_folder_are_played(tmp_path: Path, kind: str) -> None:
    KINDS[kind](tmp_path, 3)

    seen, scanned = list(played(camera(tmp_path))), list(played(lidar(tmp_path)))

    assert [capture.fields["frame"] for capture in seen] == [0, 1, 2]
    assert [round(capture.arrays[0].mean()) for capture in seen] == [0, 1, 2]
    assert {(c.output, c.kind, c.frame_id) for c in seen} == {("image", Kind.IMAGE, "camera")}
    assert seen[0].fields["encoding"] == "bgr8"
    assert seen[0].arrays[0].shape == (20, 60, 3)
    assert [capture.arrays[0].shape for capture in scanned] == [(5, 4), (6, 4), (7, 4)]
    assert scanned[0].arrays[0].dtype == np.float32
    assert scanned[0].fields["names"] == ["x", "y", "z", "intensity"]
    assert scanned[0].frame_id == "lidar"


@pytest.mark.parametrize("kind", KINDS)
def test_the_rig_projects_points_as_kitti_says(tmp_path: Path, kind: str) -> None:
    KINDS[kind](tmp_path, 1)
    points = np.array([[10.0, 1.0, -0.5], [30.0, -4.0, 1.0], [5.0, 0.0, 0.0]])
    homogeneous = np.hstack([points, np.ones((3, 1))])
    rectify, transform = np.eye(4), np.eye(4)
    rectify[:3, :3], transform[:3] = R0, TR
    expected = homogeneous @ (P2 @ rectify @ transform).T

    rig = KittiCamera.rig_of(KittiCamera.Config(folder=str(tmp_path)))

    assert rig is not None
    model = rig["cameras"]["camera"]
    frame = rig["frames"]["lidar"]
    in_camera = (homogeneous @ np.array(frame["matrix"]).T)[:, :3]
    found = in_camera @ np.array(model["matrix"]).T
    assert np.allclose(found / found[:, 2:], expected / expected[:, 2:], atol=1e-9)
    assert (model["width"], model["height"], frame["parent"]) == (60, 20, "camera")


def test_a_folder_without_calibration_has_no_rig(tmp_path: Path) -> None:
    put_picture(tmp_path / "image_2/000000.png", 0)

    assert KittiCamera.rig_of(KittiCamera.Config(folder=str(tmp_path))) is None


def test_a_calibration_that_lacks_numbers_is_refused(tmp_path: Path) -> None:
    put_picture(tmp_path / "image_2/000000.png", 0)
    (tmp_path / "calib.txt").write_text("P2: 1 2 3\nTr_velo_to_cam: 4\n")

    with pytest.raises(DataError, match=r"calib\.txt: Tr_velo_to_cam must stand there with 3 x 4"):
        KittiCamera.rig_of(KittiCamera.Config(folder=str(tmp_path)))


def test_camera_and_lidar_share_the_time_line_of_a_raw_recording(tmp_path: Path) -> None:
    raw_kind(tmp_path, 4)

    assert offsets_ms(list(played(camera(tmp_path)))) == [4.0, 104.0, 204.0, 304.0]
    assert offsets_ms(list(played(lidar(tmp_path)))) == [0.0, 100.0, 200.0, 300.0]
    assert offsets_ms(list(played(camera(tmp_path, start=2)))) == [4.0, 104.0]
    assert offsets_ms(list(played(lidar(tmp_path, start=2)))) == [0.0, 100.0]


def test_a_rate_overrides_the_recorded_times(tmp_path: Path) -> None:
    raw_kind(tmp_path, 3)

    assert offsets_ms(list(played(camera(tmp_path, rate="20Hz")))) == [0.0, 50.0, 100.0]
    assert KittiCamera.period_ns_of(camera(tmp_path, rate="20Hz").config) == {"image": 50 * MS}
    assert KittiLidar.period_ns_of(lidar(tmp_path).config) == {"points": 100 * MS}


def test_part_of_a_recording_is_played(tmp_path: Path) -> None:
    object_kind(tmp_path, 6)

    captures = list(played(lidar(tmp_path, start=2, end=4)))

    assert [capture.fields["frame"] for capture in captures] == [2, 3]
    assert offsets_ms(captures) == [0.0, 100.0]


def test_a_frame_that_is_missing_leaves_its_place_empty(tmp_path: Path) -> None:
    object_kind(tmp_path, 4)
    (tmp_path / "velodyne/000001.bin").unlink()

    assert offsets_ms(list(played(lidar(tmp_path)))) == [0.0, 200.0, 300.0]


def test_a_loop_goes_on_in_the_same_rhythm(tmp_path: Path) -> None:
    sequence_kind(tmp_path, 3)

    captures = list(islice(played(camera(tmp_path, loop=True)), 7))

    assert offsets_ms(captures) == [0.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0]
    assert [capture.fields["frame"] for capture in captures] == [0, 1, 2, 0, 1, 2, 0]


def test_delay_and_jitter_hold_frames_back_and_leave_their_stamps(tmp_path: Path) -> None:
    object_kind(tmp_path, 5)
    here = context()
    node = lidar(tmp_path, delay="30ms", jitter="20ms", seed=3)
    captures, ages = [], []
    for item in node.captures(here):
        assert isinstance(item, Capture)
        captures.append(item)
        ages.append((here.clock.now_ns() - item.stamp_ns) / MS)

    assert offsets_ms(captures) == [0.0, 100.0, 200.0, 300.0, 400.0]
    assert all(30 <= age <= 50 for age in ages)
    assert len(set(ages)) == 5
    again = context()
    repeated = [
        (again.clock.now_ns() - item.stamp_ns) / MS
        for item in node.captures(again)
        if isinstance(item, Capture)
    ]
    assert repeated == ages


def test_a_node_that_is_restarted_goes_on_where_the_recording_is(tmp_path: Path) -> None:
    object_kind(tmp_path, 40)
    run = tmp_path / "run"
    run.mkdir()
    clock = FakeClock(EPOCH_NS + 500)
    document = {"epoch_ns": EPOCH_NS}
    first = MemoryContext("sensor", clock=clock, run=document, folder=run)
    begin = [item.stamp_ns for item in islice(lidar(tmp_path).captures(first), 2)]
    clock.advance(2_000 * MS)
    second = MemoryContext("sensor", clock=clock, run=document, folder=run)

    after = next(lidar(tmp_path).captures(second))

    assert isinstance(after, Capture)
    assert after.fields["frame"] == 11  # those of the last second are caught up with
    assert (after.stamp_ns - begin[0]) == 11 * 100 * MS


def test_two_nodes_of_a_run_begin_at_one_instant(tmp_path: Path) -> None:
    object_kind(tmp_path, 1)
    run = tmp_path / "run"
    run.mkdir()
    stamps = []
    for later_ns, node in ((3, camera(tmp_path)), (7 * MS, lidar(tmp_path))):
        here = MemoryContext(
            "x", clock=FakeClock(EPOCH_NS + later_ns), run={"epoch_ns": EPOCH_NS}, folder=run
        )
        stamps += [item.stamp_ns for item in node.captures(here)]

    assert stamps[0] == stamps[1] > EPOCH_NS
    assert [path.name for path in run.iterdir()] == ["playback_begin"]


def test_pictures_are_passed_on_as_they_are_on_request(tmp_path: Path) -> None:
    sequence_kind(tmp_path, 1)

    [capture] = played(camera(tmp_path, decode=False))

    assert capture.fields["encoding"] == "jpeg"
    assert capture.arrays[0].tobytes() == (tmp_path / "image_02/0000000000.jpg").read_bytes()


def test_the_source_ends_and_says_so(tmp_path: Path) -> None:
    object_kind(tmp_path, 3)
    here = context()
    here.record("points")
    node = lidar(tmp_path)
    node.open(here)

    node.run(here)

    kinds = [message.header.kind for message in here.sent("points")]
    assert kinds == [Kind.POINTS, Kind.POINTS, Kind.POINTS, Kind.END]


def test_it_stops_when_the_graph_stops(tmp_path: Path) -> None:
    object_kind(tmp_path, 9)

    captures = list(lidar(tmp_path).captures(context(stop_at_ns=EPOCH_NS + 250 * MS)))

    assert len(captures) == 3


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: None, "has no pictures: none of image_02/data, image_02"),
        (
            lambda folder: put_picture(folder / "image_2/a.png", 0),
            "has no pictures",
        ),
        (
            lambda folder: (
                put_picture(folder / "image_2/000000.png", 0),
                (folder / "image_2/000000.png").write_bytes(b"x"),
            ),
            r"000000\.png is not a picture that can be decoded",
        ),
        (
            lambda folder: [put_picture(folder / f"image_2/00000{n}.png", n) for n in (3, 4)],
            "has no frames from 0 to before 2: it has 3 to 4",
        ),
    ],
)
def test_a_folder_that_lacks_something_is_refused_in_a_sentence(
    tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    make(tmp_path)

    with pytest.raises(DataError, match=words):
        camera(tmp_path, end=2).open(context())


def test_a_broken_scan_is_named(tmp_path: Path) -> None:
    object_kind(tmp_path, 1)
    (tmp_path / "velodyne/000000.bin").write_bytes(b"\0" * 20)

    with pytest.raises(DataError, match=r"000000\.bin is not a lidar scan: its 20 bytes"):
        lidar(tmp_path).open(context())


def test_png_files_cannot_be_passed_on_as_jpeg(tmp_path: Path) -> None:
    object_kind(tmp_path, 1)

    with pytest.raises(DataError, match=r"PNG file, not JPEG: it can only be .* `decode: true`"):
        camera(tmp_path, decode=False).open(context())


def test_a_missing_folder_is_one_sentence_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match=r"there is no KITTI folder at .*nowhere: set `folder`"):
        camera(tmp_path / "nowhere").open(context())
    monkeypatch.setenv("TECTUM_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"there is no KITTI folder at .*kitti_seq"):
        KittiCamera(KittiCamera.Config()).open(context())
    monkeypatch.delenv("TECTUM_DATA")
    with pytest.raises(DataError, match="set the environment variable TECTUM_DATA"):
        KittiCamera(KittiCamera.Config()).open(context())


@needs_data
@pytest.mark.data
def test_the_recorded_sequence_is_played_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TECTUM_DATA", str(DATA))
    seen = [c.stamp_ns for c in played(KittiCamera(KittiCamera.Config(decode=False)))]
    scanned = [capture.stamp_ns for capture in played(KittiLidar(KittiLidar.Config()))]

    assert seen == scanned == [EPOCH_NS + frame * 100 * MS for frame in range(60)]


@needs_data
@pytest.mark.data
def test_the_recorded_points_fall_into_the_recorded_picture() -> None:
    rig = KittiCamera.rig_of(KittiCamera.Config(folder=str(SEQUENCE)))
    scan = next(played(lidar(SEQUENCE))).arrays[0]
    assert rig is not None
    model = rig["cameras"]["camera"]
    matrix = np.array(rig["frames"]["lidar"]["matrix"])
    in_camera = scan[:, :3] @ matrix[:3, :3].T + matrix[:3, 3]
    pixels = in_camera @ np.array(model["matrix"]).T
    u, v = pixels[:, 0] / pixels[:, 2], pixels[:, 1] / pixels[:, 2]

    assert (model["width"], model["height"]) == (1242, 375)
    assert (in_camera[:, 2] > 0).all()
    margin = 61  # the scans were cut to the camera's view and so many pixels around it
    inside = (u > -margin) & (u < 1242 + margin) & (v > -margin) & (v < 375 + margin)
    assert inside.mean() > 0.999
