"""Sound is placed on a timeline, losses are gaps in it, a backlog is not taken for the present."""

import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.errors import ConfigError, DeviceError
from tectum.message import Message
from tectum.node.base import Capture
from tectum.testing import FakeClock, MemoryContext
from tectum_nodes import portaudio
from tectum_nodes.microphone import Listener, MicrophoneConfig, MicrophoneNode
from tectum_nodes.portaudio import Heard

RATE = 16_000
BLOCK = 320
BLOCK_NS = 20 * NS_PER_MS
EPOCH_NS = 1_000 * NS_PER_S


def heard(number: int, *, late_ns: int = 0, overflow: bool = False, channels: int = 1) -> Heard:
    """Return block `number` of a device whose clock is right; it holds its own sample indices."""
    first = number * BLOCK
    samples = np.arange(first, first + BLOCK, dtype=np.int64).astype(np.int16)
    captured_ns = EPOCH_NS + number * BLOCK_NS
    arrived_ns = captured_ns + BLOCK_NS + late_ns
    columns = np.stack([samples + channel for channel in range(channels)], axis=1)
    return Heard(columns, arrived_ns, captured_ns, overflow)


def said(listener: Listener, blocks: Iterator[Heard]) -> list[Capture]:
    return [capture for block in blocks for capture in listener.hear(block, "mic")]


def gaps(captures: list[Capture]) -> list[int]:
    """Return the samples that are missing before each message, from their indices."""
    firsts = [(int(capture.fields["first"]), len(capture.arrays[0])) for capture in captures]
    return [after[0] - before[0] - before[1] for before, after in pairwise(firsts)]


@pytest.mark.parametrize("clock", ["arrival", "device"])
def test_blocks_follow_each_other_and_are_stamped_with_their_first_sample(clock: str) -> None:
    listener = Listener(MicrophoneConfig(clock=clock), RATE, 0)
    jitter_ns = np.random.default_rng(1).integers(0, 15 * NS_PER_MS, 1000)

    captures = said(listener, (heard(n, late_ns=int(jitter_ns[n])) for n in range(1000)))

    assert gaps(captures) == [0] * 999
    off_ns = [c.stamp_ns - (EPOCH_NS + n * BLOCK_NS) for n, c in enumerate(captures)]
    assert max(abs(off) for off in off_ns[500:]) < NS_PER_MS
    assert all(
        abs(off) <= c.error_ns for off, c in zip(off_ns, captures, strict=True) if c.error_ns
    )


def test_a_backlog_is_dropped_until_sound_is_of_now_and_leaves_a_gap_of_its_size() -> None:
    listener = Listener(MicrophoneConfig(), RATE, 0)
    before = said(listener, (heard(n) for n in range(200)))
    resumed_ns = EPOCH_NS + 300 * BLOCK_NS  # the device went on, nobody fetched for 2 s

    burst = [heard(n)._replace(arrived_ns=resumed_ns) for n in range(200, 300)]
    after = said(listener, iter([*burst, *(heard(n) for n in range(300, 400))]))

    dropped = sum(gaps([before[-1], *after]))
    assert dropped == sum(int(capture.fields["dropped"]) for capture in after)
    assert dropped == 74 * BLOCK  # 2 s minus the half second that is still taken
    assert [int(c.fields["first"]) % (1 << 15) for c in after] == [
        int(c.arrays[0][0, 0]) % (1 << 15) for c in after
    ]
    assert listener.complaints() == ["sound comes 2.0 s late: dropped until it is of now"]


def test_samples_that_the_device_lost_without_a_word_are_found_by_the_clock() -> None:
    listener = Listener(MicrophoneConfig(), RATE, 0)
    said(listener, (heard(n) for n in range(200)))

    after = said(listener, (heard(n) for n in range(210, 400)))  # 0.2 s are gone

    assert sum(gaps(after)) == sum(int(c.fields["dropped"]) for c in after) == 10 * BLOCK
    last = after[-1]
    assert last.fields["first"] == 399 * BLOCK
    assert abs(last.stamp_ns - (EPOCH_NS + 399 * BLOCK_NS)) < NS_PER_MS
    assert listener.complaints() == ["the device has lost 0.200 s of sound"]


