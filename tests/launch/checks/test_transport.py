"""What arrives too late to be computed with is told before the start."""

from __future__ import annotations

from tectum_launch.checks.measuring import measured_way

NEAREST = ("align: exact", "align: {nearest: {tolerance: 50ms}}")
COSTS = "perception: {encode_camera: 30ms, encode_thermal: 20ms, head: 5ms"


def test_samples_that_arrive_in_time_are_no_finding(found) -> None:
    assert found(costs=f"{COSTS}, transport: {{camera: 3ms, thermal: 40ms}}}}") == []


def test_a_way_that_leaves_no_time_to_compute_is_told_with_the_budget_that_would_do(found) -> None:
    (text,) = found(costs=f"{COSTS}, transport: {{camera: 3ms, thermal: 80ms}}}}")
    assert text == (
        "nodes.perception.budget: thermal/image takes 80.0 ms to arrive: a complete set is "
        "answered 107.0 ms after the trigger, past the budget of 100.0 ms; budget: 107ms would do"
    )
    budget = ("budget: 100ms", "budget: 107ms")
    assert found(budget, costs=f"{COSTS}, transport: {{camera: 3ms, thermal: 80ms}}}}") == []


def test_a_sample_that_may_be_captured_after_the_trigger_comes_later_by_that(found) -> None:
    (text,) = found(NEAREST, costs=f"{COSTS}, transport: {{camera: 3ms, thermal: 30ms}}}}")
    assert "thermal/image may be captured 50.0 ms after the trigger and takes 30.0 ms to" in text
    wide = ("align: exact", "align: {nearest: {tolerance: 100ms}}")
    assert found(wide, costs=f"{COSTS}, transport: {{camera: 3ms, thermal: 30ms}}}}") == []


def test_encoding_begins_while_a_set_waits_unless_that_is_turned_off(found) -> None:
    costs = "perception: {encode_camera: 45ms, encode_thermal: 20ms, transport: {thermal: 48ms}}"
    assert found(costs=costs) == []
    (text,) = found(("trigger:", "eager: off\n    trigger:"), costs=costs)
    assert "a complete set is answered 115.0 ms after the trigger" in text


def test_latest_is_content_with_what_is_there_but_must_reach_so_far(found) -> None:
    latest = ("align: exact", "align: {latest: {max_age: 150ms}}")
    costs = f"{COSTS}, transport: {{camera: 3ms, thermal: 80ms}}}}"
    assert found(latest, costs=costs) == [
        "nodes.perception.inputs.thermal.align.latest.max_age: thermal/image comes every 100.0 "
        "ms, 77.0 ms later than the trigger, but may be no older than 150.0 ms: some triggers "
        "will find no sample; max_age: 177ms would do"
    ]


def test_a_window_whose_end_arrives_too_late_is_told_with_its_lead(found) -> None:
    window = ("align: exact", "align: {window: {duration: 1s, lead: 40ms}}")
    assert found(window, costs=f"{COSTS}, transport: {{thermal: 30ms}}}}") == []
    (text,) = found(window, costs=f"{COSTS}, transport: {{thermal: 50ms}}}}")
    assert text.startswith("nodes.perception.inputs.thermal.align.window.lead: the window ends")
    assert text.endswith("lead: 23ms would do")


def test_a_way_is_measured_with_a_real_message_of_its_size() -> None:
    for nbytes in (64, 1_000_000):
        way = measured_way(nbytes, repeats=5)
        assert len(way.runs_ns) == 5
        assert 0 < way.runs_ns[0] <= way.quantile_ns(0.99)
