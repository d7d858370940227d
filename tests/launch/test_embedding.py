"""A fusion node in this process: live by `push`, and over a recording in virtual time."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tectum_launch
from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.errors import ClosedError, ConfigError, ContractError
from tectum.message import Kind
from tectum.recording.replay import simulate_log
from tectum.recording.store import ImageStorage
from tectum.recording.writer import LogWriter, WriteOptions
from tectum.testing.messages import make_message
from tectum.testing.models import ENCODER, ENCODER_GRAPH, write_model

GRAPH = """
graph: two-eyes
budget: 2s
nodes:
  left:  {run: simulated_camera, rate: 10Hz}
  right: {run: simulated_camera, rate: 10Hz}
  both:
    run: fusion
    trigger: left
    accept: [[left]]
    inputs:
      left:  {topic: left/image, encoder: ./eye}
      right: {topic: right/image, align: {nearest: {tolerance: 20ms}}, encoder: ./eye}
    head: {late: mean}
"""


@pytest.fixture
def graph(tmp_path) -> str:
    write_model(tmp_path / "eye", ENCODER_GRAPH, ENCODER)
    path = tmp_path / "eyes.yaml"
    path.write_text(GRAPH)
    return str(path)


SOUND_GRAPH = """
<ir_version: 10, opset_import: ["" : 18]>
level (int16[batch, 3200] sound) => (float[batch, 1] level)
<int64[1] axis = {1}, float[1] thousand = {1000.0}> {
    numbers = Cast<to: int = 1>(sound)
    mean = ReduceMean(numbers, axis)
    level = Div(mean, thousand)
}
"""
"""The mean of 200 ms, in thousandths."""
SOUND: dict[str, Any] = {
    "model": "test/sound",
    "version": 1,
    "licence": "Apache-2.0",
    "modality": "sound",
    "inputs": [
        {"name": "sound", "kind": "audio", "dtype": "int16", "shape": ["batch", 3200],
         "rate_hz": 16000},
    ],
    "outputs": [
        {"name": "level", "role": "probability", "dtype": "float32", "shape": ["batch", 1]},
    ],
}  # fmt: skip
HEARD = """
graph: heard
budget: none
nodes:
  eye: {run: simulated_camera, rate: 10Hz}
  ear: {run: simulated_microphone}
  level:
    run: fusion
    trigger: eye
    inputs:
      eye: {topic: eye/image, encoder: ./eye}
      ear:
        topic: ear/audio
        align: {window: {duration: 200ms, coverage: 0.5}}
        encoder: ./ear
    head: {late: mean}
