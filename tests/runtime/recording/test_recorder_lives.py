"""A recorder that was started again: what it wrote is read as one log, with the time between."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tectum.clock import NS_PER_MS as MS
from tectum.clock import NS_PER_S as S
from tectum.errors import DataError
from tectum.ledger.codec import row_document
from tectum.message import Kind, Message, Value
from tectum.pipeline.events import Arrived, Measured, Stopped
from tectum.pipeline.orders import Close
from tectum.pipeline.pipeline import Pipeline
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan, plan_document
from tectum.pipeline.simulate import Simulation, simulate
from tectum.recording.belonging import files_of, recordings_in
from tectum.recording.cut import Part, cut
from tectum.recording.info import info_document, info_text
from tectum.recording.journal import JournalEncoder
from tectum.recording.mend import mend
from tectum.recording.part_note import PART, Owner
from tectum.recording.reader import LogReader
from tectum.recording.replay import simulate_log, verify_log
from tectum.recording.series import LogSeries, Split
from tectum.recording.series_reader import SeriesReader, open_log
from tectum.recording.writer import LogWriter
from tectum.testing.arrivals import START_NS, Source, arrivals, together
from tectum.testing.messages import make_message

OWNER = Owner("run 1", "recorder")
PLAN = Plan(
    "fusion",
    (
        InputPlan("camera", "camera/x", AlignPlan("nearest", 40 * MS, 40 * MS), required=False),
        InputPlan("lidar", "lidar/x", AlignPlan("exact")),
    ),
    (StagePlan("head"),),
    head="head",
    trigger="lidar",
    budget_ns=100 * MS,
)
STOP_NS, RESTART_NS = START_NS + 1_000 * MS, START_NS + 1_450 * MS
"""In between nobody records."""


class Said(NamedTuple):
    """A message, and when the recorder would have heard it."""

    at_ns: int
    message: Message


def decided() -> Simulation:
    sources = (
        Source("camera", 33 * MS, transit_ns=15 * MS, jitter_ns=MS, nbytes=1),
        Source("lidar", 100 * MS, transit_ns=20 * MS, jitter_ns=MS, nbytes=1),
    )
    heard = together(*(arrivals(source, 3_000 * MS, seed=5) for source in sources))
    measured = Measured(START_NS, "head", "default", 5 * MS)
    return simulate(PLAN, [measured, *heard, Stopped(START_NS + 3_050 * MS)], lambda _: 6 * MS)


def spoken(run: Simulation) -> list[Said]:
    """Return all that was said in a run, in its order: samples, the journal, the rows."""

    def fusion(topic: str, kind: Kind, **fields: Value) -> Message:
        return make_message(f"fusion/{topic}", kind, incarnation=9, stamp_ns=1, **fields)

    plan = fusion("result", Kind.LATCHED, fact="plan", plan=plan_document(PLAN))
    said, pipeline, encoder = [Said(START_NS, plan)], Pipeline(PLAN), JournalEncoder()
    for event in run.journal:
        if isinstance(event, Arrived):
            ref, stamp_ns = event.sample.ref, event.sample.stamp_ns
            sample = make_message(
                f"{ref.input}/x", Kind.TEXT, seq=ref.seq, incarnation=ref.incarnation,
                stamp_ns=stamp_ns, text="?",
            )  # fmt: skip
            said.append(Said(event.now_ns, sample))
        said.append(Said(event.now_ns, fusion("journal", Kind.JOURNAL, **encoder.batch([event]))))
        for order in pipeline.feed(event):
            if isinstance(order, Close):
                row = fusion("ledger", Kind.LEDGER, rows=[row_document(order.row)], notes=[])
                said.append(Said(event.now_ns + MS, row))  # a little later: papers come last
    return sorted(said, key=lambda item: item.at_ns)


def live(
    path: Path, said: Iterable[Said], owner: Owner = OWNER, split: Split | None = None
) -> list[Path]:
    """Be a recorder for one life; return the files that it has written."""
    series = LogSeries(path, split=split, owner=owner)
    series.write_run({"id": owner.run, "graph": "small"}, START_NS)
    for at_ns, message in said:
        if series.is_due(at_ns):
            series.begin_next({}, at_ns)
        series.write(message, at_ns)
    series.close()
    return series.files


def two_lives(path: Path, said: Sequence[Said], split: Split | None = None) -> list[Path]:
    first = live(path, (item for item in said if item.at_ns < STOP_NS), split=split)
    return first + live(path, (item for item in said if item.at_ns >= RESTART_NS), split=split)


@pytest.fixture(scope="module")
def run() -> Simulation:
    return decided()


@pytest.fixture
def log(tmp_path: Path, run: Simulation) -> Path:
    """A log with two lives of its recorder."""
    path = tmp_path / "drive.mcap"
    assert [file.name for file in two_lives(path, spoken(run))] == ["drive.mcap", "drive-2.mcap"]
    return path


def test_both_lives_are_one_log_whose_gap_is_stated(log: Path, run: Simulation) -> None:
    there = [item for item in spoken(run) if not STOP_NS <= item.at_ns < RESTART_NS]
    before_ns = max(item.at_ns for item in there if item.at_ns < STOP_NS)
    after_ns = min(item.at_ns for item in there if item.at_ns >= RESTART_NS)
    with open_log(log) as reader:
        assert isinstance(reader, SeriesReader)
        assert [r.log_ns for r in reader.messages()] == [item.at_ns for item in there]
        assert reader.topics["lidar/x"].messages < 30
        (gap,) = reader.gaps
        assert (gap.file, gap.begin_ns, gap.end_ns) == ("drive-2.mcap", before_ns, after_ns)
        (complaint,) = reader.complaints
    lasted = f"{(after_ns - before_ns) / MS:.1f} ms"
    words = "drive-2.mcap: the recorder was started again; nothing was recorded for"
    assert complaint.startswith(f"{words} {lasted}, from 1970-01-")
    document = info_document(log)
    assert document["complaints"] == [complaint]
    assert [Path(part["path"]).name for part in document["parts"]] == ["drive.mcap", "drive-2.mcap"]
    assert f"  ! {complaint}\n" in info_text(document)
    with open_log(log.with_name("drive-2.mcap")) as reader:  # one of them by its own name
        assert reader.complaints == ()


def test_what_was_decided_before_the_gap_is_verified_and_the_rest_is_said_not_to_be(
    log: Path, run: Simulation
) -> None:
    report = verify_log(log)

    (life,) = report.lives
    assert not life.ok
    before = sum(event.now_ns < STOP_NS for event in run.journal)
    assert life.event == life.events == before
    rows = [item for item in spoken(run) if item.message.header.kind is Kind.LEDGER]
    proven, later = (
        sum(item.at_ns < STOP_NS for item in rows),
        sum(item.at_ns >= RESTART_NS for item in rows),
    )
    assert life.difference.startswith("the journal has a gap (drive-2.mcap: the recorder was")
    assert life.difference.endswith(
        f": the {proven} decisions before it are the same again, "
        f"the {later} after it cannot be verified"
    )
    assert proven > 5 < later


def test_a_row_that_was_changed_before_the_gap_is_still_found(
    tmp_path: Path, run: Simulation
) -> None:
    said = spoken(run)
    rows = [item.message.header for item in said if item.message.header.kind is Kind.LEDGER]
    (document,) = rows[3].fields["rows"]  # type: ignore[misc, union-attr]
    document["outcome"] = "shed"  # type: ignore[index, call-overload]
    two_lives(tmp_path / "drive.mcap", said)
    (life,) = verify_log(tmp_path / "drive.mcap").lives
    assert life.difference.startswith("trigger 3: outcome was recorded as")


def test_a_simulation_goes_on_behind_the_gap(log: Path, run: Simulation) -> None:
    first, second = (simulate_log(log) for _ in range(2))

    assert first.digest == second.digest
    with open_log(log) as reader:
        asked = [r.message.header.stamp_ns for r in reader.messages(["lidar/x"])]
    answered = {row.stamp_ns: row for row in first.rows}
    assert set(asked) <= set(answered)
    lived = {row.stamp_ns: row_document(row) for row in run.rows}
    early = [stamp for stamp in asked if stamp < STOP_NS - 200 * MS]
    assert len(early) > 5
    assert [row_document(answered[at])["outcome"] for at in early] == [
        lived[at]["outcome"] for at in early
    ]
    assert first.counters["lidar"]["lost_recording"] == 30 - len(asked)


def test_what_only_looks_like_a_further_life_is_not_joined(log: Path, run: Simulation) -> None:
    said = spoken(run)[:20]
    live(log.with_name("drive-3.mcap"), said, Owner("run 2", "recorder"))
    live(log.with_name("drive-4.mcap"), said, Owner())
    (log.with_name("drive-05.mcap")).write_bytes(log.read_bytes())
    assert [file.name for file in files_of(log)] == ["drive.mcap", "drive-2.mcap"]
    names = {file.name for file in recordings_in(log.parent)}
    assert names == {"drive.mcap", "drive-05.mcap", "drive-3.mcap", "drive-4.mcap"}
    nobodys = log.with_name("own.mcap")
    for number in (1, 2):
        live(nobodys.with_name("own.mcap" if number == 1 else "own-2.mcap"), said, Owner())
    assert files_of(nobodys) == [nobodys]


def test_a_name_that_ends_in_a_time_of_day_is_no_part(log: Path) -> None:
    dated = log.rename(log.with_name("drive-20250615-150640.mcap"))
    log.with_name("drive-2.mcap").rename(log.with_name("drive-20250615-150640-2.mcap"))
    assert recordings_in(log.parent) == [dated]


def test_a_folder_with_both_lives_holds_one_recording(log: Path) -> None:
    assert recordings_in(log.parent) == [log]
    with open_log(log.parent) as folder, open_log(log) as both:
        assert folder.topics == both.topics


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(None, "drive-2.mcap is missing"), (b"", "drive-2.mcap is empty"), (b"x", "is not an MCAP")],
)
def test_a_life_that_is_missing_or_unreadable_is_named(
    tmp_path: Path, run: Simulation, content: bytes | None, complaint: str
) -> None:
    path, said = tmp_path / "drive.mcap", spoken(run)
    for number in range(3):
        live(path, said[200 * number : 200 * number + 100])
    second = path.with_name("drive-2.mcap")
    second.unlink()
    if content is not None:
        second.write_bytes(content)
    with open_log(path) as reader:
        assert complaint in reader.complaints[0]
        assert [gap.file for gap in reader.gaps] == ["drive-3.mcap"]
        assert sum(1 for _ in reader.messages()) == 200


def test_both_lives_become_one_log(log: Path, tmp_path: Path) -> None:
    with open_log(log) as reader:
        count, (complaint,) = sum(1 for _ in reader.messages()), reader.complaints
    report = mend(log, tmp_path / "whole.mcap")
    assert (report.messages, report.complaints) == (count, (complaint,))
    part = cut(log, tmp_path / "part.mcap", Part(begin_ns=STOP_NS - S // 2))
    assert complaint in part.sentence()
    for name in ("whole.mcap", "part.mcap"):
        with LogReader(tmp_path / name) as reader:
            stamps = [r.message.header.stamp_ns for r in reader.messages(["lidar/x"])]
        assert min(stamps) < STOP_NS < RESTART_NS < max(stamps)


def test_the_gap_of_a_split_recording_is_stated_too(tmp_path: Path, run: Simulation) -> None:
    path = tmp_path / "drive.mcap"
    files = two_lives(path, spoken(run), Split(every_ns=400 * MS))
    with open_log(path) as reader:
        assert isinstance(reader, SeriesReader)
        (gap,) = reader.gaps
        assert [text for text in reader.complaints if "started again" in text] == [gap.sentence()]
    with LogReader(files[0].with_name(gap.file)) as reader:
        assert reader.metadata[PART]["life"] == "2"
        assert reader.span_ns[0] >= RESTART_NS > STOP_NS > gap.begin_ns


def test_a_life_in_which_nothing_was_recorded_has_no_times(tmp_path: Path) -> None:
    path = tmp_path / "drive.mcap"
    for _ in range(2):
        LogSeries(path, owner=OWNER).close()
    with open_log(path) as reader:
        assert reader.complaints == ("drive-2.mcap: the recorder was started again",)


def test_files_of_before_lives_were_noted_are_joined_without_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "drive.mcap"
    for number, file in enumerate((path, path.with_name("drive-2.mcap"))):
        with LogWriter(file) as writer:
            old = {"part": str(number + 1), "of": path.name, "run": "r", "node": "n"}
            writer.write_facts(PART, old)
            writer.write(make_message("a/text", Kind.TEXT, seq=number, text="?"), number)
    with open_log(path) as reader:
        assert [record.log_ns for record in reader.messages()] == [0, 1]
        assert reader.complaints == ()


def test_a_recording_that_is_not_there_has_its_name_alone(tmp_path: Path) -> None:
    path = tmp_path / "drive.mcap"
    assert files_of(path) == [path]
    with pytest.raises(DataError, match="there is no log at"):
        open_log(path)
