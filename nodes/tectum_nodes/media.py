"""A media file as two streams of captures on one time line, each sample where the file puts it.

Times are counted from the beginning of the file (the earliest stream), from the presentation
stamps of pictures and sound, not from counting frames: pictures may be unevenly spaced, and sound
may begin later than the picture or have gaps. Sound is resampled and cut into equal blocks, and a
block carries the index of its first sample on that time line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tectum.clock import NS_PER_S
from tectum.errors import DataError
from tectum.message import AnyArray

__all__ = ["Block", "MediaFacts", "Picture", "blocks", "media_facts", "pictures"]

_GAP_S = Fraction(1, 100)
"""Sound whose stamp is this far off what came before has a gap; rounding of stamps is far less."""


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What a file has."""

    video: bool
    audio: bool
    picture_period_ns: int
    """Of the video stream on average; 0 where the file does not say."""
    start_s: Fraction
    """Earliest presentation stamp of the file."""
    picture_bytes: int = 0
    """Of a decoded picture, bgr8; 0 without pictures."""


class Picture(NamedTuple):
    """A picture, bgr8 H x W x 3, and when it is shown."""

    offset_ns: int
    image: AnyArray


class Block(NamedTuple):
    """Mono samples, int16 (n, 1); `first` is the index of the first on the time line."""

    first: int
    samples: AnyArray


def media_facts(path: Path) -> MediaFacts:
    """Return what the file has.

    Raises:
        DataError: it is not there, cannot be read, or has neither pictures nor sound.
    """
    with _opened(path) as container:
        video, audio = container.streams.video, container.streams.audio
        if not video and not audio:
            msg = f"{path} has neither pictures nor sound"
            raise DataError(msg)
        rate = video[0].average_rate if video else None
        starts = [
            stream.start_time * stream.time_base
            for stream in (*video[:1], *audio[:1])
            if stream.start_time is not None
        ]
        return MediaFacts(
            video=bool(video),
            audio=bool(audio),
            picture_period_ns=round(NS_PER_S / rate) if rate else 0,
            start_s=min(starts, default=Fraction(0)),
            picture_bytes=video[0].width * video[0].height * 3 if video else 0,
        )


def pictures(path: Path, start_s: Fraction) -> Iterator[Picture]:
    """Yield the pictures of the first video stream, with their times after `start_s`.

    Raises:
        DataError: the file cannot be read.
    """
    with _opened(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        at_s, period_s = start_s, Fraction(1) / (stream.average_rate or 25)
        for frame in _decoded(path, container, stream):
            at_s = frame.pts * frame.time_base if frame.pts is not None else at_s + period_s
            image = frame.to_ndarray(format="bgr24")
            yield Picture(round((at_s - start_s) * NS_PER_S), image)


def blocks(path: Path, start_s: Fraction, rate_hz: int, size: int) -> Iterator[Block]:
    """Yield the sound of the first audio stream, mixed to mono and resampled to `rate_hz`.

    Blocks have `size` samples; shorter ones come before a gap and at the end.

    Raises:
        DataError: the file cannot be read.
    """
    first = 0
    samples: AnyArray = np.zeros(0, np.int16)
    for at_s, piece in _sound(path, rate_hz):
        index = round((at_s - start_s) * rate_hz) if at_s is not None else first + len(samples)
        if index != first + len(samples):
            yield from _cut(first, samples, size)
            first, samples = index, piece
        else:
            samples = np.concatenate([samples, piece])
        whole = len(samples) // size * size
        yield from _cut(first, samples[:whole], size)
        first, samples = first + whole, samples[whole:]
    yield from _cut(first, samples, size)


def _cut(first: int, samples: AnyArray, size: int) -> Iterator[Block]:
    for begin in range(0, len(samples), size):
        yield Block(first + begin, samples[begin : begin + size].reshape(-1, 1))


def _sound(path: Path, rate_hz: int) -> Iterator[tuple[Fraction | None, AnyArray]]:
    """Yield resampled pieces; a time where the sound begins, at first and behind a gap."""
    with _opened(path) as container:
        stream = container.streams.audio[0]
        resampler, expected_s, begin_s = None, None, None
        for frame in _decoded(path, container, stream):
            at_s = frame.pts * frame.time_base if frame.pts is not None else expected_s
            at_s = Fraction(0) if at_s is None else at_s
            if resampler is None or expected_s is None or abs(at_s - expected_s) > _GAP_S:
                if resampler is not None:
                    yield from _pieces(None, resampler.resample(None))
                resampler, begin_s = _mono(rate_hz), at_s
                expected_s = at_s
            expected_s += Fraction(frame.samples, frame.sample_rate)
            frame.pts = None  # the resampler counts samples; stamps are kept here
            for piece in _pieces(begin_s, resampler.resample(frame)):
                yield piece
                begin_s = None
        if resampler is not None:
            yield from _pieces(begin_s, resampler.resample(None))


def _pieces(
    begin_s: Fraction | None, frames: list[Any]
) -> Iterator[tuple[Fraction | None, AnyArray]]:
    for number, frame in enumerate(frames):
        samples = frame.to_ndarray().reshape(-1)
        yield (begin_s if number == 0 else None), samples


def _mono(rate_hz: int) -> Any:
    from av.audio.resampler import AudioResampler  # noqa: PLC0415 - heavy

    return AudioResampler(format="s16", layout="mono", rate=rate_hz)


def _decoded(path: Path, container: Any, stream: Any) -> Iterator[Any]:
    from av.error import FFmpegError  # noqa: PLC0415 - heavy

    try:
        yield from container.decode(stream)
    except FFmpegError as error:
        msg = f"{path} cannot be decoded further: {error.strerror}"
        raise DataError(msg) from error


def _opened(path: Path) -> Any:
    import av  # noqa: PLC0415 - heavy
    from av.error import FFmpegError  # noqa: PLC0415 - heavy

    try:
        return av.open(str(path))
    except FileNotFoundError:
        msg = f"there is no media file at {path}"
        raise DataError(msg) from None
    except FFmpegError as error:
        msg = f"{path} is not a media file that can be read: {error.strerror}"
        raise DataError(msg) from error
