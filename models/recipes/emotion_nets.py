"""The speech-emotion network: from raw samples to statistics of how something is said, to scores.

Fixed part: frames, a windowed Fourier basis, mel bands, cepstra, pitch by autocorrelation, and
statistics of these over two seconds. Learned part: a linear layer beside a small hidden one, on
statistics from which the running mean of the same speaker's is taken off (adaptation).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

RATE, SAMPLES, HOP, WINDOW, FFT = 16_000, 32_000, 200, 400, 512
BINS, MELS, CEPSTRA, PITCH_BINS = FFT // 2 + 1, 40, 16, 80
LAGS = np.arange(RATE // 450, RATE // 60)
LOUD, VOICED = 7.0, 0.45
"""Frames within 7 nepers of power (30 dB) of the loudest count; voiced are those this periodic."""
EMOTIONS = ("anger", "boredom", "disgust", "fear", "happiness", "neutral", "sadness")
FACES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The labels of expressions of faces, which the voice's are brought to for fusion."""
HIDDEN = 48
PRIOR, FORGET = 4.0, 0.995
"""The running mean starts as if 4 windows of an average speaker had been heard, and forgets."""


def _half(array: np.ndarray) -> torch.Tensor:
    """Round to float16, as the file keeps it."""
    return torch.tensor(array.astype(np.float16))


