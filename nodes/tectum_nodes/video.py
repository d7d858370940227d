"""A video file with sound, played as a camera and a microphone: `image` (bgr8), `audio` (mono).

Both are on one time line, at the presentation stamps of the file. As from live sensors, a picture
is out at its stamp and a block of sound when its last sample has been heard.
"""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.errors import DataError
from tectum.message import Kind
from tectum.node.base import Announcement, Capture, Context, NodeConfig, SensorNode
from tectum.node.fields import Duration, Rate
from tectum_nodes.media import MediaFacts, blocks, media_facts, pictures
from tectum_nodes.playback import playback_begin_ns

__all__ = ["Due", "VideoConfig", "VideoReader", "placed"]


class VideoConfig(NodeConfig):
    """A media file and what of it is played."""

    path: str
    """The file; whatever FFmpeg reads."""
    video: bool = True
    """Publish its pictures on `image`."""
    audio: bool = True
    """Publish its sound on `audio`, mixed to mono."""
    audio_rate: Annotated[Rate, Field(ge=1_000, le=384_000)] = 16_000.0
    """Samples per second to which the sound is resampled."""
    chunk: Annotated[Duration, Field(ge=NS_PER_MS, le=NS_PER_S)] = 20 * NS_PER_MS
    """Duration of a block of sound."""
    loop: bool = False
    """Begin again at the end."""
    pace: bool = True
    """Play in real time; otherwise as fast as the file is read."""


class Due(NamedTuple):
    """A capture and when it is out; counted from the beginning of the file."""

    due_ns: int
    order: int
    capture: Capture


class VideoReader(SensorNode):
    """Plays a media file."""

    Config: ClassVar[type[NodeConfig]] = VideoConfig
    config: VideoConfig
    outputs: ClassVar[Mapping[str, Kind]] = {"image": Kind.IMAGE, "audio": Kind.AUDIO}

    @classmethod
    def outputs_of(cls, config: VideoConfig) -> Mapping[str, Kind]:
        """Return what the file has of what is wanted.

        Raises:
            DataError: the file cannot be read, or has nothing of it.
        """
        facts = media_facts(_path(config))
        has = {"image": facts.video and config.video, "audio": facts.audio and config.audio}
        outputs = {name: kind for name, kind in cls.outputs.items() if has[name]}
        if not outputs:
            found = "pictures" if facts.video else "sound"
            msg = f"{config.path} has only {found}, which the keys `video` and `audio` leave out"
            raise DataError(msg)
        return outputs

    @classmethod
    def period_ns_of(cls, config: VideoConfig) -> Mapping[str, int]:
        """Return the period of pictures and blocks."""
        periods = {
            "image": media_facts(_path(config)).picture_period_ns,
            "audio": _block_size(config) * NS_PER_S // round(config.audio_rate),
        }
        return {name: periods[name] for name in cls.outputs_of(config) if periods[name]}

    @classmethod
    def nbytes_of(cls, config: VideoConfig) -> Mapping[str, int]:
        """Return the size of a picture as the file has them, and of a block of int16."""
        facts = media_facts(_path(config))
        sizes = {"image": facts.picture_bytes, "audio": _block_size(config) * 2}
        return {name: sizes[name] for name in cls.outputs_of(config) if sizes[name]}

    def open(self, context: Context) -> None:
        """See that the file can be read, and decode the first of each stream."""
        for stream in self.streams(media_facts(_path(self.config)), 0):
            next(stream, None)
            stream.close()
        context.log.info("%s of %s", " and ".join(self._wanted), self.config.path)

    def captures(self, context: Context) -> Iterator[Capture | Announcement]:
        """Yield pictures and blocks in the order in which they are out."""
        begin_ns = playback_begin_ns(context)
        facts = media_facts(_path(self.config))
        lap, end_ns = 0, 0
        while lap == 0 or self.config.loop:
            lap_ns = end_ns
            for due in heapq.merge(*self.streams(facts, lap_ns)):
                end_ns = max(end_ns, due.due_ns)
                if self.config.pace and not context.wait_until_ns(begin_ns + due.due_ns):
                    return
                yield placed(due.capture, begin_ns)
            end_ns += facts.picture_period_ns if "image" in self._wanted else 0
            lap += 1

    @cached_property
    def _wanted(self) -> tuple[str, ...]:
        return tuple(self.outputs_of(self.config))

    def streams(self, facts: MediaFacts, lap_ns: int) -> list[Generator[Due, None, None]]:
        """Return the pictures and the blocks of sound, each in order of `due_ns`.

        Times are counted from the beginning of the file, plus `lap_ns`.
        """
        makers = {"image": self._pictures, "audio": self._blocks}
        return [makers[name](facts, lap_ns) for name in self._wanted]

    def _pictures(self, facts: MediaFacts, lap_ns: int) -> Generator[Due, None, None]:
        fields = {"encoding": "bgr8"}
        for offset_ns, image in pictures(_path(self.config), facts.start_s):
            stamp_ns = lap_ns + offset_ns
            capture = Capture("image", Kind.IMAGE, (image,), stamp_ns, fields=fields)
            yield Due(stamp_ns, 0, capture)

    def _blocks(self, facts: MediaFacts, lap_ns: int) -> Generator[Due, None, None]:
        rate_hz, size = round(self.config.audio_rate), _block_size(self.config)
        lap = round(lap_ns * rate_hz / NS_PER_S)
        for first, samples in blocks(_path(self.config), facts.start_s, rate_hz, size):
            stamp_ns = _instant_ns(lap + first, rate_hz)
            end_ns = _instant_ns(lap + first + len(samples), rate_hz)
            fields = {"rate_hz": rate_hz, "first": lap + first}
            capture = Capture(
                "audio", Kind.AUDIO, (samples,), stamp_ns, end_ns - stamp_ns, fields=fields
            )
            yield Due(end_ns, 1, capture)


def placed(capture: Capture, begin_ns: int) -> Capture:
    """Return `capture` with its stamp counted from `begin_ns`, and its frame."""
    return Capture(
        capture.output,
        capture.kind,
        capture.arrays,
        begin_ns + capture.stamp_ns,
        capture.span_ns,
        frame_id="camera" if capture.kind is Kind.IMAGE else "microphone",
        fields=capture.fields,
    )


def _path(config: VideoConfig) -> Path:
    return Path(config.path).expanduser()


def _block_size(config: VideoConfig) -> int:
    return max(1, round(config.chunk * config.audio_rate / NS_PER_S))


def _instant_ns(sample: int, rate_hz: int) -> int:
    """Return when a sample of the time line is taken: rounded down, without drift."""
    return sample * NS_PER_S // rate_hz