"""


def grey(level: int) -> np.ndarray:
    return np.full((4, 6, 3), level, np.uint8)


def test_what_is_pushed_is_fused_in_order(graph) -> None:
    with tectum_launch.embed(graph) as both:
        start_ns = both.clock.now_ns()
        for number in range(5):
            stamp_ns = start_ns + number * 100 * NS_PER_MS
            both.push("right/image", grey(51), stamp_ns)
            both.push("left/image", grey(153), stamp_ns)
        both.end("right/image")
        both.end("left/image")
        results = list(both.results())
        report = both.report()
    assert [result.document["trigger"] for result in results] == [0, 1, 2, 3, 4]
    assert {result.document["outcome"] for result in results} == {"complete"}
    assert all(np.allclose(result.arrays["bright"], 0.4) for result in results)
    assert report["triggers"] == 5
    assert report["decisions_sha256"] == both.digest


def test_audio_that_was_lost_is_a_gap_of_the_window_where_it_was_lost(tmp_path) -> None:
    # 15 blocks of 20 ms, each as loud as its number; 9 and 10 never come; the window is 5 to 14
    write_model(tmp_path / "eye", ENCODER_GRAPH, ENCODER)
    write_model(tmp_path / "ear", SOUND_GRAPH, SOUND)
    path = tmp_path / "heard.yaml"
    path.write_text(HEARD)
    with tectum_launch.embed(str(path)) as level:
        begin_ns = level.clock.now_ns() - NS_PER_S
        for number in range(16):
            if number not in (9, 10):
                block = np.full((320, 1), 10 * number, np.int16)
                level.push("ear/audio", block, begin_ns + number * 20 * NS_PER_MS)
        level.push("eye/image", grey(1), begin_ns + 300 * NS_PER_MS)
        level.end("eye/image")
        level.end("ear/audio")
        (result,) = level.results()
    loudness = sum(n for n in range(5, 15) if n not in (9, 10)) / 10
    assert np.allclose(result.arrays["level"], 10 * loudness / 1000)
    assert result.document["outcome"] == "complete"


def test_an_accident_of_the_loop_is_raised_to_who_waits_for_results(graph, monkeypatch) -> None:
    both = tectum_launch.embed(graph)

    def fail() -> int:
        msg = "no turn"
        raise RuntimeError(msg)

    monkeypatch.setattr(both._shell, "turn", fail)
    both.push("left/image", grey(1))
    with pytest.raises(RuntimeError, match="no turn"):
        list(both.results())
    both.close()


def test_a_missing_eye_is_said_in_the_result(graph) -> None:
    with tectum_launch.embed(graph) as both:
        both.end("right/image")
        both.push("left/image", grey(153))
        both.end("left/image")
        (result,) = both.results()
    assert result.document["outcome"] == "partial"
    assert result.document["reason"] == "input_ended"
    assert np.allclose(result.arrays["bright"], 0.6)


def test_results_come_to_asyncio_too(graph) -> None:
    async def first() -> str:
        with tectum_launch.embed(graph) as both:
            both.end("right/image")
            both.push("left/image", grey(10))
            async for result in both.aresults():
                return str(result.document["outcome"])
        return "none"

    assert asyncio.run(first()) == "partial"


def test_what_does_not_fit_is_refused_in_words(graph) -> None:
    with tectum_launch.embed(graph) as both:
        with pytest.raises(ContractError, match=r"'left/imag'; did you mean 'left/image'\?"):
            both.push("left/imag", grey(1))
        with pytest.raises(ContractError, match="does not fit left/image: image bgr8"):
            both.push("left/image", np.zeros((4, 6, 3), np.float32))
    with pytest.raises(ClosedError, match="'both' has been closed"):
        both.push("left/image", grey(1))
    with pytest.raises(ConfigError, match=r"'bot'; did you mean 'both'\?"):
        tectum_launch.embed(graph, node="bot")


def test_a_recording_gives_real_answers_and_the_decisions_of_simulation(graph, tmp_path) -> None:
    log = written(tmp_path / "eyes.mcap")
    recorded = tectum_launch.embed_log(graph, log)
    results = list(recorded)
    outcomes = [str(result.document["outcome"]) for result in results]
    # Frame 3 of the right camera is not in the log.
    assert outcomes == ["complete", "complete", "complete", "partial", "complete", "complete"]
    levels = [round(float(result.arrays["bright"].item()) * 255) for result in results]
    assert levels == [100, 101, 102, 106, 104, 105]
    assert recorded.digest == simulate_log(log, recorded.plan).digest
    again = tectum_launch.embed_log(graph, log)
    assert [r.document["trigger"] for r in again] == [r.document["trigger"] for r in results]
    assert again.digest == recorded.digest


def written(path: Path) -> Path:
    """Record six pairs of frames; the left one is at 103 + n, the right one at 97 + n."""
    options = WriteOptions(images=ImageStorage("raw"))
    with LogWriter(path, options) as writer:
        for number in range(6):
            stamp_ns = NS_PER_S + number * 100 * NS_PER_MS
            for side, level in (("right", 97 + number), ("left", 103 + number)):
                if (side, number) == ("right", 3):
                    continue
                message = make_message(
                    f"{side}/image",
                    Kind.IMAGE,
                    grey(level),
                    seq=number,
                    stamp_ns=stamp_ns,
                    encoding="bgr8",
                )
                writer.write(message, arrived_ns=stamp_ns + 5 * NS_PER_MS)
    return path
