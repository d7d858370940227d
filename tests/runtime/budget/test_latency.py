"""What the latency model predicts from what it has seen."""

from hypothesis import given
from hypothesis import strategies as st

from tectum.budget.latency import Estimate, LatencyModel


def _seen(*durations: int) -> Estimate:
    estimate = Estimate()
    for took in durations:
        estimate.observe(took)
    return estimate


def test_nothing_is_predicted_of_what_was_never_seen() -> None:
    assert Estimate().typical_ns == 0
    assert Estimate().spread_ns == 0


def test_a_rare_hang_moves_neither_the_typical_nor_the_usual() -> None:
    model = _seen(*[10] * 15, 5000, *[10] * 15)
    assert model.typical_ns == 10
    assert model.spread_ns == 0


def test_a_lasting_change_is_believed_within_a_few_runs() -> None:
    model = _seen(*[10] * 32, 30, 30, 30)
    assert model.typical_ns == 30
    model = _seen(*[30] * 32, 10, 10, 10)
    assert model.typical_ns == 10


def test_spread_is_what_nine_of_ten_take_beyond_the_typical() -> None:
    model = _seen(*[10, 11, 12, 13, 14, 15, 11, 12, 13, 14])
    assert model.typical_ns == 12
    assert model.spread_ns == 2


def test_stages_and_variants_are_kept_apart() -> None:
    model = LatencyModel()
    model.observe("eye", "default", 10)
    assert model.of("eye", "default").typical_ns == 10
    assert model.of("eye", "small").typical_ns == 0
    assert model.of("ear", "default").typical_ns == 0


def test_one_quick_run_is_not_how_long_a_stage_takes_in_good_times() -> None:
    model = _seen(52, 33, 56, 60, 52)  # the median of the first two would be 33
    assert model.least_ns == 52
    assert model.slower_ns == 0
    model = _seen(52, *[33] * 5, *[60] * 5)
    assert model.slower_ns == 60 - 33


def test_doubt_keeps_the_shortest_only() -> None:
    model = _seen(50, 8, 60)
    model.doubt(0)
    assert model.typical_ns == 8


def test_a_doubt_in_vain_leaves_what_was_known() -> None:
    model = _seen(*[10] * 5, *[30, 34, 38, 30, 34])
    typical_ns, spread_ns = model.typical_ns, model.spread_ns
    for _ in range(3):
        model.doubt(0)
        assert model.typical_ns == 10
        model.observe(34, 1)
        assert (model.typical_ns, model.spread_ns) == (typical_ns, spread_ns)
    model.doubt(0)
    model.observe(11, 1)
    assert model.typical_ns == 11, "things are well again"


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=200))
def test_predictions_lie_within_what_was_seen_lately(durations: list[int]) -> None:
    model = _seen(*durations)
    lately = durations[-32:]
    assert min(lately) <= model.typical_ns <= max(lately)
    assert model.spread_ns >= 0
