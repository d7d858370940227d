"""The microphone of the simulated drive: int16 mono chunks at 16 kHz on `audio`.

Sample n of the drive is heard n / 16000 s after the run began; `first` of a chunk is the index of
its first sample, and chunks follow each other without a gap as long as the node keeps up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from tectum.message import Kind
from tectum.node.base import Announcement, Capture, Context, NodeConfig, SensorNode
from tectum.node.fields import Duration
from tectum_nodes.simulated_sensor import NS_PER_S, SimulatedConfig
from tectum_nodes.simulation.chance import uniform_one
from tectum_nodes.simulation.siren import RATE_HZ, chunk

__all__ = ["SimulatedMicrophone", "SimulatedMicrophoneConfig"]


class SimulatedMicrophoneConfig(SimulatedConfig):
    """A microphone on the roof."""

    sensor: ClassVar[str | None] = "microphone"

    block: Annotated[Duration, Field(ge=1_000_000, le=1_000_000_000)] = 32_000_000
    """Duration of a chunk, rounded to whole samples."""
    jitter: Duration = 4_000_000
    """A chunk is out at most this late after its last sample; its stamp is exact."""

    @property
    def samples(self) -> int:
        """Samples of a chunk."""
        return max(1, round(self.block * RATE_HZ / NS_PER_S))


class SimulatedMicrophone(SensorNode):
    """Plays the sound of the drive in real time."""

    Config: ClassVar[type[NodeConfig]] = SimulatedMicrophoneConfig
    config: SimulatedMicrophoneConfig
    outputs: ClassVar[Mapping[str, Kind]] = {"audio": Kind.AUDIO}

    @classmethod
    def period_ns_of(cls, config: SimulatedMicrophoneConfig) -> Mapping[str, int]:
        """Return the period of the chunks."""
        return {"audio": instant_ns(config.samples)}

    @classmethod
    def nbytes_of(cls, config: SimulatedMicrophoneConfig) -> Mapping[str, int]:
        """Return the bytes of a chunk."""
        return {"audio": config.samples * 2}

    def captures(self, context: Context) -> Iterator[Capture | Announcement]:
        """Yield chunk after chunk; a node that fell behind by a second leaves sound out."""
        config, size = self.config, self.config.samples
        drive = config.drive()
        now = _sample_at(context.clock.now_ns() - context.epoch_ns)
        first = max(0, now // size) * size
        while True:
            now = _sample_at(context.clock.now_ns() - context.epoch_ns)
            if now - first > RATE_HZ:
                first = now // size * size
            end_ns = context.epoch_ns + instant_ns(first + size)
            late_ns = config.jitter * uniform_one(config.seed, "microphone/jitter", first // size)
            sound = chunk(drive, first, first + size)[:, None]
            if not context.wait_until_ns(end_ns + round(late_ns)):
                return
            if drive.faulty("microphone", first / RATE_HZ) != "silent":
                stamp_ns = context.epoch_ns + instant_ns(first)
                yield Capture(
                    "audio", Kind.AUDIO, (sound,), stamp_ns, end_ns - stamp_ns,
                    frame_id="microphone", fields={"rate_hz": RATE_HZ, "first": first},
                )  # fmt: skip
            first += size


def instant_ns(sample: int) -> int:
    """Return when a sample begins, nanoseconds of the drive."""
    return sample * NS_PER_S // RATE_HZ


def _sample_at(t_ns: int) -> int:
    return t_ns * RATE_HZ // NS_PER_S
