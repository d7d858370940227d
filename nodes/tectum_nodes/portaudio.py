"""PortAudio through sounddevice: devices by name, and a stream of blocks that never waits for us.

PortAudio's own thread only puts blocks into a queue. The library is looked for when it is needed:
without it everything else of Tectum works.
"""

from __future__ import annotations

import queue
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from tectum.clock import NS_PER_S, Clock
from tectum.errors import ConfigError, DeviceError
from tectum.message import AnyArray

__all__ = ["Heard", "Sound", "Wanted", "input_devices", "opened_stream", "sound_library"]


class Wanted(NamedTuple):
    """How a device is opened."""

    device: int | str
    """Number, or part of the name; empty: the system's choice."""
    rate_hz: int
    channels: int
    """0: as many as it has."""
    block: int
    """Samples of a block."""


class Heard(NamedTuple):
    """A block as it came."""

    samples: AnyArray
    """int16 (samples, channels)"""
    arrived_ns: int
    captured_ns: int
    """When PortAudio says that the first sample was taken; 0 where it does not say."""
    overflow: bool
    """PortAudio says that samples before this block were lost."""


class Sound(NamedTuple):
    """A stream that runs."""

    blocks: queue.SimpleQueue[Heard]
    rate_hz: int
    """May differ from the wanted one."""
    channels: int
    name: str


def sound_library() -> Any:
    """Return the module sounddevice.

    Raises:
        ConfigError: PortAudio is not installed.
    """
    try:
        import sounddevice  # noqa: PLC0415 - needs a library of the system
    except OSError as error:
        msg = (
            "microphones need the library PortAudio, which is not installed: "
            "apt-get install libportaudio2 (macOS and Windows have it in the package)"
        )
        raise ConfigError(msg) from error
    return sounddevice


def input_devices() -> list[str]:
    """Return the input devices of this machine, each with its number and default rate."""
    sound = sound_library()
    return [
        f"{number}: {found['name']} ({found['max_input_channels']} channels, "
        f"{found['default_samplerate']:.0f} Hz)"
        for number, found in enumerate(sound.query_devices())
        if found["max_input_channels"] > 0
    ]


@contextmanager
def opened_stream(wanted: Wanted, clock: Clock) -> Generator[Sound, None, None]:
    """Open a device and let it run.

    Raises:
        DeviceError: there is no such device, or it refuses.
    """
    sound = sound_library()
    _look_again(sound)
    facts = _device(sound, wanted.device)
    most = int(facts["max_input_channels"])
    channels = wanted.channels or min(most, 8)
    if channels > most:
        msg = f"{facts['name']} has {most} channels, channel {channels} is wanted"
        raise DeviceError(msg)
    blocks: queue.SimpleQueue[Heard] = queue.SimpleQueue()
    rate_hz = _accepted_rate(sound, facts, wanted.rate_hz, channels)
    try:
        stream = sound.RawInputStream(
            samplerate=rate_hz,
            blocksize=max(1, round(wanted.block * rate_hz / wanted.rate_hz)),
            device=facts["index"],
            channels=channels,
            dtype="int16",
            latency="low",
            callback=_keeper(blocks, clock, channels),
        )
    except sound.PortAudioError as error:
        raise _refused(facts["name"], error) from error
    with stream:
        yield Sound(blocks, rate_hz, channels, str(facts["name"]))


def _keeper(blocks: queue.SimpleQueue[Heard], clock: Clock, channels: int) -> Any:
    def keep(data: Any, count: int, times: Any, status: Any) -> None:
        del count
        now_ns = clock.now_ns()
        samples = np.frombuffer(bytes(data), np.int16).reshape(-1, channels)
        age_s = times.currentTime - times.inputBufferAdcTime
        sane = 0.0 <= age_s < 1.0 and times.inputBufferAdcTime > 0
        captured_ns = now_ns - round(age_s * NS_PER_S) if sane else 0
        blocks.put(Heard(samples, now_ns, captured_ns, bool(status.input_overflow)))

    return keep


def _look_again(sound: Any) -> None:
    """Let PortAudio list the devices anew: it keeps the list of when it was loaded."""
    sound._terminate()
    sound._initialize()


def _device(sound: Any, wanted: int | str) -> Any:
    try:
        return sound.query_devices(wanted if wanted != "" else None, "input")
    except (ValueError, sound.PortAudioError) as error:
        known = "; ".join(input_devices()) or "none"
        asked = f"no microphone {wanted!r}" if wanted != "" else "no microphone at all"
        msg = f"there is {asked} ({error}); there are: {known}"
        raise DeviceError(msg) from error


def _accepted_rate(sound: Any, facts: Any, rate_hz: int, channels: int) -> int:
    """Return the wanted rate, or the device's own where it refuses that."""
    for rate in (rate_hz, round(facts["default_samplerate"])):
        try:
            sound.check_input_settings(facts["index"], channels, "int16", samplerate=rate)
        except sound.PortAudioError:
            continue
        return int(rate)
    msg = f"{facts['name']} takes neither {rate_hz} Hz nor its own rate with {channels} channels"
    raise DeviceError(msg)


def _refused(name: object, error: Exception) -> DeviceError:
    return DeviceError(f"the microphone {name} cannot be opened: {error}; is it in use?")
