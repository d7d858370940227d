"""Train the head over time for emotion, judged by leaving one speaker out beside the filter.

    python models/recipes/emotion_time.py DATA WORK     # WORK as `emotion.py` left it

Figures go to the terminal and to WORK/time.json, the network to WORK/time.pt. Who is judged was
heard neither by the speech model whose scores are judged nor by the head. In training one modality
is dropped from two rows in three, and spells of either are.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from emotion import cached, load, train
from emotion_nets import FACES
from emotion_time_data import UNKNOWN, Heard, Moments, moments, stacked, talks, voiced
from emotion_time_nets import HIDDEN, LEAST, MODALITIES, OverTime
from torch.nn import functional

from tectum.fusion.late import fuse
from tectum.fusion.over_time import Belief, LabelRules, believe, follow

TALKS, JUDGED = 60, 12
"""Rows of utterances of each speaker in training, and to be judged."""
STEPS, BATCH, RATE_OF_LEARNING, SEEDS = 400, 48, 0.01, (1, 2)
LEANING = 0.4
"""Of the people that training makes up, in logarithms of scores."""
HERTZ, TEMPERATURE = 5, 2
"""Of the shipped graph, which the filter is judged in."""
SETS = {"voice": (False, True), "face": (True, False), "face + voice": (True, True)}
Scored = Callable[[Moments], list[list[Belief]]]


def rows_of(
    heard: dict[str, list[Heard]], voices: dict[str, list[np.ndarray]], who: list[str], seed: int
) -> Moments:
    """Return rows for training: with both, and as many of a face whose voice is absent."""
    rng, rows = np.random.default_rng(seed), []
    for speaker in who:
        for talk, voice in zip(heard[speaker], voices[speaker], strict=True):
            row = moments(talk, voice, rng)
            rows += [_dropped(row, rng), _silent(talk, voice, rng)]
    return stacked(rows)


def _dropped(row: Moments, rng: np.random.Generator) -> Moments:
    """Drop one modality or none, and spells of what is left."""
    kept = list(SETS.values())[int(rng.choice(3, p=(0.5, 0.15, 0.35)))]
    row.present[:] *= np.array(kept, np.float32)
    _interrupt(row, rng)
    return row


def _silent(talk: Heard, voice: np.ndarray, rng: np.random.Generator) -> Moments:
    """Return a row of a face alone, of any expression: the voice says nothing or is absent."""
    relabel = np.append(rng.integers(len(FACES), size=len(FACES)), UNKNOWN)
    silent = Heard(talk.statistics, talk.speech, relabel[talk.truth])
    row = moments(silent, np.full_like(voice, 1 / len(FACES)), rng)
    row.present[:, 1] *= rng.random() < 0.5
    _interrupt(row, rng)
    return row


def _interrupt(row: Moments, rng: np.random.Generator) -> None:
    for modality in range(len(MODALITIES)):
        for begin in rng.integers(len(row.truth), size=rng.integers(3)):
            row.present[begin : begin + rng.integers(1, 8), modality] = 0
    row.age[:] *= row.present


def fit(rows: Moments, seed: int) -> OverTime:
    """Return a head that was trained on rows of moments."""
    torch.manual_seed(seed)
    model = OverTime()
    tensors = [torch.tensor(getattr(rows, name)) for name in Moments.__annotations__]
    optimizer = torch.optim.AdamW(model.parameters(), RATE_OF_LEARNING, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE_OF_LEARNING, STEPS)
    even = torch.full((len(FACES),), 1 / len(FACES))
    weights = balance(tensors[-1])
    for _ in range(STEPS):
        chosen = torch.randint(len(tensors[-1]), (BATCH,))
        *inputs, truth = (tensor[chosen] for tensor in tensors)
        inputs[:2] = [another(scores) for scores in inputs[:2]]
        logits = unrolled(model, inputs)
        known = functional.one_hot(truth.clamp(min=0), len(FACES)).float()
        nothing = (inputs[2].cumsum(1).sum(2) == 0) | (truth == UNKNOWN)
        target = torch.where(nothing[..., None], even, 0.9 * known + 0.1 * even)
        optimizer.zero_grad()
        each = functional.cross_entropy(
            logits.flatten(0, 1), target.flatten(0, 1), reduction="none"
        )
        (each * torch.where(nothing, 1.0, weights[truth]).flatten()).mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model.eval()


def balance(truth: torch.Tensor) -> torch.Tensor:
    """Return what a moment of each label counts, so that all labels count alike."""
    counts = torch.bincount(truth[truth != UNKNOWN], minlength=len(FACES)).float()
    return counts.sum() / len(FACES) / counts


def another(scores: torch.Tensor) -> torch.Tensor:
    """Return scores (rows, moments, 7) as of another person: surer or less, with other leanings."""
    surer = torch.empty(len(scores), 1, 1).uniform_(0.7, 1.3)
    leaning = LEANING * torch.randn(len(scores), 1, len(FACES))
    return torch.softmax(torch.log(scores.clamp_min(LEAST)) * surer + leaning, 2)


def unrolled(model: OverTime, inputs: list[torch.Tensor]) -> torch.Tensor:
    """Return logits (rows, moments, 7) of moments in order."""
    hidden, found = torch.zeros(len(inputs[0]), HIDDEN), []
    for moment in zip(*(one.unbind(1) for one in inputs), strict=True):
        logits, hidden = model.logits(*moment, hidden)
        found.append(logits)
    return torch.stack(found, 1)


def learned(model: OverTime) -> Scored:
    """Return what a head believes of rows, with the label that is shown."""

    def believed(rows: Moments) -> list[list[Belief]]:
        inputs = [torch.tensor(getattr(rows, name)) for name in list(Moments.__annotations__)[:-1]]
        with torch.no_grad():
            scores = torch.softmax(unrolled(model, inputs), 2).double().numpy()
        rules, told = LabelRules(), []
        for row, steps in zip(scores, rows.elapsed[..., 0], strict=True):
            beliefs: list[Belief] = []
            for now, at in zip(row, np.cumsum(steps), strict=True):
                before = beliefs[-1] if beliefs else None
                beliefs.append(follow(before, now, int(at * 1e9), rules))
            told.append(beliefs)
        return told

    return believed


def filtered(half_life_ns: int) -> Scored:
    """Return what the filter of the graph believes of rows: the product of both, smoothed."""
    rules = LabelRules(half_life_ns)

    def believed(rows: Moments) -> list[list[Belief]]:
        told = []
        for k, steps in enumerate(rows.elapsed[..., 0]):
            beliefs: list[Belief] = []
            for j, at in enumerate(np.cumsum(steps)):
                before = beliefs[-1] if beliefs else None
                now = _product(rows, k, j)
                beliefs.append(believe(before, now, int(at * 1e9), rules, len(FACES)))
            told.append(beliefs)
        return told

    return believed


def _product(rows: Moments, k: int, j: int) -> np.ndarray | None:
    """Return the product of what is there; one that is alone passes as the runtime passes it."""
    here = [
        scores[k, j].astype(float) ** (1 / TEMPERATURE)
        for scores, present in zip((rows.face, rows.voice), rows.present[k, j], strict=True)
        if present
    ]
    decisions = [one / one.sum() for one in here]
    if len(decisions) < 2:
        return decisions[0] if decisions else None
    return fuse("product", np.stack(decisions), np.ones(2), "scores")


def judged(scored: Scored, rows: Moments) -> dict[str, np.ndarray]:
    """Return per row and moment: the surest label, the one shown, and the score of the true one."""
    beliefs = scored(rows)
    scores = np.array([[belief.scores() for belief in row] for row in beliefs])
    true = np.take_along_axis(scores, np.maximum(rows.truth, 0)[..., None], 2)[..., 0]
    shown = np.array([[belief.shown for belief in row] for row in beliefs])
    return {"surest": scores.argmax(2), "shown": shown, "true": true, "truth": rows.truth}


def figures(found: list[dict[str, np.ndarray]], minutes: float) -> dict[str, float]:
    """Return recall per window, changes per minute and log loss, of all rows together."""
    surest, shown, true, truth = (
        np.concatenate([one[key] for one in found]) for key in ("surest", "shown", "true", "truth")
    )
    known = truth != UNKNOWN
    labels = np.unique(truth[known])

    def recall(told: np.ndarray) -> float:
        return float(np.mean([(told[truth == label] == label).mean() for label in labels]))

    def flips(told: np.ndarray) -> float:
        return float((np.diff(told, axis=1) != 0).sum() / minutes)

    return {
        "recall": recall(surest), "recall_shown": recall(shown),
        "flips": flips(surest), "flips_shown": flips(shown),
        "flips_true": flips(np.where(known, truth, truth.max(1, keepdims=True))),
        "log_loss": float(-np.log(true[known]).mean()),
    }  # fmt: skip


FILTERS = {"filter": 800_000_000, "filter 1.6 s": 1_600_000_000, "filter 0.4 s": 400_000_000}


def judge(
    heard: dict[str, list[Heard]], voices: dict[str, list[np.ndarray]]
) -> dict[str, dict[str, dict[str, float]]]:
    """Return figures for each set of modalities and each way, over all speakers and seeds."""
    found: dict[str, dict[str, list[dict[str, np.ndarray]]]] = {
        name: {way: [] for way in ("learned", *FILTERS)} for name in SETS
    }
    seconds = 0.0
    for speaker in heard:
        others = [one for one in heard if one != speaker]
        rng = np.random.default_rng(int(speaker))
        pairs = list(zip(heard[speaker], voices[speaker], strict=True))[:JUDGED]
        test = stacked([moments(talk, voice, rng, hertz=HERTZ) for talk, voice in pairs])
        models = [fit(rows_of(heard, voices, others, seed), seed) for seed in SEEDS]
        seconds += float(test.elapsed.sum())
        for name, kept in SETS.items():
            mask = np.array(kept, np.float32)
            given = Moments(test.face, test.voice, test.present * mask, test.age * mask,
                            test.elapsed, test.truth)  # fmt: skip
            found[name]["learned"] += [judged(learned(model), given) for model in models]
            for way, half_life_ns in FILTERS.items():
                found[name][way].append(judged(filtered(half_life_ns), given))
        print(speaker, flush=True)
    return {
        name: {
            way: figures(rows, seconds / 60 * (len(SEEDS) if way == "learned" else 1))
            for way, rows in ways.items()
        }
        for name, ways in found.items()
    }


def main(data: Path, work: Path) -> None:
    """Listen, judge, train on all, keep."""
    torch.set_num_threads(1)
    sounds, labels, speakers = load(data / "emodb")
    features = cached(work / "features.npz", sounds)
    heard, voices = {}, {}
    for speaker in sorted(set(speakers)):
        out = speakers == speaker
        told = train(features[:, ~out], labels[~out], speakers[~out], SEEDS[0])
        rng = np.random.default_rng([SEEDS[0], int(speaker)])
        heard[speaker] = talks(sounds[out], labels[out], TALKS, rng)
        voices[speaker] = [voiced(talk, *told) for talk in heard[speaker]]
    print("heard", flush=True)
    found = judge(heard, voices)
    print(json.dumps(found, indent=1))
    (work / "time.json").write_text(json.dumps(found, indent=1))
    model = fit(rows_of(heard, voices, list(heard), SEEDS[0]), SEEDS[0])
    torch.save(model.state_dict(), work / "time.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
