"""Small nodes with settable manners, to try processes and launchers on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.errors import DeviceError
from tectum.message import Kind
from tectum.node.base import Announcement, Capture, Context, Node, NodeConfig, SensorNode
from tectum.node.fields import Rate

__all__ = ["Echo", "EchoConfig", "Metronome", "MetronomeConfig"]


class MetronomeConfig(NodeConfig):
    """How a metronome beats and misbehaves."""

    rate: Rate = 100.0
    """Beats per second."""
    count: int = 0
    """It ends by itself after so many beats; 0: never."""
    nbytes: int = 16
    """Size of the buffer of each beat."""
    announce: bool = False
    """Whether each beat is announced when it begins."""
    fault: Literal["none", "open", "run", "bug", "hang"] = "none"
    """Where it fails: when opened, at the third beat, by a bug there, or by hanging there."""


class Metronome(SensorNode):
    """Publishes `beat`, whose stamps lie exactly one period apart from the run's epoch on."""

    Config: ClassVar[type[NodeConfig]] = MetronomeConfig
    outputs: ClassVar[Mapping[str, Kind]] = {"beat": Kind.TENSOR}
    config: MetronomeConfig

    @classmethod
    def period_ns_of(cls, config: Any) -> Mapping[str, int]:
        """Return the period of the beat."""
        return {"beat": round(NS_PER_S / config.rate)}

    def open(self, context: Context) -> None:
        """Fail if it is to fail here."""
        if self.config.fault == "open":
            msg = f"metronome {context.name}: no pendulum at /dev/pendulum0; connect one"
            raise DeviceError(msg)

    def captures(self, context: Context) -> Iterator[Capture | Announcement]:
        """Yield one beat per period."""
        period_ns = self.period_ns_of(self.config)["beat"]
        begin_ns = max(context.epoch_ns, context.clock.now_ns())
        index = 0
        while self.config.count in {0} or index < self.config.count:
            stamp_ns = begin_ns + index * period_ns
            if not context.wait_until_ns(stamp_ns):
                return
            if index == 2:
                self._misbehave(context)
            if self.config.announce:
                yield Announcement("beat", stamp_ns)
            buffer = np.full(self.config.nbytes, index % 256, np.uint8)
            yield Capture("beat", Kind.TENSOR, (buffer,), stamp_ns, fields={"names": ["beat"]})
            index += 1

    def _misbehave(self, context: Context) -> None:
        if self.config.fault == "run":
            msg = f"metronome {context.name}: the pendulum fell off; hang it up again"
            raise DeviceError(msg)
        if self.config.fault == "bug":
            raise ZeroDivisionError
        while self.config.fault == "hang":
            context.clock.sleep_until_ns(context.clock.now_ns() + NS_PER_S)


class EchoConfig(NodeConfig):
    """What an echo listens to."""

    topics: tuple[str, ...] = ("*",)
    """Topics or patterns."""
    count: int = 0
    """It ends by itself after so many messages; 0: when it is stopped."""


class Echo(Node):
    """Publishes a line of `text` for every message that it hears: its topic, number and stamp."""

    Config: ClassVar[type[NodeConfig]] = EchoConfig
    outputs: ClassVar[Mapping[str, Kind]] = {"text": Kind.TEXT}
    config: EchoConfig

    @classmethod
    def topics_of(cls, config: Any) -> tuple[str, ...]:
        """Return the topics to listen to."""
        return tuple(config.topics)

    def open(self, context: Context) -> None:
        """Join the publishers."""
        self._subscriber = context.subscribe(self.config.topics)

    def run(self, context: Context) -> None:
        """Repeat what comes until it has come `count` times or the graph stops."""
        heard = 0
        while not context.stopping and (heard < self.config.count or self.config.count == 0):
            self._subscriber.wait(20 * NS_PER_MS)
            for item in self._subscriber.drain():
                if item.message is not None:
                    header = item.message.header
                    heard += 1
                    text = f"{header.topic} {header.kind} {header.seq}"
                    fields = {"text": text}
                    context.publish("text", Kind.TEXT, stamp_ns=header.stamp_ns, fields=fields)
            context.serve(context.clock.now_ns())
        context.end("text")
