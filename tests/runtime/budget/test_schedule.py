"""Fitting durations onto lanes, forwards and backwards."""

from hypothesis import given
from hypothesis import strategies as st

from tectum.budget.schedule import latest_begins, place

durations = st.lists(st.integers(0, 100), max_size=8)


def test_one_lane_runs_one_thing_after_the_other() -> None:
    free_at = [5]
    assert place(free_at, 10, [3, 4]) == 17
    assert free_at == [17]


def test_the_lane_that_gets_free_first_is_taken() -> None:
    free_at = [20, 5]
    assert place(free_at, 10, [3]) == 13
    assert free_at == [20, 13]


def test_nothing_to_do_is_done_at_once() -> None:
    free_at = [50]
    assert place(free_at, 10, []) == 10
    assert free_at == [50]


def test_backwards_the_shortest_runs_last() -> None:
    assert latest_begins(100, [8, 3], lanes=1) == [89, 97]


def test_backwards_each_lane_is_filled_from_its_end() -> None:
    assert latest_begins(100, [8, 3], lanes=2) == [92, 97]


@given(durations, st.integers(1, 4))
def test_what_begins_at_its_latest_ends_in_time(costs: list[int], lanes: int) -> None:
    begins = latest_begins(1000, costs, lanes)
    busy = sorted(zip(begins, costs, strict=True))
    assert all(begin + cost <= 1000 for begin, cost in busy)
    for instant in {begin for begin, _ in busy}:
        assert sum(begin <= instant < begin + cost for begin, cost in busy) <= lanes


@given(durations, st.integers(1, 4))
def test_a_list_schedule_is_within_grahams_bound(costs: list[int], lanes: int) -> None:
    free_at = [0] * lanes
    end = place(free_at, 0, costs)
    optimum = max([*costs, -(-sum(costs) // lanes), 0])
    assert optimum <= end <= optimum * (2 - 1 / lanes) + 1e-9
    assert sum(free_at) >= sum(costs)
