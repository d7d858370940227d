"""A microphone: `audio`, int16 blocks on a timeline of samples.

A sound device through PortAudio, or a sound file (`path`) in its place. `first` of a message is the
index of its first sample: samples that follow each other have indices that do, and samples that
were lost leave a gap. Times come from a model of the device's clock, never from one block: by
default the line below the arrivals (`clock: arrival`), or the device's own stamps through a loop
(`clock: device`; with PulseAudio they are worse). `error_ns` bounds the chance in it; the least
time from sound to arrival is the device's `delay`, to be measured.

Sound that comes more than `backlog` late, after this process or the sound server stood still, is
dropped until it is of now again. Samples that the device lost without saying so are found by the
clock: blocks that are all late by as much have a gap before them. Fields of a message besides
those of its kind: `dropped`, samples left out just before it, for whatever of these reasons.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.errors import ConfigError, DeviceError
from tectum.message import AnyArray, Kind, Value
from tectum.node.base import Announcement, Capture, Context, NodeConfig, SensorNode
from tectum.node.fields import Duration, Rate
from tectum.sync.timeline import ArrivalTimeline, DeviceTimeline, Placed, Timeline
from tectum_nodes.portaudio import (
    Heard,
    Sound,
    Wanted,
    input_devices,
    opened_stream,
    sound_library,
)
from tectum_nodes.reconnecting import reconnected
from tectum_nodes.resampling import Resampler

__all__ = ["Listener", "MicrophoneConfig", "MicrophoneNode"]

_POLL_S = 0.1


class MicrophoneConfig(NodeConfig):
    """Which microphone, what of it, and in which form."""

    device: int | str = ""
    """Number, or part of the name (`tectum nodes probe microphone` lists them); default: the
    system's choice."""
    path: str = ""
    """Instead of a device: a wav (or other sound or video) file, played in real time, mixed."""
    loop: bool = False
    """Of a file: begin again at the end."""
    rate: Annotated[Rate, Field(ge=1_000, le=384_000)] = 16_000.0
    """Samples per second of the messages."""
    device_rate: Annotated[Rate, Field(ge=1_000, le=384_000)] | None = None
    """At which the device is opened; default: `rate`, or its own where it refuses that. Resampled
    where it differs from `rate`."""
    channels: Annotated[tuple[Annotated[int, Field(ge=1, le=64)], ...], Field(min_length=1)] = (1,)
    """Channels of the device that are published, in this order; the first is 1."""
    mix: bool = False
    """Publish the mean of `channels` as one."""
    block: Annotated[Duration, Field(ge=NS_PER_MS, le=NS_PER_S)] = 20 * NS_PER_MS
    """Duration of a block."""
    clock: Literal["arrival", "device"] = "arrival"
    """What times are made of; see above."""
    delay: Annotated[Duration, Field(ge=0)] = 0
    """Least time from sound to arrival; stamps are earlier by it."""
    backlog: Annotated[Duration, Field(ge=100 * NS_PER_MS)] = 500 * NS_PER_MS
    """Sound that arrives later than so after it was captured is dropped."""
    stall: Annotated[Duration, Field(ge=200 * NS_PER_MS)] = 2 * NS_PER_S
    """After so long without a block the device counts as gone, and is opened anew."""
    frame: str = ""
    """Name of the microphone's place; default: the node's name."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.path and self.device != "":
            msg = "a microphone takes `device` or `path`, not both"
            raise ValueError(msg)
        return self

    @property
    def samples(self) -> int:
        """Samples of a block, at `rate`."""
        return max(1, round(self.block * self.rate / NS_PER_S))


class MicrophoneNode(SensorNode):
    """Publishes the sound of a microphone."""

    Config: ClassVar[type[NodeConfig]] = MicrophoneConfig
    config: MicrophoneConfig
    outputs: ClassVar[Mapping[str, Kind]] = {"audio": Kind.AUDIO}

    @classmethod
    def devices(cls) -> list[str]:
        """Return the microphones of this machine."""
        return input_devices()

    @classmethod
    def period_ns_of(cls, config: MicrophoneConfig) -> Mapping[str, int]:
        """Return the period of the blocks."""
        return {"audio": config.samples * NS_PER_S // round(config.rate)}

    @classmethod
    def nbytes_of(cls, config: MicrophoneConfig) -> Mapping[str, int]:
        """Return the bytes of a block."""
        return {"audio": config.samples * (1 if config.mix else len(config.channels)) * 2}

    def open(self, context: Context) -> None:
        """See that there is a sound library, or such a file; a device may come later.

        Raises:
            TectumError: there is not.
        """
        if not self.config.path:
            sound_library()
            return
        from tectum_nodes.media import media_facts  # noqa: PLC0415 - heavy

        if not media_facts(Path(self.config.path).expanduser()).audio:
            msg = f"{self.config.path} has no sound"
            raise ConfigError(msg)
        context.log.info("plays the sound of %s", self.config.path)

    def captures(self, context: Context) -> Iterator[Capture | Announcement]:
        """Yield blocks of sound."""
        if self.config.path:
            yield from self._played(context)
            return
        self._next = _Next(round(self.config.rate))
        yield from reconnected(context, lambda: self._live(context))

    def _live(self, context: Context) -> Iterator[Capture]:
        """Yield the blocks of the device.

        Raises:
            DeviceError: it is absent, refuses, or stalls.
        """
        config = self.config
        channels = max(config.channels)
        wanted = Wanted(
            config.device, round(config.device_rate or config.rate), channels,
            max(1, round(config.block * (config.device_rate or config.rate) / NS_PER_S)),
        )  # fmt: skip
        with opened_stream(wanted, context.clock) as sound:
            context.log.info("listens to %s at %d Hz", sound.name, sound.rate_hz)
            listener = Listener(config, sound.rate_hz, self._next.index(context.clock.now_ns()))
            for heard in self._blocks(sound, context):
                for capture in listener.hear(heard, self.config.frame or context.name):
                    self._next.reached(capture)
                    yield capture
                for complaint in listener.complaints():
                    context.log.warning("%s", complaint)

    def _blocks(self, sound: Sound, context: Context) -> Iterator[Heard]:
        heard_ns = context.clock.now_ns()
        while not context.stopping:
            try:
                block = sound.blocks.get(timeout=_POLL_S)
            except queue.Empty:
                if context.clock.now_ns() - heard_ns >= self.config.stall:
                    seconds = self.config.stall / NS_PER_S
                    msg = f"{context.name}: nothing from {sound.name} for {seconds:.1f} s"
                    raise DeviceError(msg) from None
            else:
                heard_ns = context.clock.now_ns()
                yield block

    def _played(self, context: Context) -> Iterator[Capture | Announcement]:
        from tectum_nodes.video import VideoConfig, VideoReader  # noqa: PLC0415 - heavy

        config = self.config
        player = VideoReader(
            VideoConfig.model_validate(
                {
                    "path": config.path,
                    "video": False,
                    "audio_rate": f"{config.rate}Hz",
                    "chunk": f"{config.block}ns",
                    "loop": config.loop,
                }
            )
        )
        player.open(context)
        yield from player.captures(context)


class Listener:
    """Blocks of one opened device in, messages out: placed, gaps marked, backlog dropped. Pure."""

    def __init__(self, config: MicrophoneConfig, device_hz: int, first: int) -> None:
        """Begin a stream whose first sample, at `config.rate`, has the index `first`."""
        self._config = config
        self._rate_hz, self._device_hz = round(config.rate), device_hz
        self._timeline = self._new_timeline()
        self._begin = first
        self._heard = 0
        """Samples of the device so far, those that it lost included."""
        self._out = first
        self._dropped = 0
        self._resampler: Resampler | None = None
        self._late: deque[tuple[int, int]] = deque()
        """Arrival and lateness of the blocks of the last second."""
        self._behind = False
        self._complaints: list[str] = []

    def hear(self, heard: Heard, frame_id: str) -> Iterator[Capture]:
        """Take a block; yield the message of it, or nothing where it is dropped."""
        count = len(heard.samples)
        placed = self._place(count, heard)
        late_ns = heard.arrived_ns - placed.stamp_ns - placed.span_ns - self._config.delay
        lost = self._lost_unsaid(heard, late_ns)
        if lost:
            self._heard += lost
            self._skip()
            self._dropped += lost * self._rate_hz // self._device_hz
            placed = self._place(count, heard)
        self._heard += count
        if self._is_stale(late_ns, lost):
            self._skip()
            self._dropped += count * self._rate_hz // self._device_hz
            return
        yield from self._message(heard, placed, frame_id)

    def complaints(self) -> list[str]:
        """Return what went wrong since the last call, in sentences."""
        said, self._complaints = self._complaints, []
        return said

    def _new_timeline(self) -> Timeline:
        make = ArrivalTimeline if self._config.clock == "arrival" else DeviceTimeline
        return make(self._device_hz, self._config.delay)

    def _place(self, count: int, heard: Heard) -> Placed:
        span_ns = count * NS_PER_S // self._device_hz
        captured_ns = heard.captured_ns or heard.arrived_ns - span_ns
        at_ns = heard.arrived_ns if self._config.clock == "arrival" else captured_ns
        return self._timeline.block(self._heard, count, at_ns)

    def _lost_unsaid(self, heard: Heard, late_ns: int) -> int:
        """Return how many samples the device has lost: every block of a second is late by them."""
        self._late.append((heard.arrived_ns, late_ns))
        while heard.arrived_ns - self._late[0][0] > NS_PER_S:
            self._late.popleft()
        least_ns = min(late for _, late in self._late)
        full = heard.arrived_ns - self._late[0][0] > NS_PER_S * 9 // 10
        if not full or least_ns < max(2 * self._config.block, 40 * NS_PER_MS):
            return 0
        self._late.clear()
        self._complaints.append(f"the device has lost {least_ns / NS_PER_S:.3f} s of sound")
        return round(least_ns * self._device_hz / NS_PER_S)

    def _is_stale(self, late_ns: int, lost: int) -> bool:
        """Return whether a block is dropped because it is of the past."""
        if lost or late_ns <= self._config.backlog:
            self._behind = False
            return False
        if not self._behind:
            seconds = late_ns / NS_PER_S
            self._complaints.append(f"sound comes {seconds:.1f} s late: dropped until it is of now")
        self._behind = True
        return True

    def _skip(self) -> None:
        """Begin behind a gap: the filter of the resampler knows nothing of before."""
        self._resampler = None

    def _message(self, heard: Heard, placed: Placed, frame_id: str) -> Iterator[Capture]:
        samples = self._chosen(heard.samples)
        begin = self._heard - len(heard.samples)
        out = self._begin + begin
        if self._device_hz != self._rate_hz:
            if self._resampler is None:
                self._resampler = Resampler(self._device_hz, self._rate_hz, samples.shape[1])
                self._out = self._begin + round(begin * self._rate_hz / self._device_hz)
            samples, out = self._resampler(samples), self._out
            self._out += len(samples)
        if not len(samples):
            return
        inside_ns = (out - self._begin) * NS_PER_S // self._rate_hz
        stamp_ns = placed.stamp_ns + inside_ns - begin * NS_PER_S // self._device_hz
        fields: dict[str, Value] = {
            "rate_hz": self._rate_hz, "dropped": self._dropped, "first": out,  # last: it counts
        }  # fmt: skip
        self._dropped = 0
        span_ns = len(samples) * NS_PER_S // self._rate_hz
        yield Capture(
            "audio", Kind.AUDIO, (samples,), stamp_ns, span_ns, placed.error_ns, frame_id, fields
        )

    def _chosen(self, samples: AnyArray) -> AnyArray:
        chosen = samples[:, [channel - 1 for channel in self._config.channels]]
        if self._config.mix:
            mean: AnyArray = chosen.mean(axis=1, keepdims=True).round().astype("int16")
            return mean
        return chosen


class _Next:
    """Which index a stream begins with that is opened after another one has gone."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._end: tuple[int, int] | None = None

    def reached(self, capture: Capture) -> None:
        first = capture.fields["first"]
        assert isinstance(first, int), "the listener counts in integers"
        self._end = (first + len(capture.arrays[0]), capture.stamp_ns + capture.span_ns)

    def index(self, now_ns: int) -> int:
        if self._end is None:
            return 0
        index, end_ns = self._end
        return index + max(1, (now_ns - end_ns) * self._rate_hz // NS_PER_S)
