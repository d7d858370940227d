from __future__ import annotations

import json

import numpy as np
import pytest

from tectum.errors import ConfigError
from tectum.fusion.late import fuse
from tectum.fusion.stacker import Stacker, fit_stacker, stacker_from


def _experts(count: int, noise: dict[str, float], seed: int = 1) -> tuple[dict, np.ndarray]:
    """Scores of experts of different quality about the same labels."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 5, count)
    given = {}
    for name, sigma in noise.items():
        logits = 3 * np.eye(5)[truth] + rng.normal(0, sigma, (count, 5))
        given[name] = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return given, truth


def test_what_was_not_learned_is_the_product_of_experts() -> None:
    given, _ = _experts(20, {"a": 1, "b": 1})
    eye = Stacker({"a": np.eye(5), "b": np.eye(5)}, np.zeros(5))
    product = fuse("product", np.stack(list(given.values())), [1, 1], "scores")
    assert eye.fuse(given) == pytest.approx(product)


def test_learning_trusts_the_better_expert_and_beats_the_product() -> None:
    noise = {"good": 1.0, "bad": 4.0}  # the bad one is as sure of itself as the good one
    learned = fit_stacker(*_experts(2000, noise))
    given, truth = _experts(2000, noise, seed=2)
    product = fuse("product", np.stack(list(given.values())), [1, 1], "scores")
    assert np.trace(learned.weights["good"]) > 3 * np.trace(learned.weights["bad"])
    right = (learned.fuse(given).argmax(1) == truth).mean()
    assert right > (product.argmax(1) == truth).mean() + 0.05


def test_an_absent_expert_adds_nothing() -> None:
    given, _ = _experts(10, {"a": 1, "b": 1})
    stacker = Stacker({"a": np.eye(5), "b": np.eye(5)}, np.zeros(5))
    assert stacker.fuse({"a": given["a"]}) == pytest.approx(given["a"])


@pytest.mark.parametrize("left", ["sharp", "blunt"])
def test_who_is_left_alone_is_understood_as_well_as_by_one_who_knows_nobody_else(left) -> None:
    """Each expert confuses its labels in its own way, which only learning can undo."""
    given, truth = _experts(3000, {"sharp": 1.0, "blunt": 2.0})
    confused = {name: np.roll(p, turn, axis=1) for turn, (name, p) in enumerate(given.items())}
    half = slice(0, 1500), slice(1500, None)
    learned = fit_stacker({k: p[half[0]] for k, p in confused.items()}, truth[half[0]])
    single = fit_stacker({left: confused[left][half[0]]}, truth[half[0]])
    rest = {left: confused[left][half[1]]}
    right = [(one.fuse(rest).argmax(1) == truth[half[1]]).mean() for one in (learned, single)]
    assert right[0] > right[1] - 0.02


def test_it_survives_being_written_and_read() -> None:
    stacker = fit_stacker(*_experts(200, {"a": 1, "b": 2}), steps=20)
    again = stacker_from(json.loads(json.dumps(stacker.document())), "file")
    given, _ = _experts(10, {"a": 1, "b": 1})
    assert again.fuse(given) == pytest.approx(stacker.fuse(given))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "f.json: not a stacker"),
        ({"bias": [0, 0]}, "f.json: not a stacker"),
        ({"bias": [0, 0], "weights": {"a": [[1]]}}, r"weights.a is \(1, 1\), and the bias \(2,\)"),
    ],
)
def test_what_is_no_stacker_is_refused(document: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        stacker_from(document, "f.json")
