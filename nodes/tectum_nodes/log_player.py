"""Plays a log: publishes what was recorded, at its pace, under the names that it had.

A new live run whose decisions are its own: stamps are moved by the start of this run minus the
start of the log, and the recorded stamp is kept in the field `source_stamp_ns`. Messages come in
the order in which they had arrived, each as late after its stamp as it was. An output is named by
the whole topic, so that one player stands in for several sensors; `as` gives topics other names.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field

from tectum.clock import NS_PER_S
from tectum.errors import ConfigError, DataError, nearest_name
from tectum.message import Header, Kind, Message, Value
from tectum.node.base import Announcement, Capture, Context, NodeConfig, SensorNode
from tectum.recording.reader import LogReader, Record, matches
from tectum_nodes.playback import playback_begin_ns

__all__ = ["LogPlayer", "LogPlayerConfig"]

_SENSED = (
    Kind.IMAGE, Kind.AUDIO, Kind.POINTS, Kind.POSE, Kind.TENSOR, Kind.TEXT, Kind.BOXES,
)  # fmt: skip
"""What is played unless topics are named: what sensors say, not what was concluded from it."""


class LogPlayerConfig(NodeConfig):
    """Which log, what of it, and how fast."""

    model_config = ConfigDict(populate_by_name=True)

    path: str
    """The log."""
    topics: tuple[str, ...] = ()
    """Topics or patterns with `*`; default: everything that sensors said."""
    names: Annotated[dict[str, str], Field(alias="as", default_factory=dict)]
    """Recorded topic -> the topic under which it is played."""
    rate: Annotated[float, Field(gt=0, le=100)] = 1.0
    """2 is twice as fast; stamps and sample rates follow."""
    loop: bool = False
    """Begin again at the end."""


@dataclass(frozen=True, slots=True)
class _Shift:
    """Moves recorded times to those of one lap of this run."""

    log_begin_ns: int
    begin_ns: int
    speed: Fraction
    lap_ns: int = 0
    """Recorded time that earlier laps took."""

    def instant(self, time_ns: int) -> int:
        """Return when something is due, or was captured, in this run."""
        return self.begin_ns + round((time_ns - self.log_begin_ns + self.lap_ns) / self.speed)

    def duration(self, duration_ns: int) -> int:
        """Return how long something takes in this run."""
        return round(duration_ns / self.speed)


class LogPlayer(SensorNode):
    """Publishes the messages of a log."""

    Config: ClassVar[type[NodeConfig]] = LogPlayerConfig
    config: LogPlayerConfig

    @classmethod
    def outputs_of(cls, config: LogPlayerConfig) -> Mapping[str, Kind]:
        """Return the topics that are played, by the names under which they are.

        Raises:
            DataError: the log cannot be read, or has nothing that is wanted.
            ConfigError: a topic that is named is not in the log.
        """
        with LogReader(Path(config.path).expanduser()) as reader:
            return {_name(topic, config): kind for topic, kind in _chosen(reader, config).items()}

    @classmethod
    def period_ns_of(cls, config: LogPlayerConfig) -> Mapping[str, int]:
        """Return the mean period of each topic, as it is played."""
        with LogReader(Path(config.path).expanduser()) as reader:
            return {
                _name(name, config): round(period_ns / config.rate)
                for name in _chosen(reader, config)
                if (period_ns := reader.topics[name].period_ns)
            }

    @classmethod
    def rig_of(cls, config: LogPlayerConfig) -> Mapping[str, Any] | None:
        """Return the rig of the recorded graph, or None where it had none."""
        with LogReader(Path(config.path).expanduser()) as reader:
            return reader.rig

    def open(self, context: Context) -> None:
        """Open the log."""
        self._reader = LogReader(Path(self.config.path).expanduser())
        self._topics = tuple(_chosen(self._reader, self.config))
        for complaint in self._reader.complaints:
            context.log.warning("%s: %s", self.config.path, complaint)
        begin_ns, end_ns = self._reader.span_ns
        text = "plays %d topics of %s, %.1f s"
        seconds = (end_ns - begin_ns) / NS_PER_S
        context.log.info(text, len(self._topics), self.config.path, seconds)

    def run(self, context: Context) -> None:
        """Say the constant facts of the played topics, then play."""
        for topic, header in self._reader.latched.items():
            if topic in self._topics:
                context.latch(_name(topic, self.config), header.fields)
        super().run(context)

    def close(self) -> None:
        """Close the log."""
        if hasattr(self, "_reader"):
            self._reader.close()

    def captures(self, context: Context) -> Iterator[Capture | Announcement]:
        """Yield messages and announcements when they are due."""
        begin_ns, end_ns = self._span_ns()
        shift = _Shift(begin_ns, playback_begin_ns(context), Fraction(self.config.rate))
        while True:
            for record in self._records():
                if not context.wait_until_ns(shift.instant(record.log_ns)):
                    return
                played = self._played(record.message, shift)
                if played is not None:
                    yield played
            if not self.config.loop:
                return
            lap_ns = shift.lap_ns + end_ns - begin_ns + self._pause_ns()
            shift = _Shift(begin_ns, shift.begin_ns, shift.speed, lap_ns)

    def _records(self) -> Iterator[Record]:
        messages = self._reader.messages(self._topics)
        signs = self._reader.signs(self._topics)
        return heapq.merge(messages, signs, key=lambda record: record.log_ns)

    def _span_ns(self) -> tuple[int, int]:
        """Return when sensors began and ended, whatever of it is played: the same for all."""
        topics = self._reader.topics
        sensed = [topic for topic in topics.values() if topic.kind in _SENSED]
        sensed = sensed or [topics[name] for name in self._topics]
        return min(t.first_ns for t in sensed), max(t.last_ns for t in sensed)

    def _pause_ns(self) -> int:
        """Return what lies between the last message and the first of the next lap."""
        periods = (self._reader.topics[name].period_ns for name in self._topics)
        return min((period_ns for period_ns in periods if period_ns), default=NS_PER_S)

    def _played(self, message: Message, shift: _Shift) -> Capture | Announcement | None:
        header = message.header
        output = _name(header.topic, self.config)
        if header.kind is Kind.PROMISE:
            begun = bool(header.fields.get("begun", False))
            return Announcement(output, shift.instant(header.stamp_ns), begun)
        if header.kind in (Kind.END, Kind.LATCHED):
            return None  # the player ends when the log does; facts were said before
        return Capture(
            output,
            header.kind,
            tuple(message.array(index) for index in range(len(message.payloads))),
            shift.instant(header.stamp_ns),
            shift.duration(header.span_ns),
            shift.duration(header.error_ns),
            header.frame_id,
            _fields(header, shift),
        )


def _fields(header: Header, shift: _Shift) -> dict[str, Value]:
    fields = {**header.fields, "source_stamp_ns": header.stamp_ns}
    rate_hz, first = fields.get("rate_hz"), fields.get("first")
    if header.kind is Kind.AUDIO and isinstance(rate_hz, int) and isinstance(first, int):
        fields["first"] = first + round(Fraction(shift.lap_ns, NS_PER_S) * rate_hz)
        fields["rate_hz"] = max(1, round(rate_hz * shift.speed))
    return fields


def _chosen(reader: LogReader, config: LogPlayerConfig) -> dict[str, Kind]:
    """Return the topics to play and their kinds."""
    known = {name: topic.kind for name, topic in reader.topics.items() if topic.kind is not None}
    for wanted in (*config.topics, *config.names):
        if "*" not in wanted and wanted not in known:
            msg = f"{config.path} has no topic {wanted!r}{nearest_name(wanted, known)}"
            raise ConfigError(msg)
    if config.topics:
        chosen = {name: kind for name, kind in known.items() if matches(name, config.topics)}
    else:
        chosen = _sensed(known)
    if not chosen:
        msg = f"{config.path} has nothing to play; its topics: {', '.join(known) or 'none'}"
        raise DataError(msg)
    return chosen


def _sensed(known: Mapping[str, Kind]) -> dict[str, Kind]:
    """Return what sensors said, and the constant facts that they said beside it."""
    sensors = {name.partition("/")[0] for name, kind in known.items() if kind in _SENSED}
    return {
        name: kind
        for name, kind in known.items()
        if kind in _SENSED or (kind is Kind.LATCHED and name.partition("/")[0] in sensors)
    }


def _name(topic: str, config: LogPlayerConfig) -> str:
    """Return the name under which `topic` is played; foreign names are made to fit."""
    given = config.names.get(topic)
    if given is not None:
        return given
    node, _, output = topic.strip("/").partition("/")
    parts = [re.sub(r"[^A-Za-z0-9_.-]", "_", part) for part in (node, output)]
    return "/".join(part for part in parts if part)
