"""Several inputs that trigger: whichever is new. One column is 10 ms."""

from itertools import pairwise

import pytest

from tectum.clock import NS_PER_MS as MS
from tectum.ledger.row import Outcome
from tectum.pipeline.plan import AlignPlan, plan_document, plan_from
from tectum.testing.arrivals import START_NS, together


@pytest.fixture
def both(scene):
    """Camera and lidar both ask; each is aligned with the other by nearness."""
    scene.input("lidar", align=AlignPlan("nearest", 60 * MS, 60 * MS))
    return scene.set(also_trigger=("camera",))


def _stamps_ms(rows):
    return [round((row.stamp_ns - START_NS) / MS) for row in rows]


def test_every_message_of_either_input_that_is_new_asks_for_a_result(both, one) -> None:
    # camera   0    33   66   99
    # lidar      10        70       arrives at 20 and 80
    events = [one("camera", k, 33 * k, 33 * k + 1) for k in range(4)]
    events += [one("lidar", 0, 10, 20), one("lidar", 1, 70, 80)]
    events.sort(key=lambda event: event.now_ns)
    rows = both.run(together(both.heard(1)[:4], events)).rows
    assert _stamps_ms(rows) == [0, 10, 33, 66, 70, 99]


def test_one_that_is_older_than_what_the_other_brought_is_covered_not_disorder(both, one) -> None:
    # The lidar's capture at 10 arrives at 40, after the camera's at 33 was answered.
    events = [one("camera", 0, 0, 1), one("camera", 1, 33, 34), one("lidar", 0, 10, 40)]
    result = both.run(together(both.heard(1)[:4], events))
    assert _stamps_ms(result.rows) == [0, 33]
    assert result.counters["lidar"]["covered"] == 1


def test_an_inputs_own_disorder_is_still_disorder(both, one) -> None:
    events = [one("camera", 0, 50, 51), one("camera", 1, 40, 52)]
    rows = both.run(together(both.heard(1)[:4], events)).rows
    assert rows[1].reason == "trigger_disorder"


def test_while_one_is_dead_the_other_asks_and_nothing_stands_in(both) -> None:
    rows = both.run(both.heard(dead="camera", since_ms=1000)).rows
    late = [row for row in rows if row.stamp_ns > START_NS + 1300 * MS]
    assert not [row for row in late if row.flags]
    assert {round((b.stamp_ns - a.stamp_ns) / MS / 10) for a, b in pairwise(late)} == {10}


def test_while_all_are_dead_stand_ins_come_at_the_pace_of_the_first(both) -> None:
    events = [
        event
        for event in both.heard()
        if not getattr(event, "sample", None)
        or event.sample.ref.input == "siren"
        or event.sample.stamp_ns < START_NS + 1000 * MS
    ]
    both.set(accept=(((("siren",), 1),),))
    rows = both.run(events).rows
    late = [row for row in rows if row.stamp_ns > START_NS + 1300 * MS]
    assert {row.flags for row in late} == {("substituted",)}
    assert {row.outcome for row in late[:-2]} == {Outcome.PARTIAL}
    assert {round((b.stamp_ns - a.stamp_ns) / MS / 10) for a, b in pairwise(late)} == {10}


def test_a_plan_with_several_triggers_survives_being_written_down(both) -> None:
    import json

    assert plan_from(json.loads(json.dumps(plan_document(both.plan)))) == both.plan
