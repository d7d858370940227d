"""What a format that can be imported is: streams, and what each of them said, in order of arrival.

A `Source` reads and converts; it names nothing and writes nothing. What it cannot convert it counts
in `troubles` under a sentence, and goes on: an import is as whole as its source can be read.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from tectum.clock import NS_PER_S
from tectum.message import Kind
from tectum.node.base import Announcement, Capture, NodeConfig

__all__ = ["OUTPUTS", "UNDATED_NS", "Item", "Source", "Stream", "node_and_output", "renamed"]

OUTPUTS = {
    Kind.IMAGE: "image",
    Kind.AUDIO: "audio",
    Kind.POINTS: "points",
    Kind.TENSOR: "tensor",
    Kind.POSE: "pose",
    Kind.TEXT: "text",
    Kind.BOXES: "boxes",
}
"""What an output is called whose name nobody gives: as those of our own sensor nodes."""

UNDATED_NS = 86_400 * NS_PER_S
"""Where recordings begin that do not say when they were made: on 1970-01-02."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What a source has under one name."""

    name: str
    """As the source calls it: `/camera/image_raw`, `CAM_FRONT`."""
    kind: Kind | None
    """What its messages become; None: it cannot be imported."""
    content: str
    """What the source says it is: `sensor_msgs/msg/Image`, `JPEG files`."""
    messages: int | None = None
    """How many there are; None: nobody knows before all is read."""
    topic: str = ""
    """What it is called in the log unless told otherwise; default: made from its name."""


class Item(NamedTuple):
    """What one stream said (`said.output` is the stream's name), and when it was heard."""

    arrived_ns: int
    said: Capture | Announcement


class Source(ABC):
    """A recording of others."""

    title: ClassVar[str]
    """What is read, in a few words."""
    Config: ClassVar[type[NodeConfig]] = NodeConfig

    def __init__(self, path: Path, config: Any) -> None:
        """Look at `path`, but read no messages yet.

        Raises:
            DataError: it is not what this reads, or lacks what is needed.
        """
        self.path, self.config = path, config
        self.troubles: Counter[str] = Counter()
        """What could not be taken, in words -> how often. Grows while reading."""

    @classmethod
    @abstractmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether `path`, which exists, looks like a recording of this format."""

    @abstractmethod
    def streams(self) -> tuple[Stream, ...]:
        """Return what there is, in the order of the source."""

    @abstractmethod
    def items(self, wanted: frozenset[str]) -> Iterator[Item]:
        """Yield what the `wanted` streams said, in about the order of arrival, once."""

    def rig(self) -> Mapping[str, Any] | None:
        """Return the rig that the source tells, or None. Frames are those of its messages."""
        return None


def node_and_output(name: str) -> tuple[str, str]:
    """Return a source's name as (node, output) of a topic; the output may be empty.

    `/camera/image_raw` is (camera, image_raw), `/a/b/points` (a, b_points), `CAM_FRONT` itself.
    """
    node, _, output = name.strip("/").partition("/")
    clean = [re.sub(r"[^A-Za-z0-9_.-]", "_", part) for part in (node, output)]
    return clean[0], clean[1]


def renamed(said: Capture | Announcement, name: str) -> Capture | Announcement:
    """Return what a decoder said as said by the stream `name`."""
    return replace(said, output=name)
