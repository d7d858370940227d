"""Plays a log: publishes what was recorded, at its pace, under the names that it had.

A new live run whose decisions are its own: stamps are moved by the start of this run minus the
start of the log, and the recorded stamp is kept in the field `source_stamp_ns`. Messages come in
the order in which they had arrived, each as late after its stamp as it was. An output is named by
the whole topic, so that one player stands in for several sensors; `as` gives topics other names.

While it plays it can be paused, stepped, sought and played faster or slower (`playback_desk`). The
time of the run never goes back: what comes after a seek or a change of the rate is a new life of
the player on the same clock, as after a restart, and is counted as such by who hears it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import takewhile
from pathlib import Path
from typing import Any, ClassVar

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.errors import ConfigError
from tectum.message import Header, Kind, Message, Value
from tectum.node.base import (
    Announcement,
    Capture,
    Context,
    NodeConfig,
    Restart,
    SensorNode,
)
from tectum.recording.reader import Record
from tectum.recording.series_reader import open_log
from tectum.units import duration_text
from tectum_nodes.playback import playback_begin_ns
from tectum_nodes.playback_desk import PlaybackDesk, PlaybackOrder
from tectum_nodes.played_topics import SENSED, LogPlayerConfig, chosen_topics, played_name
from tectum_nodes.playhead import Playhead, Shift

__all__ = ["LogPlayer", "LogPlayerConfig"]

_LOOK_NS = 20 * NS_PER_MS
"""Between two looks at what is asked at the desk."""


class LogPlayer(SensorNode):
    """Publishes the messages of a log."""

    Config: ClassVar[type[NodeConfig]] = LogPlayerConfig
    config: LogPlayerConfig

    def __init__(self, config: Any) -> None:
        """Open nothing yet."""
        super().__init__(config)
        self._restarts = False
        """What comes next is a new life."""
        self._newest: dict[str, int] = {}
        """Output -> the latest stamp that was played."""
        self._floor: dict[str, int] = {}
        """The same, when the present life began: nothing older is played in it."""

    @classmethod
    def outputs_of(cls, config: LogPlayerConfig) -> Mapping[str, Kind]:
        """Return the topics that are played, by the names under which they are.

        Raises:
            DataError: the log cannot be read, or has nothing that is wanted.
            ConfigError: a topic that is named is not in the log.
        """
        with open_log(Path(config.path).expanduser()) as reader:
            return {
                played_name(topic, config): kind
                for topic, kind in chosen_topics(reader, config).items()
            }

    @classmethod
    def period_ns_of(cls, config: LogPlayerConfig) -> Mapping[str, int]:
        """Return the mean period of each topic, as it is played."""
        with open_log(Path(config.path).expanduser()) as reader:
            return {
                played_name(name, config): round(period_ns / config.rate)
                for name in chosen_topics(reader, config)
                if (period_ns := reader.topics[name].period_ns)
            }

    @classmethod
    def rig_of(cls, config: LogPlayerConfig) -> Mapping[str, Any] | None:
        """Return the rig of the recorded graph, or None where it had none."""
        with open_log(Path(config.path).expanduser()) as reader:
            return reader.rig

    def open(self, context: Context) -> None:
        """Open the log, and a desk where the player is told to pause or seek.

        Raises:
            ConfigError: `start` lies behind the end.
        """
        self._reader = open_log(Path(self.config.path).expanduser())
        self._topics = tuple(chosen_topics(self._reader, self.config))
        for complaint in self._reader.complaints:
            context.log.warning("%s: %s", self.config.path, complaint)
        begin_ns, end_ns = self._stretch_ns()
        text = "plays %d topics of %s, %.1f s"
        seconds = (end_ns - begin_ns) / NS_PER_S
        context.log.info(text, len(self._topics), self.config.path, seconds)
        self.desk = PlaybackDesk(context.folder, context.name)
        try:
            self.desk.open()
        except OSError as error:
            context.log.warning("cannot be paused or sought: %s", error)

    def run(self, context: Context) -> None:
        """Say the constant facts of the played topics, then play."""
        for topic, header in self._reader.latched.items():
            if topic in self._topics:
                context.latch(played_name(topic, self.config), header.fields)
        super().run(context)

    def close(self) -> None:
        """Close the log and the desk."""
        if hasattr(self, "desk"):
            self.desk.close()
        if hasattr(self, "_reader"):
            self._reader.close()

    def captures(self, context: Context) -> Iterator[Capture | Announcement | Restart]:
        """Yield messages and announcements when they are due."""
        begin_ns, end_ns = self._stretch_ns()
        begun_ns = playback_begin_ns(context)
        self._head = head = Playhead(begin_ns, end_ns, begun_ns, Fraction(self.config.rate))
        if self.config.paused:
            head.pause(begun_ns)
        self._from_ns: int | None = begin_ns
        while self._from_ns is not None:
            from_ns, self._from_ns = self._from_ns, None
            yield from self._played_from(context, from_ns)
            if context.stopping:
                return
            if self._from_ns is None and self.config.loop:
                head.lap(self._pause_ns())
                self._from_ns = begin_ns

    def _played_from(
        self, context: Context, from_ns: int
    ) -> Iterator[Capture | Announcement | Restart]:
        """Yield what was recorded from then on, until the end or the next seek."""
        for record in self._records(from_ns):
            if not self._wait(context, record.log_ns):
                break
            if self._restarts:
                self._restarts, self._floor = False, dict(self._newest)
                yield Restart()
            played = self._played(record.message, self._head.shift)
            if played is not None and self._is_new(played):
                yield played

    def _wait(self, context: Context, log_ns: int) -> bool:
        """Wait until that is due, and obey; False where the graph stops or it was sought."""
        while not context.stopping:
            self.desk.serve(lambda order: self._obey(context, order))
            if self._from_ns is not None:
                return False
            now_ns, due_ns = context.clock.now_ns(), self._head.due_ns(log_ns)
            if due_ns is not None and due_ns <= now_ns:
                return True
            look_ns = now_ns + _LOOK_NS
            context.wait_until_ns(look_ns if due_ns is None else min(due_ns, look_ns))
        return False

    def _obey(self, context: Context, order: PlaybackOrder) -> dict[str, Any]:
        """Carry out an order of the desk; return where the recording is then."""
        now_ns, head = context.clock.now_ns(), self._head
        if order.order == "pause" or (order.order == "toggle" and not head.paused):
            head.pause(now_ns)
        elif order.order in ("resume", "toggle"):
            head.resume(now_ns)
        elif order.order == "step":
            head.step(now_ns, order.by_ns or self._longest_period_ns())
        elif order.order == "rate":
            head.set_speed(now_ns, Fraction(order.rate).limit_denominator(1000))
            self._restarts = True
        elif order.order == "seek":
            to_ns = head.position_ns(now_ns) + order.by_ns if order.to_ns is None else order.to_ns
            self._from_ns = head.seek(now_ns, to_ns, lead_ns=self._pause_ns())
            self._restarts = True
        return {
            "state": "paused" if head.paused else "playing",
            "at_ns": head.position_ns(now_ns),
            "begin_ns": head.begin_ns,
            "end_ns": head.end_ns,
            "rate": float(head.speed),
        }

    def _is_new(self, played: Capture | Announcement) -> bool:
        """Return whether it is younger than all that was played of its topic before the seek."""
        if played.stamp_ns <= self._floor.get(played.output, -1):
            return False
        newest = self._newest.get(played.output, -1)
        self._newest[played.output] = max(newest, played.stamp_ns)
        return True

    def _records(self, from_ns: int) -> Iterator[Record]:
        messages = self._reader.messages(self._topics, begin_ns=from_ns)
        signs = self._reader.signs(self._topics, begin_ns=from_ns)
        records = heapq.merge(messages, signs, key=lambda record: record.log_ns)
        if self.config.end is None:
            return records
        end_ns = self._span_ns()[0] + self.config.end
        return takewhile(lambda record: record.log_ns < end_ns, records)

    def _stretch_ns(self) -> tuple[int, int]:
        """Return from when to when it is played, in log time.

        Raises:
            ConfigError: there is nothing in between.
        """
        first_ns, last_ns = self._span_ns()
        begin_ns = first_ns + self.config.start
        end_ns = last_ns if self.config.end is None else min(last_ns, first_ns + self.config.end)
        if begin_ns > end_ns:
            msg = (
                f"{self.config.path} has nothing from {duration_text(begin_ns - first_ns)} to "
                f"{duration_text(end_ns - first_ns)}: it lasts {duration_text(last_ns - first_ns)}"
            )
            raise ConfigError(msg)
        return begin_ns, end_ns

    def _span_ns(self) -> tuple[int, int]:
        """Return when sensors began and ended, whatever of it is played: the same for all."""
        topics = self._reader.topics
        sensed = [topic for topic in topics.values() if topic.kind in SENSED]
        sensed = sensed or [topics[name] for name in self._topics]
        return min(t.first_ns for t in sensed), max(t.last_ns for t in sensed)

    def _pause_ns(self) -> int:
        """Return what lies between the last message and the first of the next lap."""
        return min(self._periods_ns(), default=NS_PER_S)

    def _longest_period_ns(self) -> int:
        return max(self._periods_ns(), default=NS_PER_S)

    def _periods_ns(self) -> list[int]:
        topics = self._reader.topics
        return [topics[name].period_ns for name in self._topics if topics[name].period_ns]

    def _played(self, message: Message, shift: Shift) -> Capture | Announcement | None:
        header = message.header
        output = played_name(header.topic, self.config)
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


def _fields(header: Header, shift: Shift) -> dict[str, Value]:
    fields = {**header.fields, "source_stamp_ns": header.stamp_ns}
    rate_hz, first = fields.get("rate_hz"), fields.get("first")
    if header.kind is Kind.AUDIO and isinstance(rate_hz, int) and isinstance(first, int):
        fields["first"] = first + round(Fraction(shift.moved_ns, NS_PER_S) * rate_hz)
        fields["rate_hz"] = max(1, round(rate_hz * shift.speed))
    return fields
