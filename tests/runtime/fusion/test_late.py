from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tectum.errors import ContractError
from tectum.fusion.late import KINDS, RULES, fuse

probabilities = st.floats(0.0, 1.0)
weights = st.floats(0.1, 5.0)


@st.composite
def panels(draw: st.DrawFn, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Decisions of 2 to 5 experts about 4 things, and the experts' weights."""
    experts = draw(st.integers(2, 5))
    decisions = draw(arrays(np.float64, (experts, 4), elements=st.floats(0.001, 0.999)))
    if kind == "scores":
        decisions = decisions / decisions.sum(axis=1, keepdims=True)
    return decisions, draw(arrays(np.float64, experts, elements=weights))


def test_mean_by_hand() -> None:
    assert fuse("mean", [[0.2], [0.8]], [1, 3], "probability") == pytest.approx([0.65])


def test_product_of_experts_by_hand() -> None:
    # odds 4 and 3 make odds 12
    assert fuse("product", [[0.8], [0.75]], [1, 1], "probability") == pytest.approx([12 / 13])


def test_product_of_experts_by_hand_with_weights() -> None:
    # odds 4, squared, and odds 1/3 make odds 16/3
    assert fuse("product", [[0.8], [0.25]], [2, 1], "probability") == pytest.approx([16 / 19])


def test_product_of_experts_of_scores_by_hand() -> None:
    fused = fuse("product", [[0.5, 0.3, 0.2], [0.2, 0.6, 0.2]], [1, 1], "scores")
    assert fused == pytest.approx([0.10 / 0.32, 0.18 / 0.32, 0.04 / 0.32])


def test_vote_by_hand() -> None:
    assert fuse("vote", [[0.9], [0.6], [0.1]], [1, 1, 2], "probability") == pytest.approx(
        [0.5], abs=1e-5
    )
    scores = [[0.6, 0.4, 0.0], [0.1, 0.2, 0.7], [0.5, 0.5, 0.0]]
    assert fuse("vote", scores, [1, 1, 1], "scores") == pytest.approx([0.5, 1 / 6, 1 / 3], abs=1e-5)


def test_all_by_hand() -> None:
    assert fuse("all", [[0.9], [0.5]], [1, 1], "probability") == pytest.approx([0.45])


def test_agreeing_experts_are_surer_together_only_in_the_product() -> None:
    agreeing = [[0.8], [0.8]]
    assert fuse("product", agreeing, [1, 1], "probability")[0] > 0.9
    assert fuse("mean", agreeing, [1, 1], "probability")[0] == pytest.approx(0.8)
    assert fuse("all", agreeing, [1, 1], "probability")[0] < 0.8


def test_an_expert_that_does_not_know_changes_no_product() -> None:
    fused = fuse("product", [[0.83, 0.2], [0.5, 0.5]], [1, 1], "probability")
    assert fused == pytest.approx([0.83, 0.2])


@pytest.mark.parametrize("kind", KINDS)
def test_certain_experts_that_contradict_each_other_give_numbers(kind: str) -> None:
    for rule in RULES:
        fused = fuse(rule, [[1.0, 0.0], [0.0, 1.0]], [1, 1], kind)
        assert np.all(np.isfinite(fused))
        assert fused[0] == pytest.approx(fused[1])


def test_many_sure_experts_do_not_underflow() -> None:
    decisions = np.full((2000, 3), 0.001)
    decisions[:, 1] = 0.998
    assert fuse("product", decisions, np.ones(2000), "scores") == pytest.approx([0, 1, 0])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(data=st.data())
def test_the_order_of_experts_does_not_matter(rule: str, kind: str, data: st.DataObject) -> None:
    decisions, given_weights = data.draw(panels(kind))
    order = data.draw(st.permutations(range(len(decisions))))
    fused = fuse(rule, decisions, given_weights, kind)
    again = fuse(rule, decisions[order], given_weights[order], kind)
    assert np.allclose(fused, again, atol=1e-9)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(data=st.data())
def test_an_expert_of_weight_0_is_an_absent_one(rule: str, kind: str, data: st.DataObject) -> None:
    decisions, given_weights = data.draw(panels(kind))
    masked = given_weights.copy()
    masked[0] = 0
    fused = fuse(rule, decisions, masked, kind)
    assert np.array_equal(fused, fuse(rule, decisions[1:], given_weights[1:], kind))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(data=st.data())
def test_a_decision_stays_a_decision(rule: str, kind: str, data: st.DataObject) -> None:
    decisions, given_weights = data.draw(panels(kind))
    fused = fuse(rule, decisions, given_weights, kind)
    assert fused.shape == decisions.shape[1:]
    assert np.all((fused >= 0) & (fused <= 1))
    if kind == "scores":
        assert fused.sum() == pytest.approx(1)


@given(decisions=arrays(np.float64, (3, 4), elements=probabilities))
def test_the_mean_lies_between_the_lowest_and_the_highest(decisions: np.ndarray) -> None:
    fused = fuse("mean", decisions, [1, 2, 3], "probability")
    assert np.all(fused >= decisions.min(axis=0) - 1e-12)
    assert np.all(fused <= decisions.max(axis=0) + 1e-12)


@given(decisions=arrays(np.float64, (3, 2), elements=st.floats(0.01, 0.99)))
def test_products_of_a_thing_and_its_opposite_sum_to_one(decisions: np.ndarray) -> None:
    for_it = fuse("product", decisions, [1, 2, 1], "probability")
    against = fuse("product", 1 - decisions, [1, 2, 1], "probability")
    assert np.allclose(for_it + against, 1)


@pytest.mark.parametrize("bad", [[0, 0], [1, -1], [1]])
def test_weights_that_make_no_sense_are_refused(bad: list[float]) -> None:
    with pytest.raises(ContractError, match="one weight, none negative and at least one above 0"):
        fuse("mean", [[0.1], [0.2]], bad, "probability")


def test_an_unknown_rule_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ContractError, match=r"'median' is one of \['mean', 'product'"):
        fuse("median", [[0.1]], [1], "probability")
