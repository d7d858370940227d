"""The trigger's own sample is encoded as it comes, where that lane would be done last anyway."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import pytest

from tectum.clock import NS_PER_MS as MS
from tectum.ledger.row import Outcome
from tectum.message import Sample, SampleRef
from tectum.pipeline.events import Arrived, Delivered, Event, Finished, Measured, Tick
from tectum.pipeline.orders import Emit, Order, Start
from tectum.pipeline.pipeline import Pipeline
from tectum.pipeline.plan import AlignPlan, HeadPlan, InputPlan, Plan, StagePlan
from tectum.pipeline.simulate import fixed_durations, simulate
from tectum.testing.arrivals import START_NS

SETTLED = START_NS + 500 * MS
"""From here on the rhythm of the lidar is known."""


WARM_UP = [Measured(START_NS, stage, "default", MS) for stage in ("shape", "head")]


def _begun_by(plan: Plan, journal: Iterable[Event], stage: str) -> Counter[str]:
    """Count what the runs of a stage were ordered by, once the rhythms are known."""
    pipeline = Pipeline(plan)
    by: Counter[str] = Counter()
    for event in journal:
        for order in pipeline.feed(event):
            if isinstance(order, Start) and order.stage == stage and event.now_ns >= SETTLED:
                by[type(event).__name__] += 1
    return by


def test_the_triggers_encoder_begins_on_arrival_where_its_lane_is_done_last(scene) -> None:
    # the eye takes 8 ms, shape and ear 6 + 3 ms on the other lane
    result = scene.run()
    late = [row for row in result.rows if row.stamp_ns >= SETTLED]
    by = _begun_by(scene.plan, result.journal, "shape")
    assert by["Arrived"] >= len(late) - 1, "but where a lane encodes ahead just then"
    assert set(_begun_by(scene.plan, result.journal, "eye")) == {"Tick"}
    assert {row.outcome for row in late} == {Outcome.COMPLETE}
    for lidar, row in [(row.inputs[1], row) for row in late]:
        assert lidar.encode_begin_ns == lidar.committed_ns == row.accepted_ns
        assert lidar.distance_ns == 0


def test_where_another_lane_is_done_later_that_one_is_ordered_first(scene) -> None:
    scene.takes["eye"] = 30 * MS
    journal = scene.run().journal
    assert set(_begun_by(scene.plan, journal, "shape")) == {"Tick"}


@pytest.mark.parametrize("changes", [{"eager": "off"}, {"budget_ns": 36 * MS, "eager": "commit"}])
def test_without_leave_or_time_to_spare_all_is_decided_at_the_tick(scene, changes) -> None:
    scene.set(**changes)
    journal = scene.run().journal
    assert set(_begun_by(scene.plan, journal, "shape")) == {"Tick"}


def test_where_several_heads_ask_the_tick_says_whose_encoders_come_first(scene) -> None:
    names = tuple(item.name for item in scene.plan.inputs)
    heads = tuple(HeadPlan(name, name, names, 100 * MS) for name in ("head", "other"))
    scene.set(heads=heads, head="", stages=(*scene.plan.stages, StagePlan("other")))
    scene.takes["other"] = 2 * MS
    journal = simulate(scene.plan, scene.heard(), fixed_durations(scene.takes)).journal
    assert set(_begun_by(scene.plan, journal, "shape")) == {"Tick"}


def test_encoders_of_one_model_begin_together_for_they_may_share_a_batch(scene) -> None:
    same = [replace(s, model="m") if s.name in {"shape", "eye"} else s for s in scene.plan.stages]
    scene.set(stages=tuple(same))
    assert set(_begun_by(scene.plan, scene.run().journal, "shape")) == {"Tick"}


def test_a_rule_that_may_pick_another_sample_is_asked_first(scene) -> None:
    scene.input("lidar", align=AlignPlan("latest", max_age_ns=50 * MS))
    journal = scene.run().journal
    assert set(_begun_by(scene.plan, journal, "shape")) == {"Tick"}


def _sweep(seq: int, at_ms: int, span_ms: int) -> Arrived:
    sample = Sample(SampleRef("lidar", 1, seq), START_NS + seq * 100 * MS, span_ns=span_ms * MS)
    return Arrived(START_NS + at_ms * MS, sample)


def _one_input(lanes: int = 1) -> Pipeline:
    """Return a pipeline with one input, whose encoder takes no time worth mentioning."""
    inputs = (InputPlan("lidar", "l/p", AlignPlan("exact"), "shape", silent_after_ns=10**12),)
    stages = (StagePlan("shape"), StagePlan("head"))
    plan = Plan("one", inputs, stages, "head", "lidar", budget_ns=400 * MS, lanes=lanes)
    pipeline = Pipeline(replace(plan, substitute=False))
    for event in WARM_UP:
        pipeline.feed(event)
    return pipeline


def test_what_waits_for_a_lane_or_for_another_set_does_not_begin() -> None:
    pipeline = _one_input(lanes=2)
    begun: list[int] = []
    for sweep in [_sweep(seq, 100 * seq + 50, 20) for seq in range(6)]:
        begun += [order.run for order in pipeline.feed(sweep) if isinstance(order, Start)]
        pipeline.feed(Tick(sweep.now_ns))
    # nothing ends: the first set stays open, and the rhythm is known from the third sweep on
    assert not begun


def test_a_capture_that_may_end_after_the_next_one_waits_to_hear_of_that() -> None:
    durations = fixed_durations({"shape": MS, "head": MS})
    sweeps: list[Event] = [_sweep(seq, 100 * seq + 50, 20) for seq in range(8)]
    for span_ms, begins in ((20, "Arrived"), (100, "Arrived"), (150, "Tick")):
        plan = _one_input().plan
        result = simulate(plan, [*WARM_UP, *sweeps, _sweep(8, 1000, span_ms)], durations)
        journal = [e for e in result.journal if e.now_ns < START_NS + 1000 * MS]
        before = _begun_by(plan, journal, "shape")
        assert _begun_by(plan, result.journal, "shape") - before == {begins: 1}, span_ms


def _carry_out(pipeline: Pipeline, orders: list[Order], now_ns: int, status: str) -> list[str]:
    """Let what is ordered end at once, and what follows from it; return the stages that ran."""
    ran: list[str] = []
    for order in orders:
        if isinstance(order, Start):
            ended = pipeline.feed(Finished(now_ns, order.run, status, MS))
            ran += [order.stage, *_carry_out(pipeline, ended, now_ns, "ok")]
        elif isinstance(order, Emit):
            sent = pipeline.feed(Delivered(now_ns, order.row.trigger))
            ran += _carry_out(pipeline, sent, now_ns, status)
    return ran


@pytest.mark.parametrize(
    ("status", "stages", "reason"),
    [("ok", ["shape", "head"], "complete"), ("failed", ["shape"], "not_accepted")],
)
def test_what_ends_before_the_tick_is_committed_then_and_not_run_again(
    status: str, stages: list[str], reason: str
) -> None:
    pipeline = _one_input()
    ran: list[str] = []
    for seq in range(6):
        sweep, last = _sweep(seq, 100 * seq + 50, 20), seq == 5
        fate = status if last else "ok"
        begun = pipeline.feed(sweep)
        assert [isinstance(order, Start) for order in begun if last] == [True] * last
        ran = _carry_out(pipeline, begun, sweep.now_ns, fate)
        for _ in range(3):
            ran += _carry_out(pipeline, pipeline.feed(Tick(sweep.now_ns)), sweep.now_ns, fate)
    row = pipeline.rows[-1]
    assert ran == stages
    assert (row.trigger, row.reason, row.inputs[0].seq) == (5, reason, 5)


def test_once_all_is_ordered_nothing_is_left_to_decide_until_time_does(scene) -> None:
    journal = scene.set(lanes=1, budget_ns=400 * MS).run().journal
    pipeline = Pipeline(scene.plan)
    foreseen = 0
    for event in journal:
        orders = pipeline.feed(event)
        until_ns = pipeline.foreseen_ns
        heads = [o for o in orders if isinstance(o, Start) and o.stage == "head"]
        if until_ns > event.now_ns and heads:
            (opened,) = pipeline._books.open
            foreseen += 1
            assert until_ns <= opened.review_ns() <= opened.deadline_ns
            assert until_ns <= min(
                port.raw.silent_at_ns(START_NS) for port in pipeline._books.ports
            )
    assert foreseen >= 20