def test_a_drifting_device_is_not_taken_for_one_that_loses_samples() -> None:
    listener = Listener(MicrophoneConfig(), RATE, 0)
    slow = (heard(n)._replace(arrived_ns=EPOCH_NS + (n + 1) * BLOCK_NS * 10_001 // 10_000)
            for n in range(6000))  # fmt: skip

    captures = said(listener, slow)

    assert sum(gaps(captures)) == 0
    assert listener.complaints() == []
    true_ns = EPOCH_NS + 5999 * BLOCK_NS * 10_001 // 10_000
    assert abs(captures[-1].stamp_ns - true_ns) < NS_PER_MS


def test_channels_are_chosen_by_number_and_mixed_on_request() -> None:
    chosen = Listener(MicrophoneConfig(channels=(3, 1)), RATE, 0)
    mixed = Listener(MicrophoneConfig(channels=(1, 3), mix=True), RATE, 0)

    (two,), (one,) = (said(m, iter([heard(0, channels=3)])) for m in (chosen, mixed))

    assert two.arrays[0][:2].tolist() == [[2, 0], [3, 1]]
    assert one.arrays[0][:2].tolist() == [[1], [2]]


def test_another_rate_of_the_device_is_resampled_and_stays_in_place() -> None:
    listener = Listener(MicrophoneConfig(), 48_000, 0)
    size = 960
    tone = np.round(10_000 * np.sin(2 * np.pi * 440 * np.arange(100 * size) / 48_000))

    def block(n: int) -> Heard:
        samples = tone[n * size : (n + 1) * size].astype(np.int16)[:, None]
        return Heard(samples, EPOCH_NS + (n + 1) * BLOCK_NS, 0, False)

    captures = said(listener, (block(n) for n in range(100)))

    assert set(gaps(captures)) == {0}
    joined = np.concatenate([c.arrays[0][:, 0] for c in captures]).astype(float)
    wanted = 10_000 * np.sin(2 * np.pi * 440 * np.arange(len(joined)) / RATE)
    assert np.abs(joined - wanted)[500:-500].max() < 30
    assert all(
        abs(c.stamp_ns - EPOCH_NS - int(c.fields["first"]) * NS_PER_S // RATE) < 1000
        for c in captures
    )


def test_a_missing_sound_library_is_said_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    real = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name == "sounddevice":
            msg = "PortAudio library not found"
            raise OSError(msg)
        return real(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match="apt-get install libportaudio2"):
        MicrophoneNode(MicrophoneConfig()).open(MemoryContext("mic"))


def test_a_file_takes_the_place_of_a_device(tmp_path: Path) -> None:
    import wave

    path = tmp_path / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.arange(RATE, dtype="<i2").tobytes())
    context = MemoryContext("mic", clock=FakeClock(EPOCH_NS))
    node = MicrophoneNode(MicrophoneConfig(path=str(path)))

    node.open(context)
    captures = [c for c in node.captures(context) if isinstance(c, Capture)]

    assert gaps(captures) == [0] * 49
    assert np.concatenate([c.arrays[0][:, 0] for c in captures]).tolist() == list(range(RATE))
    assert captures[-1].stamp_ns + captures[-1].span_ns - captures[0].stamp_ns == NS_PER_S


class Recording:
    """A microphone node that runs in threads of its own, on the real clock."""

    def __init__(self, **config: object) -> None:
        self.clock = GraphClock()
        self._config = config
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self._ready.wait()

    def _run(self) -> None:
        self.context = MemoryContext("mic", clock=self.clock)
        self.context.record("audio")
        node = MicrophoneNode(MicrophoneConfig.model_validate(self._config))
        node.open(self.context)
        self._ready.set()
        node.run(self.context)

    def wait(self, duration_ns: int) -> None:
        self.clock.sleep_until_ns(self.clock.now_ns() + duration_ns)

    def end(self) -> list[Message]:
        self.context.stop()
        self._thread.join()
        return self.context.sent("audio")


def clicks_ns(messages: list[Message]) -> list[int]:
    """Return when clicks were heard, by the stamps of their messages."""
    return [
        message.header.stamp_ns + int(index) * NS_PER_S // RATE
        for message in messages
        for index in np.flatnonzero(message.array()[:, 0] > 10_000)
    ]


def off_ns(heard_ns: list[int], clicked_ns: list[int]) -> list[int]:
    return [min((at - true for true in clicked_ns), key=abs) for at in heard_ns]


@pytest.mark.realtime
def test_clicks_through_portaudio_are_placed_within_5_ms_and_a_stall_of_2_s_is_counted(
    sound_server: Any,
) -> None:
    sound_server.listen_to("pipe")
    recording = Recording(device="pulse", stall="10s")
    speaker = sound_server.speak(recording.clock)
    recording.wait(4 * NS_PER_S)
    sound_server.pause()
    recording.wait(2 * NS_PER_S)
    sound_server.resume()
    recording.wait(4 * NS_PER_S)
    messages = recording.end()
    speaker.close()

    headers = [message.header for message in messages]
    missing = [
        int(after.fields["first"]) - int(before.fields["first"]) - before.buffers[0].shape[0]
        for before, after in pairwise(headers)
    ]
    dropped = sum(int(header.fields["dropped"]) for header in headers)
    assert sum(missing) == dropped
    assert 1.0 * RATE < dropped < 2.5 * RATE  # half a second of the 2 s is still taken
    assert sum(gap > RATE // 2 for gap in missing) >= 1
    split = next(n for n, gap in enumerate(missing) if gap > 0) + 1
    before, after = clicks_ns(messages[25:split]), clicks_ns(messages[split + 100 :])
    assert len(before) >= 4
    assert len(after) >= 3
    for found in (before, after):
        assert np.median(np.abs(off_ns(found, speaker.clicks_ns))) < 5 * NS_PER_MS


@pytest.mark.realtime
def test_a_tone_through_portaudio_is_exact(sound_server: Any) -> None:
    tone = np.round(16_000 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE))
    sound_server.listen_to("sink.monitor")
    sound_server.play(tone)
    recording = Recording(device="pulse")
    recording.wait(4 * NS_PER_S)
    messages = recording.end()

    heard = np.concatenate([message.array()[:, 0] for message in messages]).astype(float)
    seconds = np.lib.stride_tricks.sliding_window_view(heard, RATE)[:: RATE // 16]
    sound = max(seconds, key=lambda one: float(np.sum(one**2)))  # a busy sound server leaves holes
    spectrum = np.abs(np.fft.rfft(sound))
    assert int(spectrum.argmax()) == 440
    assert np.sqrt(np.mean(sound**2)) == pytest.approx(16_000 / np.sqrt(2), rel=1e-3)


@pytest.mark.realtime
def test_an_unknown_microphone_is_told_with_those_that_there_are(sound_server: Any) -> None:
    clock = GraphClock()
    with (
        pytest.raises(DeviceError, match=r"no microphone 'nobody'.*there are: .*pulse"),
        portaudio.opened_stream(portaudio.Wanted("nobody", RATE, 1, BLOCK), clock),
    ):
        pass
