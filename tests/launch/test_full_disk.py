"""A disk that runs full, or that takes nothing, ends a recording and says so; the graph goes on.

The disks are real: small file systems that are mounted in a namespace of the test's own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tectum.recording.names import parts_of
from tectum.recording.reader import LogReader

pytestmark = pytest.mark.realtime

NODES = '''
import numpy as np

from tectum.message import Kind
from tectum.node.base import Node


class Flood(Node):
    """Publishes 10 MB a second."""

    outputs = {"data": Kind.TENSOR}

    def run(self, context):
        block = np.zeros(500_000, np.uint8)
        while not context.stopping:
            now_ns = context.clock.now_ns()
            context.publish("data", Kind.TENSOR, (block,), stamp_ns=now_ns, fields={"names": ["a"]})
            context.wait_until_ns(now_ns + 50_000_000)
'''
GRAPH = """\
graph: flood
nodes:
  flood: {{run: flood_nodes:Flood}}
  recorder: {{run: recorder, path: {disk}/a.mcap, flush: 100ms, {settings}}}
"""


def _namespaces() -> bool:
    """Return whether this user may mount a file system in a namespace of its own."""
    command = ["unshare", "-Urm", "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


needs_namespaces = pytest.mark.skipif(
    not _namespaces(), reason="mounting a small disk needs user namespaces, which are off here"
)


@dataclass
class Flooded:
    """A launch whose recorder wrote onto a small disk."""

    code: int
    report: dict[str, Any]
    said: str
    folder: Path
    """A copy of what was on the disk."""

    @property
    def account(self) -> dict[str, Any]:
        account: dict[str, Any] = self.report["recordings"]["recorder"]
        return account

    def seqs(self, path: Path) -> list[int]:
        """Return the numbers of the messages in a log that must be whole."""
        with LogReader(path) as reader:
            assert reader.complaints == ()
            assert reader.run["graph"] == "flood"
            return [record.message.header.seq for record in reader.messages(["flood/data"])]


def flood(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    mount: str,
    settings: str,
    meanwhile: str = ":",
) -> Flooded:
    """Run the graph for 5 s with its log on a disk that is mounted with the options `mount`."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    kept.mkdir()
    (tmp_path / "flood_nodes.py").write_text(NODES)
    graph, report = tmp_path / "graph.yaml", tmp_path / "report.json"
    graph.write_text(GRAPH.format(disk=disk, settings=settings))
    launch = f"{sys.executable} -m tectum_launch launch {graph} --duration 5s --report {report}"
    script = (
        f"mount -t tmpfs -o {mount} none {disk} || exit 99; {{ {meanwhile.format(disk=disk)}; }} & "
        f"{launch}; code=$?; wait; cp {disk}/*.mcap {kept}/; exit $code"
    )
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    found = json.loads(report.read_text()) if report.exists() else {}
    return Flooded(done.returncode, found, done.stdout + done.stderr, kept)


def assert_went_on(run: Flooded) -> None:
    """Assert that the graph came to its planned end, and that the recording's end was said."""
    assert run.code == 0, run.said
    assert run.report["ended_because"] == "5.00 s are over"
    assert run.report["deaths"] == []
    assert run.report["duration_s"] > 4.9
    assert "recording has stopped, the graph goes on: " in run.said
    assert run.account["sentence"] in run.said
    assert run.account["left_out"] > 0


@needs_namespaces
def test_recording_stops_while_there_still_is_room(tmp_path, monkeypatch) -> None:
    run = flood(tmp_path, monkeypatch, mount="size=40m", settings="min_free_mb: 20")
    assert_went_on(run)
    assert "MB are free at" in run.account["stopped"]
    assert "20 MB must stay" in run.account["stopped"]
    seqs = run.seqs(run.folder / "a.mcap")
    assert seqs == list(range(len(seqs)))
    assert len(seqs) > 5


@needs_namespaces
def test_a_disk_that_is_full_to_the_last_byte_leaves_a_finished_log(tmp_path, monkeypatch) -> None:
    run = flood(tmp_path, monkeypatch, mount="size=20m", settings="min_free_mb: 0")
    assert_went_on(run)
    assert run.account["stopped"].endswith(
        "a.mcap cannot be written further: No space left on device"
    )
    seqs = run.seqs(run.folder / "a.mcap")
    assert seqs == list(range(len(seqs)))
    assert 30 < len(seqs) <= 41


@needs_namespaces
def test_a_folder_that_takes_nothing_is_said_before_anything_runs(tmp_path, monkeypatch) -> None:
    run = flood(tmp_path, monkeypatch, mount="ro", settings="min_free_mb: 0")
    assert run.code == 1
    text = "a.mcap cannot be written: Read-only file system; choose a path that can be"
    assert text in run.said
    assert text in run.report["failure"]
    assert run.report["began_ns"] == 0


@needs_namespaces
def test_a_folder_that_becomes_read_only_ends_a_split_recording(tmp_path, monkeypatch) -> None:
    run = flood(
        tmp_path, monkeypatch,
        mount="size=1g",
        settings="min_free_mb: 0, split: {bytes: 5MB}",
        meanwhile="for i in $(seq 300); do [ -e {disk}/a-00002.mcap ] && break; sleep 0.1; done; "
        "mount --bind {disk} {disk}; mount -o remount,bind,ro {disk}",
    )  # fmt: skip
    assert_went_on(run)
    assert "cannot be written: Read-only file system" in run.account["stopped"]
    files = list(parts_of(run.folder / "a.mcap"))
    assert [Path(file).name for file in run.account["files"]] == [file.name for file in files]
    seqs = [seq for file in files for seq in run.seqs(file)]
    assert seqs == list(range(len(seqs)))
    assert len(files) > 1
