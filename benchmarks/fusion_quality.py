"""Fusion quality: every kind of fusion on audio-visual digits, beside the single senses.

    TECTUM_DATA=DIR python benchmarks/fusion_quality.py [--quick] [--seeds 2] [--export DIR]

Spoken digits (spoken_digits) and written ones (mnist), paired by label, with noise: clean and three
levels. Sound and picture are independent given the label, so the product of calibrated experts is
near the best that is possible here; learned heads are measured against it. It needs the extra
`export` (PyTorch). `--quick` trains briefly, leaves the early model out, and sets no bars on
quality: it shows that all of it runs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

try:
    import torch
except ModuleNotFoundError:
    sys.exit("fusion_quality.py trains models with PyTorch: pip install 'tectum[export]'")

sys.path.insert(0, str(Path(__file__).parents[1] / "models" / "recipes"))

from bench import Bench, options
from digits import (
    FULL,
    QUICK,
    SENSES,
    Bank,
    Effort,
    generator,
    train_early,
    train_encoder,
    train_head,
)  # fmt: skip
from digits_data import LEVELS, SAMPLES, SIDE, Split, levels_of, load, noisy_pictures, noisy_sounds
from digits_nets import Early, Encoder, Head

from tectum.fusion.calibration import fit_temperature, tempered
from tectum.fusion.late import fuse
from tectum.fusion.stacker import Stacker, fit_stacker

LATE = ("mean", "weighted", "product", "vote", "dempster", "stacker")
HEADS = ("concat", "sum", "gated", "attention")
TRUST = 0.9
"""Reliability of each sense by Dempster's rule."""
NOISY, PAIRS = (1, 2, 3), 2400
NEAR_ZERO = 0.02
"""A contribution below it is next to none: the mean change of ten scores can be 0.2 at most."""
BOTH, ONLY = (1, 1), {"sound": (1, 0), "picture": (0, 1)}

Scores = np.ndarray


@dataclass(frozen=True)
class Felt:
    """Samples of one sense, and what its encoder made of them, once for all kinds of fusion."""

    raw: torch.Tensor
    embedding: torch.Tensor
    decision: Scores
    """Calibrated."""


Fuse = Callable[[Mapping[str, Felt]], Scores]
"""From the senses that are there to scores, (n, 10)."""


@dataclass
class Trained:
    """What was trained with one seed."""

    encoders: dict[str, Encoder]
    temperature: dict[str, float]
    weight: dict[str, float]
    """Of the weighted mean: accuracy under noise, on the spare split."""
    stacker: Stacker
    heads: dict[str, Head]
    early: Early | None

    def feel(self, sense: str, raw: torch.Tensor) -> Felt:
        """Return samples with their embeddings and calibrated decisions."""
        embedding, logits = self.encoders[sense](raw)
        decision = tempered(_softmax(logits), self.temperature[sense], "scores")
        return Felt(raw, embedding, decision)

    def kinds(self) -> dict[str, Fuse]:
        """Return every kind of fusion by its name."""
        found: dict[str, Fuse] = {f"late: {rule}": self._late(rule) for rule in LATE}
        found |= {f"intermediate: {kind}": self._head(head) for kind, head in self.heads.items()}
        return found | ({"early: stacked": self._early} if self.early is not None else {})

    def _late(self, rule: str) -> Fuse:
        def decide(felt: Mapping[str, Felt]) -> Scores:
            each = {sense: one.decision for sense, one in felt.items()}
            if rule == "stacker":
                return self.stacker.fuse(each)
            p = np.stack(list(each.values()))
            weights = [self.weight[sense] if rule == "weighted" else 1.0 for sense in each]
            named = "mean" if rule == "weighted" else rule
            return fuse(named, p, [TRUST] * len(p) if rule == "dempster" else weights, "scores")

        return decide

    def _head(self, head: Head) -> Fuse:
        def decide(felt: Mapping[str, Felt]) -> Scores:
            some = next(iter(felt.values())).embedding
            given = [
                felt[sense].embedding if sense in felt else torch.zeros_like(some)
                for sense in SENSES
            ]
            return _softmax(head(*given, _mask(felt, len(some))))

        return decide

    def _early(self, felt: Mapping[str, Felt]) -> Scores:
        count = len(next(iter(felt.values())).raw)
        absent = {"sound": torch.zeros(count, SAMPLES), "picture": torch.zeros(count, SIDE, SIDE)}
        given = [felt[sense].raw if sense in felt else absent[sense] for sense in SENSES]
        assert self.early is not None
        return _softmax(self.early(*given, _mask(felt, count)))


