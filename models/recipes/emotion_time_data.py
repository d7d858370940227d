"""What a face and a voice say over time, for the head over time: rows of moments with the truth.

Voices are real: utterances of one EmoDB speaker after one another, several of one emotion, then of
another, with pauses between; scores come from a speech model that never heard this speaker, and
adapts as it does in a graph. Faces are simulated, for want of labelled ones over time that may be
used: right as often as the authors of mini-XCEPTION say (66 %), wrong for a while where wrong,
surer than right, and gone now and then.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from emotion_nets import (
    FACES,
    FORGET,
    PRIOR,
    RATE,
    SAMPLES,
    Classifier,
    Statistics,
    _to_faces,
)

STEP = 8000
"""Samples between two windows, as the graph has it."""
SECONDS, UTTERANCES = 24, (1, 4)
UNKNOWN = -1
"""Nobody has said anything yet."""
RIGHT, STAYS_S = 0.66, 0.9
"""How often a simulated face is called right, and for how long one opinion lasts."""
VOICE_TO_FACE = [int(row.argmax()) for row in _to_faces()]


@dataclass(frozen=True)
class Heard:
    """A row of utterances of one speaker, and what each window of it measures."""

    statistics: np.ndarray
    """(windows, count); window k ends after (k + 1) STEP samples."""
    speech: np.ndarray
    """(windows, 1)"""
    truth: np.ndarray
    """(SECONDS * 100,): index in FACES each 10 ms, UNKNOWN before the first utterance."""


@dataclass(frozen=True)
class Moments:
    """Rows of moments: (rows, moments, ...)."""

    face: np.ndarray
    voice: np.ndarray
    present: np.ndarray
    age: np.ndarray
    elapsed: np.ndarray
    truth: np.ndarray


def talks(
    sounds: np.ndarray, labels: np.ndarray, count: int, rng: np.random.Generator
) -> list[Heard]:
    """Return so many rows of utterances, all of one speaker."""
    statistics = Statistics()
    return [_measured(*_row(sounds, labels, rng), statistics) for _ in range(count)]


def _row(
    sounds: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return int16 samples of a row of utterances, and the truth each 10 ms."""
    sound = np.zeros(SECONDS * RATE, np.int16)
    truth = np.full(SECONDS * 100, UNKNOWN)
    at, emotion = int(rng.uniform(0.2, 1.5) * RATE), -1
    while at < len(sound):
        emotion = int(rng.choice([k for k in np.unique(labels) if k != emotion]))
        for which in rng.choice(np.flatnonzero(labels == emotion), rng.integers(*UTTERANCES)):
            piece = _trimmed(sounds[which])[: len(sound) - at]
            truth[at * 100 // RATE :] = VOICE_TO_FACE[emotion]
            sound[at : at + len(piece)] = piece
            at += len(piece) + int(rng.uniform(0.1, 0.8) * RATE)
            if at >= len(sound):
                break
    return sound, truth


def _trimmed(sound: np.ndarray) -> np.ndarray:
    """Return a sound without the zeros that fill it up."""
    return sound[: int(np.flatnonzero(sound).max(initial=0)) + 1]


def _measured(sound: np.ndarray, truth: np.ndarray, statistics: Statistics) -> Heard:
    """Return what the speech model measures of each window, before anything learned."""
    filled = np.concatenate([np.zeros(SAMPLES - STEP, np.int16), sound])
    ends = range(SAMPLES, len(filled) + 1, STEP)
    windows = np.stack([filled[end - SAMPLES : end] for end in ends])
    with torch.no_grad():
        found, speech = statistics(torch.tensor(windows))
    return Heard(found.numpy(), speech.numpy(), truth)


def voiced(heard: Heard, model: Classifier, mean: torch.Tensor, scale: torch.Tensor) -> np.ndarray:
    """Return (windows, 7) expressions as the speech model tells them, adapting as it goes."""
    normal = torch.clamp((torch.tensor(heard.statistics) - mean) / scale, -4, 4).float()
    speech, told = torch.tensor(heard.speech), []
    known, count, faces = torch.zeros_like(normal[:1]), torch.zeros(1, 1), _to_faces()
    with torch.no_grad():
        for now, share in zip(normal.split(1), speech.split(1), strict=True):
            sure = torch.softmax(model(now - known / (count + PRIOR)), 1)
            told.append(share * (sure @ faces) + (1 - share) / len(FACES))
            known, count = FORGET * known + share * now, FORGET * count + share
    return torch.cat(told).numpy()


def moments(
    heard: Heard, voice: np.ndarray, rng: np.random.Generator, *, hertz: float = 0
) -> Moments:
    """Return one row of moments, 5 a second or exactly `hertz`, with a simulated face."""
    steps = np.full(SECONDS * 5, 1 / hertz) if hertz else rng.uniform(0.1, 0.3, SECONDS * 5)
    at = np.cumsum(steps) - steps[0] + 0.2
    at = at[at < SECONDS - 0.05]
    elapsed = np.diff(at, prepend=at[0])
    window = np.floor((at - 0.02) * RATE / STEP).astype(int) - 1
    there = window >= 0
    truth = heard.truth[(at * 100).astype(int)]
    face, seen = faces(truth, elapsed, rng)
    age = np.stack([rng.uniform(0.0, 0.12, len(at)), at - (window + 1) * STEP / RATE], 1)
    present = np.stack([seen, there], 1)
    return Moments(
        face.astype(np.float32), voice[np.maximum(window, 0)], present.astype(np.float32),
        (age * present).astype(np.float32), elapsed[:, None].astype(np.float32), truth,
    )  # fmt: skip


def faces(
    truth: np.ndarray, elapsed: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return simulated scores (moments, 7) of a face that shows `truth`, and when it is seen."""
    count = len(FACES)
    scores, seen = np.zeros((len(truth), count)), np.ones(len(truth), bool)
    called, was, gone = 0, UNKNOWN, False
    truth = np.where(truth == UNKNOWN, FACES.index("neutral"), truth)
    for k, (true, since) in enumerate(zip(truth, elapsed, strict=True)):
        if k == 0 or true != was or rng.random() < since / STAYS_S:
            wrong = int(rng.integers(count - 1))
            called = true if rng.random() < RIGHT else wrong + (wrong >= true)
        was = true
        logits = rng.normal(0, 0.8, count)
        logits[called] += rng.uniform(1.5, 5.0)
        scores[k] = np.exp(logits) / np.exp(logits).sum()
        gone = rng.random() < (0.9 if gone else 0.03)
        seen[k] = not gone
    return scores, seen


def stacked(rows: list[Moments]) -> Moments:
    """Return rows as one, cut to the shortest."""
    shortest = min(len(row.truth) for row in rows)
    return Moments(
        *(
            np.stack([getattr(row, name)[:shortest] for row in rows])
            for name in Moments.__annotations__
        )
    )
