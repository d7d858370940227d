"""A sensor dies and comes back, the trigger's included: no gap, no double, no added wait."""

from itertools import pairwise

import pytest

from tectum.clock import NS_PER_MS as MS
from tectum.ledger.row import Outcome, Status
from tectum.pipeline.events import Ended
from tectum.testing.arrivals import START_NS, Source, arrivals, together

PERIOD_NS = 100 * MS
BUDGET_NS = 100 * MS


def _changes(result, name):
    changes = [note.change for note in result.notes if note.input == name]
    return [change for change in changes if change != "beaten"]


def _between(rows, lo_ms, hi_ms):
    return [r for r in rows if START_NS + lo_ms * MS <= r.stamp_ns < START_NS + hi_ms * MS]


@pytest.mark.parametrize("dead", ["camera", "lidar", "siren"])
def test_every_change_of_life_is_noted_once(scene, dead) -> None:
    result = scene.run(scene.heard(dead=dead, since_ms=1000, back_ms=2000))
    assert _changes(result, dead) == ["first_heard", "silent", "revived", "ended"]


@pytest.mark.parametrize("dead", ["camera", "siren"])
def test_once_a_sensor_is_silent_no_set_waits_for_it(scene, dead) -> None:
    result = scene.run(scene.heard(dead=dead, since_ms=1000, back_ms=2000))
    (silent,) = [n for n in result.notes if n.input == dead and n.change == "silent"]
    silent_rows = [
        row
        for row in result.rows
        if silent.now_ns <= row.accepted_ns and row.stamp_ns < START_NS + 1950 * MS
    ]
    others = _between(scene.run(scene.heard()).rows, 1200, 2000)
    assert len(silent_rows) >= 7
    longest = max(row.settled_ns - row.accepted_ns for row in others)
    assert max(row.settled_ns - row.accepted_ns for row in silent_rows) <= longest


@pytest.mark.parametrize("dead", ["camera", "lidar", "siren"])
def test_results_go_on_without_a_gap_and_none_is_doubled(scene, dead) -> None:
    rows = scene.run(scene.heard(4000, dead=dead, since_ms=1000, back_ms=2500)).rows
    assert all(row.outcome is not Outcome.SHED for row in rows)
    gaps = [b.delivered_ns - a.delivered_ns for a, b in pairwise(rows)]
    assert max(gaps) <= PERIOD_NS + BUDGET_NS
    steps = [b.stamp_ns - a.stamp_ns for a, b in pairwise(rows)]
    assert min(steps) >= PERIOD_NS // 2
    assert len(rows) >= 38


def test_stand_ins_are_flagged_and_keep_the_rhythm_of_the_trigger(scene, item) -> None:
    rows = scene.run(scene.heard(dead="lidar", since_ms=1000, back_ms=2000)).rows
    stand_ins = [row for row in rows if "substituted" in row.flags]
    assert 9 <= len(stand_ins) <= 11
    reasons = [item(row, "lidar").reason for row in stand_ins]
    assert reasons == ["not_arrived"] + ["silent"] * (len(reasons) - 1)
    assert all(item(row, "camera").status is Status.FRESH for row in stand_ins)
    steps = {b.stamp_ns - a.stamp_ns for a, b in pairwise(stand_ins)}
    assert max(steps) - min(steps) <= 2 * MS


def test_the_first_message_that_is_missed_is_stood_in_for_while_it_can_be_answered(scene) -> None:
    rows = scene.run(scene.heard(dead="lidar", since_ms=1000, back_ms=1050)).rows
    (row,) = [row for row in rows if row.flags]
    assert abs(row.stamp_ns - START_NS - 1000 * MS) <= 2 * MS
    assert row.delivered_ns <= row.deadline_ns
    steps = {round((b.stamp_ns - a.stamp_ns) / MS / 10) for a, b in pairwise(rows)}
    assert steps == {10}


def test_what_may_be_delivered_late_has_no_stand_in_before_its_silence(scene) -> None:
    scene.set(late="deliver")
    rows = scene.run(scene.heard(dead="lidar", since_ms=1000, back_ms=1050)).rows
    assert not [row for row in rows if row.flags == ("substituted",)]


def test_a_trigger_that_drops_to_half_its_rate_soon_has_no_stand_ins_between(scene) -> None:
    events = [
        event
        for event in scene.heard(6000)
        if not getattr(event, "sample", None)
        or event.sample.ref.input != "lidar"
        or event.sample.stamp_ns < START_NS + 2000 * MS
        or event.sample.ref.seq % 2
    ]
    rows = scene.run(events).rows
    stand_ins = [row for row in rows if row.flags]
    assert 1 <= len(stand_ins) <= 8
    assert stand_ins[-1].stamp_ns < START_NS + 4000 * MS


