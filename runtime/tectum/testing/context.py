"""A `Context` for tests of nodes: in memory, with a clock that stands still until told to go on."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tectum.clock import Clock
from tectum.message import Message
from tectum.node.context import NodeContext
from tectum.testing.clock import FakeClock
from tectum.transport.base import Subscriber
from tectum.transport.joining import Delivery
from tectum.transport.memory import MemoryBus
from tectum.transport.topics import resolve, topic_name

__all__ = ["MemoryContext"]


class MemoryContext(NodeContext):
    """What the host gives a node, on a `MemoryBus` that several contexts may share.

    With a `FakeClock`, waiting jumps; `stop_at_ns` then ends nodes that never end by themselves.
    """

    def __init__(
        self,
        name: str,
        *,
        bus: MemoryBus | None = None,
        clock: Clock | None = None,
        run: Mapping[str, Any] | None = None,
        folder: Path | None = None,
        stop_at_ns: int | None = None,
        queue: int = 100_000,
    ) -> None:
        """Be `name` on `bus`, or on one of its own with `clock` (default: a `FakeClock`).

        `run` needs `topics` for `subscribe` to resolve patterns; without it names are exact.
        `queue` bounds how much is kept for `sent`. Without a `folder` it has one of its own.
        """
        self.bus = bus or MemoryBus(clock or FakeClock())
        self._topics = (run or {}).get("topics")
        self._nodes = tuple((run or {}).get("nodes", ()))
        self._stop_at_ns = stop_at_ns
        self._heard: dict[str, Subscriber] = {}
        self._queue = queue
        document = {"epoch_ns": self.bus.clock.now_ns(), "nodes": {}, "topics": {}, **(run or {})}
        super().__init__(
            name,
            document,
            folder or self._own_folder(),
            clock=self.bus.clock,
            publisher=self.bus.publisher(name),
            connect=self._connect_here,
        )

    def _own_folder(self) -> Path:
        """Return a new folder that goes with this context: no run meets the files of another."""
        folder = Path(tempfile.mkdtemp(prefix="tectum-memory-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder

    def record(self, *outputs: str) -> None:
        """Keep from now on what is sent on `outputs`, for `sent`."""
        for output in outputs:
            topic = topic_name(self.name, output)
            self._heard[output] = self.bus.subscriber(
                f"test of {topic}", [topic], queue=self._queue
            )

    def sent(self, output: str) -> list[Message]:
        """Return what was sent on `output` since `record` or the last call."""
        received = self._heard[output].drain(self._queue)
        return [item.message for item in received if item.message is not None]

    def wait_until_ns(self, instant_ns: int) -> bool:
        """Wait, or jump where the clock is a `FakeClock`; False once the graph stops."""
        if not isinstance(self.clock, FakeClock):
            return super().wait_until_ns(instant_ns)
        if self._stop_at_ns is not None and instant_ns >= self._stop_at_ns:
            self.stop()
        if not self.stopping:
            self.clock.sleep_until_ns(instant_ns)
        return not self.stopping

    def _connect_here(
        self, topics: tuple[str, ...], *, queue: int, hold: int, delivery: Delivery
    ) -> Subscriber:
        del hold, delivery  # in memory nothing is held
        exact = topics if self._topics is None else resolve(topics, self._topics, self._nodes)
        return self.bus.subscriber(self.name, exact, queue=queue, nodes=self._nodes)
