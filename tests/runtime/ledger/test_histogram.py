"""Durations in buckets: quantiles are near, count and extremes exact, memory bounded."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tectum.errors import ContractError
from tectum.ledger.histogram import Histogram

durations = st.integers(min_value=-(10**13), max_value=10**15)


def filled(values: list[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


@given(st.lists(durations, min_size=1, max_size=60), st.floats(min_value=0, max_value=1))
def test_a_quantile_is_within_one_per_cent_of_the_exact_one(
    values: list[int], share: float
) -> None:
    exact = sorted(values)[max(1, math.ceil(share * len(values))) - 1]
    assert abs(filled(values).quantile_ns(share) - exact) <= max(1_000, abs(exact) // 100)


@given(st.lists(durations, min_size=1, max_size=60))
def test_count_and_extremes_are_exact(values: list[int]) -> None:
    histogram = filled(values)
    assert histogram.count == len(values)
    assert histogram.smallest_ns == min(values)
    assert histogram.largest_ns == histogram.quantile_ns(1.0) == max(values)


@given(st.lists(durations, min_size=2, max_size=60))
def test_quantiles_ascend(values: list[int]) -> None:
    histogram = filled(values)
    quantiles = [histogram.quantile_ns(share / 10) for share in range(11)]
    assert quantiles == sorted(quantiles)


def test_a_long_run_needs_no_more_memory_than_a_short_one() -> None:
    histogram = Histogram()
    for value in range(1, 2_000_000, 7):
        histogram.add(value * 50)
    assert len(histogram._counts) < 1_200


@given(st.lists(durations, max_size=40), st.lists(durations, max_size=40))
def test_two_histograms_taken_together_are_one_of_all_values(
    first: list[int], second: list[int]
) -> None:
    together = filled(first)
    together.take(json.loads(json.dumps(filled(second).document())))
    whole = filled(first + second)
    assert together.document() == whole.document()
    assert together.count == whole.count


def test_an_empty_histogram_has_quantile_zero() -> None:
    assert Histogram().quantile_ns(0.5) == 0


def test_a_share_beyond_one_is_refused_in_words() -> None:
    with pytest.raises(ContractError, match="a share from 0 to 1, not 95"):
        Histogram().quantile_ns(95)
