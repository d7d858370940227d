"""Spoken and written digits, paired by label, with noise of chosen strength.

Sound and picture are independent given the label: no fusion of decisions can beat the product of
the two posteriors, if these are calibrated. Takes and pictures are split so that nothing that is
tested was trained on; where official test sets lie beside the training ones, they are the test.
"""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

RATE, SAMPLES, SIDE = 8000, 8000, 28
IMAGE_LEVELS = ((1.0, 0.0), (0.48, 0.49), (0.44, 0.525), (0.38, 0.585))
"""Contrast and sigma: clean, then three levels that leave about 72, 62 and 46 % right."""
AUDIO_LEVELS = (None, -6.0, -9.0, -12.0)
"""Signal-to-noise ratio of white noise, in dB; None is clean."""
LEVELS = ("clean", "light", "middle", "strong")
TEST_TAKES, SPARE_TAKES = (15, 16), (14,)


@dataclass(frozen=True)
class Split:
    """Sounds and pictures of one purpose."""

    sounds: torch.Tensor
    """(n, SAMPLES) float32, loudest sample 1."""
    spoken: torch.Tensor
    """(n,) their labels."""
    pictures: torch.Tensor
    """(m, 28, 28) float32, 0 to 1."""
    written: torch.Tensor

    def pairs(self, count: int, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return indices of sounds and of pictures, (count,), each pair of one label."""
        sounds = torch.randint(len(self.spoken), (count,), generator=rng)
        chosen = torch.rand(count, len(self.written), generator=rng)
        chosen = chosen.masked_fill(self.written[None] != self.spoken[sounds][:, None], -1)
        return sounds, chosen.argmax(1)


def load(folder: Path) -> dict[str, Split]:
    """Return the splits `train`, `spare` (for calibration and stackers) and `test`."""
    takes = _takes(folder / "spoken_digits" / "train")
    archive = np.load(folder / "mnist" / "mnist_train_8k.npz")
    pictures = torch.tensor(archive["images"], dtype=torch.float32) / 255
    written = torch.tensor(archive["labels"], dtype=torch.int64)
    official = folder / "spoken_digits" / "test"
    test = _takes(official) if official.is_dir() else [t for t in takes if t[0] in TEST_TAKES]
    held = {*SPARE_TAKES, *(() if official.is_dir() else TEST_TAKES)}
    parts = {
        "train": ([t for t in takes if t[0] not in held], slice(0, 6000)),
        "spare": ([t for t in takes if t[0] in SPARE_TAKES], slice(6000, 7000)),
        "test": (test, slice(7000, 8000)),
    }
    return {
        name: Split(
            torch.stack([sound for _, _, sound in rows]),
            torch.tensor([label for _, label, _ in rows]),
            pictures[part],
            written[part],
        )
        for name, (rows, part) in parts.items()
    }


def noisy_pictures(clean: torch.Tensor, level: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Return `contrast * picture + sigma * noise`; `level` is (n, 2): contrast, sigma."""
    noise = torch.randn(clean.shape, generator=rng)
    return level[:, :1, None] * clean + level[:, 1:, None] * noise


def noisy_sounds(clean: torch.Tensor, snr_db: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Return sounds with white noise at `snr_db` (n,) over the whole clip, loudest sample 1.

    Infinite: clean. Minus infinity: nothing but noise.
    """
    power = clean.square().mean(1, keepdim=True)
    noise = torch.randn(clean.shape, generator=rng)
    sigma = torch.sqrt(power / 10 ** (snr_db.clamp(-60, 90)[:, None] / 10))
    mixed = clean * (snr_db > -50)[:, None] + sigma * noise
    return mixed / mixed.abs().amax(1, keepdim=True).clamp_min(1e-6)


def levels_of(kind: str, level: int, count: int) -> torch.Tensor:
    """Return the noise of `count` samples at one of `LEVELS`; -1 is nothing but noise."""
    if kind == "picture":
        pair = (0.0, 0.6) if level < 0 else IMAGE_LEVELS[level]
        return torch.tensor([pair]).repeat(count, 1)
    snr = -np.inf if level < 0 else AUDIO_LEVELS[level]
    return torch.full((count,), np.inf if snr is None else snr)


def training_levels(kind: str, count: int, rng: torch.Generator) -> torch.Tensor:
    """Return random noise: a fifth clean, a seventh only noise, the rest in between."""
    fate = torch.rand(count, generator=rng)
    strength = torch.rand(count, generator=rng)
    if kind == "picture":
        some = torch.stack([0.6 - 0.25 * strength, 0.3 + 0.3 * strength], 1)
        some[fate < 0.2] = torch.tensor([1.0, 0.0])
        some[fate > 0.85] = torch.tensor([0.0, 0.6])
        return some
    some = 3.0 - 16 * strength
    some[fate < 0.2] = np.inf
    some[fate > 0.85] = -np.inf
    return some


def _takes(folder: Path) -> list[tuple[int, int, torch.Tensor]]:
    """Return (take, label, sound) of each file `LABEL_SPEAKER_TAKE.wav`."""
    found = []
    for path in sorted(folder.glob("*.wav")):
        label, _, take = path.stem.split("_")
        with wave.open(str(path)) as file:
            data = np.frombuffer(file.readframes(file.getnframes()), np.int16)[:SAMPLES]
        sound = np.zeros(SAMPLES, np.float32)
        sound[: len(data)] = data / max(1, int(np.abs(data.astype(np.int32)).max()))
        found.append((int(take), int(label), torch.from_numpy(sound)))
    return found
