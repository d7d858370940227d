"""`tectum why` on ledger files, run folders, kept ledgers and recordings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tectum.ledger.came import came
from tectum.ledger.codec import row_document
from tectum.message import ArrayPayload, Header, Kind, Message, Sample, SampleRef
from tectum.pipeline.events import Arrived, Event
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan, plan_document
from tectum.pipeline.simulate import Simulation, fixed_durations, simulate
from tectum.recording.journal import JournalEncoder
from tectum.recording.series import LogSeries, Split
from tectum.recording.writer import LogWriter
from tectum.rundir import runs_folder
from tectum_launch.cli import main
from tectum_launch.ledgers import keep_ledgers, read_ledgers
from tectum_nodes.fusion_files import LedgerFile

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
SILENT = (
    "camera was silent from 12:03:11.000 to 12:03:12.000 (11 triggers, all partial): nothing on "
    "camera/image since 12:03:10.918, heard again at 12:03:12.018"
)


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    """Three seconds of lidar at 10 Hz; the camera says nothing in the second one."""
    events: list[Event] = []
    for seq in range(30):
        for name, late_ms in (("lidar", 0), ("camera", 8)):
            if name == "camera" and 10 <= seq < 20:
                continue
            stamp_ns = NOON_NS + (seq * 100 + late_ms) * MS
            events.append(Arrived(stamp_ns + 10 * MS, Sample(SampleRef(name, 1, seq), stamp_ns)))
    return simulate(PLAN, sorted(events, key=lambda e: e.now_ns), fixed_durations({}))


@pytest.fixture
def folder(tmp_path: Path, simulation: Simulation, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run, beside which ledgers are kept."""
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    folder = runs_folder() / "abcdef"
    folder.mkdir()
    write_ledger(folder / "perception.ledger", simulation)
    return folder


def write_ledger(path: Path, simulation: Simulation) -> None:
    ledger = LedgerFile(path, PLAN)
    for row in simulation.rows:
        ledger.add({"row": row_document(row)})
    for note in simulation.notes:
        ledger.add({"note": note._asdict()})
    ledger.add({"came": came(simulation.journal, PLAN)})
    ledger.close()


def why(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["why", *arguments])


def test_a_stretch_is_told_from_the_folder_of_a_run(folder: Path) -> None:
    result = why(str(folder))
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "30 triggers from 12:03:10.000 to 12:03:12.900: 19 complete, 11 partial and 0 shed; "
        "100 % answered by their deadline",
        SILENT,
    ]


def test_one_trigger_is_told(folder: Path) -> None:
    result = why(str(folder), "--at", "12:03:11.43")
    assert result.stdout.splitlines() == [
        "trigger 14 at 12:03:11.400: partial, without camera (silent), 11 ms after its capture "
        "(budget 100 ms)",
        "  camera: silent, nothing on camera/image since 12:03:10.918 (492 ms)",
        "  lidar: sample 14, at the trigger's time",
    ]
    assert why(str(folder), "--at", "1.43s").stdout == result.stdout


def test_a_part_of_a_run_is_told(folder: Path) -> None:
    result = why(str(folder), "--from", "2.05s", "--to", "12:03:12.5")
    assert result.stdout.splitlines() == [
        "5 triggers from 12:03:12.100 to 12:03:12.500: 5 complete, 0 partial and 0 shed; "
        "100 % answered by their deadline"
    ]


def test_a_trigger_far_from_the_moment_is_told_to_be(folder: Path) -> None:
    first, second, *_ = why(str(folder), "--at", "12:05").stdout.splitlines()
    assert first == "no trigger at that moment; the nearest is 107.1 s before it:"
    assert second.startswith("trigger 29 at 12:03:12.900: complete")
    assert why(str(folder), "--at", "12:03:13.8").stdout.startswith("trigger 29 at")


def test_a_stretch_without_triggers_is_told(folder: Path) -> None:
    assert why(str(folder), "--from", "12:05").stdout == "no triggers\n"


def test_one_trigger_and_a_stretch_are_not_asked_for_at_once(folder: Path) -> None:
    result = why(str(folder), "--at", "1s", "--from", "1s")
    assert result.exit_code == 2
    assert "--at asks about one trigger, --from and --to about a stretch" in result.stderr


def test_json_carries_the_sentences_and_the_row(folder: Path, simulation: Simulation) -> None:
    (stretch,) = json.loads(why(str(folder), "--json").stdout)
    assert stretch["node"] == "perception"
    assert stretch["sentences"][1] == SILENT
    assert stretch["triggers"] == len(simulation.rows)
    assert stretch["outcomes"] == {"complete": 19, "partial": 11}
    assert stretch["begin_ns"] == simulation.rows[0].stamp_ns
    assert stretch["end_ns"] == simulation.rows[-1].stamp_ns
    (trigger,) = json.loads(why(str(folder), "--at", "1.43s", "--json").stdout)
    assert trigger["row"] == row_document(simulation.rows[14])


