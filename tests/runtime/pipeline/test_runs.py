"""Runs: lanes, sharing, cached embeddings, degrading, hangs; nothing freed while it is used."""

from collections import Counter

from tectum.clock import NS_PER_MS as MS
from tectum.ledger.row import Outcome, Status
from tectum.pipeline.events import Measured
from tectum.pipeline.orders import Absent, Cancel, Free, Of, Picked, Start
from tectum.pipeline.simulate import fixed_durations
from tectum.testing.arrivals import START_NS

SETTLED = START_NS + 500 * MS


def _starts(orders, stage):
    return [order for order in orders if isinstance(order, Start) and order.stage == stage]


def test_a_sample_that_serves_several_sets_is_encoded_once(scene) -> None:
    # A camera three times slower than the trigger: every frame serves three sets.
    orders = []
    scene.source("camera", period_ns=300 * MS, jitter_ns=0).input("camera", align=_wide())
    rows = scene.run(orders_to=orders.append).rows
    picked = Counter(start.args for start in _starts(orders, "eye"))
    assert set(picked.values()) == {1}
    assert len(picked) <= 11
    assert len([r for r in rows if r.inputs[0].status is Status.FRESH]) >= 27


def test_the_head_gets_every_input_in_graph_order(scene) -> None:
    orders = []
    scene.run(scene.heard(dead="siren", since_ms=1500), orders_to=orders.append)
    whole, without = _starts(orders, "head")[10], _starts(orders, "head")[-1]
    assert [type(arg) for arg in whole.args] == [Of, Of, Of]
    assert [arg.input for arg in whole.args] == ["camera", "lidar", "siren"]
    assert without.args[2] == Absent("siren")


def test_an_input_without_an_encoder_goes_to_the_head_as_it_is(scene) -> None:
    orders = []
    scene.input("lidar", encoder="")
    scene.run(orders_to=orders.append)
    (args,) = {type(start.args[1]) for start in _starts(orders, "head")}
    assert args is Picked
    assert not _starts(orders, "shape")


def test_audio_is_ordered_as_a_cut_of_the_sources_timeline(scene) -> None:
    orders = []
    scene.run(orders_to=orders.append)
    cut = _starts(orders, "ear")[-1].args[0]
    assert cut.length == 3200
    assert cut.begin >= 0
    assert len(cut.refs) in (10, 11)


def test_a_cached_embedding_stands_in_while_it_is_young_enough(scene, item) -> None:
    scene.input("camera", cache_ns=500 * MS)
    rows = scene.run(scene.heard(dead="camera", since_ms=1500)).rows
    cached = [row for row in rows if item(row, "camera").status is Status.CACHED]
    assert 4 <= len(cached) <= 5
    for row in cached:
        camera = item(row, "camera")
        assert row.outcome is Outcome.PARTIAL
        assert row.reason in ("input_not_arrived", "input_silent")
        assert -500 * MS <= camera.distance_ns < 0
        assert camera.stamp_ns - row.stamp_ns == camera.distance_ns
    assert item(rows[-1], "camera").status is Status.MISSING


def test_a_cheaper_variant_is_used_when_the_better_one_does_not_fit(scene, item) -> None:
    scene.stage("eye", variants=("large", "small")).set(budget_ns=60 * MS)
    scene.warm_up = False
    scene.takes |= {"eye/large": 50 * MS, "eye/small": 5 * MS}
    warm = [Measured(START_NS, "eye", "large", 50 * MS), Measured(START_NS, "eye", "small", 5 * MS)]
    rows = [r for r in scene.run([*warm, *scene.heard()]).rows if r.stamp_ns >= SETTLED]
    assert {item(row, "camera").variant for row in rows} == {"small"}
    assert {row.flags for row in rows} == {("degraded",)}
    assert {row.outcome for row in rows} == {Outcome.COMPLETE}


def test_an_optional_input_is_left_out_before_anything_is_shed(scene, item) -> None:
    scene.set(lanes=1, budget_ns=60 * MS)
    scene.takes["ear"] = 35 * MS
    scene.warm_up = False
    warm = [Measured(START_NS, stage, "default", t) for stage, t in scene.takes.items()]
    rows = [r for r in scene.run([*warm, *scene.heard()]).rows if r.stamp_ns >= SETTLED]
    assert {row.outcome for row in rows} == {Outcome.PARTIAL}
    assert {item(row, "siren").status for row in rows} == {Status.MISSING}
    assert {item(row, "camera").status for row in rows} == {Status.FRESH}
    assert all(row.emitted_ns <= row.deadline_ns for row in rows)


def test_a_lane_that_hangs_costs_one_set_and_then_only_itself(scene) -> None:
    scene.set(lanes=3)
    result = scene.run(durations=_hang(scene.takes, "eye", 10, 1000 * MS), cancels=False)
    reasons = Counter(row.reason for row in result.rows if row.stamp_ns >= SETTLED)
    assert reasons["input_encoder_late"] == 1
    assert reasons["complete"] == sum(reasons.values()) - 1


def test_with_its_only_lane_hung_sets_are_shed_and_recover_when_it_returns(scene) -> None:
    scene.set(lanes=1)
    result = scene.run(durations=_hang(scene.takes, "head", 12, 700 * MS), cancels=False)
    shed = [row.trigger for row in result.rows if row.outcome is Outcome.SHED]
    assert shed[0] == 12
    assert 6 <= len(shed) <= 9
    assert all(row.outcome is not Outcome.SHED for row in result.rows[shed[-1] + 1 :])
    assert all(row.emitted_ns <= row.deadline_ns + 1 for row in result.rows)


def test_while_no_lane_is_left_a_set_waits_as_long_as_it_would_fit_on_one(scene) -> None:
    # 250 ms on the only lane: the two triggers that come meanwhile have 400 ms each.
    scene.set(lanes=1, budget_ns=400 * MS)
    result = scene.run(durations=_hang(scene.takes, "head", 12, 250 * MS), cancels=False)
    late = [row for row in result.rows if row.stamp_ns >= SETTLED]
    assert {row.outcome for row in late} == {Outcome.COMPLETE}
    assert all(row.emitted_ns <= row.deadline_ns for row in result.rows)


def test_work_for_a_set_that_was_given_up_is_cancelled(scene) -> None:
    orders = []
    scene.set(lanes=3)
    scene.run(durations=_hang(scene.takes, "head", 12, 700 * MS), orders_to=orders.append)
    assert len([order for order in orders if isinstance(order, Cancel)]) == 1


def test_everything_is_freed_in_the_end_but_what_the_last_set_may_still_need(scene) -> None:
    orders = []
    result = scene.run(orders_to=orders.append)
    freed = Counter(order.what for order in orders if isinstance(order, Free))
    assert set(freed.values()) == {1}
    received = sum(counts["received"] for counts in result.counters.values())
    assert received - len(scene.audit.leases) == len([w for w in freed if not isinstance(w, int)])
    assert len(scene.audit.leases) <= 30
    assert scene.audit.most_leases <= 60


def _wide():
    from tectum.pipeline.plan import AlignPlan

    return AlignPlan("nearest", 250 * MS, 20 * MS)


def _hang(takes, stage, nth, took_ns):
    usual, seen = fixed_durations(takes), Counter()

    def duration(start: Start) -> int:
        index = seen[start.stage]
        seen[start.stage] += 1
        return took_ns if (start.stage, index) == (stage, nth) else usual(start)

    return duration
