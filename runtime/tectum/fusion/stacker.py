"""A learned stacker: how far to trust whom about what, from labelled decisions. Pure NumPy.

Stacked generalisation (Wolpert 1992): a logistic regression whose inputs are the logarithms of the
experts' scores, `softmax(b + sum_i W_i log p_i)`. The product of experts is the case `W_i = 1`,
`b = 0`, where learning begins; an absent expert adds nothing. It learns from every decision twice,
with all the others and by itself, so that it is right about those who are left when some are gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tectum.errors import ConfigError

__all__ = ["Stacker", "fit_stacker", "stacker_from"]

Floats = NDArray[np.float64]

EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Stacker:
    """What was learned."""

    weights: Mapping[str, Floats]
    """Expert -> (k, k)."""
    bias: Floats
    """(k,)."""

    def fuse(self, decisions: Mapping[str, ArrayLike]) -> Floats:
        """Return (..., k) scores from the decisions, (..., k), of the experts that are there."""
        terms = [_logs(p) @ self.weights[name] for name, p in decisions.items()]
        logits = self.bias + sum(terms)
        raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=-1, keepdims=True))

    def document(self) -> dict[str, Any]:
        """Return it as plain data, for a JSON file."""
        weights = {name: matrix.tolist() for name, matrix in self.weights.items()}
        return {"weights": weights, "bias": self.bias.tolist()}


def stacker_from(document: Any, place: str) -> Stacker:
    """Return the stacker that `Stacker.document` gave.

    Raises:
        ConfigError: it is not such a document, or its sizes disagree.
    """
    try:
        bias = np.array(document["bias"], np.float64)
        weights = {str(k): np.array(v, np.float64) for k, v in document["weights"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        msg = f"{place}: not a stacker: {{weights: {{input: k x k}}, bias: k}} is wanted ({error})"
        raise ConfigError(msg) from error
    for name, matrix in weights.items():
        if bias.ndim != 1 or matrix.shape != (len(bias), len(bias)):
            msg = f"{place}: weights.{name} is {matrix.shape}, and the bias {bias.shape}: k x k, k"
            raise ConfigError(msg)
    return Stacker(weights, bias)


def fit_stacker(
    decisions: Mapping[str, ArrayLike], truth: ArrayLike, *, pull: float = 1e-3, steps: int = 300
) -> Stacker:
    """Return the stacker that fits labelled decisions best, pulled towards the product of experts.

    Args:
        decisions: expert -> (n, k) scores, on data that the experts were not trained on.
        truth: (n,) indices of the true labels.
        pull: strength of the pull, a ridge around the product of experts.
        steps: of gradient descent with momentum (Nesterov 1983).
    """
    rows = np.asarray(truth, np.int64)
    features = {name: _logs(p) for name, p in decisions.items()}
    size = next(iter(features.values())).shape[1]
    together = np.concatenate(list(features.values()), axis=1)
    whose = np.repeat(np.arange(len(features)), size)
    alone = [np.where(whose == k, together, 0.0) for k in range(len(features))]
    x = np.concatenate([together, *alone] if len(alone) > 1 else [together])
    x, rows = np.insert(x, x.shape[1], 1.0, axis=1), np.tile(rows, len(x) // len(rows))
    start = np.concatenate([np.tile(np.eye(size), (len(features), 1)), np.zeros((1, size))])
    rate = 1 / (0.5 * np.linalg.eigvalsh(x.T @ x / len(x))[-1] + pull)
    target = np.eye(size)[rows]
    now, ahead = start, start
    for step in range(steps):
        slope = x.T @ (_softmax(x @ ahead) - target) / len(x) + pull * (ahead - start)
        after = ahead - rate * slope
        ahead, now = after + step / (step + 3) * (after - now), after
    parts = np.split(now[:-1], len(features))
    return Stacker(dict(zip(features, parts, strict=True)), now[-1])


def _logs(p: ArrayLike) -> Floats:
    return np.log(np.clip(np.asarray(p, np.float64), EPSILON, 1.0))


def _softmax(logits: Floats) -> Floats:
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))
