"""Train encoders, heads and the early model of audio-visual digits, for the benchmark of fusion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from digits_data import Split, noisy_pictures, noisy_sounds, training_levels
from digits_nets import SENSES, Early, Encoder, Head
from torch.nn import functional

BATCH = 128
DROPPED = 0.2
"""How often each sense is taken away in training; one always stays."""


@dataclass(frozen=True)
class Effort:
    """How long to train, in steps of `BATCH`."""

    sound: int
    picture: int
    early: int
    head: int
    noises: int
    """How often each picture is shown to the heads, with other noise; sounds 12 times as often."""


FULL, QUICK = Effort(260, 400, 400, 900, 2), Effort(50, 90, 0, 150, 1)


def _descend(model: torch.nn.Module, steps: int, loss: Callable[[], torch.Tensor], rate: float):
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, max(2, steps))
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def heard(split: Split, rows: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Sounds with training noise, each begun at random."""
    shift = torch.randint(-800, 800, (len(rows), 1), generator=rng)
    places = (torch.arange(split.sounds.shape[1]) - shift) % split.sounds.shape[1]
    sounds = split.sounds[rows].gather(1, places)
    return noisy_sounds(sounds, training_levels("sound", len(rows), rng), rng)


def seen(split: Split, rows: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Pictures with training noise, moved at random."""
    moves = torch.randint(-2, 3, (2,), generator=rng).tolist()
    pictures = torch.roll(split.pictures[rows], moves, (1, 2))
    return noisy_pictures(pictures, training_levels("picture", len(rows), rng), rng)


def train_encoder(sense: str, split: Split, steps: int, rng: torch.Generator) -> Encoder:
    """Train one sense by itself."""
    labels = split.spoken if sense == "sound" else split.written
    sample = heard if sense == "sound" else seen
    model = Encoder(sense)
    model(sample(split, torch.arange(2), rng))  # so that lazy sizes are known

    def loss() -> torch.Tensor:
        rows = torch.randint(len(labels), (BATCH,), generator=rng)
        return functional.cross_entropy(model(sample(split, rows, rng))[1], labels[rows])

    return _descend(model, steps, loss, 4e-3)


def presence(count: int, rng: torch.Generator) -> torch.Tensor:
    """(count, 2): which senses are there."""
    fate = torch.rand(count, generator=rng)[:, None]
    return torch.cat([fate > DROPPED, fate < 1 - DROPPED], 1).float()


def train_early(split: Split, steps: int, rng: torch.Generator) -> Early:
    """Train the one model of both raw samples."""
    model = Early()
    model(heard(split, torch.arange(2), rng), seen(split, torch.arange(2), rng), torch.ones(2, 2))

    def loss() -> torch.Tensor:
        sounds, pictures = split.pairs(BATCH, rng)
        given = heard(split, sounds, rng), seen(split, pictures, rng), presence(BATCH, rng)
        return functional.cross_entropy(model(*given), split.spoken[sounds])

    return _descend(model, steps, loss, 4e-3)


class Bank:
    """Embeddings of the training split under training noise, made once: encoders do not change."""

    def __init__(
        self, encoders: dict[str, Encoder], split: Split, effort: Effort, rng: torch.Generator
    ) -> None:
        self.labels, self.rows = split.spoken, {}
        self.embeddings = {}
        for sense, repeats in (("sound", 12 * effort.noises), ("picture", effort.noises)):
            count = len(split.spoken if sense == "sound" else split.written)
            rows = torch.arange(count).repeat(repeats)
            sample = heard if sense == "sound" else seen
            with torch.no_grad():
                parts = [encoders[sense](sample(split, part, rng))[0] for part in rows.split(256)]
            self.embeddings[sense] = torch.cat(parts)
            self.rows[sense] = (split.spoken if sense == "sound" else split.written)[rows]
        self.by_label = [torch.nonzero(self.rows["picture"] == k)[:, 0] for k in range(10)]

    def draw(self, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return a batch: embeddings of sounds and pictures of the same labels, and the labels."""
        sounds = torch.randint(len(self.rows["sound"]), (BATCH,), generator=rng)
        labels = self.rows["sound"][sounds]
        places = torch.rand(BATCH, generator=rng)
        pictures = torch.stack([
            self.by_label[label][int(place * len(self.by_label[label]))]
            for label, place in zip(labels.tolist(), places.tolist(), strict=True)
        ])  # fmt: skip
        return self.embeddings["sound"][sounds], self.embeddings["picture"][pictures], labels


def train_head(kind: str, bank: Bank, steps: int, rng: torch.Generator) -> Head:
    """Train a fusion head on what frozen encoders give, with senses taken away at random."""
    model = Head(kind)

    def loss() -> torch.Tensor:
        *given, labels = bank.draw(rng)
        return functional.cross_entropy(model(*given, presence(BATCH, rng)), labels)

    return _descend(model, steps, loss, 2e-3)


def generator(seed: int) -> torch.Generator:
    """Seed everything, and return the source of all chance."""
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


__all__ = ["FULL", "QUICK", "SENSES", "Bank", "Effort", "generator", "train_early",
           "train_encoder", "train_head"]  # fmt: skip