def test_the_ledgers_of_the_run_that_ended_last_are_kept(folder: Path) -> None:
    keep_ledgers(folder)
    (folder / "perception.ledger").unlink()
    result = why()
    assert result.exit_code == 0
    assert SILENT in result.stdout
    keep_ledgers(folder)
    assert "no run lives or has ended here" not in why().stderr
    assert "has no ledger" in why().stderr


def test_without_any_run_the_way_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    result = why()
    assert result.exit_code == 1
    assert result.stderr == (
        "tectum: no run lives or has ended here; name a recording, or start a run: "
        "tectum launch GRAPH\n"
    )


def test_an_entry_that_was_cut_by_a_kill_is_left_out(folder: Path, simulation: Simulation) -> None:
    path = folder / "perception.ledger"
    path.write_bytes(path.read_bytes()[:-3])
    (ledger,) = read_ledgers(str(path))
    assert len(ledger.rows) == 30
    assert len(ledger.notes) == len(simulation.notes)
    assert ledger.arrivals == {}


def test_the_older_part_of_a_long_ledger_comes_first(folder: Path, simulation: Simulation) -> None:
    path = folder / "perception.ledger"
    path.rename(path.with_suffix(".ledger.old"))
    write_ledger(path, Simulation(rows=simulation.rows[:3]))
    (ledger,) = read_ledgers(str(folder))
    assert [row.trigger for row in ledger.rows] == [*range(30), 0, 1, 2]


def test_a_ledger_that_is_just_being_moved_aside_is_read(folder: Path) -> None:
    told = why(str(folder)).stdout
    (folder / "perception.ledger").rename(folder / "perception.ledger.old")
    assert why(str(folder)).stdout == told


def test_a_file_of_another_kind_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    path.write_bytes(b"\x01\x02")
    result = why(str(path))
    assert result.exit_code == 1
    assert "x.ledger is not a ledger of this version of Tectum" in result.stderr


def record(path: Path, simulation: Simulation) -> None:
    """A recording of the fusion node's latched plan and of its ledger."""
    plan = {"fact": "plan", "plan": plan_document(PLAN)}
    with LogWriter(path) as log:
        log.write(Message(Header("perception/result", Kind.LATCHED, 0, 1, fields=plan)), NOON_NS)
        for seq, row in enumerate(simulation.rows):
            notes = [note._asdict() for note in simulation.notes] if seq == 0 else []
            fields = {"rows": [row_document(row)], "notes": notes}
            header = Header("perception/ledger", Kind.LEDGER, seq, row.stamp_ns, fields=fields)
            log.write(Message(header), row.delivered_ns)
        batch = JournalEncoder().batch(simulation.journal)
        header = Header("perception/journal", Kind.JOURNAL, 0, NOON_NS, fields=batch)
        log.write(Message(header), row.delivered_ns)


def test_arrivals_are_read_from_ledger_files_and_from_the_journal_of_recordings(
    tmp_path: Path, folder: Path, simulation: Simulation
) -> None:
    path = tmp_path / "drive.mcap"
    record(path, simulation)
    arrivals = came(simulation.journal, PLAN)
    assert {name: len(samples) for name, samples in arrivals.items()} == {"lidar": 30, "camera": 20}
    for source in (path, folder):
        (ledger,) = read_ledgers(str(source))
        assert ledger.arrivals == arrivals


def test_a_recording_tells_the_same(tmp_path: Path, folder: Path, simulation: Simulation) -> None:
    path = tmp_path / "drive.mcap"
    record(path, simulation)
    assert why(str(path)).stdout == why(str(folder)).stdout


def test_a_recording_in_several_files_tells_the_same_by_its_name_and_by_its_folder(
    tmp_path: Path, folder: Path, simulation: Simulation
) -> None:
    path = tmp_path / "drives" / "drive.mcap"
    path.parent.mkdir()
    series = LogSeries(path, split=Split(nbytes=1_000_000))
    series.close()
    record(path.with_name("drive-00002.mcap"), simulation)
    for name in (path, path.parent):
        assert why(str(name)).stdout == why(str(folder)).stdout


def test_a_recording_without_a_ledger_says_what_to_record(tmp_path: Path) -> None:
    import numpy as np

    path = tmp_path / "drive.mcap"
    with LogWriter(path) as log:
        points = np.zeros((2, 3), np.float32)
        header = Header("lidar/points", Kind.POINTS, 0, NOON_NS, fields={"names": ["x", "y", "z"]})
        log.write(Message(header, (ArrayPayload(points),)), NOON_NS)
    result = why(str(path))
    assert result.exit_code == 1
    assert "has no ledger: record the topics of the fusion node too" in result.stderr
