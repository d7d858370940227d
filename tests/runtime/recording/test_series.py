"""Files of one recording sort by their names, are looked at together, and become one log."""

from pathlib import Path

import pytest
from mcap.reader import make_reader

from tectum.errors import DataError
from tectum.message import Kind
from tectum.recording.belonging import files_of
from tectum.recording.info import info_document, info_text
from tectum.recording.mend import mend
from tectum.recording.names import life_path, part_path, parts_of
from tectum.recording.reader import LogReader
from tectum.recording.series import LogSeries, Split
from tectum.testing.messages import make_message

COUNT = 40


def test_a_series_is_due_by_size_or_by_time() -> None:
    both = Split(nbytes=1_000, every_ns=500)
    assert [both.is_due(*file) for file in ((999, 499), (1_000, 0), (0, 500))] == [
        False,
        True,
        True,
    ]
    assert not Split().is_due(10**12, 10**18)
    assert not Split()


def test_names_sort_as_the_files_follow(tmp_path: Path) -> None:
    path = tmp_path / "a[1].b.mcap"
    names = [part_path(path, number).name for number in (1, 2, 10, 999, 12_345)]
    assert names == sorted(names)
    assert life_path(path, 1) == path
    assert life_path(path, 2).name == "a[1].b-2.mcap"
    for name in [*names, "a[1].b-2.mcap", "a[1].b-00003.mcap.part", "x-00001.mcap"]:
        (tmp_path / name).touch()
    assert [file.name for file in parts_of(path)] == names
    assert files_of(path) == list(parts_of(path))
    path.touch()
    assert files_of(path) == [path]
    assert files_of(tmp_path / "nowhere" / "a.mcap") == [tmp_path / "nowhere" / "a.mcap"]


def written(path: Path) -> list[Path]:
    """Write a series of four files, with a fact that was said once."""
    series = LogSeries(path, split=Split(every_ns=10))
    series.write_run({"graph": "drive", "description": {"rig": {"cameras": {}}}}, 0)
    series.write(make_message("p/result", Kind.LATCHED, fact="plan", plan={"name": "p"}), 0)
    for number in range(COUNT):
        if series.is_due(number):
            series.begin_next({"messages": "?"}, number)
        series.write(make_message("n/text", Kind.TEXT, seq=number, text=str(number)), number)
    series.close()
    return series.files


def test_a_series_is_looked_at_as_one(tmp_path: Path) -> None:
    path = tmp_path / "drive.mcap"
    files = written(path)

    document = info_document(path)

    assert [part["path"] for part in document["parts"]] == [str(file) for file in files]
    assert document["topics"]["n/text"]["messages"] == COUNT
    assert (document["first_ns"], document["last_ns"]) == (0, COUNT - 1)
    assert document["graph"] == "drive"
    assert document["facts"] == ["p/result"]
    assert document["complaints"] == []
    assert f"{files[1].name}: " in info_text(document)
    assert info_document(files[1])["parts"] == []

    files[1].unlink()
    data = files[2].read_bytes()
    files[2].write_bytes(data[: len(data) // 2])
    complaints = info_document(path)["complaints"]
    assert complaints[0] == f"{files[1].name} is missing"
    assert complaints[1].startswith(f"{files[2].name}: cut short")


def test_a_series_becomes_one_ordinary_log(tmp_path: Path) -> None:
    path, target = tmp_path / "drive.mcap", tmp_path / "whole.mcap"
    written(path)

    report = mend(path, target)

    assert report.complaints == ()
    with LogReader(target) as reader:
        assert reader.complaints == ()
        seqs = [record.message.header.seq for record in reader.messages(["n/text"])]
        assert seqs == list(range(COUNT))
        assert reader.run["graph"] == "drive"
        assert reader.latched["p/result"].fields["plan"] == {"name": "p"}
    with target.open("rb") as file:
        attached = [item.name for item in make_reader(file).iter_attachments()]
    assert sorted(attached) == ["tectum/latched/p/result", "tectum/run.json"]


def test_who_opens_the_name_of_a_series_is_told_of_its_files(tmp_path: Path) -> None:
    written(tmp_path / "drive.mcap")
    with pytest.raises(DataError, match=r"but its series from drive-00001\.mcap on; `tectum log"):
        LogReader(tmp_path / "drive.mcap")