class Statistics(nn.Module):
    """(n, SAMPLES) samples, any scale, to (n, count) statistics and (n, 1) how much is speech."""

    def __init__(self) -> None:
        super().__init__()
        bins, window = np.arange(BINS), np.hanning(WINDOW + 1)[:-1]
        angle = 2 * np.pi * np.outer(np.arange(WINDOW), bins) / FFT
        basis = np.concatenate([np.cos(angle), np.sin(angle)], 1) * window[:, None]
        self.register_buffer("basis", _half(basis))
        self.register_buffer("mel", _half(_mel()))
        turn = 2 * np.pi * np.outer(bins[:PITCH_BINS], LAGS) / FFT
        taper = np.correlate(window, window, "full")[WINDOW - 1 :]
        self.register_buffer("lags", _half(2 * np.cos(turn) / (taper[LAGS] / taper[0])))
        self.register_buffer("octave", torch.tensor(0.0002 * (LAGS - LAGS[0]), dtype=torch.float32))
        self.register_buffer("pitch", torch.tensor(np.log2(RATE / LAGS / 100), dtype=torch.float32))
        grid = np.pi * np.outer(np.arange(MELS) + 0.5, np.arange(CEPSTRA)) / MELS
        cosines = np.cos(grid) * np.sqrt(2 / MELS)
        self.register_buffer("cosines", torch.tensor(cosines, dtype=torch.float32))
        frames = SAMPLES // HOP - 1
        rates = np.array([1, 2, 3, 4, 6, 8, 11, 15, 20, 28])  # Hz, of modulation
        beat = 2 * np.pi * np.outer(np.arange(frames) * HOP / RATE, rates)
        beats = np.concatenate([np.cos(beat), np.sin(beat)], 1)
        self.register_buffer("beats", torch.tensor(beats.T, dtype=torch.float32))
        self.register_buffer("time", torch.linspace(-1, 1, frames)[None, :, None])

    def forward(self, sound: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the statistics and how much of the sound is speech, 0 to 1."""
        power = self.power(sound.float() / 32768)
        mel = torch.log(power @ self.mel.float() + 1e-7)
        loud = torch.log(power.sum(2, keepdim=True) + 1e-7)
        near = power[:, :, :PITCH_BINS]
        alike = near @ self.lags.float() / (2 * near.sum(2, keepdim=True) + 1e-7) - self.octave
        periodic, best = alike.max(2, keepdim=True)
        pitch = self.pitch[best]
        some = (loud > loud.amax(1, keepdim=True) - LOUD).float()
        voiced = some * (periodic > VOICED).float()
        speech = torch.clamp(voiced.mean(1) * 5 - 0.5, 0, 1)
        found = [
            *self._spectral(mel, some, voiced),
            *self._melody(pitch, voiced, periodic, some),
            *self._loudness(loud, some, voiced),
            self._rhythm(mel),
        ]
        return torch.cat(found, 1), speech

    def power(self, sound: torch.Tensor) -> torch.Tensor:
        """Return (n, frames, BINS): power of each frame, of sound whose peak is brought to 1."""
        flat = sound - 0.97 * torch.cat([sound[:, :1], sound[:, :-1]], 1)  # pre-emphasis
        flat = flat / flat.abs().amax(1, keepdim=True).clamp_min(1e-3)
        halves = flat.unflatten(1, (-1, HOP))
        waves = torch.cat([halves[:, :-1], halves[:, 1:]], 2) @ self.basis.float()
        return waves[:, :, :BINS].square() + waves[:, :, BINS:].square()

    def _spectral(
        self, mel: torch.Tensor, some: torch.Tensor, voiced: torch.Tensor
    ) -> list[torch.Tensor]:
        cepstra = mel @ self.cosines
        steps, stepped = _change(cepstra, some)
        jerks, jerked = _change(steps[:, :, :8], stepped)
        shape = mel - mel.mean(2, keepdim=True)
        return [
            *_moments(cepstra, some),
            _moments(steps, stepped)[1],
            _moments(jerks, jerked)[1],
            *_moments(shape, voiced)[:2],
            _moments(cepstra[:, :, :13], some - voiced)[0],
        ]

    def _melody(
        self, pitch: torch.Tensor, voiced: torch.Tensor, periodic: torch.Tensor, some: torch.Tensor
    ) -> list[torch.Tensor]:
        tenth, quarter, half, more, most = _quantiles(pitch, voiced, (0.1, 0.25, 0.5, 0.75, 0.9))
        steps, stepped = _change(pitch, voiced)
        return [
            *_moments(pitch, voiced), tenth, half, most, most - tenth, more - quarter,
            *_moments(periodic, some), *_moments(steps, stepped),
            *_quantiles(steps.abs(), stepped, (0.9,)), self._trend(pitch, voiced),
        ]  # fmt: skip

    def _loudness(
        self, loud: torch.Tensor, some: torch.Tensor, voiced: torch.Tensor
    ) -> list[torch.Tensor]:
        below = loud - loud.amax(1, keepdim=True)
        steps, stepped = _change(below, some)
        turns = (voiced[:, 1:] - voiced[:, :-1]).abs().sum(1)
        count = some.sum(1).clamp_min(1)
        return [
            *_moments(below, some), *_quantiles(below, some, (0.25, 0.5, 0.75)),
            *_moments(steps, stepped)[1:], *_quantiles(steps, stepped, (0.1, 0.9)),
            self._trend(below, voiced), some.mean(1), voiced.mean(1), voiced.sum(1) / count,
            turns / count,
        ]  # fmt: skip

    def _rhythm(self, mel: torch.Tensor) -> torch.Tensor:
        bands = mel.unflatten(2, (8, -1)).mean(3)
        waves = self.beats @ (bands - bands.mean(1, keepdim=True))
        half = waves.shape[1] // 2
        strength = waves[:, :half].square() + waves[:, half:].square()
        return torch.log(strength / mel.shape[1] + 1e-2).flatten(1)

    def _trend(self, track: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """Return the slope of a line through the chosen frames."""
        count = chosen.sum(1, keepdim=True).clamp_min(1)
        off = (track - (track * chosen).sum(1, keepdim=True) / count) * chosen
        at = (self.time - (self.time * chosen).sum(1, keepdim=True) / count) * chosen
        return (off * at).sum(1) / (at.square().sum(1) + 0.1)


class SpeechEmotion(nn.Module):
    """The whole model, with the running mean of the speaker as its carried state."""

    def __init__(self, mean: torch.Tensor, scale: torch.Tensor) -> None:
        super().__init__()
        self.statistics = Statistics()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.classify = Classifier(len(mean))
        self.register_buffer("to_faces", _to_faces())

    def forward(
        self, audio: torch.Tensor, heard: torch.Tensor, count: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Return emotion (n, 7), expression (n, 7), speech (n, 1), and both states for next time.

        Args:
            audio: int16 (1, SAMPLES).
            heard: (1, count of statistics), the sum of what was heard before; zeros at first.
            count: (1, 1), how much that was; zero at first.
        """
        statistics, speech = self.statistics(audio)
        normal = self.normal(statistics)
        centred = normal - heard / (count + PRIOR)
        sure = torch.softmax(self.classify(centred), 1)
        emotion = speech * sure + (1 - speech) / len(EMOTIONS)
        expression = speech * (sure @ self.to_faces) + (1 - speech) / len(FACES)
        return (
            emotion, expression,
            speech, FORGET * heard + speech * normal, FORGET * count + speech,
        )  # fmt: skip

    def normal(self, statistics: torch.Tensor) -> torch.Tensor:
        """Return statistics in standard deviations of the training data, at most 4."""
        return torch.clamp((statistics - self.mean) / self.scale, -4, 4)


class Classifier(nn.Module):
    """Logits of the emotions: a line, and what a hidden layer adds."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.line = nn.Linear(inputs, len(EMOTIONS))
        self.bend = nn.Sequential(
            nn.Dropout(0.3), nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Dropout(0.5),
            nn.Linear(HIDDEN, len(EMOTIONS)),
        )  # fmt: skip

    def forward(self, centred: torch.Tensor) -> torch.Tensor:
        """(n, inputs) to (n, 7)."""
        return self.line(centred) + self.bend(centred)


def _moments(z: torch.Tensor, chosen: torch.Tensor) -> list[torch.Tensor]:
    """Mean, deviation and skew over the chosen frames; z (n, t, f), chosen (n, t, 1)."""
    count = chosen.sum(1, keepdim=True).clamp_min(1)
    mean = (z * chosen).sum(1, keepdim=True) / count
    off = (z - mean) * chosen
    deviation = torch.sqrt(off.square().sum(1, keepdim=True) / count + 1e-5)
    scaled = off / deviation
    skew = (scaled * scaled * scaled).sum(1, keepdim=True) / count
    return [mean[:, 0], deviation[:, 0], skew[:, 0]]


def _change(z: torch.Tensor, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """How z changes over four frames, and where both ends are chosen."""
    return (z[:, 4:] - z[:, :-4]) / 4, chosen[:, 4:] * chosen[:, :-4]


def _quantiles(z: torch.Tensor, chosen: torch.Tensor, at: tuple[float, ...]) -> list[torch.Tensor]:
    """Quantiles of z (n, t, 1) over the chosen frames; 0 where there are none."""
    rest = torch.where(chosen > 0, z, torch.full_like(z, 1e4))
    ordered = torch.topk(rest[:, :, 0], rest.shape[1], dim=1, largest=False).values
    last = (chosen.sum(1) - 1).clamp_min(0)
    some = (chosen.sum(1) > 0).float()
    return [some * torch.gather(ordered, 1, (last * share).long()) for share in at]


def _to_faces() -> torch.Tensor:
    """(7, 7): emotions of the voice to expressions; boredom is neutral, surprise is not told."""
    pairs = {"anger": "angry", "boredom": "neutral", "happiness": "happy", "sadness": "sad"}
    matrix = torch.full((len(EMOTIONS), len(FACES)), 0.0)
    for row, name in enumerate(EMOTIONS):
        matrix[row, FACES.index(pairs.get(name, name))] = (len(FACES) - 1) / len(FACES)
    matrix[:, FACES.index("surprise")] = 1 / len(FACES)
    return matrix


def _mel() -> np.ndarray:
    """(BINS, MELS) triangles, evenly spaced in mel from 60 to 7600 Hz (Stevens 1937)."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (60, 7600))
    edges = 700 * (10 ** (np.linspace(low, high, MELS + 2) / 2595) - 1)
    hz = np.arange(BINS)[:, None] * RATE / FFT
    up = (hz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - hz) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(up, down))
