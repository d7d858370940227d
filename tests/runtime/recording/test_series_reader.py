"""A recording that was split is read as the one log that it is."""

from pathlib import Path

import pytest
from mcap.reader import make_reader

from tectum.clock import NS_PER_MS as MS
from tectum.clock import NS_PER_S as S
from tectum.errors import DataError
from tectum.message import Kind
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan
from tectum.recording.reader import LogReader
from tectum.recording.replay import simulate_log
from tectum.recording.series import LogSeries, Split
from tectum.recording.series_reader import SeriesReader, open_log
from tectum.testing.arrivals import START_NS
from tectum.testing.messages import make_message

PLAN = Plan(
    "fusion",
    (
        InputPlan("camera", "camera/image", AlignPlan("nearest", 40 * MS, 40 * MS), required=False),
        InputPlan("lidar", "lidar/points", AlignPlan("exact")),
    ),
    (StagePlan("head"),),
    head="head",
    trigger="lidar",
    budget_ns=100 * MS,
)


def write(path: Path, split: Split | None = None) -> Path:
    """Write three seconds of camera and lidar, with a promise before each sweep and a fact."""
    series = LogSeries(path, split=split)
    series.write_run({"graph": "small", "rig": {"cameras": {}}}, START_NS)
    fact = make_message("camera/info", Kind.LATCHED, fact="labels", labels=["a"])
    series.write(fact, START_NS)
    for seq in range(30):
        at_ns = START_NS + seq * 100 * MS
        common = {"seq": seq, "stamp_ns": at_ns, "incarnation": 1}
        if series.is_due(at_ns):
            series.begin_next({}, at_ns)
        series.write(make_message("lidar/points", Kind.PROMISE, stamp_ns=at_ns, begun=True), at_ns)
        series.write(make_message("camera/image", Kind.TENSOR, **common), at_ns + 5 * MS)
        series.write(make_message("lidar/points", Kind.TENSOR, **common), at_ns + 20 * MS)
    series.close()
    return path


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    (tmp_path / "whole").mkdir()
    return write(tmp_path / "whole" / "drive.mcap")


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """The same in files of a second."""
    (tmp_path / "split").mkdir()
    return write(tmp_path / "split" / "drive.mcap", Split(every_ns=S))


def said(path: Path, **options: object) -> list[tuple[int, str, int, int]]:
    with open_log(path) as reader:
        return [
            (r.log_ns, r.message.header.topic, r.message.header.seq, r.message.header.stamp_ns)
            for r in reader.messages(["camera/image", "lidar/points"], **options)
        ]


def signs_of(reader: LogReader) -> list[tuple[int, int]]:
    return [(sign.log_ns, sign.message.header.stamp_ns) for sign in reader.signs()]


def test_a_series_says_what_the_whole_says(whole: Path, split: Path) -> None:
    assert not split.exists()
    assert len(list(split.parent.iterdir())) == 3
    assert said(split) == said(whole)
    assert said(split, order="stamp") == said(whole, order="stamp")
    span = {"begin_ns": START_NS + 950 * MS, "end_ns": START_NS + 2050 * MS}
    assert said(split, **span) == said(whole, **span)
    with open_log(split) as parts, open_log(whole) as one:
        assert isinstance(parts, SeriesReader)
        assert not isinstance(one, SeriesReader)
        signs = [
            [(s.log_ns, s.message.header.stamp_ns) for s in log.signs()] for log in (parts, one)
        ]
        assert signs[0] == signs[1]
        assert parts.span_ns == one.span_ns
        assert parts.run["graph"] == one.run["graph"] == "small"
        assert parts.rig == one.rig == {"cameras": {}}
        assert set(parts.latched) == set(one.latched) == {"camera/info"}
        assert parts.topics["lidar/points"].messages == one.topics["lidar/points"].messages == 30
        assert parts.topics["lidar/points"].period_ns == one.topics["lidar/points"].period_ns
        assert (parts.finished, parts.complaints) == (True, ())


def test_a_series_is_simulated_as_the_whole_is(whole: Path, split: Path) -> None:
    found = [simulate_log(path, PLAN, durations={"head": MS}) for path in (whole, split)]
    assert len(found[0].rows) == 30
    assert found[0].digest == found[1].digest


def test_each_file_is_an_ordinary_log(split: Path) -> None:
    for file in split.parent.iterdir():
        with file.open("rb") as stream:
            assert make_reader(stream).get_summary() is not None
        with LogReader(file) as reader:
            assert reader.complaints == ()


def test_a_folder_with_one_recording_names_it(split: Path, whole: Path) -> None:
    assert said(split.parent) == said(whole.parent) == said(whole)


def test_a_folder_with_several_recordings_is_asked_which(split: Path, whole: Path) -> None:
    whole.rename(split.parent / "other.mcap")
    with pytest.raises(DataError, match=r"name one recording in it \(it has: drive.mcap, other"):
        open_log(split.parent)


def test_what_is_missing_or_cut_is_named_by_its_file(split: Path) -> None:
    first, middle, last = sorted(split.parent.iterdir())
    middle.unlink()
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    with open_log(split) as reader:
        assert reader.complaints[0] == "drive-00002.mcap is missing"
        assert any(text.startswith("drive-00003.mcap: cut short") for text in reader.complaints)
        assert not reader.finished
        assert next(iter(reader.messages())).log_ns == START_NS
    assert first.exists()


def test_a_recording_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no log at"):
        open_log(tmp_path / "no.mcap")
    with pytest.raises(DataError, match=r"is a folder; name one recording in it \(it has: none\)"):
        open_log(tmp_path)


def test_a_series_with_a_file_that_is_no_log_is_refused(split: Path) -> None:
    sorted(split.parent.iterdir())[1].write_bytes(b"nonsense")
    with pytest.raises(DataError, match=r"drive-00002\.mcap"):
        open_log(split)
