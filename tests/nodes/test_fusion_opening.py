"""Before it is ready a fusion node has loaded, warmed up, and said where its models run."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from tectum.clock import NS_PER_S, GraphClock
from tectum.errors import DeviceError
from tectum.inference.device import CUDA, why_not
from tectum.inference.encoder import OnnxEncoder
from tectum.inference.head import OnnxHead
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan, plan_document
from tectum.testing import MemoryContext
from tectum.testing.nets import write_encoder, write_head
from tectum_nodes.fusion import FusionNode

NAMES = ("camera", "depth")
PLAN = Plan(
    "perception",
    tuple(InputPlan(name, f"{name}/image", AlignPlan("exact"), name) for name in NAMES),
    tuple(StagePlan(name, ("fp32",)) for name in (*NAMES, "head")),
    "head",
    "camera",
    budget_ns=NS_PER_S,
)


@pytest.fixture
def opened(tmp_path: Path):
    """Return a function that opens a node with two encoders and a head on a device."""
    stages = {
        name: {"model": {"folder": str(write_encoder(tmp_path / name, name))}} for name in NAMES
    }
    stages["head"] = {"model": {"folder": str(write_head(tmp_path / "head", NAMES))}}
    nodes: list[FusionNode] = []

    def of(**device: Any) -> FusionNode:
        document = {"plan": plan_document(PLAN), "stages": stages, "device": device}
        node = FusionNode(FusionNode.Config.model_validate(document))
        nodes.append(node)
        node.open(MemoryContext("perception", clock=GraphClock(), folder=tmp_path))
        return node

    yield of
    for node in nodes:
        node.close()


def test_every_stage_has_run_before_the_node_is_ready(opened, monkeypatch) -> None:
    warmed: list[str] = []
    for kind in (OnnxEncoder, OnnxHead):
        real = kind.warm_up

        def warm_up(self: Any, variant: str, real: Any = real) -> None:
            real(self, variant)
            warmed.append(f"{self.name}/{variant}")

        monkeypatch.setattr(kind, "warm_up", warm_up)
    opened()
    assert set(warmed) == {"camera/fp32", "depth/fp32", "head/fp32"}


@pytest.mark.skipif(why_not(CUDA) == "", reason="this machine has CUDA")
def test_it_says_once_and_plainly_that_it_runs_on_the_cpu_and_why(opened, caplog) -> None:
    with caplog.at_level(logging.INFO, logger="tectum.node"):
        opened()
    told = [record.getMessage() for record in caplog.records if "CPU" in record.getMessage()]
    assert len(told) == 1
    assert told[0].startswith("models run on the CPU (tensorrt: libcuda.so.1: cannot open")
    assert "cuda: libcuda.so.1: cannot open" in told[0]


@pytest.mark.skipif(why_not(CUDA) == "", reason="this machine has CUDA")
def test_a_node_that_requires_a_gpu_does_not_open_without_one(opened) -> None:
    with pytest.raises(DeviceError) as caught:
        opened(require="gpu")
    assert str(caught.value).startswith(
        "require: gpu: no such device can be used here (cuda: libcuda.so.1: cannot open shared "
        "object file"
    )
    assert str(caught.value).endswith(
        "Install the NVIDIA driver and `pip install onnxruntime-gpu[cuda,cudnn]`, or leave "
        "`require` out to run on the CPU"
    )
