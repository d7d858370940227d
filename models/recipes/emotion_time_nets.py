"""The head over time: scores of a face and a voice, moment by moment, to what is believed now.

A gated recurrent unit (Cho et al. 2014) whose hidden state fades with the time between moments,
each number of it as fast as it learned to (GRU-D, Che et al. 2018), so that it is right at any
rate. What is absent, and how old it would be, is replaced by zeros before anything is computed.
"""

from __future__ import annotations

import torch
from emotion_nets import FACES
from torch import Tensor, nn

HIDDEN = 32
MODALITIES = ("face", "voice")
LEAST, LONGEST_S, OLDEST_S = 1e-3, 10.0, 2.0
"""Of a score; of the time between two moments; of an age."""


class OverTime(nn.Module):
    """One moment, and the hidden state of the one before."""

    def __init__(self) -> None:
        super().__init__()
        count = len(MODALITIES)
        self.unit = nn.GRUCell(count * len(FACES) + 2 * count, HIDDEN)
        self.fading = nn.Parameter(torch.full((HIDDEN,), -1.5))
        self.answer = nn.Linear(HIDDEN, len(FACES))
        self.now = nn.Parameter(torch.full((count,), -1.0))

    def logits(
        self,
        face: Tensor,
        voice: Tensor,
        present: Tensor,
        age: Tensor,
        elapsed: Tensor,
        hidden: Tensor,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Logits (n, 7) and the hidden state after this moment."""
        here = present > 0.5
        nothing = torch.zeros_like(face)
        seen = [
            torch.where(here[:, k : k + 1], evidence(scores), nothing)
            for k, scores in enumerate((face, voice))
        ]
        old = torch.where(here, age.clamp(0.0, OLDEST_S), torch.zeros_like(age))
        rate = nn.functional.softplus(self.fading)
        hidden = hidden * torch.exp(-elapsed.clamp(0.0, LONGEST_S) * rate)
        hidden = self.unit(torch.cat([*seen, here.float(), old], dim=1), hidden)
        trust = nn.functional.softplus(self.now)
        direct = trust[0] * seen[0] + trust[1] * seen[1]
        return self.answer(hidden) + direct, hidden

    def forward(
        self,
        face: Tensor,
        voice: Tensor,
        present: Tensor,
        age: Tensor,
        elapsed: Tensor,
        hidden: Tensor,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Return scores (n, 7) and the hidden state for the next moment.

        Args:
            face: (n, 7) scores in the order of `FACES`.
            voice: the same.
            present: (n, 2), 1 where that one is there, else 0.
            age: (n, 2), seconds from the capture of each to this moment.
            elapsed: (n, 1), seconds since the moment before; 0 at the first.
            hidden: (n, HIDDEN), from the moment before; zeros at the first.
        """
        logits, hidden = self.logits(face, voice, present, age, elapsed, hidden)
        return torch.softmax(logits, dim=1), hidden


def evidence(scores: Tensor) -> Tensor:
    """Return logarithms of scores less their mean: zeros where all are even."""
    logs = torch.log(scores.clamp(LEAST, 1.0))
    return logs - logs.mean(dim=1, keepdim=True)
