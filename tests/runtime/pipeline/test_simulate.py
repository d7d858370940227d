"""Simulation is a function of (plan, arrivals, durations) and nothing else."""

import random

import pytest

from tectum.clock import NS_PER_MS as MS
from tectum.errors import ContractError
from tectum.pipeline.events import Arrived, Delivered, Finished, Tick
from tectum.pipeline.pipeline import Pipeline
from tectum.pipeline.simulate import fixed_durations, simulate
from tectum.testing.arrivals import START_NS


def test_twice_the_same_gives_the_same_rows_and_digest(scene) -> None:
    first, second = scene.run(), scene.run()
    assert first.digest == second.digest
    assert first.rows == second.rows
    assert first.journal == second.journal


def test_a_simulation_without_a_journal_decides_the_same(scene) -> None:
    table = fixed_durations({})
    whole, rows = (
        simulate(scene.plan, scene.heard(), table, journal=kept) for kept in (True, False)
    )
    assert rows.journal == []
    assert (rows.digest, rows.rows, rows.counters) == (whole.digest, whole.rows, whole.counters)


def test_other_durations_give_other_evidence_and_the_same_decisions(scene) -> None:
    first = scene.run()
    scene.takes["head"] = 4 * MS
    second = scene.run()
    assert first.digest == second.digest
    assert first.rows[10].head_end_ns != second.rows[10].head_end_ns


def test_durations_are_looked_up_by_variant_then_by_stage() -> None:
    from tectum.pipeline.orders import Start

    lookup = fixed_durations({"eye": 5, "eye/small": 2}, otherwise_ns=9)
    assert lookup(Start(0, 0, "eye", "small", ())) == 2
    assert lookup(Start(0, 0, "eye", "large", ())) == 5
    assert lookup(Start(0, 0, "ear", "large", ())) == 9


def test_superfluous_ticks_change_nothing(scene) -> None:
    result = scene.run()
    pipeline, rng, now_ns = Pipeline(scene.plan), random.Random(1), 0
    for event in result.journal:
        pipeline.feed(event)
        now_ns = event.now_ns
        if isinstance(event, Tick) and rng.random() < 0.5:
            pipeline.feed(Tick(now_ns))
    assert pipeline.digest.hexdigest() == result.digest


def test_no_arrivals_give_no_rows(scene) -> None:
    result = simulate(scene.plan, [], fixed_durations({}))
    assert (result.rows, result.notes[0].change) == ([], "ended")


def test_time_that_goes_back_is_refused(scene) -> None:
    pipeline = Pipeline(scene.plan)
    pipeline.feed(Tick(START_NS))
    with pytest.raises(ContractError, match="time went back by 1 ns"):
        pipeline.feed(Tick(START_NS - 1))


def test_events_about_unknown_things_are_refused(scene, one) -> None:
    pipeline = Pipeline(scene.plan)
    with pytest.raises(ContractError, match=r"'radar' is no input of 'scene' \(inputs: camera"):
        pipeline.feed(one("radar", 0, 0, 1))
    with pytest.raises(ContractError, match="run 7 is not running"):
        pipeline.feed(Finished(START_NS + 2 * MS, 7, "ok", 1))
    with pytest.raises(ContractError, match="trigger 3 was not being delivered"):
        pipeline.feed(Delivered(START_NS + 2 * MS, 3))


def test_a_wakeup_is_asked_for_when_time_alone_decides(scene, one) -> None:
    pipeline = Pipeline(scene.plan)
    pipeline.feed(Tick(START_NS))
    assert pipeline.next_wakeup_ns() == START_NS + 1000 * MS, "never heard"
    pipeline.feed(one("lidar", 0, 0, 20))
    assert pipeline.next_wakeup_ns() == START_NS + 20 * MS, "something was learned"
    pipeline.feed(Tick(START_NS + 20 * MS))
    assert pipeline.next_wakeup_ns() == START_NS + 20 * MS, "runs were started: what lies ahead?"
    pipeline.feed(Tick(START_NS + 20 * MS))
    assert START_NS + 20 * MS < pipeline.next_wakeup_ns() <= START_NS + 98 * MS


def test_done_says_when_no_outcome_will_follow(scene) -> None:
    result = scene.run()
    pipeline = Pipeline(scene.plan)
    for event in result.journal[:-30]:
        pipeline.feed(event)
    assert not pipeline.done
    for event in result.journal[-30:]:
        pipeline.feed(event)
    assert pipeline.done


def test_counters_and_listening_are_told_per_input(scene) -> None:
    result = scene.run()
    pipeline = Pipeline(scene.plan)
    for event in result.journal:
        pipeline.feed(event)
    assert pipeline.counters() == result.counters
    heard = {e.sample.ref.input: e.now_ns for e in result.journal if isinstance(e, Arrived)}
    assert pipeline.listening() == {name: ("ended", heard[name]) for name in heard}
