"""The demo: what it says, what it draws, and the real thing in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from tectum.ledger.codec import row_document
from tectum.ledger.tally import Tally
from tectum.message import ArrayPayload, Header, Kind, Message, Sample, SampleRef
from tectum.pipeline.events import Arrived, Event
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan, plan_document
from tectum.pipeline.simulate import Simulation, simulate
from tectum.recording.reader import LogReader
from tectum.recording.writer import LogWriter
from tectum_launch.cli import main
from tectum_launch.demo import Demo, DemoFiles
from tectum_launch.demo_picture import draw_demo
from tectum_launch.demo_scenes import read_drive
from tectum_launch.demo_words import demo_words
from tectum_launch.ledgers import Ledger

MS = 1_000_000
NOON_NS = 1_782_216_190_000 * MS
PLAN = Plan(
    "perception",
    (
        InputPlan(
            "camera",
            "camera/image",
            AlignPlan("nearest", 40 * MS, 40 * MS),
            silent_after_ns=200 * MS,
        ),
        InputPlan("lidar", "lidar/points", AlignPlan("exact"), silent_after_ns=200 * MS),
    ),
    (StagePlan("head"),),
    "head",
    trigger="lidar",
    budget_ns=100 * MS,
    accept=(((("camera",), 1),), ((("lidar",), 1),)),
)


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    """Three seconds; the camera says nothing in the second one, the last answer takes too long."""
    events: list[Event] = []
    for seq in range(30):
        for name, late_ms in (("lidar", 0), ("camera", 8)):
            if name == "camera" and 10 <= seq < 20:
                continue
            stamp_ns = NOON_NS + (seq * 100 + late_ms) * MS
            events.append(Arrived(stamp_ns + 10 * MS, Sample(SampleRef(name, 1, seq), stamp_ns)))
    heads = iter(range(30))

    def took_ns(_: object) -> int:
        return 120 * MS if next(heads) == 29 else 20 * MS

    return simulate(PLAN, sorted(events, key=lambda e: e.now_ns), took_ns)


@pytest.fixture
def demo(tmp_path: Path, simulation: Simulation) -> Demo:
    tally = Tally(PLAN)
    for row in simulation.rows:
        tally.add(row)
    core = tally.document(counters=simulation.counters, digest="", unexplained=0)
    report = {"duration_s": 3.0, "failure": "", "ended_because": "3 s are over", **core}
    ledger = Ledger("perception", PLAN, simulation.rows, simulation.notes)
    return Demo(DemoFiles(tmp_path), report, ledger, 0)


# -- what it says


def test_the_summary_is_in_plain_words_and_names_the_cause_and_what_is_left(demo: Demo) -> None:
    assert demo_words(demo) == [
        "The demo drove for 3 s and asked at each of 30 lidar sweeps:",
        "where are road users, and is a siren approaching?",
        "",
        "  18 answers fused the camera and the lidar (complete), 11 went on without a sensor "
        "(partial), 1 failed to come (shed).",
        "  97 % of the sweeps were answered within the budget of 100 ms after the sweep's end: "
        "half within 38 ms, 95 % within 38 ms, the slowest after 98 ms.",
        "  No message was lost on the way.",
        "",
        "Why some answers had to do without a sensor (times in UTC):",
        "  - camera was silent from 12:03:11.000 to 12:03:12.000 (11 triggers, all partial): "
        "nothing on camera/image since 12:03:10.918, heard again at 12:03:12.018",
        "  - the answer was not ready by its deadline at 12:03:12.900 (1 trigger, shed): the "
        "budget of 100 ms was too short for 'head'",
        "",
        "What is left to look at:",
        f"  {demo.files.picture}   latency, outcomes, and the last view beside the truth",
        f"  {demo.files.recording}    all that was said; opens in Foxglove, Lichtblick and Rerun",
        f"  {demo.files.report}   the numbers (docs/results.md)",
        "",
        "Ask why an answer was what it was, then watch a drive of your own:",
        f"  tectum why {demo.files.recording} --at 1.0s",
        "  tectum launch driving --console",
    ]


def test_a_machine_that_cannot_keep_up_is_told(demo: Demo) -> None:
    slow = Demo(demo.files, {**demo.report, "on_time": 0.9}, demo.ledger, 0)
    assert demo_words(slow)[4].endswith("The machine was too busy or too slow for the rest.")


def test_a_demo_without_a_trigger_says_what_ended_it(demo: Demo) -> None:
    report = {"triggers": 0, "failure": "lidar died: killed by SIGKILL", "ended_because": "x"}
    nothing = Demo(demo.files, report, Ledger("perception", PLAN), 1)
    assert demo_words(nothing) == ["The demo fused nothing: lidar died: killed by SIGKILL."]


def test_a_drive_too_short_for_a_fault_is_refused() -> None:
    result = CliRunner().invoke(main, ["demo", "--duration", "1s"])
    assert result.exit_code == 2
    assert result.stderr == "tectum: the demo needs a --duration of at least 4s\n"


def test_a_folder_that_is_a_file_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    result = CliRunner().invoke(main, ["demo", "--folder", str(tmp_path / "taken")])
    assert result.exit_code == 2
    assert result.stderr.endswith("name another --folder\n")
    assert result.stderr.startswith(f"tectum: the demo cannot write to {tmp_path / 'taken'}: ")


def test_what_an_earlier_demo_left_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    left = DemoFiles(tmp_path / "demo")
    left.make_room()
    for name in ("drive.mcap", "mine.txt"):
        (left.folder / name).write_text("old")
    left.make_room()
    assert [path.name for path in left.folder.iterdir()] == ["mine.txt"]


# -- what it draws


def record(path: Path, simulation: Simulation) -> None:
    """A recording as the demo makes it: images, truth, results, ledger."""
    plan: dict[str, Any] = {"fact": "plan", "plan": plan_document(PLAN)}
    with LogWriter(path) as log:
        log.write(Message(Header("perception/result", Kind.LATCHED, 0, 1, fields=plan)), NOON_NS)
        for seq, row in enumerate(simulation.rows):
            ns = row.stamp_ns
            camera_ns = row.inputs[0].stamp_ns
            if camera_ns:
                image = np.full((24, 40, 3), seq, np.uint8)
                _write(log, "camera/image", Kind.IMAGE, seq, camera_ns, image, encoding="bgr8")
            true = np.zeros((24, 16), np.float32)
            true[: seq % 5] = 1.0
            siren = np.array([seq > 20], np.float32)
            names = ["occupancy", "siren"]
            _write(log, "truth/truth", Kind.TENSOR, seq, ns, true, siren, names=names)
            if row.outcome != "shed":
                fused = np.full((24, 16), seq / 30, np.float32)
                share = np.array([seq / 30], np.float32)
                document = _document(row.outcome, ns, camera_ns)
                _write(log, "perception/result", Kind.RESULT, seq, ns, fused, share, **document)
            header = Header(
                "perception/ledger", Kind.LEDGER, seq, ns, fields={"rows": [row_document(row)]}
            )
            log.write(Message(header), ns)


def _document(outcome: str, stamp_ns: int, camera_ns: int) -> dict[str, Any]:
    outputs = {
        "occupancy": {"role": "grid", "buffer": 0},
        "siren": {"role": "probability", "buffer": 1},
    }
    camera = {"stamp_ns": camera_ns} if camera_ns else {}
    result = {"outcome": outcome, "stamp_ns": stamp_ns, "outputs": outputs}
    return {"result": {**result, "inputs": {"camera": camera}}}


def _write(
    log: LogWriter, topic: str, kind: Kind, seq: int, ns: int, *arrays: Any, **fields: Any
) -> None:
    from tectum.message import BufferSpec

    specs = tuple(BufferSpec(str(array.dtype), array.shape) for array in arrays)
    header = Header(topic, kind, seq, ns, fields=fields, buffers=specs)
    log.write(Message(header, tuple(ArrayPayload(array) for array in arrays)), ns)


@pytest.fixture
def recording(tmp_path: Path, simulation: Simulation) -> Path:
    path = tmp_path / "drive.mcap"
    record(path, simulation)
    return path


def test_the_view_is_the_busiest_complete_answer_late_in_the_drive(
    recording: Path, demo: Demo
) -> None:
    view = read_drive(recording, demo.ledger).view
    assert view is not None
    assert view.stamp_ns == NOON_NS + 2_400 * MS  # 24 has the most road users of 21 to 28
    assert view.true.sum() == 4 * 16
    assert view.fused[0, 0] == np.float32(24 / 30)
    assert view.image is not None
    assert abs(int(view.image.mean()) - 24) <= 1  # stored as JPEG


def test_the_siren_is_read_with_its_truth(recording: Path, demo: Demo) -> None:
    drive = read_drive(recording, demo.ledger)
    assert len(drive.siren) == 29
    assert [true for _, true in drive.siren_true] == [False] * 21 + [True] * 9


def coloured(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.abs(image.astype(int) - colour).max(axis=2) <= 3


def test_the_picture_shows_outcomes_as_colours_in_order_of_time(
    recording: Path, demo: Demo
) -> None:
    image = draw_demo(read_drive(recording, demo.ledger))
    latency = image[122:296, 100:1240]
    green, yellow, red = (
        np.nonzero(coloured(latency, colour).any(axis=0))[0]
        for colour in ((118, 186, 92), (72, 190, 244), (92, 88, 232))
    )
    column = 1140 / 30
    assert yellow.min() // column == 10
    assert yellow.max() // column == 20
    assert red.min() // column == 29
    assert green.min() // column == 0
    # The answer that came too late is drawn higher than the others.
    height = [coloured(latency, colour).any(axis=1).sum() for colour in
              ((118, 186, 92), (92, 88, 232))]  # fmt: skip
    assert height[1] > 2 * height[0]


def test_a_drive_without_a_view_or_a_row_is_drawn_as_well() -> None:
    from tectum_launch.demo_scenes import Drive

    image = draw_demo(Drive(Ledger("perception", PLAN)))
    assert image.dtype == np.uint8
    assert image.ndim == 3


# -- the real thing


@pytest.mark.realtime
@pytest.mark.skipif(
    not files("tectum_models").joinpath("driving/head/model.yaml").is_file(),
    reason="no driving head yet",
)
def test_the_demo_ends_by_itself_and_leaves_report_recording_and_picture(tmp_path: Path) -> None:
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    done = subprocess.run(
        [sys.executable, "-m", "tectum_launch", "demo", "--duration", "6s"],
        cwd=tmp_path,
        env={**os.environ, "XDG_RUNTIME_DIR": str(runtime)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "The demo drove for" in done.stdout
    assert "camera was silent" in done.stdout
    left = DemoFiles(tmp_path / "tectum-demo")
    report = json.loads(left.report.read_text())
    assert sum(report["outcomes"].values()) == report["triggers"] > 30
    assert report["outcomes"]["partial"] >= 5
    assert report["unexplained_loss"] == 0
    with LogReader(left.recording) as log:
        assert log.finished
        assert {"camera/image", "lidar/points", "microphone/audio", "perception/result"} <= set(
            log.topics
        )
        assert log.topics["perception/result"].messages >= report["triggers"]
    assert cv2.imread(str(left.picture)).shape[1] == 1280
    assert not [path for path in (runtime / "tectum").iterdir() if path.name != ".last"]


@pytest.mark.realtime
def test_where_there_is_a_browser_the_demo_opens_its_page_in_it(tmp_path: Path) -> None:
    browser, seen = tmp_path / "browser", tmp_path / "seen"
    browser.write_text(
        f"#!{sys.executable}\nimport sys, urllib.request as r\n"
        f"open({str(seen)!r}, 'wb').write(r.urlopen(sys.argv[1]).read())\n"
    )
    browser.chmod(0o755)
    without = {key: value for key, value in os.environ.items() if key != "SSH_CONNECTION"}
    command = ["demo", "--duration", "4s", "--folder", str(tmp_path / "demo")]
    done = subprocess.run(
        [sys.executable, "-m", "tectum_launch", *command],
        env={**without, "BROWSER": str(browser), "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"<html" in seen.read_bytes().lower()
