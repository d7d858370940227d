"""Variants are there to save time: one that does not is told; and costs are those of the device."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tectum.inference.device import CUDA, why_not
from tectum.testing.nets import write_encoder
from tectum_launch.checks import check_graph, fusions_of
from tectum_launch.checks.models import variants_get_cheaper
from tectum_launch.compile import load_graph

GRAPH = """\
graph: precise
budget: 100ms
nodes:
  camera: {run: simulated_camera}
  perception:
    run: fusion
    trigger: camera
    inputs: {camera: {topic: camera/image, encoder: ./camera}}
    head: {late: product}
    device: {require: cpu}
"""
LATENCIES = {"fp32": {"cpu": 9, "cuda": 3}, "fp16": {"cpu": 12, "cuda": 1}, "int8": {"cpu": 4}}


@pytest.fixture
def texts(write_graph, tmp_path: Path):
    """Return a function: what is found where models have to run on a device."""
    folder = write_encoder(tmp_path / "camera", "camera")
    document = json.loads((folder / "model.yaml").read_text())
    (variant,) = document["variants"]
    document["variants"] = [
        {**variant, "name": name, "latency_ms": claims} for name, claims in LATENCIES.items()
    ]
    (folder / "model.yaml").write_text(json.dumps(document))

    def of(device: str) -> list[str]:
        path = write_graph(GRAPH.replace("{require: cpu}", device))
        (fusion,) = fusions_of(load_graph(str(path), cores=2), {})
        return [item.message for item in variants_get_cheaper(fusion)]

    return of


def test_a_variant_that_is_slower_here_than_the_better_one_is_told(texts) -> None:
    told = [
        "variant fp16 takes 12.0 ms on cpu, no less than fp32 with 9.0 ms: a late set gains "
        "nothing by it; leave it out of the model's `variants`, or put it first"
    ]
    assert texts("{require: cpu}") == told
    assert texts("{}") == told


def test_costs_are_those_of_the_device_that_is_required(texts) -> None:
    for device in ("{require: cuda}", "{require: gpu, prefer: [cuda]}"):
        (text,) = texts(device)
        assert text.startswith("variant int8 takes 4.0 ms on cuda, no less than fp16 with 1.0 ms")


@pytest.mark.skipif(why_not(CUDA) == "", reason="this machine has CUDA")
def test_a_gpu_that_is_required_and_not_there_is_told_at_its_key(texts, write_graph) -> None:
    path = write_graph(GRAPH.replace("{require: cpu}", "{require: gpu}"))
    (text,) = [
        item.text
        for item in check_graph(load_graph(str(path), cores=2), thorough=True)
        if item.level == "error"
    ]
    assert text.startswith(
        f"{path}:10:23: nodes.perception.device.require: require: gpu: no such device can be used "
        "here (cuda: libcuda.so.1: cannot open shared object file"
    )
