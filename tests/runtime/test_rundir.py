"""Run directories: private, found again, and removed once nobody lives in them."""

import os
import stat
import subprocess
import sys

import pytest

from tectum.errors import ConfigError, DataError
from tectum.rundir import (
    create_run,
    find_run,
    is_alive,
    live_runs,
    process_started,
    read_run,
    reap,
    remove_run,
    runs_folder,
    write_run,
)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user's own runtime and temporary folders."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "xdg"))
    (tmp_path / "xdg").mkdir(mode=0o700)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    return tmp_path


def pid_of_the_dead():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_new_run_is_private_short_and_found(home):
    folder = create_run("driving")
    assert folder.parent == home / "xdg" / "tectum"
    assert len(folder.name) == 6
    for path in (folder, folder.parent):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    document = read_run(folder)
    assert (document["graph"], document["id"]) == ("driving", folder.name)
    assert document["pid"] == os.getpid()
    assert is_alive(document)
    assert live_runs() == [folder]
    assert find_run() == find_run(folder.name) == find_run(folder) == folder
    remove_run(folder)
    assert live_runs() == []


def test_the_newest_of_several_runs_is_the_default(home):
    folders = [create_run("one"), create_run("two")]
    os.utime(folders[0])
    assert set(live_runs()) == set(folders)
    assert find_run() == live_runs()[0]


def test_run_json_is_replaced_as_a_whole(home):
    folder = create_run("driving")
    document = read_run(folder) | {"nodes": {"camera": {"pid": 5}}}
    write_run(folder, document)
    assert read_run(folder) == document
    assert [path.name for path in folder.iterdir()] == ["run.json"]


@pytest.mark.parametrize("broken", [None, "", "/nowhere/at/all"])
def test_without_a_runtime_folder_runs_are_kept_in_the_temporary_one(
    home, monkeypatch, caplog, broken
):
    if broken is None:
        monkeypatch.delenv("XDG_RUNTIME_DIR")
    else:
        monkeypatch.setenv("XDG_RUNTIME_DIR", broken)
    folder = home / "tmp" / f"tectum-{os.getuid()}"
    assert runs_folder() == folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (record,) = caplog.records
    state = f"is '{broken}', which cannot be written" if broken else "is not set"
    assert record.getMessage() == f"XDG_RUNTIME_DIR {state}: runs are kept in {folder}"


def test_a_folder_that_others_may_enter_or_that_is_none_is_refused(home, monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    folder = home / "tmp" / f"tectum-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o755)
    with pytest.raises(ConfigError, match=r"is open to others \(mode 755\); remove it, or set"):
        runs_folder()
    assert live_runs() == []
    folder.rmdir()
    folder.symlink_to(home)
    with pytest.raises(ConfigError, match="is not a folder"):
        runs_folder()
    folder.unlink()
    folder.write_text("")
    with pytest.raises(ConfigError, match="cannot make"):
        runs_folder()


def test_runs_begun_without_a_runtime_folder_are_found_with_one(home, monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    folder = create_run("driving")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "xdg"))
    assert live_runs() == [folder]


def test_what_the_dead_left_is_reaped_and_the_living_are_spared(home):
    mine, dead, reused, orphan, stillborn = (create_run("x") for _ in range(5))
    gone = pid_of_the_dead()
    write_run(dead, read_run(dead) | {"pid": gone, "nodes": {"a": {"pid": gone}, "b": {}}})
    (dead / "a.pub").touch()
    write_run(reused, read_run(reused) | {"pid_started": 1})
    write_run(orphan, read_run(orphan) | {"pid": gone, "nodes": {"a": {"pid": os.getpid()}}})
    (stillborn / "run.json").write_text("{")
    half_made = dead.parent / f".abcdef.{gone}"
    half_made.mkdir()
    (dead.parent / f".abcdeg.{os.getpid()}").mkdir()
    assert live_runs() == [mine]
    assert set(reap()) == {dead, reused, stillborn, half_made}
    left = {path.name for path in dead.parent.iterdir()}
    assert left == {mine.name, orphan.name, f".abcdeg.{os.getpid()}"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is not the folder of a run: No such file or directory"),
        ("{", "run.json is not JSON: "),
        ("[]", "version None; this version of Tectum reads 1"),
        ('{"version": 2}', "version 2; this version of Tectum reads 1"),
    ],
)
def test_a_broken_run_json_is_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(DataError, match=message):
        read_run(tmp_path)


def test_a_run_that_does_not_live_is_named_with_those_that_do(home):
    with pytest.raises(DataError, match=r"no run lives \(living: none\); start one with: tectum"):
        find_run()
    folder = create_run("driving")
    with pytest.raises(DataError, match=rf"no run 'zzz' lives \(living: {folder.name}\)"):
        find_run("zzz")


def test_the_start_of_a_process_tells_it_from_a_later_one_with_its_number():
    assert process_started(os.getpid()) == process_started(str(os.getpid())) > 0
    assert process_started(pid_of_the_dead()) == 0
    assert process_started(None) == 0
    assert not is_alive({})
