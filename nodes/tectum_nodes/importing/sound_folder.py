"""A folder of sound files, one after the other with silence between, and what their names say.

Each file begins a whole second after the one before it has ended; the time between is a gap in
`microphone/audio`, as after lost blocks. What is heard in a file is told by the subfolder it lies
in, else by its name, on `labels/text`: a text with the file's stamp and span.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import AfterValidator, Field

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.errors import DataError
from tectum.message import Kind, Value
from tectum.node.base import Capture, NodeConfig
from tectum.node.fields import Duration, Rate
from tectum_nodes.importing.base import UNDATED_NS, Item, Source, Stream
from tectum_nodes.media import blocks, media_facts

__all__ = ["SoundFolder", "SoundFolderConfig"]

_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".m4a")
_AUDIO, _LABELS = "audio", "labels"


def _pattern(text: str) -> str:
    try:
        groups = re.compile(text).groups
    except re.error as error:
        msg = f"{text!r} is not a regular expression: {error}"
        raise ValueError(msg) from None
    if text and groups != 1:
        msg = f"{text!r} must have one group, in brackets, that is the label; it has {groups}"
        raise ValueError(msg)
    return text


class SoundFolderConfig(NodeConfig):
    """How files are cut and named."""

    audio_rate: Annotated[Rate, Field(ge=1_000, le=384_000)] = 16_000.0
    """Samples per second to which sound is resampled."""
    chunk: Annotated[Duration, Field(ge=NS_PER_MS, le=NS_PER_S)] = 20 * NS_PER_MS
    """Duration of a block."""
    label: Annotated[str, AfterValidator(_pattern)] = ""
    """Regular expression with one group: the label in a file's path (`_([a-z]+)_`). Default: the
    subfolder's name, where there are several, else the name's part before its first `_` or `-`."""


class SoundFolder(Source):
    """A folder of sounds."""

    title = "a folder of sound files (wav, flac, ogg, mp3, m4a), with labels in their names"
    Config: ClassVar[type[NodeConfig]] = SoundFolderConfig
    config: SoundFolderConfig

    def __init__(self, path: Path, config: Any) -> None:
        """Find the files."""
        super().__init__(path, config)
        self._files = _sounds(path)
        self._in_classes = len({file.parent for file in self._files}) > 1

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether a folder, or its subfolders, hold sounds."""
        return path.is_dir() and bool(_sounds(path))

    def streams(self) -> tuple[Stream, ...]:
        """Return the sound and the labels."""
        count = len(self._files)
        return (
            Stream(_AUDIO, Kind.AUDIO, f"sound of {count} files", None, "microphone/audio"),
            Stream(_LABELS, Kind.TEXT, "what the files' names say", count, "labels/text"),
        )

    def items(self, wanted: frozenset[str]) -> Iterator[Item]:
        """Yield the blocks of each file when they end, and its label with its first."""
        rate_hz = round(self.config.audio_rate)
        begin_s = UNDATED_NS // NS_PER_S
        for file in self._files:
            begin = begin_s * rate_hz
            end = begin
            try:
                for first, samples in self._blocks(file, rate_hz):
                    end = begin + first + len(samples)
                    if _AUDIO in wanted:
                        yield _block(begin + first, samples, rate_hz)
            except DataError as error:
                self.troubles[str(error)] += 1
            if end == begin:
                continue
            if _LABELS in wanted:
                yield self._label(file, begin_s * NS_PER_S, _instant_ns(end, rate_hz))
            begin_s = -(-end // rate_hz) + 1

    def _blocks(self, file: Path, rate_hz: int) -> Iterator[tuple[int, Any]]:
        size = max(1, round(self.config.chunk * rate_hz / NS_PER_S))
        facts = media_facts(file)
        if not facts.audio:
            msg = f"{file} has no sound"
            raise DataError(msg)
        return blocks(file, facts.start_s, rate_hz, size)

    def _label(self, file: Path, begin_ns: int, end_ns: int) -> Item:
        inside = file.relative_to(self.path)
        fields: dict[str, Value] = {"text": self._label_of(inside), "file": str(inside)}
        capture = Capture(_LABELS, Kind.TEXT, (), begin_ns, end_ns - begin_ns, fields=fields)
        return Item(end_ns, capture)

    def _label_of(self, inside: Path) -> str:
        if self.config.label:
            found = re.search(self.config.label, str(inside))
            if found is None:
                self.troubles["files have no label in their names"] += 1
            return found.group(1) if found else ""
        if self._in_classes and len(inside.parts) > 1:
            return inside.parts[-2]
        return re.split("[_-]", inside.stem)[0]


def _block(first: int, samples: Any, rate_hz: int) -> Item:
    stamp_ns, end_ns = _instant_ns(first, rate_hz), _instant_ns(first + len(samples), rate_hz)
    capture = Capture(
        _AUDIO,
        Kind.AUDIO,
        (np.ascontiguousarray(samples),),
        stamp_ns,
        end_ns - stamp_ns,
        frame_id="microphone",
        fields={"rate_hz": rate_hz, "first": first},
    )
    return Item(end_ns, capture)


def _instant_ns(sample: int, rate_hz: int) -> int:
    return sample * NS_PER_S // rate_hz


def _sounds(path: Path) -> list[Path]:
    found = (*path.glob("*"), *path.glob("*/*"))
    return sorted(file for file in found if file.suffix.lower() in _SUFFIXES)
