"""What a fusion node leaves when it is killed, and how its lives become one report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tectum.ledger.codec import row_document
from tectum.ledger.merging import HISTOGRAMS
from tectum.ledger.row import Row
from tectum.ledger.tally import Tally
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan
from tectum.pipeline.simulate import fixed_durations, simulate
from tectum.testing.arrivals import Source, arrivals
from tectum_nodes import fusion_files
from tectum_nodes.fusion_files import LedgerFile, ReportFile
from tectum_nodes.fusion_lives import close_life, histogram_documents, report_of_lives

MS, S = 1_000_000, 1_000_000_000
PLAN = Plan(
    "eye",
    (InputPlan("lidar", "lidar/points", AlignPlan("exact")),),
    (StagePlan("head"),),
    "head",
    trigger="lidar",
    budget_ns=100 * MS,
)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    events = arrivals(Source("lidar", 100 * MS, transit_ns=3 * MS), 10 * S)
    return simulate(PLAN, events, fixed_durations({"head": 2 * MS})).rows


def live(folder: Path, rows: list[Row], reported: int) -> None:
    """Live a life that closes `rows` and is killed after it reported of the first of them."""
    ledger, report = LedgerFile(folder / "eye.ledger", PLAN), ReportFile(folder / "eye.report.json")
    tally = Tally(PLAN)
    for number, row in enumerate(rows):
        ledger.add({"row": row_document(row), "came": {}})
        tally.add(row)
        if number + 1 == reported:
            document = tally.document(counters={}, digest="x", unexplained=0)
            report.write(document | {HISTOGRAMS: histogram_documents(tally)})
    ledger.close()


@pytest.mark.parametrize("reported", [0, 1, 37, 40])
def test_rows_that_a_killed_life_closed_after_its_report_are_counted(
    rows: list[Row], tmp_path: Path, reported: int
) -> None:
    live(tmp_path, rows[:40], reported)
    assert close_life(tmp_path, "eye", PLAN) == rows[39].delivered_ns
    found = report_of_lives(tmp_path, "eye")
    assert found is not None
    assert (found["triggers"], found["outcomes"]["complete"], found["lives"]) == (40, 40, 1)
    assert found["on_time"] == 1.0


def test_a_later_life_does_not_replace_a_former_one(rows: list[Row], tmp_path: Path) -> None:
    live(tmp_path, rows[:40], 30)
    close_life(tmp_path, "eye", PLAN)
    live(tmp_path, rows[50:], 45)
    close_life(tmp_path, "eye", PLAN)
    found = report_of_lives(tmp_path, "eye")
    assert found is not None
    assert (found["triggers"], found["lives"]) == (90, 2)
    assert found["longest_gap_ms"]["outcomes"] < 200
    assert not (tmp_path / "eye.report.json").exists()


def test_rows_are_counted_once_where_the_ledger_was_begun_anew(
    rows: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(json.dumps(row_document(rows[0])))
    monkeypatch.setattr(fusion_files, "_LARGEST", 30 * size)
    live(tmp_path, rows, 95)
    assert (tmp_path / "eye.ledger.old").exists()
    close_life(tmp_path, "eye", PLAN)
    found = report_of_lives(tmp_path, "eye")
    assert found is not None
    assert found["triggers"] == 100


def test_a_node_that_never_ran_has_left_nothing(tmp_path: Path) -> None:
    assert close_life(tmp_path, "eye", PLAN) == 0
    assert report_of_lives(tmp_path, "eye") is None