def main() -> int:
    """Train, measure, print; return the exit code."""
    asked = options(str(__doc__).split("\n", maxsplit=1)[0], _more)
    if "TECTUM_DATA" not in os.environ:
        print("set TECTUM_DATA to the folder that has spoken_digits and mnist", file=sys.stderr)
        return 2
    torch.set_num_threads(asked.threads)
    splits, effort = load(Path(os.environ["TECTUM_DATA"])), QUICK if asked.quick else FULL
    seeds = range(1 if asked.quick else asked.seeds)
    results = []
    for seed in seeds:
        rng = generator(seed)
        trained = train(splits, effort, rng)
        with torch.no_grad():
            results.append(measure(trained, splits["test"], 600 if asked.quick else PAIRS, rng))
        if asked.export and seed == 0:
            from digits_export import export  # noqa: PLC0415 - only when asked for

            apart = export(trained.encoders, trained.heads, trained.early, asked.export)
            for name, difference in apart.items():
                print(f"{name}.onnx differs from its network by {difference:.0e}")
    bench = Bench("fusion quality")
    table = {name: float(np.mean([one[name] for one in results])) for name in results[0]}
    show(bench, table)
    judge(bench, table, strict=not asked.quick)
    return bench.finish(asked.json)


def train(splits: Mapping[str, Split], effort: Effort, rng: torch.Generator) -> Trained:
    """Train encoders, then what stands on them, each on data of its own."""
    encoders = {
        sense: train_encoder(sense, splits["train"], getattr(effort, sense), rng)
        for sense in SENSES
    }
    with torch.no_grad():
        bank = Bank(encoders, splits["train"], effort, rng)
        decisions, truth = _spare_decisions(encoders, splits["spare"], rng)
    temperature = {sense: fit_temperature(p, truth) for sense, p in decisions.items()}
    calm = {sense: tempered(p, temperature[sense], "scores") for sense, p in decisions.items()}
    return Trained(
        encoders, temperature,
        weight={sense: float((p.argmax(1) == truth).mean()) for sense, p in calm.items()},
        stacker=fit_stacker(calm, truth, pull=0.1),
        heads={kind: train_head(kind, bank, effort.head, rng) for kind in HEADS},
        early=train_early(splits["train"], effort.early, rng) if effort.early else None,
    )  # fmt: skip


def measure(trained: Trained, split: Split, count: int, rng: torch.Generator) -> dict[str, float]:
    """Return accuracies by `kind | sound level | picture level | what is there`."""
    sounds, pictures = split.pairs(count, rng)
    truth = split.spoken[sounds].numpy()
    found: dict[str, float] = {}
    for at in ((0, 0), (1, 1), (2, 2), (3, 3), (0, 3), (3, 0)):
        felt = _felt(trained, split, sounds, pictures, at, rng)
        for sense in SENSES:
            found[_key(sense, at, ONLY[sense])] = _right(felt[sense].decision, truth)
        for kind, decide in trained.kinds().items():
            found[_key(kind, at, BOTH)] = _right(decide(felt), truth)
            for sense in SENSES if at[0] == at[1] else ():
                found[_key(kind, at, ONLY[sense])] = _right(decide({sense: felt[sense]}), truth)
    return found | _idle_contributions(trained, split, sounds, pictures, rng)


def _felt(
    trained: Trained, split: Split, sounds: torch.Tensor, pictures: torch.Tensor,
    at: tuple[int, int], rng: torch.Generator,
) -> dict[str, Felt]:  # fmt: skip
    """Return what both senses make of pairs at levels of noise, sound's and picture's."""
    heard = levels_of("sound", at[0], len(sounds)), levels_of("picture", at[1], len(sounds))
    return {
        "sound": trained.feel("sound", noisy_sounds(split.sounds[sounds], heard[0], rng)),
        "picture": trained.feel("picture", noisy_pictures(split.pictures[pictures], heard[1], rng)),
    }


def _idle_contributions(
    trained: Trained, split: Split, sounds: torch.Tensor, pictures: torch.Tensor,
    rng: torch.Generator,
) -> dict[str, float]:  # fmt: skip
    """Return, per kind, the share of results to which a sense of pure noise contributes nothing.

    A contribution is what a graph reports: the mean absolute change of the answer without it.
    """
    found: dict[str, float] = {}
    for noisy, at in (("sound", (-1, 0)), ("picture", (0, -1))):
        felt = _felt(trained, split, sounds, pictures, at, rng)
        rest = {sense: one for sense, one in felt.items() if sense != noisy}
        for kind, decide in trained.kinds().items():
            change = np.abs(decide(felt) - decide(rest)).mean(1)
            key = f"idle | {kind}"
            found[key] = found.get(key, 0.0) + float((change < NEAR_ZERO).mean()) / len(SENSES)
    return found


