"""Sound at another rate, piece by piece: one stream in, one out, aligned at their start."""

from __future__ import annotations

from typing import Any

import numpy as np

from tectum.message import AnyArray

__all__ = ["Resampler"]


class Resampler:
    """Resamples int16 (samples, channels) of one uninterrupted stream (FFmpeg's swresample)."""

    def __init__(self, rate_in_hz: int, rate_out_hz: int, channels: int) -> None:
        """Begin a stream."""
        from av.audio.resampler import AudioResampler  # noqa: PLC0415 - heavy

        self._rate_in_hz = rate_in_hz
        self._layout = {1: "mono", 2: "stereo"}.get(channels, f"{channels}c")
        self._channels = channels
        self._resampler: Any = AudioResampler(format="s16", layout=self._layout, rate=rate_out_hz)

    def __call__(self, samples: AnyArray) -> AnyArray:
        """Take samples; return those that are finished: a few stay in the filter."""
        from av import AudioFrame  # noqa: PLC0415 - heavy

        packed: Any = np.ascontiguousarray(samples).reshape(1, -1)
        frame = AudioFrame.from_ndarray(packed, format="s16", layout=self._layout)
        frame.sample_rate = self._rate_in_hz
        pieces = [piece.to_ndarray() for piece in self._resampler.resample(frame)]
        joined = np.concatenate([np.zeros((1, 0), np.int16), *pieces], axis=1)
        return joined.reshape(-1, self._channels)
