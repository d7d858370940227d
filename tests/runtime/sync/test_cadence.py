"""The learned rhythm of an input."""

import random

from hypothesis import given
from hypothesis import strategies as st

from tectum.clock import NS_PER_MS
from tectum.sync.cadence import UNKNOWN, learn_cadence
from tectum.testing.arrivals import drawn


def _learn(line: str) -> tuple[int, int]:
    stamps = drawn(line)
    cadence = learn_cadence(stamps, stamps, stamps)
    return cadence.period_ns // NS_PER_MS, cadence.shortest_ns // NS_PER_MS


def test_two_samples_teach_nothing() -> None:
    assert learn_cadence([1, 2], [1, 2], [1, 2]) == UNKNOWN


def test_a_steady_rhythm_is_learned_exactly() -> None:
    assert _learn("x....x....x....x....x") == (5, 5)


def test_dropped_messages_change_neither_period_nor_bound() -> None:
    assert _learn("x....x....x.........x....x....x") == (5, 5)


def test_a_short_interval_lowers_the_bound_by_a_quarter_more() -> None:
    #       9         9         5    9
    assert _learn("x........x........x....x........x") == (8, 4)


def test_jitter_is_how_late_nine_of_ten_arrivals_are_at_the_most() -> None:
    stamps = [index * 100 for index in range(11)]
    late = [0, 5, 5, 5, 5, 5, 5, 5, 5, 30, 30]
    arrivals = [stamp + 20 + more for stamp, more in zip(stamps, late, strict=True)]
    cadence = learn_cadence(stamps, arrivals, stamps)
    assert cadence.jitter_ns == 25
    assert cadence.transit_ns == 25


def test_the_transit_counts_from_the_end_of_the_capture() -> None:
    stamps = [0, 100, 200, 300]
    cadence = learn_cadence(stamps, [s + 70 for s in stamps], [s + 50 for s in stamps])
    assert cadence.transit_ns == 20


@given(st.lists(st.integers(1, 1000), min_size=3, max_size=64))
def test_no_interval_that_was_seen_is_below_the_bound(intervals: list[int]) -> None:
    stamps = [0]
    for interval in intervals:
        stamps.append(stamps[-1] + interval)
    cadence = learn_cadence(stamps, stamps, stamps)
    assert 0 <= cadence.shortest_ns <= min(intervals) <= cadence.period_ns


def test_the_period_is_that_of_the_source_whatever_was_lost_and_however_stamps_jitter() -> None:
    rng = random.Random(3)
    for _ in range(50):
        kept = [k for k in range(70) if k in (0, 69) or rng.random() > 0.1][:64]
        stamps = [k * 100 * NS_PER_MS + rng.randint(-5, 5) * NS_PER_MS for k in kept]
        learned = learn_cadence(stamps, stamps, stamps)
        assert abs(learned.period_ns - 100 * NS_PER_MS) <= NS_PER_MS // 4
