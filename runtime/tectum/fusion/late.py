"""Late fusion: decisions of several experts in, one decision out. Pure NumPy.

Every rule takes `decisions`, float (n, ...): one row per expert, and `weights`, float (n,), not
negative. `kind` says what a decision is: `probability` (each number by itself: a Bernoulli) or
`scores` (the last axis sums to one: a choice between labels). An expert that is absent is left out
by the caller, or has weight 0: the two are the same. The order of experts does not matter.
Decisions are clipped to [EPSILON, 1 - EPSILON], so that no expert has a veto that cannot be undone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tectum.errors import ContractError
from tectum.fusion.dempster import Belief, dempster

__all__ = ["EPSILON", "KINDS", "RULES", "belief", "conjunction", "evidence", "fuse",
           "product_of_experts", "vote", "weighted_mean"]  # fmt: skip

Floats = NDArray[np.float64]

EPSILON = 1e-6
TIE = 1e-5
"""How much of a vote is the experts' mean, so that a tie goes to those who are surer."""
KINDS = ("probability", "scores")


def fuse(rule: str, decisions: ArrayLike, weights: ArrayLike, kind: str) -> Floats:
    """Return what the experts decide together by `rule`, a name in `RULES`.

    Raises:
        ContractError: no expert has a weight above 0, a weight is negative, or shapes disagree.
    """
    p, w = np.asarray(decisions, np.float64), np.asarray(weights, np.float64)
    if w.shape != p.shape[:1] or np.any(w < 0) or not np.any(w > 0):
        msg = (
            f"late fusion of {len(p)} decisions with the weights {w.tolist()}: give each decision "
            "one weight, none negative and at least one above 0"
        )
        raise ContractError(msg)
    if rule not in RULES or kind not in KINDS:
        msg = f"late fusion: rule {rule!r} is one of {list(RULES)}, kind {kind!r} of {list(KINDS)}"
        raise ContractError(msg)
    return np.clip(RULES[rule](p[w > 0], w[w > 0], kind), 0.0, 1.0)  # rounding may exceed 1


def weighted_mean(p: Floats, w: Floats, kind: str) -> Floats:
    """Return `sum_i w_i p_i / sum_i w_i`: the linear opinion pool (Stone 1961)."""
    del kind
    return np.asarray(np.tensordot(w / w.sum(), p, axes=1))


def product_of_experts(p: Floats, w: Floats, kind: str) -> Floats:
    """Return the normalised `prod_i p_i ^ w_i`: a product of experts (Hinton 2002).

    In log-odds it is a sum, `logit p = sum_i w_i logit p_i`, which for weights of 1 is Bayes' rule
    for independent experts and an even prior. For scores it is the softmax of
    `sum_i w_i log p_i`. Experts that agree make each other surer; one that does not know (an even
    decision) changes nothing.
    """
    p = np.clip(p, EPSILON, 1 - EPSILON)
    if kind == "scores":
        return _softmax(np.tensordot(w, np.log(p), axes=1))
    logit = np.tensordot(w, np.log(p) - np.log1p(-p), axes=1)
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logit)))


def vote(p: Floats, w: Floats, kind: str) -> Floats:
    """Return each choice's share of the weight: plurality voting.

    A probability above one half is a vote for, below it a vote against, one half is half a vote.
    With scores each expert votes for its highest; several that are equally high share its vote.
    A tie goes to the experts who are surer: `TIE` of each vote is the expert's own decision.
    """
    if kind == "scores":
        top = (p == p.max(axis=-1, keepdims=True)).astype(np.float64)
        ballots = top / top.sum(axis=-1, keepdims=True)
    else:
        ballots = np.heaviside(p - 0.5, 0.5)
    return np.asarray(np.tensordot(w / w.sum(), (1 - TIE) * ballots + TIE * p, axes=1))


def conjunction(p: Floats, w: Floats, kind: str) -> Floats:
    """Return `prod_i p_i ^ w_i`, not normalised: that all of it holds, if independent.

    For experts of *different* facts that must hold together (there is a face, and there is a
    voice), where the product of experts is for different views of *one* fact.
    """
    p = np.clip(p, EPSILON, 1.0)
    product = np.exp(np.tensordot(w, np.log(p), axes=1))
    if kind == "scores":
        product = product / product.sum(axis=-1, keepdims=True)
    return np.asarray(product)


def belief(p: Floats, w: Floats, kind: str) -> Belief:
    """Return what the experts say together by Dempster's rule; weights are reliabilities.

    A weight above 1 counts as 1. A probability is scores of two labels: that it is so, that not.
    """
    p = np.clip(p, EPSILON, 1 - EPSILON)
    return dempster(p if kind == "scores" else np.stack([p, 1 - p], axis=-1), np.minimum(w, 1))


def evidence(p: Floats, w: Floats, kind: str) -> Floats:
    """Return the pignistic probability of `belief`."""
    together = belief(p, w, kind).probability()
    return together if kind == "scores" else together[..., 0]


def _softmax(logs: Floats) -> Floats:
    raised = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


RULES: Mapping[str, Callable[[Floats, Floats, str], Floats]] = {
    "mean": weighted_mean,
    "product": product_of_experts,
    "vote": vote,
    "all": conjunction,
    "dempster": evidence,
}
