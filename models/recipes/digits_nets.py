"""Networks for audio-visual digits: an encoder per sense, fusion heads, and one early model.

An encoder gives an embedding and a decision. A head takes the embeddings of both and a mask of
which are present; what is absent is replaced by a learned null token, so that no mask gives NaN.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from digits_data import RATE
from torch import nn
from torch.nn import functional

LABELS, WIDTH, SENSES = 10, 64, ("sound", "picture")
WINDOW, HOP, MELS = 256, 128, 32


def _convolutions(channels: int, dropout: float, width: int = 16) -> nn.Sequential:
    layers: list[nn.Module] = []
    sizes = (channels, width, 2 * width, 4 * width)
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Conv2d(before, after, 5 if before == channels else 3, 2, 2 - (after > width),
                             bias=False), nn.BatchNorm2d(after), nn.ReLU()]  # fmt: skip
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(dropout), nn.LazyLinear(WIDTH))


class Spectrogram(nn.Module):
    """Log-mel pictures of sound: frames times a windowed basis, never an STFT operator."""

    def __init__(self) -> None:
        super().__init__()
        bins, times = np.arange(WINDOW // 2 + 1), np.arange(WINDOW)
        angle = 2 * np.pi * np.outer(bins, times) / WINDOW
        window = np.hanning(WINDOW + 1)[:-1]
        basis = np.concatenate([np.cos(angle), np.sin(angle)]) * window
        self.register_buffer("basis", torch.tensor(basis.T, dtype=torch.float32))
        self.register_buffer("mel", torch.tensor(_mel(), dtype=torch.float32))

    def forward(self, sound: torch.Tensor) -> torch.Tensor:
        """(n, samples) to (n, MELS, frames)."""
        halves = sound[:, : sound.shape[1] // HOP * HOP].unflatten(1, (-1, HOP))
        waves = torch.cat([halves[:, :-1], halves[:, 1:]], 2) @ self.basis  # frames of two halves
        cosines, sines = waves.chunk(2, dim=2)
        power = (cosines.square() + sines.square()) @ self.mel
        logs = torch.log(power + 1e-3).transpose(1, 2)
        return (logs - logs.mean((1, 2), keepdim=True)) / 2


class Encoder(nn.Module):
    """A sense: what is heard or seen, to an embedding and the logits of its own decision."""

    def __init__(self, sense: str) -> None:
        super().__init__()
        self.front = Spectrogram() if sense == "sound" else nn.Identity()
        self.body = _convolutions(1, 0.4 if sense == "sound" else 0.2)
        self.decide = nn.Linear(WIDTH, LABELS)

    def forward(self, sample: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return embeddings (n, WIDTH) and logits (n, LABELS) of samples."""
        embedding = torch.relu(self.body(self.front(sample)[:, None]))
        return embedding, self.decide(embedding)


class Early(nn.Module):
    """One model of both, stacked: the spectrogram's even and odd frames, and the picture.

    Folded so, a second of sound has about the picture's size without losing any of it, which
    scaling down would: what is averaged out of noise is what tells one digit from another.
    """

    def __init__(self) -> None:
        super().__init__()
        self.front, self.body = Spectrogram(), _convolutions(3, 0.3, 32)
        self.decide = nn.Linear(WIDTH, LABELS)

    def forward(self, sound: torch.Tensor, picture: torch.Tensor, present: torch.Tensor):
        """Return logits (n, LABELS); `present` is (n, 2), 1 where a sense is there."""
        frames = self.front(sound) * present[:, :1, None]
        heard = frames[:, :, :60].unflatten(2, (30, 2)).permute(0, 3, 1, 2)  # (n, 2, MELS, 30)
        seen = functional.pad(picture * present[:, 1:, None], (1, 1, 2, 2))[:, None]
        both = torch.cat([heard, seen], 1)
        return self.decide(torch.relu(self.body(both)))


class Head(nn.Module):
    """Intermediate fusion: `concat`, `sum`, `gated` or `attention`."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.null = nn.Parameter(torch.zeros(len(SENSES), WIDTH))
        self.enter = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in SENSES])
        wide = WIDTH * len(SENSES) if kind == "concat" else WIDTH
        self.gate = nn.Linear(WIDTH * len(SENSES), len(SENSES) * WIDTH)
        self.query = nn.Parameter(torch.randn(4, WIDTH) / WIDTH**0.5)
        self.key = nn.Linear(WIDTH, WIDTH)
        if kind == "attention":
            wide = 4 * WIDTH
        self.leave = nn.Sequential(
            nn.Linear(wide, 128), nn.ReLU(), nn.Dropout(0.1), nn.Linear(128, LABELS)
        )

    def forward(self, sound: torch.Tensor, picture: torch.Tensor, present: torch.Tensor):
        """Return logits (n, LABELS); `present` is (n, 2), 1 where a sense is there."""
        here = present[..., None]
        tokens = torch.stack([enter(one) for enter, one in
                              zip(self.enter, (sound, picture), strict=True)], 1)  # fmt: skip
        tokens = tokens * here + self.null * (1 - here)
        if self.kind == "concat":
            fused = torch.relu(tokens).flatten(1)
        elif self.kind == "sum":
            fused = tokens.sum(1)
        elif self.kind == "gated":  # Arevalo et al. 2017: each number decides whom to believe
            gates = self.gate(torch.relu(tokens).flatten(1)).unflatten(1, (len(SENSES), WIDTH))
            fused = (torch.sigmoid(gates) * tokens).sum(1)
        else:  # queries look at the senses, Vaswani et al. 2017; learned: what to look for
            match = torch.einsum("qw,nsw->nqs", self.query, self.key(tokens)) / WIDTH**0.5
            fused = (match.sigmoid()[..., None] * tokens[:, None]).sum(2).flatten(1)
        return self.leave(fused)


def _mel() -> np.ndarray:
    """(bins, MELS) triangles, evenly spaced in mel (Stevens 1937)."""
    mels = np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), MELS + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    bins = np.arange(WINDOW // 2 + 1)[:, None] * RATE / WINDOW
    up = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(up, down))
