"""The hand-over from a trigger input to its stand-ins and back: no gap, and nothing twice.

lidar    x   x   x                       x   x
stand-in             s   s   s   s   s
gap              |------|  at most two periods, wherever the silence begins and ends
"""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tectum.clock import NS_PER_MS as MS
from tectum.pipeline.events import Event
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan
from tectum.pipeline.simulate import Simulation, fixed_durations, simulate
from tectum.testing.arrivals import START_NS, Source, arrivals, together

JITTER_NS = 2 * MS
HEAD_NS = 5 * MS
UNTIL_NS = 5_000 * MS


def _drive(
    period_ms: int, budget_ms: int, dead_ms: tuple[int, int], seed: int, jitter_ns: int = JITTER_NS
) -> Simulation:
    """A lidar that says nothing of captures in [begin, end), beside a camera that lives."""
    lo_ns, hi_ns = (START_NS + ms * MS for ms in dead_ms)
    lidar = Source("lidar", period_ms * MS, 10 * MS, jitter_ns, jitter_ns // 2)
    camera = Source("camera", 33 * MS, 10 * MS, 0, MS)
    heard: list[Event] = [
        event
        for event in arrivals(lidar, UNTIL_NS, seed=seed)
        if not lo_ns <= event.sample.stamp_ns < hi_ns
    ]
    plan = Plan(
        "drive",
        (
            InputPlan("lidar", "lidar/points", AlignPlan("exact"), required=False),
            InputPlan(
                "camera", "camera/image", AlignPlan("latest", max_age_ns=500 * MS), required=False
            ),
        ),
        (StagePlan("head"),),
        "head",
        trigger="lidar",
        budget_ns=budget_ms * MS,
    )
    events = together(heard, arrivals(camera, UNTIL_NS, seed=seed))
    return simulate(plan, events, fixed_durations({"head": HEAD_NS}))


@settings(max_examples=settings().max_examples // 2, deadline=None)
@given(
    period_ms=st.sampled_from([50, 80, 100, 200]),
    budget_ms=st.integers(60, 300),
    begin_ms=st.integers(1_600, 2_000),
    lasting_ms=st.integers(0, 2_000),
    seed=st.integers(0, 1 << 16),
)
def test_no_gap_is_longer_than_two_periods_and_no_instant_is_answered_twice(
    period_ms: int, budget_ms: int, begin_ms: int, lasting_ms: int, seed: int
) -> None:
    result = _drive(period_ms, budget_ms, (begin_ms, begin_ms + lasting_ms), seed)
    period_ns = period_ms * MS
    answered = [row for row in result.rows if row.delivered_ns <= row.deadline_ns]
    steps = [b.stamp_ns - a.stamp_ns for a, b in pairwise(answered)]
    assert max(steps) <= 2 * period_ns + 4 * JITTER_NS
    assert min(steps) >= period_ns // 2
    assert [row.reason for row in result.rows if row.outcome == "shed"] == []
    waits = [b.delivered_ns - a.delivered_ns for a, b in pairwise(result.rows)]
    assert max(waits) <= period_ns + budget_ms * MS
    real = sum("substituted" not in row.flags for row in result.rows)
    counts = result.counters["lidar"]
    assert real + counts.get("covered", 0) == counts["received"]


@settings(max_examples=settings().max_examples // 4, deadline=None)
@given(begin_ms=st.integers(1_600, 2_000), seed=st.integers(0, 1 << 16))
def test_two_lost_messages_in_a_row_are_no_silence_where_the_budget_spares_a_period(
    begin_ms: int, seed: int
) -> None:
    result = _drive(100, 200, (begin_ms, begin_ms + 190), seed, jitter_ns=0)
    assert {note.change for note in result.notes} <= {"first_heard", "ended"}
    # What both would have asked for cannot be answered in time, what the second would have can.
    assert len([row for row in result.rows if row.flags]) <= 1


def test_the_real_trigger_is_answered_again_from_its_first_message_on() -> None:
    result = _drive(100, 150, (1_950, 2_950), 7)
    back = [row for row in result.rows if row.stamp_ns >= START_NS + 2_950 * MS]
    assert all(not row.flags for row in back)
    assert all(row.inputs[0].status == "fresh" for row in back)
