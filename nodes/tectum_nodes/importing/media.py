"""A video or sound file: pictures and sound on one time line, as the node `video` plays them.

Every stamp is the file's presentation stamp counted from its earliest stream; a file without a date
begins on 1970-01-02. Pictures are decoded, sound is mixed to mono and resampled.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.errors import DataError
from tectum.message import Kind
from tectum.node.base import NodeConfig
from tectum.node.fields import Duration, Rate
from tectum_nodes.importing.base import UNDATED_NS, Item, Source, Stream
from tectum_nodes.media import MediaFacts, media_facts
from tectum_nodes.video import Due, VideoConfig, VideoReader, placed

__all__ = ["MediaFile", "MediaFileConfig"]

_SUFFIXES = (
    ".mp4", ".mpg", ".mpeg", ".mov", ".mkv", ".webm", ".avi", ".ts", ".m4v", ".wav", ".flac",
    ".mp3", ".ogg", ".m4a",
)  # fmt: skip
_TOPICS = {"image": "camera/image", "audio": "microphone/audio"}


class MediaFileConfig(NodeConfig):
    """How sound is cut."""

    audio_rate: Annotated[Rate, Field(ge=1_000, le=384_000)] = 16_000.0
    """Samples per second to which it is resampled."""
    chunk: Annotated[Duration, Field(ge=NS_PER_MS, le=NS_PER_S)] = 20 * NS_PER_MS
    """Duration of a block."""


class MediaFile(Source):
    """A file with pictures, sound or both."""

    title = "a video or sound file (whatever FFmpeg reads)"
    Config: ClassVar[type[NodeConfig]] = MediaFileConfig
    config: MediaFileConfig

    def __init__(self, path: Path, config: Any) -> None:
        """Look what the file has."""
        super().__init__(path, config)
        self._facts: MediaFacts = media_facts(path)

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether a file is called like one."""
        return path.is_file() and path.suffix.lower() in _SUFFIXES

    def streams(self) -> tuple[Stream, ...]:
        """Return `image` and `audio`, as far as they are there."""
        has = {"image": self._facts.video, "audio": self._facts.audio}
        kinds = {"image": Kind.IMAGE, "audio": Kind.AUDIO}
        return tuple(
            Stream(name, kinds[name], "pictures" if name == "image" else "sound", None, topic)
            for name, topic in _TOPICS.items()
            if has[name]
        )

    def items(self, wanted: frozenset[str]) -> Iterator[Item]:
        """Yield pictures at their stamps and blocks of sound when they end."""
        video, audio = "image" in wanted, "audio" in wanted
        config = VideoConfig.model_validate(
            {
                "path": str(self.path),
                "video": video,
                "audio": audio,
                "audio_rate": f"{self.config.audio_rate}Hz",
                "chunk": f"{self.config.chunk}ns",
            }
        )
        streams = VideoReader(config).streams(self._facts, 0)
        for due in heapq.merge(*map(self._whole, streams)):
            capture = replace(placed(due.capture, UNDATED_NS), output=due.capture.output)
            yield Item(UNDATED_NS + due.due_ns, capture)

    def _whole(self, stream: Iterator[Due]) -> Iterator[Due]:
        """Yield a stream as far as it can be decoded."""
        try:
            yield from stream
        except DataError as error:
            self.troubles[f"{error}: what follows is missing"] += 1
