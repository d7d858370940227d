"""Triggers at a rate: one outcome per tick, from the first sample to the end of the inputs."""

from itertools import pairwise

import pytest

from tectum.clock import NS_PER_MS as MS
from tectum.ledger.row import Outcome
from tectum.pipeline.events import Ended
from tectum.pipeline.plan import AlignPlan
from tectum.testing.arrivals import START_NS, together


@pytest.fixture
def ticking(scene):
    return scene.set(trigger="", trigger_period_ns=50 * MS).input(
        "lidar", align=AlignPlan("nearest", 60 * MS, 60 * MS)
    )


def test_ticks_are_one_period_apart_from_the_first_sample_on(ticking) -> None:
    rows = ticking.run().rows
    assert {b.stamp_ns - a.stamp_ns for a, b in pairwise(rows)} == {50 * MS}
    assert rows[0].stamp_ns <= START_NS + 52 * MS
    assert {row.accepted_ns - row.stamp_ns for row in rows[1:]} == {0}


def test_ticks_stop_with_the_last_capture(ticking) -> None:
    rows = ticking.run().rows
    assert 58 <= len(rows) <= 60
    assert rows[-1].stamp_ns <= START_NS + 3000 * MS


def test_ticks_go_on_while_any_input_lives(ticking) -> None:
    ended = [Ended(START_NS + 1050 * MS, "camera")]
    rows = ticking.run(together(ticking.heard(dead="camera", since_ms=1000), ended)).rows
    late = [row for row in rows if row.stamp_ns > START_NS + 1060 * MS][:-2]
    assert len(late) >= 35
    assert {(row.outcome, row.reason) for row in late} == {(Outcome.PARTIAL, "input_ended")}


def test_without_a_budget_and_with_ended_inputs_every_tick_is_answered(ticking) -> None:
    ticking.set(budget_ns=0)
    rows = ticking.run().rows
    assert 58 <= len(rows) <= 60
    assert all(row.outcome is not Outcome.SHED for row in rows)
