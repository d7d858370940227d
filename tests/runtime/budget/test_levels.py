"""In which variant a stage runs: down at once, up one step at a time, and not back and forth."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tectum.budget.latency import Estimate
from tectum.budget.levels import Levels

BUDGET = 100


def _costs(*takes: int) -> tuple[Estimate, ...]:
    costs = tuple(Estimate() for _ in takes)
    for estimate, took in zip(costs, takes, strict=True):
        estimate.observe(took)
    return costs


def test_a_stage_that_does_not_fit_is_degraded_at_once_and_for_all_sets_to_come() -> None:
    levels = Levels()
    assert levels.chosen("eye", _costs(60, 30, 10), 2, 5, BUDGET)
    assert levels.of("eye") == 2
    assert levels.of("ear") == 0


def test_it_goes_back_a_step_once_a_quarter_of_the_budget_would_stay_free() -> None:
    levels, costs = Levels(), _costs(60, 30, 10)
    levels.chosen("eye", costs, 2, 5, BUDGET)
    assert not levels.chosen("eye", costs, 2, 45, BUDGET)
    assert levels.chosen("eye", costs, 2, 46, BUDGET)
    assert levels.of("eye") == 1


@given(st.lists(st.integers(0, 120), min_size=2, max_size=60), st.integers(1, 60))
def test_each_switch_back_and_forth_takes_a_swing_of_a_quarter_of_the_budget(
    slacks: list[int], more: int
) -> None:
    # slack: what a set would be left in the cheaper variant; the better one takes `more` of it.
    levels, costs = Levels(), _costs(10 + more, 10)
    used = []
    for slack in slacks:
        variant = 0 if levels.of("eye") == 0 and slack >= more else 1
        levels.chosen("eye", costs, variant, slack if variant else slack - more, BUDGET)
        used.append(levels.of("eye"))
    switches = sum(one != other for one, other in pairwise([0, *used]))
    swing = sum(abs(one - other) for one, other in pairwise(slacks))
    assert switches <= 1 + swing * 4 // BUDGET
