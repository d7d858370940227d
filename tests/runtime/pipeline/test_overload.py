"""More work than time, on a machine that has become slower than it was when it was measured."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from tectum.clock import NS_PER_MS as MS
from tectum.ledger.row import Outcome
from tectum.pipeline.events import Event, Measured
from tectum.pipeline.orders import Start
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan
from tectum.pipeline.simulate import Durations, simulate
from tectum.testing.arrivals import START_NS, Source, arrivals, together

PERIOD_NS, BUDGET_NS, LANES, SECONDS = 50 * MS, 200 * MS, 2, 20
MEASURED = {"camera": 35 * MS, "lidar": 35 * MS, "radar": 27 * MS, "head": 3 * MS}
"""100 ms of work for each trigger, where two lanes have 100 ms: just enough, as measured."""
SLOWER = 2
NAMES = ("camera", "lidar", "radar")


def _plan() -> Plan:
    inputs = [
        InputPlan(name, f"{name}/data", AlignPlan(rule, PERIOD_NS // 2, PERIOD_NS // 2), name)
        for name, rule in zip(NAMES, ("nearest", "exact", "nearest"), strict=True)
    ]
    stages = tuple([StagePlan(name) for name in MEASURED])
    return Plan(
        "overload", tuple(inputs), stages, "head", "lidar", budget_ns=BUDGET_NS, lanes=LANES
    )


def _durations(seed: int) -> Durations:
    rng = random.Random(seed)

    def duration(start: Start) -> int:
        return round(SLOWER * MEASURED[start.stage] * rng.lognormvariate(0, 0.1))

    return duration


@pytest.mark.parametrize("seed", range(3))
def test_a_stage_that_is_slow_and_runs_all_the_time_is_not_doubted(seed: int) -> None:
    """Who was seen at work a moment ago has nothing to be found out about: believing in good times
    would start what cannot end, and give no result for a second."""
    warm: list[Event] = [
        Measured(START_NS, stage, "default", took_ns)
        for stage, took_ns in MEASURED.items()
        for _ in range(3)
    ]
    sources = [Source(name, PERIOD_NS, transit_ns=8 * MS, jitter_ns=2 * MS) for name in NAMES]
    heard = together(warm, *[arrivals(source, SECONDS * 1000 * MS) for source in sources])
    rows = simulate(_plan(), heard, _durations(seed)).rows
    answered = [row.delivered_ns for row in rows if row.outcome is not Outcome.SHED]
    possible = SECONDS * 1000 * MS * LANES / (SLOWER * sum(MEASURED.values()))
    assert len(answered) >= 0.93 * possible
    assert max(b - a for a, b in pairwise(answered)) <= 2 * BUDGET_NS
    assert all(row.delivered_ns <= row.deadline_ns for row in rows if row.outcome != "shed")
