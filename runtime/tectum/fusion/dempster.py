"""Dempster-Shafer: experts that may say "I do not know", and how much they contradict each other.

Mass lies on single labels and on all of them together (ignorance); with these focal elements the
rule of combination is three lines (Dempster 1967, Shafer 1976). Sources that are certain make the
rule certain and wrong where they contradict each other (Zadeh 1979): discount them (Shafer 1976,
chapter 11), and look at the conflict. Pure NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Belief", "combine", "dempster", "discounted"]

Floats = NDArray[np.float64]

LEAST_AGREEMENT = 1e-12
"""Where sources agree on less, they contradict each other in full, and nothing is known."""


@dataclass(frozen=True, slots=True)
class Belief:
    """Masses over `k` labels, along the last axis."""

    labels: Floats
    """(..., k): mass of each label by itself."""
    ignorance: Floats
    """(...): mass of all labels together."""
    conflict: Floats
    """(...): mass that fell on nothing, between 0 and 1; 0 for a single source."""

    def probability(self) -> Floats:
        """Return (..., k): ignorance shared evenly, the pignistic probability (Smets 1990)."""
        share = self.ignorance[..., None] / self.labels.shape[-1]
        return np.asarray(self.labels + share)


def discounted(p: Floats, reliability: float) -> Belief:
    """Return the belief of a source that is right only with `reliability`: the rest is ignorance.

    Args:
        p: (..., k) scores that sum to one.
        reliability: 0 (knows nothing) to 1 (is believed in full).
    """
    nothing = np.zeros(p.shape[:-1])
    return Belief(reliability * p, nothing + (1 - reliability), nothing)


def combine(one: Belief, other: Belief) -> Belief:
    """Return what two independent sources say together, by Dempster's rule."""
    a, b = one.ignorance[..., None], other.ignorance[..., None]
    agreed = one.labels * other.labels + one.labels * b + a * other.labels
    unknown = one.ignorance * other.ignorance
    left = agreed.sum(axis=-1) + unknown
    lost = left < LEAST_AGREEMENT
    scale = 1 / np.where(lost, 1.0, left)
    return Belief(
        np.where(lost[..., None], 0.0, agreed * scale[..., None]),
        np.where(lost, 1.0, unknown * scale),
        1 - (1 - one.conflict) * (1 - other.conflict) * left,
    )


def dempster(p: Floats, reliability: Floats) -> Belief:
    """Return what all of `p`, (n, ..., k), say together; `reliability` is (n,)."""
    belief = discounted(p[0], float(reliability[0]))
    for row, trusted in zip(p[1:], reliability[1:], strict=True):
        belief = combine(belief, discounted(row, float(trusted)))
    return belief
