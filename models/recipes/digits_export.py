"""Export the models of audio-visual digits to ONNX, each checked against its network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from digits_data import SAMPLES, SIDE
from digits_nets import SENSES, WIDTH, Early, Encoder, Head
from exporting import parity, write
from torch import Tensor, nn

RAW = {"sound": (SAMPLES,), "picture": (SIDE, SIDE)}
MASKS = torch.tensor([[1, 1], [1, 0], [0, 1], [0, 0]], dtype=torch.float32)


def export(
    encoders: Mapping[str, Encoder], heads: Mapping[str, Head], early: Early | None, folder: Path
) -> dict[str, float]:
    """Write `sound.onnx`, `head_sum.onnx` and so on; return how far each is from its network.

    Raises:
        ValueError: a file does not give what its network gives, or is no number for some mask.
    """
    draw = torch.Generator().manual_seed(1)
    raw = {sense: torch.randn(4, *RAW[sense], generator=draw) for sense in SENSES}
    coded = {sense: torch.rand(4, WIDTH, generator=draw) for sense in SENSES}
    apart = {
        sense: _one(folder, sense, model, {sense: raw[sense]}, ("embedding", "scores"))
        for sense, model in encoders.items()
    }
    for kind, head in heads.items():
        feed = {**coded, "present": MASKS}
        apart[f"head_{kind}"] = _one(folder, f"head_{kind}", head, feed, ("scores",))
    if early is not None:
        apart["early"] = _one(folder, "early", early, {**raw, "present": MASKS}, ("scores",))
    return apart


class _Scores(nn.Module):
    """A model whose last output, logits, is given as scores."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Return the model's outputs, the last as scores that sum to one."""
        found = self.model(*given)
        *before, logits = found if isinstance(found, tuple) else (found,)
        return (*before, logits.softmax(1))


def _one(
    folder: Path, name: str, model: nn.Module, feed: Mapping[str, Tensor], outputs: tuple[str, ...]
) -> float:
    path, scored = folder / f"{name}.onnx", _Scores(model).eval()
    batch = torch.export.Dim("batch")
    # One argument takes all inputs, so its shapes are given as one tuple.
    shapes = (tuple({0: batch} for _ in feed),)
    write(scored, tuple(feed.values()), list(feed), outputs, path, shapes)
    return parity(scored, path, [{key: value.numpy() for key, value in feed.items()}])
