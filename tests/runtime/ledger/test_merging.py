"""Several lives of a fusion node as one report: as if one life had counted everything."""

from __future__ import annotations

import pytest

from tectum.ledger.merging import HISTOGRAMS, merged_lives
from tectum.ledger.row import Row
from tectum.ledger.tally import Tally
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan
from tectum.pipeline.simulate import fixed_durations, simulate
from tectum.testing.arrivals import Source, arrivals, together

MS, S = 1_000_000, 1_000_000_000
PLAN = Plan(
    "perception",
    (
        InputPlan("camera", "camera/image", AlignPlan("nearest", 20 * MS, 20 * MS), encoder="e"),
        InputPlan("lidar", "lidar/points", AlignPlan("exact")),
    ),
    (StagePlan("e"), StagePlan("head")),
    "head",
    trigger="lidar",
    budget_ns=100 * MS,
    accept=(((("camera",), 1),), ((("lidar",), 1),)),
)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Ten seconds, the camera dead after the first three."""
    heard = together(
        arrivals(Source("lidar", 100 * MS, transit_ns=3 * MS), 10 * S),
        arrivals(Source("camera", 33 * MS, transit_ns=3 * MS), 3 * S),
    )
    return simulate(PLAN, heard, fixed_durations({"e": 5 * MS, "head": 2 * MS})).rows


def part(rows: list[Row], received: int, unexplained: int = 0) -> dict[str, object]:
    tally = Tally(PLAN)
    for row in rows:
        tally.add(row)
    counters = {"lidar": {"received": received, "lost_transport": 1}}
    document = tally.document(counters=counters, digest="ab", unexplained=unexplained)
    histograms = {path: item.document() for path, item in tally.histograms().items()}
    return document | {HISTOGRAMS: histograms, "transport": {"lidar/points": {"ended": False}}}


@pytest.mark.parametrize("cut", [0, 1, 20, 60, 100])
def test_two_lives_are_counted_like_one(rows: list[Row], cut: int) -> None:
    merged = merged_lives([part(rows[:cut], 7, 1), part(rows[cut:], 5)])
    whole = merged_lives([part(rows, 12, 1)])
    assert merged.pop("decisions_sha256") == ""
    assert whole.pop("decisions_sha256") == "ab"
    for document in (merged, whole):
        document.pop("longest_gap_ms")  # between two lives there is none
        document["inputs"]["lidar"].pop("losses")
    assert merged == whole


def test_gaps_are_those_within_a_life(rows: list[Row]) -> None:
    gaps = merged_lives([part(rows[:40], 1), part(rows[60:], 1)])["longest_gap_ms"]
    one = merged_lives([part(rows[:40] + rows[60:], 1)])["longest_gap_ms"]
    assert gaps["outcomes"] < 200
    assert one["outcomes"] > 2000


def test_losses_of_all_lives_are_added_up(rows: list[Row]) -> None:
    merged = merged_lives([part(rows, 1)] * 3)
    assert merged["inputs"]["lidar"]["losses"] == {"transport": 3}
    assert merged["budget_ms"] == 100.0
    assert merged["transport"] == {"lidar/points": {"ended": False}}
