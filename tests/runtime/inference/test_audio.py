from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tectum.errors import ModelError
from tectum.inference.audio import assemble
from tectum.inference.stage import Cut
from tectum.message import Kind, Message
from tectum.testing.messages import make_message


def _block(first: int, samples: list[int], rate_hz: int = 16000) -> Message:
    array = np.array(samples, np.int16)[:, None]
    return make_message("mic/audio", Kind.AUDIO, array, first=first, rate_hz=rate_hz)


def test_a_cut_begins_and_ends_at_the_sample() -> None:
    #   message 0: samples 100..103, message 1: samples 104..107
    blocks = (_block(100, [0, 1, 2, 3]), _block(104, [4, 5, 6, 7]))
    sound = assemble(Cut(blocks, begin=102, length=4), 16000)
    assert sound.samples.tolist() == [2, 3, 4, 5]
    assert sound.gap == 0


def test_what_no_message_covers_is_zero_and_counted() -> None:
    #   100 101 102 103  .   .  106 107
    blocks = (_block(100, [1, 1, 1, 1]), _block(106, [2, 2]))
    sound = assemble(Cut(blocks, begin=98, length=11), 16000)
    assert sound.samples.tolist() == [0, 0, 1, 1, 1, 1, 0, 0, 2, 2, 0]
    assert sound.gap == 5


def test_without_a_cut_it_is_what_the_messages_span() -> None:
    sound = assemble(Cut((_block(4, [1, 2]), _block(8, [3]))), 16000)
    assert sound.samples.tolist() == [1, 2, 0, 0, 3]
    assert sound.gap == 2


def test_channels_are_averaged() -> None:
    stereo = np.array([[100, 200], [-3, -4]], np.int16)
    message = make_message("mic/audio", Kind.AUDIO, stereo, first=0, rate_hz=16000)
    sound = assemble(Cut((message,)), 16000)
    assert sound.samples.tolist() == [150, -4]
    assert sound.samples.dtype == np.int16


@given(
    cuts=st.lists(st.integers(1, 50), min_size=1, max_size=8),
    begin=st.integers(0, 100),
    length=st.integers(1, 100),
)
def test_however_sound_is_cut_into_messages_the_samples_are_the_same(
    cuts: list[int], begin: int, length: int
) -> None:
    timeline = np.arange(1, 1 + sum(cuts))
    ends = np.cumsum(cuts)
    blocks = tuple(
        _block(int(end - count), timeline[end - count : end].tolist())
        for count, end in zip(cuts, ends, strict=True)
    )
    sound = assemble(Cut(blocks, begin, length), 16000)
    expected = np.zeros(length, np.int16)
    part = timeline[begin : begin + length]
    expected[: len(part)] = part
    assert np.array_equal(sound.samples, expected)
    assert sound.gap == length - len(part)


def test_another_rate_is_refused_with_both() -> None:
    with pytest.raises(
        ModelError, match="mic/audio has 44100 samples a second, the model wants 16"
    ):
        assemble(Cut((_block(0, [1], rate_hz=44100),)), 16000)


def test_what_is_no_sound_is_refused() -> None:
    image = make_message("cam/image", Kind.IMAGE, np.zeros((2, 2, 3), np.uint8), encoding="bgr8")
    with pytest.raises(ModelError, match="cam/image carries image, the model wants audio"):
        assemble(Cut((image,)), 16000)
