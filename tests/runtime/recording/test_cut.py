"""A part of a log is a log: what is in it is as it was, and what belongs to it comes along."""

from pathlib import Path

import numpy as np
import pytest
from mcap.reader import make_reader

from tectum.clock import NS_PER_MS as MS
from tectum.clock import NS_PER_S as S
from tectum.errors import ConfigError, DataError
from tectum.message import Kind
from tectum.recording.cut import Part, cut
from tectum.recording.reader import LogReader, Record
from tectum.recording.series import LogSeries, Split
from tectum.testing.arrivals import START_NS
from tectum.testing.messages import make_message


def write(path: Path, split: Split | None = None) -> Path:
    """Write two seconds of pictures and sweeps, a fact, a rig, promises and a journal."""
    series = LogSeries(path, split=split)
    cameras = {"eye": {"width": 4, "height": 4, "matrix": np.eye(3).tolist()}}
    series.write_run({"graph": "small", "rig": {"cameras": cameras}}, START_NS)
    series.write(make_message("camera/info", Kind.LATCHED, fact="labels"), START_NS)
    for seq in range(20):
        at_ns = START_NS + seq * 100 * MS
        common = {"seq": seq, "stamp_ns": at_ns, "incarnation": 1}
        if series.is_due(at_ns):
            series.begin_next({}, at_ns)
        picture = np.full((4, 4, 3), seq, np.uint8)
        series.write(make_message("lidar/points", Kind.PROMISE, stamp_ns=at_ns, begun=True), at_ns)
        image = make_message("camera/image", Kind.IMAGE, picture, **common, encoding="bgr8")
        series.write(image, at_ns + MS)
        series.write(make_message("lidar/points", Kind.TENSOR, **common), at_ns + 20 * MS)
        series.write(make_message("fusion/journal", Kind.JOURNAL, events=[seq]), at_ns + 30 * MS)
    series.close()
    return path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write(tmp_path / "log.mcap")


def seqs(path: Path, topic: str) -> list[int]:
    with LogReader(path) as reader:
        return [record.message.header.seq for record in reader.messages([topic])]


def of(path: Path, topic: str) -> list[Record]:
    with LogReader(path) as reader:
        return list(reader.messages([topic]))


def test_a_stretch_of_time_has_what_arrived_in_it(log: Path, tmp_path: Path) -> None:
    part = Part(START_NS + 500 * MS, START_NS + 1000 * MS)
    report = cut(log, tmp_path / "part.mcap", part)
    assert seqs(report.target, "camera/image") == [5, 6, 7, 8, 9]
    assert seqs(report.target, "lidar/points") == [5, 6, 7, 8, 9]
    for new, old in zip(
        of(report.target, "camera/image"), of(log, "camera/image")[5:10], strict=True
    ):
        assert new.log_ns == old.log_ns
        assert new.message.header == old.message.header
        assert np.array_equal(new.message.array(), old.message.array())
    with LogReader(report.target) as reader:
        assert [sign.message.header.stamp_ns for sign in reader.signs()] == [
            START_NS + ms * MS for ms in range(500, 1000, 100)
        ]
        assert reader.complaints == ()
        assert reader.metadata["tectum/cut"]["source"] == "log.mcap"


def test_facts_run_and_rig_come_along_at_its_begin(log: Path, tmp_path: Path) -> None:
    report = cut(log, tmp_path / "part.mcap", Part(START_NS + 1000 * MS))
    with LogReader(report.target) as reader:
        assert reader.span_ns[0] == START_NS + 1000 * MS
        assert reader.run["graph"] == "small"
        assert reader.latched["camera/info"].fields["fact"] == "labels"
        (fact,) = reader.messages(["camera/info"])
        assert fact.log_ns == START_NS + 1000 * MS
        assert "rig/eye" in reader.topics


def test_where_time_is_cut_off_the_journal_is_left_out_and_that_is_said(
    log: Path, tmp_path: Path
) -> None:
    report = cut(log, tmp_path / "part.mcap", Part(end_ns=START_NS + S))
    assert report.without_journal
    assert "without its journal: it can be simulated and played, not verified" in report.sentence()
    with LogReader(report.target) as reader:
        assert "fusion/journal" not in reader.topics


def test_some_topics_are_taken_with_their_journal(log: Path, tmp_path: Path) -> None:
    report = cut(log, tmp_path / "part.mcap", Part(topics=("lidar/*", "fusion/*")))
    assert not report.without_journal
    with LogReader(report.target) as reader:
        assert [t for t in reader.topics if not t.startswith("rig/")] == [
            "fusion/journal", "lidar/points",
        ]  # fmt: skip
        assert reader.latched == {}
        assert len(list(reader.signs())) == 20
        assert reader.topics["fusion/journal"].messages == 20


def test_a_part_of_a_series_is_one_file(log: Path, tmp_path: Path) -> None:
    folder = tmp_path / "split"
    folder.mkdir()
    write(folder / "drive.mcap", Split(every_ns=300 * MS))
    part = Part(START_NS + 250 * MS, START_NS + 1250 * MS)
    one = cut(log, tmp_path / "one.mcap", part)
    other = cut(folder, tmp_path / "other.mcap", part)
    for topic in ("camera/image", "lidar/points"):
        assert seqs(one.target, topic) == seqs(other.target, topic)
    with other.target.open("rb") as stream:
        assert make_reader(stream).get_summary() is not None


def test_a_part_in_which_nothing_lies_is_refused(log: Path, tmp_path: Path) -> None:
    target = tmp_path / "part.mcap"
    for part in (Part(START_NS + 60 * S), Part(end_ns=START_NS), Part(START_NS + S, START_NS + S)):
        with pytest.raises(ConfigError, match=r"nothing lies in that part: .* lasts 1\.930 s"):
            cut(log, target, part)
    with pytest.raises(ConfigError, match=r"has no topic 'radar/\*'; it has: camera/image"):
        cut(log, target, Part(topics=("radar/*",)))
    assert not target.exists()


def test_the_log_itself_is_never_overwritten(log: Path) -> None:
    with pytest.raises(DataError, match="is the log itself"):
        cut(log, log, Part(), overwrite=True)
    assert len(seqs(log, "camera/image")) == 20


def test_of_a_damaged_log_the_readable_part_is_taken_and_the_damage_said(
    log: Path, tmp_path: Path
) -> None:
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])
    report = cut(log, tmp_path / "part.mcap", Part(START_NS, START_NS + 300 * MS))
    assert seqs(report.target, "camera/image") == [0, 1, 2]
    assert "cut short" in report.sentence()
