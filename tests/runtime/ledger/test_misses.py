"""Every miss has one cause, and a run is summed up by who caused how many."""

from dataclasses import replace

import pytest

from tectum.ledger.misses import Misses, miss_cause, miss_sentence
from tectum.ledger.row import InputRow, Outcome, Row, Status
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan

MS = 1_000_000
PLAN = Plan(
    "p",
    (
        InputPlan("camera", "camera/image", AlignPlan("nearest", 40 * MS, 40 * MS), "eye"),
        InputPlan("lidar", "lidar/points", AlignPlan("exact"), "shape"),
    ),
    (StagePlan("eye"), StagePlan("shape"), StagePlan("head")),
    "head",
    "lidar",
    budget_ns=100 * MS,
)


def row(outcome=Outcome.COMPLETE, reason="complete", *, camera="", accepted_ms=20, **more):
    """A trigger that ended at 0, due 100 ms later; `camera`: why it is missing."""
    given = (
        InputRow("camera", reason=camera)
        if camera
        else InputRow("camera", Status.FRESH, seq=1, arrived_ns=15 * MS)
    )
    facts = {
        "accepted_ns": accepted_ms * MS, "deadline_ns": 100 * MS, "delivered_ns": 50 * MS, **more
    }  # fmt: skip
    lidar = InputRow("lidar", Status.FRESH, seq=1, arrived_ns=accepted_ms * MS)
    return Row(0, 0, outcome, reason, inputs=(given, lidar), **facts)


PARTIAL, SHED = Outcome.PARTIAL, Outcome.SHED


@pytest.mark.parametrize(
    ("missed", "cause"),
    [
        (row(), ""),
        (row(SHED, "stopped"), ""),
        (row(PARTIAL, "input_silent", camera="silent"), "camera silence"),
        (row(PARTIAL, "input_not_arrived", camera="not_arrived"), "camera transport"),
        (
            row(PARTIAL, "input_out_of_tolerance", camera="out_of_tolerance"),
            "camera stamps out of tolerance",
        ),
        (row(PARTIAL, "input_encoder_late", camera="encoder_late"), "eye compute"),
        (row(PARTIAL, "input_encoder_failed", camera="encoder_failed"), "eye failures"),
        (row(SHED, "no_time", blame="shape"), "shape compute"),
        (row(SHED, "overrun"), "head compute"),
        (row(SHED, "no_time", accepted_ms=80, blame="shape"), "lidar transport"),
        (row(SHED, "head_failed"), "head failures"),
        (row(SHED, "trigger_disorder"), "lidar stamps out of order"),
        (row(SHED, "not_accepted", camera="silent"), "camera silence"),
        (row(delivered_ns=120 * MS, blame="eye"), "eye compute"),
        (row(flags=("degraded",), blame="eye"), "eye compute"),
        (row(flags=("substituted",)), "lidar silence"),
    ],
)
def test_every_miss_is_blamed_on_one_sensor_or_stage(missed, cause):
    assert miss_cause(missed, PLAN) == cause


def test_a_sample_that_came_when_most_of_the_time_was_over_had_a_slow_transport():
    late = row(SHED, "no_time", blame="head")
    late.inputs = (replace(late.inputs[0], arrived_ns=70 * MS), late.inputs[1])
    assert miss_cause(late, PLAN) == "camera transport"


def test_a_run_is_summed_up_by_shares():
    misses = Misses(PLAN)
    for missed, times in (
        (row(), 90),
        (row(PARTIAL, "input_not_arrived", camera="not_arrived"), 7),
        (row(SHED, "no_time", blame="eye"), 3),
    ):
        for _ in range(times):
            misses.add(missed)
    assert miss_sentence(misses.document(), 100) == (
        "10 misses of 100 triggers: camera transport caused 70 %, eye compute caused 30 %"
    )


def test_without_misses_nothing_is_said():
    assert miss_sentence(Misses(PLAN).document(), 5) == ""


def test_the_rolling_part_forgets_what_is_long_ago():
    misses = Misses(PLAN)
    for _ in range(50):
        misses.add(row(PARTIAL, "input_silent", camera="silent"))
    assert misses.recent() == {"triggers": 50, "count": 50, "causes": {"camera silence": 50}}
    for _ in range(250):
        misses.add(row())
    assert misses.recent() == {"triggers": 200, "count": 0, "causes": {}}
    assert misses.document() == {"count": 50, "causes": {"camera silence": 50}}
