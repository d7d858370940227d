"""A set's runs ordered ahead: where there is time to be wrong, and taken back where it is gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tectum.clock import NS_PER_MS as MS
from tectum.ledger.row import Outcome
from tectum.message import Sample, SampleRef
from tectum.pipeline.events import Arrived, Event, Finished, Measured
from tectum.pipeline.orders import Cancel, Of, Order, Start
from tectum.pipeline.pipeline import Pipeline
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan
from tectum.pipeline.simulate import Durations, fixed_durations, simulate
from tectum.testing.arrivals import START_NS
from tectum.testing.audit import audit

SETTLED = START_NS + 500 * MS


def _fed(plan: Plan, journal: list[Event]) -> list[tuple[Event, list[Order]]]:
    pipeline = Pipeline(plan)
    return [(event, pipeline.feed(event)) for event in journal]


def _heads_ahead(plan: Plan, journal: list[Event]) -> Counter[bool]:
    """Count the heads by whether they were ordered before all that they take had ended."""
    ended: set[int] = set()
    ahead: Counter[bool] = Counter()
    for event, orders in _fed(plan, journal):
        if isinstance(event, Finished):
            ended.add(event.run)
        for order in orders:
            if isinstance(order, Start) and order.stage == "head" and event.now_ns >= SETTLED:
                ahead[not {arg.run for arg in order.args if isinstance(arg, Of)} <= ended] += 1
    return ahead


def _once(takes: dict[str, int], stage: str, nth: int, took_ns: int) -> Durations:
    """Return the usual durations, but of the nth run of one stage."""
    usual: Callable[[Start], int] = fixed_durations(takes)
    seen: Counter[str] = Counter()

    def duration(start: Start) -> int:
        seen[start.stage] += 1
        strange = (start.stage, seen[start.stage]) == (stage, nth)
        return took_ns if strange else usual(start)

    return duration


def test_with_time_to_spare_the_head_is_ordered_while_its_encoders_run(scene) -> None:
    result = scene.run()
    assert set(_heads_ahead(scene.plan, result.journal)) == {True}
    late = [row for row in result.rows if row.stamp_ns >= SETTLED]
    assert {row.outcome for row in late} == {Outcome.COMPLETE}
    for row in late:
        ends = [item.encode_end_ns for item in row.inputs]
        assert row.head_begin_ns == max(ends)
        assert all(0 < item.encode_begin_ns < item.encode_end_ns for item in row.inputs)


def test_near_the_edge_the_head_is_ordered_when_its_encoders_have_ended(scene) -> None:
    scene.set(budget_ns=33 * MS, eager="off")
    result = scene.run()
    assert set(_heads_ahead(scene.plan, result.journal)) == {False}


def test_an_encoder_without_a_lane_goes_behind_one_of_its_own_set(scene) -> None:
    scene.set(lanes=1, budget_ns=400 * MS)
    result = scene.run()
    lanes: list[str] = []
    behind: Counter[tuple[str, ...]] = Counter()
    for event, orders in _fed(scene.plan, result.journal):
        if isinstance(event, Finished):
            lanes.pop(0)
        lanes += [order.stage for order in orders if isinstance(order, Start)]
        behind[tuple(lanes)] += 1
    assert any(stages[-1:] == ("head",) and len(stages) >= 3 for stages in behind)
    assert all(stages.count("head") <= 1 for stages in behind)


def test_what_waits_behind_a_run_that_hangs_is_taken_back_and_goes_elsewhere(scene) -> None:
    orders: list[Order] = []
    scene.set(lanes=2, budget_ns=200 * MS)
    result = scene.run(
        durations=_once(scene.takes, "shape", 12, 1500 * MS), cancels=False,
        orders_to=orders.append,
    )  # fmt: skip
    (hung,) = [row for row in result.rows if "encoder_late" in row.reason or row.blame == "shape"]
    others = [row for row in result.rows if row is not hung and row.stamp_ns >= SETTLED]
    assert [order for order in orders if isinstance(order, Cancel)]
    assert Counter(row.outcome for row in others)[Outcome.COMPLETE] >= len(others) - 1
    assert all(row.emitted_ns <= row.deadline_ns for row in result.rows)


def test_a_head_ordered_ahead_of_an_encoder_that_fails_is_replaced(scene) -> None:
    result = scene.run(durations=_once(scene.takes, "ear", 12, -3 * MS))
    (row,) = [row for row in result.rows if row.reason == "input_encoder_failed"]
    assert row.outcome is Outcome.PARTIAL
    assert row.head_end_ns - row.head_begin_ns == scene.takes["head"]


def test_the_end_of_a_run_between_two_others_is_when_it_happened_not_when_it_was_heard(
    scene,
) -> None:
    scene.set(lanes=1, budget_ns=400 * MS)
    journal = scene.run().journal
    late: list[Event] = []
    kept: list[Finished] = []
    for event in journal:
        # a lane tells of its runs only when it has nothing more to do
        if isinstance(event, Finished):
            kept.append(event._replace(ended_ns=event.now_ns))
            continue
        late += [item._replace(now_ns=event.now_ns) for item in kept]
        kept.clear()
        late.append(event)
    pipeline = Pipeline(scene.plan)
    for event in late:
        pipeline.feed(event)
    rows = [row for row in pipeline.rows if row.stamp_ns >= SETTLED]
    took = {item.encode_end_ns - item.encode_begin_ns for row in rows for item in row.inputs}
    assert took <= {8 * MS, 6 * MS, 3 * MS}


def test_a_more_urgent_set_goes_before_a_head_that_was_ordered_ahead() -> None:
    #   sweep 0 lasts 60 ms, sweep 1 only 1 ms: its budget ends earlier, though it comes later
    inputs = (InputPlan("lidar", "l/p", AlignPlan("exact"), "shape", silent_after_ns=10**12),)
    stages = (StagePlan("shape"), StagePlan("head"))
    plan = Plan("urgent", inputs, stages, "head", "lidar", budget_ns=400 * MS, lanes=1)
    come: list[Event] = [
        Measured(START_NS, "shape", "default", 10 * MS),
        Measured(START_NS, "head", "default", 5 * MS),
    ]
    for seq, (at_ms, span_ms) in enumerate([(100, 60), (104, 1)]):
        sample = Sample(SampleRef("lidar", 1, seq), START_NS + seq * MS, span_ns=span_ms * MS)
        come.append(Arrived(START_NS + at_ms * MS, sample))
    result = simulate(plan, come, fixed_durations({"shape": 10 * MS, "head": 5 * MS}))
    audit(plan, result.journal)
    began = [(row.inputs[0].encode_begin_ns, row.head_begin_ns) for row in result.rows]
    assert [row.reason for row in result.rows] == ["complete", "complete"]
    assert [[(ns - START_NS) // MS for ns in times] for times in began] == [[100, 125], [110, 120]]
