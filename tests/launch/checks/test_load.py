"""Rates that lanes cannot keep are told."""

from __future__ import annotations

from tectum_launch.checks import fusions_of
from tectum_launch.checks.load import load_of
from tectum_launch.compile import load_graph

EACH = ("align: exact, encoder: {run: large_nodes:Once}",
        "align: {latest: {max_age: 1s}}, encoder: {run: large_nodes:Each}")  # fmt: skip
VOICE = """\
graph: voice
budget: 1s
nodes:
  microphone: {run: simulated_microphone}
  perception:
    run: fusion
    trigger: {rate: 2Hz}
    inputs:
      voice: {topic: microphone/audio, align: {latest: {max_age: 1s}}, encoder: emotion/speech}
    head: {late: product}
"""


def test_an_encoder_that_falls_behind_its_samples_is_told_however_many_lanes_there_are(
    found,
) -> None:
    costs = "perception: {encode_thermal: 120ms}"
    (text,) = found(EACH, ("lanes: 1", "lanes: 4"), ("budget: 100ms", "budget: 1s"), costs=costs)
    assert text == (
        "nodes.perception.inputs.thermal.encoder: encode_thermal takes 120.0 ms and runs every "
        "100.0 ms, in order, on one lane at a time: it falls behind and skips; a model that takes "
        "at most 100.0 ms would do"
    )


def test_a_model_of_sound_runs_once_a_hop_not_once_a_block(write_graph) -> None:
    (fusion,) = fusions_of(load_graph(str(write_graph(VOICE)), cores=2), {})
    (voice,) = fusion.plan.inputs
    assert fusion.step_ns(voice) == 500_000_000
    assert load_of(fusion) * 500_000_000 == fusion.latency_ns(voice.encoder)