def _right(scores: Scores, truth: np.ndarray) -> float:
    return float((scores.argmax(1) == truth).mean())


def show(bench: Bench, table: Mapping[str, float]) -> None:
    """Print the accuracies, in percent."""
    kinds = list(dict.fromkeys(key.split(" | ")[0] for key in table if not key.startswith("idle")))
    fused = [kind for kind in kinds if kind not in SENSES]
    columns = ("accuracy, %", *LEVELS, "sound clean, picture strong", "sound strong, picture clean")
    rows = []
    for kind in kinds:
        present = ONLY.get(kind, BOTH)
        ats = [*((level, level) for level in range(4)), (0, 3), (3, 0)]
        rows.append((kind, *(100 * table[_key(kind, at, present)] for at in ats)))
    bench.table("all senses", columns, rows)
    for sense in SENSES:
        rows = [
            (kind, *(100 * table[_key(kind, (level, level), ONLY[sense])] for level in range(4)))
            for kind in (sense, *fused)
        ]
        bench.table(f"{sense} alone", ("accuracy, %", *LEVELS), rows)
    rows = [(kind, 100 * table[f"idle | {kind}"]) for kind in fused]
    bench.table("a sense of pure noise contributes nothing", ("kind", "% of results"), rows)


def judge(bench: Bench, table: Mapping[str, float], *, strict: bool) -> None:
    """Set the bars; without `strict` only what brief training must reach too."""
    fused = [key.removeprefix("idle | ") for key in table if key.startswith("idle")]
    noisy = {kind: _noisy(table, kind, BOTH) for kind in fused}
    single = {sense: _noisy(table, sense, ONLY[sense]) for sense in SENSES}
    gains = {kind: value - max(single.values()) for kind, value in noisy.items()}
    bench.at_least(
        "best fusion over the best single, points", max(gains.values()), 12 if strict else 5
    )
    if not strict:
        return
    bench.at_least("worst fusion over the best single, points", min(gains.values()), 8)
    behind = max(noisy["late: product"] - noisy[f"intermediate: {kind}"] for kind in HEADS)
    bench.at_most("learned heads behind the product, points", behind, 4)
    for sense in SENSES:
        lost = max(single[sense] - _noisy(table, kind, ONLY[sense]) for kind in fused)
        bench.at_most(f"under the single model with {sense} alone, points", lost, 3)
    for sense, at in (("sound", (0, 3)), ("picture", (3, 0))):
        clean = table[_key(sense, at, ONLY[sense])]
        lost = max(100 * (clean - table[_key(kind, at, BOTH)]) for kind in fused)
        bench.at_most(f"{sense} clean, the other at the worst: lost, points", lost, 3)
    idle = min(100 * table[f"idle | {kind}"] for kind in fused if kind.startswith("intermediate"))
    bench.at_least("heads: a sense of pure noise contributes nothing, % of results", idle, 95)


def _noisy(table: Mapping[str, float], kind: str, present: tuple[int, int]) -> float:
    """Return the mean accuracy over the three noisy levels, in percent."""
    return float(np.mean([100 * table[_key(kind, (k, k), present)] for k in NOISY]))


def _key(kind: str, at: tuple[int, int], present: tuple[int, int]) -> str:
    return f"{kind} | {at[0]} {at[1]} | {present[0]} {present[1]}"


def _spare_decisions(
    encoders: Mapping[str, Encoder], split: Split, rng: torch.Generator
) -> tuple[dict[str, Scores], np.ndarray]:
    """Return decisions on the spare split at all levels of noise, and their labels."""
    count = 500
    found: dict[str, list[Scores]] = {sense: [] for sense in SENSES}
    labels = []
    for level in range(4):
        sounds, pictures = split.pairs(count, rng)
        heard = noisy_sounds(split.sounds[sounds], levels_of("sound", level, count), rng)
        seen = noisy_pictures(split.pictures[pictures], levels_of("picture", level, count), rng)
        for sense, sample in (("sound", heard), ("picture", seen)):
            found[sense].append(_softmax(encoders[sense](sample)[1]))
        labels.append(split.spoken[sounds].numpy())
    return {k: np.concatenate(v) for k, v in found.items()}, np.concatenate(labels)


def _mask(samples: Mapping[str, Felt], count: int) -> torch.Tensor:
    return torch.tensor([[float(sense in samples) for sense in SENSES]]).repeat(count, 1)


def _softmax(logits: torch.Tensor) -> Scores:
    scores: Scores = logits.softmax(1).double().numpy()
    return scores


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--export", type=Path, metavar="DIR", help="write the models as ONNX")


if __name__ == "__main__":
    sys.exit(main())
