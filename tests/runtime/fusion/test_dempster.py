from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tectum.fusion.dempster import combine, dempster, discounted


def _says(*scores: float, reliability: float = 1.0):
    return discounted(np.array(scores), reliability)


def test_zadehs_case_is_certain_of_what_both_hold_for_nearly_impossible() -> None:
    # Zadeh 1979: a 0.99 and b 0.01, against b 0.01 and c 0.99.
    both = combine(_says(0.99, 0.01, 0.0), _says(0.0, 0.01, 0.99))
    assert both.labels == pytest.approx([0, 1, 0])
    assert both.conflict == pytest.approx(0.9999)
    assert both.ignorance == pytest.approx(0)


def test_zadehs_case_with_a_tenth_of_doubt_is_undecided_between_the_likely() -> None:
    both = combine(_says(0.99, 0.01, 0, reliability=0.9), _says(0, 0.01, 0.99, reliability=0.9))
    # by hand: a and c 0.0891 each, b 0.001881, ignorance 0.01; together 0.190081
    assert both.labels == pytest.approx([0.0891 / 0.190081, 0.001881 / 0.190081, 0.0891 / 0.190081])
    assert both.ignorance == pytest.approx(0.01 / 0.190081)
    assert both.conflict == pytest.approx(1 - 0.190081)
    assert both.probability().sum() == pytest.approx(1)


def test_a_source_without_reliability_changes_nothing() -> None:
    alone, silent = _says(0.7, 0.3, reliability=0.8), _says(0.1, 0.9, reliability=0.0)
    both = combine(alone, silent)
    assert both.labels == pytest.approx(alone.labels)
    assert both.conflict == pytest.approx(0)


def test_full_contradiction_leaves_nothing_known() -> None:
    both = combine(_says(1, 0), _says(0, 1))
    assert both.conflict == pytest.approx(1)
    assert both.probability() == pytest.approx([0.5, 0.5])


def test_conflicts_of_several_sources_add_up_to_what_fell_on_nothing() -> None:
    # Unnormalised, three sources agree on 0.6^3 + 0.4^3 of the mass.
    p = np.array([[0.6, 0.4]] * 3)
    assert dempster(p, np.ones(3)).conflict == pytest.approx(1 - 0.6**3 - 0.4**3)


def test_grids_are_combined_cell_by_cell() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(2), (3, 4, 5))
    whole = dempster(p, np.full(3, 0.9))
    cell = dempster(p[:, 2, 3], np.full(3, 0.9))
    assert whole.labels[2, 3] == pytest.approx(cell.labels)
    assert whole.conflict[2, 3] == pytest.approx(cell.conflict)


@settings(max_examples=50)
@given(seed=st.integers(0, 10**6), count=st.integers(2, 4))
def test_against_all_combinations_of_focal_elements(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    p, trust = rng.dirichlet(np.ones(3), count), rng.uniform(0, 1, count)
    masses = [{frozenset({0, 1, 2}): 1 - t, **{frozenset({k}): t * row[k] for k in range(3)}}
              for row, t in zip(p, trust, strict=True)]  # fmt: skip
    total = {frozenset({0, 1, 2}): 1.0}
    for mass in masses:
        met: dict[frozenset[int], float] = {}
        for a, x in total.items():
            for b, y in mass.items():
                met[a & b] = met.get(a & b, 0) + x * y
        total = met
    lost = total.pop(frozenset(), 0.0)
    found = dempster(p, trust)
    assert found.conflict == pytest.approx(lost, abs=1e-9)
    expected = [total.get(frozenset({k}), 0) / (1 - lost) for k in range(3)]
    assert found.labels == pytest.approx(expected, abs=1e-9)
