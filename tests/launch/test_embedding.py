"""A fusion node in this process: live by `push`, and over a recording in virtual time."""

import asyncio
from pathlib import Path

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
