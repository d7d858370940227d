"""Two seconds in which a stage is ten times as slow: who is blamed, what is left, and the end."""

from collections.abc import Iterator, Sequence

import pytest

from tectum.clock import NS_PER_MS as MS
from tectum.ledger.misses import miss_cause
from tectum.ledger.row import Outcome, Row
from tectum.pipeline.events import Event, Measured
from tectum.pipeline.orders import Start
from tectum.pipeline.simulate import fixed_durations
from tectum.testing.arrivals import START_NS, together

BEGIN_NS, END_NS = START_NS + 4000 * MS, START_NS + 6000 * MS
COSTS = {
    "eye": {"eye": 12 * MS},
    "shape": {"shape": 12 * MS},
    "ear": {"ear": 12 * MS},
    "head": {"head": 10 * MS},
}
"""Ten times as much is more than the 100 ms that there are, after the sample has come."""
VARIANTS = {
    "eye": {"large": 12 * MS, "small": 2 * MS},
    "shape": {"large": 12 * MS, "small": 3 * MS},
}

several_lanes = pytest.mark.parametrize("lanes", [1, 2, 3])
can_be_stopped = pytest.mark.parametrize("cancels", [True, False])


class Drive:
    """Runs a scene in which one stage is slow for two seconds."""

    def __init__(self, scene, slow: str) -> None:
        self.scene, self.slow = scene, slow
        self.now_ns = 0

    def rows(self, *, cancels: bool) -> Sequence[Row]:
        self.scene.warm_up = False
        warm = [
            Measured(START_NS, stage, variant or "default", took_ns)
            for name, took_ns in self.scene.takes.items()
            for stage, _, variant in [name.partition("/")]
            if name not in VARIANTS or len(self.scene.plan.stage(name).variants) == 1
        ]
        usual = fixed_durations(self.scene.takes)

        def duration(start: Start) -> int:
            slow = start.stage == self.slow and BEGIN_NS <= self.now_ns < END_NS
            return usual(start) * (10 if slow else 1)

        events = self._watched(together(warm, self.scene.heard(9000)))
        return self.scene.run(events, duration, cancels=cancels).rows

    def _watched(self, events: list[Event]) -> Iterator[Event]:
        """Yield the events, and keep the time: something arrives every 20 ms."""
        for event in events:
            self.now_ns = event.now_ns
            yield event


def _during(rows: Sequence[Row]) -> list[Row]:
    """Return the triggers that were computed while it was slow, from end to end."""
    return [row for row in rows if BEGIN_NS <= row.stamp_ns < END_NS - 100 * MS]


def _is_good(row: Row) -> bool:
    return row.outcome is Outcome.COMPLETE and not row.flags


def _judge(drive: Drive, *, cancels: bool) -> None:
    rows = drive.rows(cancels=cancels)
    for row in _during(rows):
        assert not _is_good(row)
        assert row.blame == drive.slow, (row.trigger, row.reason)
        assert miss_cause(row, drive.scene.plan) == f"{drive.slow} compute"
    after = [row for row in rows if row.stamp_ns >= END_NS]
    assert all(map(_is_good, after[3:]))
    assert len(after) == 30
    delivered = [row for row in rows if row.outcome is not Outcome.SHED]
    assert all(row.emitted_ns <= row.deadline_ns for row in delivered)


@can_be_stopped
@several_lanes
@pytest.mark.parametrize("slow", COSTS)
def test_each_trigger_names_the_slow_stage_and_three_later_all_is_well(
    scene, slow, lanes, cancels
) -> None:
    scene.takes |= COSTS[slow]
    _judge(Drive(scene.set(lanes=lanes), slow), cancels=cancels)


@can_be_stopped
@several_lanes
@pytest.mark.parametrize("slow", VARIANTS)
def test_a_cheaper_variant_serves_meanwhile_and_the_best_one_again_three_triggers_later(
    scene, slow, lanes, cancels
) -> None:
    costs = VARIANTS[slow]
    scene.set(lanes=lanes).stage(slow, variants=tuple(costs))
    scene.takes |= {f"{slow}/{variant}": took_ns for variant, took_ns in costs.items()}
    _judge(drive := Drive(scene, slow), cancels=cancels)
    rows = _during(drive.rows(cancels=cancels))
    assert sum(row.outcome is Outcome.COMPLETE for row in rows) >= 12


def test_one_that_stays_slow_is_tried_ever_more_rarely(scene) -> None:
    """What is tried costs a set: a stage that will not come back must not cost every fourth."""
    scene.takes |= {"ear": 12 * MS}
    usual, tried = fixed_durations(scene.takes), []

    def duration(start: Start) -> int:
        slow = start.stage == "ear" and len(tried) > 40
        if start.stage == "ear":
            tried.append(start.stamp_ns)
        return usual(start) * (10 if slow else 1)

    rows = scene.set(lanes=3).run(scene.heard(90_000), duration).rows
    last = [row for row in rows if row.stamp_ns >= START_NS + 60_000 * MS]
    assert len(last) == 300
    assert sum(row.reason == "input_encoder_late" for row in last) <= 10
    assert all(row.outcome is Outcome.PARTIAL for row in last)
