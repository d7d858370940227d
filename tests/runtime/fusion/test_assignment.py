from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tectum.fusion.assignment import assign


def test_the_cheapest_whole_is_found_where_the_greedy_is_dearer() -> None:
    assert assign(np.array([[1.0, 2.0], [1.5, 9.0]]), 20) == [(0, 1), (1, 0)]


def test_no_pair_is_dearer_than_the_limit() -> None:
    assert assign(np.array([[1.0, 2.0], [1.5, 9.0]]), 1.8) == [(0, 0)]
    assert assign(np.array([[np.inf]]), 5) == []


def test_nobody_and_nothing_make_no_pairs() -> None:
    assert assign(np.zeros((0, 3)), 1) == []
    assert assign(np.zeros((3, 0)), 1) == []


@given(
    rows=st.integers(1, 5), columns=st.integers(1, 5), seed=st.integers(0, 10**6),
    limit=st.sampled_from([3.0, 6.0, 20.0]),
)  # fmt: skip
def test_against_all_permutations(rows: int, columns: int, seed: int, limit: float) -> None:
    rng = np.random.default_rng(seed)
    cost = rng.random((rows, columns)) * 10
    cost[rng.random(cost.shape) < 0.2] = np.inf
    pairs = assign(cost, limit)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    spent = sum(cost[pair] for pair in pairs) + limit * (min(cost.shape) - len(pairs))
    bounded = np.minimum(cost if rows <= columns else cost.T, limit)
    least = min(
        sum(bounded[row, column] for row, column in enumerate(order))
        for order in itertools.permutations(range(max(rows, columns)), min(rows, columns))
    )
    assert spent == pytest.approx(least)
