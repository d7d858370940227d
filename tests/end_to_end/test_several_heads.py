"""The graph with two heads of docs/fusion.md, launched as it stands: real sockets and models."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import tectum
from tectum.clock import GraphClock
from tectum.errors import TectumError
from tectum.ledger.codec import row_from
from tectum.ledger.digest import decision_digest
from tectum.ledger.row import Outcome, Row
from tectum.message import Kind
from tectum.recording.reader import LogReader
from tectum_launch.cli import main

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(240)]

PAGE = Path(__file__).parents[2] / "docs" / "fusion.md"
HEADS = ("result", "warning")


def graph_of_the_page() -> str:
    section = PAGE.read_text().partition("## Several heads")[2]
    found = re.search(r"```yaml\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


class Run:
    """Some seconds of the graph, recorded, and what a listener to one head heard of it."""

    def __init__(self, folder: Path) -> None:
        (folder / "run").mkdir(mode=0o700)
        (folder / "graph.yaml").write_text(graph_of_the_page())
        self.log, report = folder / "log.mcap", folder / "report.json"
        self.heard: list[Any] = []
        command = [sys.executable, "-m", "tectum_launch", "launch", str(folder / "graph.yaml")]
        command += ["--duration", "6s", "--record", str(self.log), "--report", str(report)]
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(folder / "run")}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        listener = threading.Thread(target=self._listen, args=(folder / "run" / "tectum", process))
        listener.start()
        told = process.communicate(timeout=200)[0]
        listener.join(30)
        assert report.exists(), told
        self.report: dict[str, Any] = json.loads(report.read_text())

    def _listen(self, runs: Path, process: subprocess.Popen[str]) -> None:
        clock = GraphClock()
        while process.poll() is None:
            folders = [path.parent for path in runs.glob("*/run.json")]
            try:
                for result in tectum.results("perception/warning", folders[0]) if folders else ():
                    self.heard.append(result.document)
            except TectumError:
                continue  # the run is only beginning, or ends
            clock.sleep_until_ns(clock.now_ns() + 50_000_000)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("heads"))


def rows_of(run: Run) -> list[Row]:
    with LogReader(run.log) as reader:
        return [
            row_from(document)  # type: ignore[arg-type]
            for record in reader.messages(["perception/ledger"])
            if record.message.header.kind is Kind.LEDGER
            for document in record.message.header.fields["rows"]  # type: ignore[union-attr]
        ]


def test_a_live_run_verifies_with_the_digest_that_it_reported(run: Run) -> None:
    result = CliRunner().invoke(main, ["replay", str(run.log), "--json"])
    found = json.loads(result.stdout)
    assert result.exit_code == 0, found
    (life,) = found["fusion"]
    assert life["decisions_sha256"] == run.report["decisions_sha256"]
    assert decision_digest(rows_of(run)) == run.report["decisions_sha256"]


def test_every_trigger_has_one_outcome_of_each_head_and_the_counts_add_up(run: Run) -> None:
    heads, rows = run.report["heads"], rows_of(run)
    assert tuple(heads) == HEADS
    for name in HEADS:
        mine = [row for row in rows if row.head == name]
        assert [row.trigger for row in mine] == list(range(len(mine)))
        assert heads[name]["triggers"] == len(mine) > 20
        outcomes = Counter(row.outcome.value for row in mine)
        assert {k: n for k, n in heads[name]["outcomes"].items() if n} == outcomes
        assert sum(heads[name]["outcomes"].values()) == heads[name]["triggers"]
        answered = [row for row in mine if row.outcome is not Outcome.SHED]
        assert len(answered) > 10
        assert all(row.emitted_ns <= row.deadline_ns for row in answered)
    assert heads["result"]["budget_ms"] == 100
    assert heads["warning"]["budget_ms"] == 60
    for key, total in run.report["outcomes"].items():
        assert total == sum(head["outcomes"][key] for head in heads.values())


def test_each_encoder_runs_once_for_both_and_the_warning_waits_for_its_own_only(run: Run) -> None:
    pairs: dict[int, dict[str, Row]] = {}
    for row in rows_of(run):
        pairs.setdefault(row.trigger, {})[row.head] = row
    shared = 0
    for rows in pairs.values():
        assert [item.name for item in rows["warning"].inputs] == ["siren"]
        mine = next(item for item in rows["warning"].inputs)
        other = next(item for item in rows["result"].inputs if item.name == "siren")
        if mine.seq >= 0 and other.seq >= 0:
            assert (mine.seq, mine.encode_begin_ns) == (other.seq, other.encode_begin_ns)
            shared += 1
    assert shared > 10


def test_a_program_that_listens_to_one_head_hears_that_one(run: Run) -> None:
    assert len(run.heard) > 5
    assert {document["head"] for document in run.heard} == {"warning"}
    answers = [document for document in run.heard if document["outcome"] != "shed"]
    assert all("siren" in document["outputs"] for document in answers)


def test_why_names_the_head(run: Run) -> None:
    result = CliRunner().invoke(main, ["why", str(run.log)])
    assert result.exit_code == 0, result.output
    assert {line.split(": ")[0] for line in result.output.splitlines()} == set(HEADS)
    result = CliRunner().invoke(main, ["why", str(run.log), "--at", "2s"])
    told = [line for line in result.output.splitlines() if ": trigger " in line]
    begins = [line.split(": trigger ")[0] for line in told]
    assert sorted(begins) == sorted(HEADS)