def test_a_trigger_that_was_only_late_is_covered_by_its_stand_in(scene) -> None:
    # A stall: captures from 1000 to 1400 arrive together at 1400.
    events = [
        e._replace(now_ns=max(e.now_ns, START_NS + 1400 * MS))
        if getattr(e, "sample", None)
        and e.sample.ref.input == "lidar"
        and START_NS + 1000 * MS <= e.sample.stamp_ns < START_NS + 1400 * MS
        else e
        for e in scene.heard()
    ]
    result = scene.run(sorted(events, key=lambda e: e.now_ns))
    steps = [b.stamp_ns - a.stamp_ns for a, b in pairwise(result.rows)]
    assert min(steps) >= PERIOD_NS // 2
    counts = result.counters["lidar"]
    real = [row for row in result.rows if "substituted" not in row.flags]
    assert len(real) + counts["covered"] == counts["received"]
    assert counts["covered"] >= 1


def test_substitution_can_be_turned_off(scene) -> None:
    scene.set(substitute=False)
    rows = scene.run(scene.heard(dead="lidar", since_ms=1000, back_ms=2000)).rows
    assert not [row for row in rows if row.flags]
    assert not _between(rows, 1050, 1950)


def test_a_trigger_that_ended_by_itself_has_no_stand_in(scene) -> None:
    events = scene.heard(dead="lidar", since_ms=1000)
    rows = scene.run(together(events, [Ended(START_NS + 1050 * MS, "lidar")])).rows
    assert not [row for row in rows if row.stamp_ns > START_NS + 1050 * MS]


def test_a_trigger_never_heard_is_stood_in_for_at_its_stated_period(scene) -> None:
    scene.input("lidar", period_ns=PERIOD_NS)
    rows = scene.run(scene.heard(dead="lidar")).rows
    assert len(rows) >= 19
    assert all(row.flags == ("substituted",) for row in rows)
    assert {row.reason for row in rows if row.stamp_ns > START_NS + 1500 * MS} == {
        "input_never_heard"
    }


def test_a_sensor_that_restarts_with_a_clock_from_zero_is_used_again(scene, item) -> None:
    # The camera comes back as another life whose stamps were restarted 30 s earlier: its frames no
    # longer belong to any trigger, and the sets say so instead of waiting for them.
    events = scene.heard(dead="camera", since_ms=1000)
    source = Source("camera", 33 * MS, transit_ns=30_015 * MS, incarnation=2)
    again = [
        e._replace(sample=_shift(e.sample, -30_000 * MS + 1500 * MS), now_ns=e.now_ns - 28_500 * MS)
        for e in arrivals(source, 1500 * MS)
    ]
    result = scene.run(together(events, again))
    assert "clock_step" in _changes(result, "camera")
    assert {r.outcome for r in _between(result.rows, 1600, 2900)} == {Outcome.PARTIAL}


def test_a_trigger_whose_clock_is_set_back_goes_on_on_its_new_clock(scene) -> None:
    events = [_set_back(e, 1500, 700) for e in scene.heard()]
    result = scene.run(events)
    assert _changes(result, "lidar") == ["first_heard", "clock_step", "ended"]
    accepted = [row for row in result.rows if row.accepted_ns >= START_NS + 1500 * MS]
    assert len(accepted) == 15
    assert not [row for row in accepted if row.reason == "trigger_disorder"]


def test_a_small_step_back_of_the_triggers_clock_heals_by_itself(scene) -> None:
    result = scene.run([_set_back(e, 1500, 250) for e in scene.heard()])
    reasons = [r.reason for r in result.rows if r.accepted_ns >= START_NS + 1500 * MS]
    assert reasons[:2] == ["trigger_disorder"] * 2
    assert "trigger_disorder" not in reasons[2:]
    assert len(reasons) == 15


def _set_back(event, since_ms, by_ms):
    sample = getattr(event, "sample", None)
    if not sample or sample.ref.input != "lidar" or sample.stamp_ns < START_NS + since_ms * MS:
        return event
    return event._replace(sample=_shift(sample, -by_ms * MS))


def _shift(sample, by_ns):
    return sample._replace(stamp_ns=sample.stamp_ns + by_ns)
