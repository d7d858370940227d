"""Audio cut to the sample: messages are blocks on a timeline, a cut is a span of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tectum.errors import ModelError
from tectum.inference.stage import Cut
from tectum.message import Kind, Message, first_of

__all__ = ["Sound", "assemble"]


@dataclass(frozen=True, slots=True)
class Sound:
    """A span of mono sound."""

    samples: NDArray[np.int16]
    gap: int
    """How many of the samples no message covers; they are zero."""


def assemble(cut: Cut, rate_hz: int) -> Sound:
    """Return the samples `[begin, begin + length)` of the source's timeline, channels averaged.

    Without a cut (`begin` is -1) it is all that the messages span, first to last.

    Raises:
        ModelError: the messages are not sound, or not at `rate_hz`.
    """
    for message in cut.messages:
        _check(message, rate_hz)
    begin, length = (cut.begin, cut.length) if cut.begin >= 0 else _extent(cut.messages)
    samples = np.zeros(length, np.int16)
    covered = np.zeros(length, np.bool_)
    for message in cut.messages:
        block = _mono(message)
        offset = first_of(message.header) - begin
        low, high = max(offset, 0), min(offset + len(block), length)
        if low < high:
            samples[low:high] = block[low - offset : high - offset]
            covered[low:high] = True
    return Sound(samples, int(length - covered.sum()))


def _check(message: Message, rate_hz: int) -> None:
    header = message.header
    if header.kind is not Kind.AUDIO:
        msg = f"{header.topic} carries {header.kind}, the model wants audio"
        raise ModelError(msg)
    if header.fields.get("rate_hz") != rate_hz:
        msg = (
            f"{header.topic} has {header.fields.get('rate_hz')} samples a second, the model wants "
            f"{rate_hz}: set the rate of the node that publishes it"
        )
        raise ModelError(msg)


def _mono(message: Message) -> NDArray[np.int16]:
    block = message.array()
    if block.ndim == 1 or block.shape[1] == 1:
        return block.reshape(-1).astype(np.int16, copy=False)
    return block.mean(axis=1).round().astype(np.int16)  # type: ignore[no-any-return]


def _extent(messages: Sequence[Message]) -> tuple[int, int]:
    begin = min(first_of(message.header) for message in messages)
    end = max(first_of(message.header) + message.array().shape[0] for message in messages)
    return begin, end - begin
