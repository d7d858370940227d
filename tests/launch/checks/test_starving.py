"""A slow encoder that keeps others from their lane is told, with the lanes that would do."""

from __future__ import annotations

SLOW = "perception: {encode_camera: 75ms, encode_thermal: 20ms, head: 4ms}"


def test_a_slow_encoder_that_starves_another_on_the_same_lane_is_named(found) -> None:
    assert found(costs=SLOW) == [
        "nodes.perception.lanes: encode_camera takes 75.0 ms of the one lane and starves "
        "encode_thermal: a complete set takes 101.0 ms, past the budget of 100.0 ms; lanes: 2 on "
        "as many cores would do, or budget: 101ms"
    ]
    assert found(("lanes: 1", "lanes: 2"), costs=SLOW) == []
    assert found(("budget: 100ms", "budget: 101ms"), costs=SLOW) == []


def test_where_no_number_of_lanes_would_do_the_budget_is_named_instead(found) -> None:
    (_, text) = found(costs="perception: {encode_camera: 97ms, encode_thermal: 20ms, head: 4ms}")
    assert text.startswith("nodes.perception.lanes: the models keep 1.2 lanes busy")


def test_an_encoder_that_runs_on_each_sample_may_hold_the_lane_when_a_set_needs_it(found) -> None:
    each = ("align: exact, encoder: {run: large_nodes:Once}",
            "align: {latest: {max_age: 1s}}, encoder: {run: large_nodes:Each}")  # fmt: skip
    (text,) = found(each, costs="perception: {encode_camera: 15ms, encode_thermal: 84ms}")
    assert text.startswith("nodes.perception.lanes: encode_thermal can hold every lane for 84.0 ms")
    assert text.endswith("lanes: 2 would do, or budget: 101ms")
