"""Writes a picture per result: what was seen, what was fused from it. A node without outputs.

It hears the results of a fusion node and the topics that these use, keeps the last few samples of
each, and draws every `every`-th result that has an answer. It is never in anybody's way: what it
cannot keep up with it leaves out, and says so at the end.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from tectum.clock import NS_PER_MS
from tectum.errors import DataError
from tectum.message import Kind, Message
from tectum.node.base import Context, Node, NodeConfig

__all__ = ["PicturesConfig", "PicturesNode"]

_WAIT_NS = 50 * NS_PER_MS
_KEPT = 64
"""Samples of each topic: results of a slow graph come long after what they used."""


class PicturesConfig(NodeConfig):
    """Which results are drawn, and where the pictures go."""

    result: str = "perception/result"
    """The topic of the results."""
    topics: Annotated[tuple[str, ...], Field(min_length=1)]
    """The topics that are drawn: images and points that the results use."""
    folder: str = ""
    """Where the pictures are written, as JPEG files named by the trigger's number; empty: nowhere,
    and the node is idle."""
    every: Annotated[int, Field(ge=1)] = 1
    """Draw the first of so many results."""


class PicturesNode(Node):
    """Draws results."""

    Config = PicturesConfig
    config: PicturesConfig

    @classmethod
    def topics_of(cls, config: PicturesConfig) -> tuple[str, ...]:
        """Return the results and what they are drawn on; nothing where nothing is drawn."""
        return (config.result, *config.topics) if config.folder else ()

    def __init__(self, config: Any) -> None:
        """Keep nothing yet."""
        super().__init__(config)
        self._kept: dict[str, OrderedDict[tuple[int, int], Message]] = {
            topic: OrderedDict() for topic in self.config.topics
        }
        self._topic_of: dict[str, str] = {}
        self.written = 0
        self.left_out = 0

    def open(self, context: Context) -> None:
        """Make the folder and join the publishers.

        Raises:
            DataError: the folder cannot be made.
        """
        self._subscriber = context.subscribe(self.topics_of(self.config))
        self._folder = Path(self.config.folder).expanduser()
        if not self.config.folder:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = f"the folder for pictures, {self._folder}, cannot be made: {error.strerror}"
            raise DataError(msg) from error

    def run(self, context: Context) -> None:
        """Draw until the graph stops."""
        while not context.stopping:
            self._subscriber.wait(_WAIT_NS)
            self._drain()
            context.serve(context.clock.now_ns())
        self._drain()
        if not self.config.folder:
            return
        words = f", {self.left_out} left out" if self.left_out else ""
        context.log.info("%d pictures in %s%s", self.written, self._folder.absolute(), words)

    def close(self) -> None:
        """Give the kept samples back."""
        for kept in self._kept.values():
            while kept:
                kept.popitem()[1].release()

    def _drain(self) -> None:
        for received in self._subscriber.drain():
            if received.gap is not None and received.gap.topic == self.config.result:
                self.left_out += received.gap.missing
            if received.message is not None:
                self._take(received.message)

    def _take(self, message: Message) -> None:
        header = message.header
        if header.topic in self._kept and header.kind in (Kind.IMAGE, Kind.POINTS):
            kept = self._kept[header.topic]
            kept[header.incarnation, header.seq] = message
            while len(kept) > _KEPT:
                kept.popitem(last=False)[1].release()
        elif header.kind is Kind.LATCHED and header.fields.get("fact") == "plan":
            plan: Any = header.fields["plan"]
            self._topic_of = {item["name"]: item["topic"] for item in plan["inputs"]}
        elif header.kind is Kind.RESULT:
            self._draw(message)

    def _draw(self, result: Message) -> None:
        from cv2 import imwrite  # noqa: PLC0415 - heavy

        from tectum_nodes.result_picture import draw_result  # noqa: PLC0415 - needs cv2

        document: Any = result.header.fields["result"]
        number = int(document["trigger"])
        if not document["outputs"] or number % self.config.every:
            return
        picture = draw_result(result, self._samples(document["inputs"]))
        imwrite(str(self._folder / f"{number:06d}.jpg"), picture)
        self.written += 1

    def _samples(self, inputs: Mapping[str, Any]) -> dict[str, Message]:
        """Return the kept messages that a result used, by input."""
        found: dict[str, Message] = {}
        for name, entry in inputs.items():
            for (_, seq), message in self._kept.get(self._topic_of.get(name, ""), {}).items():
                if seq == entry.get("seq"):
                    found[name] = message
        return found
