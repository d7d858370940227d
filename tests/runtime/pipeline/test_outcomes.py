"""What a trigger comes to: complete, partial or shed, and the code that says why."""

from collections import Counter

import pytest

from tectum.clock import NS_PER_MS as MS
from tectum.ledger.row import Outcome, Status
from tectum.pipeline.events import Stopped
from tectum.pipeline.orders import Start
from tectum.pipeline.simulate import fixed_durations
from tectum.testing.arrivals import START_NS, together

SETTLED = START_NS + 500 * MS
"""From here on the siren's window is full and the rhythms are learned."""


def _reasons(rows):
    return Counter(row.reason for row in rows if row.stamp_ns >= SETTLED)


def test_all_sensors_at_work_make_every_set_complete(scene) -> None:
    rows = scene.run().rows
    assert len(rows) == 30
    assert _reasons(rows) == {"complete": 25}
    assert {row.outcome for row in rows if row.stamp_ns >= SETTLED} == {Outcome.COMPLETE}


def test_a_complete_set_holds_what_was_picked_of_every_input(scene, item) -> None:
    row = scene.run().rows[-5]
    camera, lidar, siren = (item(row, name) for name in ("camera", "lidar", "siren"))
    assert all(i.status is Status.FRESH and i.reason == "" for i in row.inputs)
    assert lidar.stamp_ns == row.stamp_ns
    assert abs(camera.distance_ns) <= 18 * MS
    assert camera.stamp_ns - row.stamp_ns == camera.distance_ns
    assert siren.distance_ns == 0
    assert {i.variant for i in row.inputs} == {"default"}


@pytest.mark.parametrize("dead", ["camera", "siren"])
def test_a_dead_sensor_makes_sets_partial_and_is_named(scene, item, dead) -> None:
    rows = scene.run(scene.heard(dead=dead, since_ms=1500)).rows
    late = [row for row in rows if row.stamp_ns >= START_NS + 1800 * MS]
    assert len(late) == 12
    for row in late:
        assert (row.outcome, row.reason) == (Outcome.PARTIAL, "input_silent")
        assert item(row, dead).status is Status.MISSING
        assert START_NS + 1400 * MS < item(row, dead).silent_since_ns < START_NS + 1600 * MS
        assert [i.name for i in row.inputs if i.status is not Status.FRESH] == [dead]


def test_an_input_never_heard_is_named_so(scene) -> None:
    rows = scene.run(scene.heard(dead="camera")).rows
    assert {row.reason for row in rows if row.stamp_ns > START_NS + 1000 * MS} == {
        "input_never_heard"
    }


def test_an_input_whose_source_ended_is_named_so(scene) -> None:
    from tectum.pipeline.events import Ended

    events = scene.heard(dead="camera", since_ms=1500)
    ended = [Ended(START_NS + 1550 * MS, "camera")]
    rows = scene.run(together(events, ended)).rows
    assert {r.reason for r in rows if r.stamp_ns > START_NS + 1600 * MS} == {"input_ended"}


def test_a_combination_that_is_not_accepted_is_shed_at_once(scene) -> None:
    scene.set(accept=(((("camera",), 1), (("lidar",), 1)),))
    rows = scene.run(scene.heard(dead="camera", since_ms=1500)).rows
    late = [row for row in rows if row.stamp_ns >= START_NS + 1800 * MS]
    assert {(r.outcome, r.reason) for r in late} == {(Outcome.SHED, "not_accepted")}
    assert {row.emitted_ns - row.accepted_ns for row in late} == {0}


def test_groups_and_counts_accept_any_two_of_three(scene) -> None:
    scene.set(accept=(((("camera", "lidar", "siren"), 2),),))
    rows = scene.run(scene.heard(dead="camera", since_ms=1500)).rows
    assert {row.outcome for row in rows[-10:]} == {Outcome.PARTIAL}


def test_without_a_list_all_required_inputs_are_needed(scene) -> None:
    scene.set(accept=())
    dead_siren = scene.run(scene.heard(dead="siren", since_ms=1500)).rows
    assert {row.outcome for row in dead_siren[-10:]} == {Outcome.PARTIAL}
    dead_camera = scene.run(scene.heard(dead="camera", since_ms=1500)).rows
    assert {row.reason for row in dead_camera[-10:]} == {"not_accepted"}


