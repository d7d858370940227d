"""The speech-emotion network for integers: the same statistics, from products of 8 bits.

Nine tenths of the arithmetic is one product: frames with the Fourier basis. Here it is half as
long, since a cosine is even and a sine is odd about the middle of a frame, and in integers: frames
are uint8, each scaled by its own peak, so that none is too soft; the basis is int8, of 7 bits,
since processors without VNNI add pairs of products in 16 bits. What is left is many small sums over
time; `Lean` makes one masked matrix of them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from emotion_nets import (
    BINS,
    CEPSTRA,
    FFT,
    HOP,
    LOUD,
    MELS,
    PITCH_BINS,
    VOICED,
    SpeechEmotion,
    Statistics,
)
from onnx import helper, numpy_helper

STEPS, WEIGHTS = 127, 63
"""Of a frame to either side, and of the basis."""
SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)
MASKS = ("some", "voiced", "rest", "stepped", "jerked", "moving")


class Lean(Statistics):
    """The statistics of `Statistics`, in a third of its operations."""

    def __init__(self, *, rounded: bool = False) -> None:
        """Take `rounded` to see in floating point what the integers give."""
        super().__init__()
        self.rounded = rounded
        ones = torch.ones(BINS, 1)
        near = (torch.arange(BINS) < PITCH_BINS).float()[:, None]
        self.register_buffer("bands", torch.cat([self.mel.float(), ones, near], 1))
        self.register_buffer("unit", torch.ones(1))
        self._fold_basis()
        self._make_columns()
        centre = self.beats - self.beats.mean(1, keepdim=True)
        self.register_buffer("centred_beats", centre)
        joined = torch.zeros(MELS, 8)
        joined[torch.arange(MELS), torch.arange(MELS) // (MELS // 8)] = 8 / MELS
        self.register_buffer("joined", joined)
        self.register_buffer("level", torch.eye(MELS) - 1 / MELS)
        self.register_buffer("shares", torch.tensor(SHARES)[None])

    def _fold_basis(self) -> None:
        """Lay down half of the windowed cosines and sines, about the middle of a frame."""
        at, window = np.arange(HOP), np.hanning(2 * HOP + 1)[HOP : 2 * HOP]
        angle = 2 * np.pi * np.outer(at, np.arange(BINS)) / FFT
        for name, half in (("even", np.cos(angle)), ("odd", np.sin(angle))):
            array = (half * window[:, None]).astype(np.float16)
            self.register_buffer(name, torch.tensor(array))
        self.register_buffer("mirror", torch.arange(HOP, 0, -1))

    def _make_columns(self) -> None:
        """Lay down which mask each column of the matrix has, and which results are wanted."""
        columns = (
            ["some"] * CEPSTRA + ["stepped"] * CEPSTRA + ["jerked"] * 8 + ["voiced"] * MELS
            + ["rest"] * 13 + ["voiced", "some", "moving", "some", "stepped", "voiced"]
        )  # fmt: skip
        choice = torch.zeros(len(MASKS), len(columns))
        choice[[MASKS.index(name) for name in columns], torch.arange(len(columns))] = 1
        self.register_buffer("choice", choice)
        wide, at = len(columns), np.cumsum([0, CEPSTRA, CEPSTRA, 8, MELS, 13])
        cep, step, jerk, shape, rest = (
            np.arange(a, b) for a, b in zip(at, at[1:].tolist(), strict=False)
        )
        pitch, periodic, moving, below, fall, _ = range(at[-1], wide)
        mean, dev, skew = 0, wide, 2 * wide
        quantile, single = 3 * wide, 3 * wide + 4 * len(SHARES)
        q = [quantile + len(SHARES) * track for track in range(4)]  # pitch, moving, below, fall
        span, trend = single, single + 2
        counts = single + 4
        order = [
            *(mean + cep), *(dev + cep), *(skew + cep), *(dev + step), *(dev + jerk),
            *(mean + shape), *(dev + shape), *(mean + rest),
            mean + pitch, dev + pitch, skew + pitch, q[0], q[0] + 2, q[0] + 4, span, span + 1,
            mean + periodic, dev + periodic, skew + periodic,
            mean + moving, dev + moving, skew + moving, q[1] + 4, trend,
            mean + below, dev + below, skew + below, q[2] + 1, q[2] + 2, q[2] + 3,
            dev + fall, skew + fall, q[3], q[3] + 4, trend + 1,
            counts, counts + 1, counts + 2, counts + 3,
        ]  # fmt: skip
        self.register_buffer("order", torch.tensor([int(index) for index in order]))

    def forward(self, sound: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(1, SAMPLES) to (1, count) and (1, 1), as `Statistics` does."""
        power = self.lean_power(sound)
        sums = power @ self.bands
        logs = torch.log(sums[:, : MELS + 1] + 1e-7)
        mel, loud = logs[:, :MELS], logs[:, MELS:]
        alike = power[:, :PITCH_BINS] @ self.lags.float() / (2 * sums[:, MELS + 1 :] + 1e-7)
        periodic, best = (alike - self.octave).max(1, keepdim=True)
        pitch = self.pitch[best[:, 0]][:, None]
        below = loud - loud.amax(0, keepdim=True)
        some = (below > -LOUD).float()
        voiced = some * (periodic > VOICED).float()
        share = voiced.mean(0, keepdim=True)
        speech = torch.clamp(share * 5 - 0.5, 0, 1)
        found = self._moments(mel, pitch, periodic, below, some, voiced)
        rhythm = self.centred_beats @ (mel @ self.joined)
        strength = (rhythm * rhythm).unflatten(0, (2, -1)).sum(0)
        return torch.cat([found, torch.log(strength / len(mel) + 1e-2).reshape(1, -1)], 1), speech

    def lean_power(self, sound: torch.Tensor) -> torch.Tensor:
        """Return (frames, BINS), as `power`, of one sound; each frame is scaled by its own peak."""
        wave = sound.float() / 32768
        flat = wave - 0.97 * torch.cat([wave[:, :1], wave[:, :-1]], 1)
        halves = flat.reshape(-1, HOP)
        before = torch.nn.functional.pad(halves[:-1], (0, 1))[:, self.mirror]
        even, odd = halves[1:] + before, halves[1:] - before
        peak = torch.maximum(even.abs(), odd.abs()).amax(1, keepdim=True).clamp_min(1e-9)
        gain = peak / flat.abs().amax(1, keepdim=True).clamp_min(1e-3)
        real, imaginary = self._product(even / peak, self.even), self._product(odd / peak, self.odd)
        return (real * real + imaginary * imaginary) * (gain * gain * self.unit)

    def _product(self, frames: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
        if not self.rounded:
            return frames @ basis.float()
        weights = torch.round(basis.float() * WEIGHTS)
        return torch.round(frames * STEPS) @ weights / (STEPS * WEIGHTS)

    def _moments(
        self, mel: torch.Tensor, pitch: torch.Tensor, periodic: torch.Tensor, below: torch.Tensor,
        some: torch.Tensor, voiced: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        """Return all statistics over time but the rhythm, in the order of `Statistics`."""
        cepstra, shape = mel @ self.cosines, mel @ self.level
        tracks = torch.cat([cepstra, pitch, below, some, voiced], 1)
        late, early = tracks[4:], tracks[:-4]
        steps, both = (late - early) / 4, late * early
        steps = torch.nn.functional.pad(steps, (0, 0, 0, 4))
        both = torch.nn.functional.pad(both, (0, 0, 0, 4))
        moved, stepped, moving = steps[:, :CEPSTRA], both[:, -2:-1], both[:, -1:]
        jerks = torch.nn.functional.pad((moved[4:, :8] - moved[:-4, :8]) / 4, (0, 0, 0, 4))
        jerked = torch.nn.functional.pad(stepped[4:] * stepped[:-4], (0, 0, 0, 4))
        masks = torch.cat([some, voiced, some - voiced, stepped, jerked, moving], 1)
        turned, fallen = steps[:, CEPSTRA : CEPSTRA + 1], steps[:, CEPSTRA + 1 : CEPSTRA + 2]
        z = torch.cat(
            [cepstra, moved, jerks, shape, cepstra[:, :13], pitch, periodic, turned, below, fallen,
             below], 1,
        )  # fmt: skip
        weight = masks @ self.choice
        count = weight.sum(0, keepdim=True).clamp_min(1)
        mean = (z * weight).sum(0, keepdim=True) / count
        off = (z - mean) * weight
        deviation = torch.sqrt((off * off).sum(0, keepdim=True) / count + 1e-5)
        scaled = off / deviation
        skew = (scaled * scaled * scaled).sum(0, keepdim=True) / count
        quantiles = self._all_quantiles(
            torch.cat([pitch, turned.abs(), below, fallen], 1),
            torch.cat([voiced, moving, some, stepped], 1),
        )
        singles = self._singles(quantiles, off, some, voiced, stepped)
        every = torch.cat([mean, deviation, skew, quantiles.reshape(1, -1), singles], 1)
        return every[:, self.order]

    def _all_quantiles(self, tracks: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """Return (tracks, SHARES) of (t, tracks)."""
        rest = (tracks * chosen + 1e4 * (1 - chosen)).T
        ordered = torch.topk(rest, rest.shape[1], dim=1, largest=False).values
        count = chosen.sum(0)[:, None]
        at = ((count - 1).clamp_min(0) * self.shares).long()
        return (count > 0).float() * torch.gather(ordered, 1, at)

    def _singles(
        self, quantiles: torch.Tensor, off: torch.Tensor, some: torch.Tensor, voiced: torch.Tensor,
        stepped: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        """Return the spans of the pitch, both trends, and how much is loud, voiced, and turns."""
        del stepped
        tenth, quarter, _, more, most = quantiles[:1].split(1, 1)
        time = self.time[0]
        size = voiced.sum(0, keepdim=True)
        count = size.clamp_min(1)
        at = (time - (time * voiced).sum(0, keepdim=True) / count) * voiced
        slopes = at.T @ torch.cat([off[:, -6:-5], off[:, -1:]], 1)
        trends = slopes / ((at * at).sum() + 0.1)
        turns = (voiced[1:] - voiced[:-1]).abs().sum(0, keepdim=True)
        loud = some.sum(0, keepdim=True).clamp_min(1)
        length = len(voiced)
        return torch.cat(
            [most - tenth, more - quarter, trends, some.mean(0, keepdim=True), size / length,
             size / loud, turns / loud], 1,
        )  # fmt: skip


def lean(model: SpeechEmotion, *, rounded: bool = False) -> SpeechEmotion:
    """Return `model` with lean statistics and the same learned part."""
    made = SpeechEmotion(model.mean.clone(), model.scale.clone())
    made.load_state_dict(model.state_dict())
    made.statistics = Lean(rounded=rounded)
    return made.eval()


def in_integers(path: Path) -> None:
    """Replace the products with the Fourier basis in the file at `path` by ones of integers."""
    model = onnx.load(str(path))
    graph = model.graph
    shared = {"frame_step": np.float32(1 / STEPS), "frame_zero": np.uint8(STEPS + 1),
              "basis_zero": np.int8(0)}  # fmt: skip
    for name, value in shared.items():
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    for name in ("even", "odd"):
        _replace_product(graph, name)
    unit = next(one for one in graph.initializer if one.name == "statistics.unit")
    one = np.array([1 / (STEPS * WEIGHTS) ** 2], np.float32)
    unit.CopyFrom(numpy_helper.from_array(one, unit.name))
    _drop_unused(graph)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _replace_product(graph: onnx.GraphProto, name: str) -> None:
    """Make the product with the basis `name` (float16, and cast) one of integers."""
    kept = next(one for one in graph.initializer if one.name == f"statistics.{name}")
    cast = next(node for node in graph.node if kept.name in node.input)
    product = next(node for node in graph.node if cast.output[0] in node.input)
    basis = np.round(numpy_helper.to_array(kept).astype(np.float32) * WEIGHTS).astype(np.int8)
    graph.initializer.append(numpy_helper.from_array(basis, f"{name}_int8"))
    replacing = [
        helper.make_node(
            "QuantizeLinear", [product.input[0], "frame_step", "frame_zero"], [f"{name}_frames"]
        ),
        helper.make_node(
            "MatMulInteger", [f"{name}_frames", f"{name}_int8", "frame_zero", "basis_zero"],
            [f"{name}_summed"],
        ),
        helper.make_node(
            "Cast", [f"{name}_summed"], [product.output[0]], to=onnx.TensorProto.FLOAT
        ),
    ]  # fmt: skip
    at = list(graph.node).index(product)
    graph.node.remove(product)
    for node in reversed(replacing):
        graph.node.insert(at, node)


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Remove what nothing uses any more, casts of constants first."""
    while True:
        used = {name for node in graph.node for name in node.input}
        used |= {output.name for output in graph.output}
        idle = [node for node in graph.node if not used & set(node.output)]
        if not idle:
            break
        for node in idle:
            graph.node.remove(node)
    for one in [one for one in graph.initializer if one.name not in used]:
        graph.initializer.remove(one)
