"""Sensors for the benchmark `endurance`: captures at full rate that cost little to make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.message import Kind
from tectum.node.base import Announcement, Capture, Context, NodeConfig, SensorNode

__all__ = ["Camera", "Lidar", "Microphone"]

HEIGHT, WIDTH = 720, 1280
POINTS = 120_000
AUDIO_HZ = 16_000
SCENES = 4
EXPOSURE_NS = 8 * NS_PER_MS


class SourceConfig(NodeConfig):
    """Which sensor of its kind it is."""

    seed: int = 0
    """Of what it shows."""


class Source(SensorNode):
    """Captures at a fixed rate; a reader that lags behind leaves captures out."""

    Config: ClassVar[type[NodeConfig]] = SourceConfig
    config: SourceConfig
    rate_hz: ClassVar[int]

    @classmethod
    def period_ns_of(cls, config: Any) -> Mapping[str, int]:
        """Return the period of the captures."""
        del config
        return dict.fromkeys(cls.outputs, NS_PER_S // cls.rate_hz)

    def beats(self, context: Context, span_ns: int) -> Iterator[tuple[int, int]]:
        """Yield number and stamp of each capture when it is over."""
        number = 0
        while True:
            elapsed_ns = context.clock.now_ns() - context.epoch_ns
            number = max(number, (elapsed_ns - span_ns) * self.rate_hz // NS_PER_S)
            stamp_ns = context.epoch_ns + number * NS_PER_S // self.rate_hz
            if not context.wait_until_ns(stamp_ns + span_ns):
                return
            yield number, stamp_ns
            number += 1


class Camera(Source):
    """bgr8 pictures of 720p at 30 Hz, captured where they are sent from."""

    outputs: ClassVar[Mapping[str, Kind]] = {"image": Kind.IMAGE}
    rate_hz = 30

    @classmethod
    def nbytes_of(cls, config: Any) -> Mapping[str, int]:
        """Return the bytes of a picture."""
        del config
        return {"image": HEIGHT * WIDTH * 3}

    def open(self, context: Context) -> None:
        """Paint the scenes."""
        del context
        rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
        shade = ((rows // 6 + columns // 10)[..., None] % 240).astype(np.uint8)
        draw = np.random.default_rng(self.config.seed)
        self._scenes = [shade + draw.integers(0, 8, (1, 1, 3), np.uint8) for _ in range(SCENES)]

    def captures(self, context: Context) -> Iterator[Capture | Announcement]:
        """Yield pictures."""
        fields = {"encoding": "bgr8"}
        for number, stamp_ns in self.beats(context, EXPOSURE_NS):
            image = context.loan("image", "uint8", (HEIGHT, WIDTH, 3))
            np.copyto(image, self._scenes[number % SCENES])
            yield Capture("image", Kind.IMAGE, (image,), stamp_ns, EXPOSURE_NS, fields=fields)
            del image


class Lidar(Source):
    """Sweeps of 1.9 MB at 10 Hz, announced when they begin."""

    outputs: ClassVar[Mapping[str, Kind]] = {"points": Kind.POINTS}
    rate_hz = 10

    @classmethod
    def nbytes_of(cls, config: Any) -> Mapping[str, int]:
        """Return the bytes of a sweep."""
        del config
        return {"points": POINTS * 16}

    def open(self, context: Context) -> None:
        """Make the sweeps."""
        del context
        draw = np.random.default_rng(self.config.seed)
        low, high = (-40, -40, -2, 0), (40, 40, 3, 1)
        self._sweeps = [
            draw.uniform(low, high, (POINTS, 4)).astype(np.float32) for _ in range(SCENES)
        ]

    def captures(self, context: Context) -> Iterator[Capture | Announcement]:
        """Yield sweeps."""
        fields = {"names": ["x", "y", "z", "intensity"]}
        span_ns = NS_PER_S // self.rate_hz
        for number, stamp_ns in self.beats(context, span_ns):
            points = context.loan("points", "float32", (POINTS, 4))
            np.copyto(points, self._sweeps[number % SCENES])
            yield Capture("points", Kind.POINTS, (points,), stamp_ns, span_ns, fields=fields)
            yield Announcement("points", stamp_ns + span_ns)
            del points


class Microphone(Source):
    """Blocks of 10 ms at 16 kHz: a hundred messages a second."""

    outputs: ClassVar[Mapping[str, Kind]] = {"audio": Kind.AUDIO}
    rate_hz = 100

    def captures(self, context: Context) -> Iterator[Capture | Announcement]:
        """Yield blocks."""
        samples = AUDIO_HZ // self.rate_hz
        draw = np.random.default_rng(self.config.seed)
        block = draw.integers(-900, 900, (samples, 1)).astype(np.int16)
        span_ns = NS_PER_S // self.rate_hz
        for number, stamp_ns in self.beats(context, span_ns):
            fields = {"rate_hz": AUDIO_HZ, "first": number * samples}
            yield Capture("audio", Kind.AUDIO, (block,), stamp_ns, span_ns, fields=fields)