def test_an_encoder_that_fails_costs_its_modality_alone(scene, item) -> None:
    scene.takes["eye"] = -1 * MS
    rows = [row for row in scene.run().rows if row.stamp_ns >= SETTLED]
    for row in rows:
        assert (row.outcome, row.reason) == (Outcome.PARTIAL, "input_encoder_failed")
        assert item(row, "camera").seq >= 0, "the sample that was picked stays named"
        assert item(row, "lidar").status is Status.FRESH


def test_a_head_that_fails_sheds_the_set(scene) -> None:
    scene.takes["head"] = -1 * MS
    rows = scene.run().rows
    assert {(row.outcome, row.reason) for row in rows} == {(Outcome.SHED, "head_failed")}


def test_a_head_that_takes_too_long_once_is_an_overrun_and_blamed(scene) -> None:
    slow_once = _slow(scene.takes, "head", 12, 150 * MS)
    rows = scene.run(durations=slow_once).rows
    late = [row for row in rows if row.reason == "overrun"]
    assert [row.trigger for row in late] == [12]
    assert late[0].blame == "head"
    assert late[0].emitted_ns == late[0].deadline_ns + 1


def test_an_answer_that_is_late_can_be_delivered_on_request(scene) -> None:
    scene.set(late="deliver")
    rows = scene.run(durations=_slow(scene.takes, "head", 12, 150 * MS)).rows
    assert [row.trigger for row in rows if "late" in row.flags] == [12]
    assert rows[12].outcome is Outcome.COMPLETE
    assert rows[12].emitted_ns > rows[12].deadline_ns


def test_a_late_answer_is_waited_for_one_more_budget_only(scene) -> None:
    scene.set(late="deliver", lanes=3)
    rows = scene.run(durations=_slow(scene.takes, "head", 12, 5000 * MS)).rows
    assert (rows[12].reason, rows[12].emitted_ns) == (
        "overrun",
        rows[12].deadline_ns + 100 * MS + 1,
    )


def test_an_encoder_that_is_late_once_is_left_behind(scene, item) -> None:
    scene.set(lanes=3)
    rows = scene.run(durations=_slow(scene.takes, "eye", 12, 400 * MS)).rows
    (row,) = [row for row in rows if row.reason == "input_encoder_late"]
    assert item(row, "camera").status is Status.MISSING
    assert row.blame == "eye"
    assert row.emitted_ns <= row.deadline_ns


def test_what_cannot_be_computed_in_time_is_not_begun(scene) -> None:
    scene.set(accept=(((("lidar",), 1),),), budget_ns=25 * MS)
    begun = []
    rows = scene.run(orders_to=lambda o: begun.append(o) if isinstance(o, Start) else None).rows
    assert {row.reason for row in rows} == {"no_time"}
    assert "head" not in {start.stage for start in begun}
    assert all(row.blame for row in rows)


def test_a_stamp_that_is_not_after_the_last_is_trigger_disorder(scene, one) -> None:
    # stamps   100  200  150  300
    events = [
        one("lidar", 0, 100, 120),
        one("lidar", 1, 200, 220),
        one("lidar", 2, 150, 221),
        one("lidar", 3, 300, 320),
    ]
    rows = scene.run(together(scene.heard(1)[:4], events)).rows
    assert [(row.stamp_ns - START_NS) // MS for row in rows[-4:]] == [100, 200, 150, 300]
    assert [row.reason == "trigger_disorder" for row in rows[-4:]] == [False, False, True, False]


def test_stopping_the_graph_answers_every_open_trigger(scene) -> None:
    stop = [Stopped(START_NS + 2125 * MS)]
    result = scene.run(together(scene.heard(), stop))
    last = result.rows[-1]
    assert (last.outcome, last.reason) == (Outcome.SHED, "stopped")
    assert last.emitted_ns == START_NS + 2125 * MS
    assert not [e for e in result.rows if e.stamp_ns > last.stamp_ns]


def test_time_for_delivery_is_kept_free(scene) -> None:
    scene.set(budget_ns=45 * MS, margin_ns=3 * MS)
    result = scene.run(delivery_ns=3 * MS)
    answered = [row for row in result.rows if row.outcome is not Outcome.SHED]
    assert len(answered) > 20
    assert all(row.delivered_ns <= row.deadline_ns for row in answered)


def _slow(takes, stage, nth, took_ns):
    """Return durations in which the `nth` run of `stage` takes `took_ns`."""
    usual, seen = fixed_durations(takes), Counter()

    def duration(start: Start) -> int:
        index = seen[start.stage]
        seen[start.stage] += 1
        return took_ns if (start.stage, index) == (stage, nth) else usual(start)

    return duration
