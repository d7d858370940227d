"""Encoders and a head for benchmarks: products of matrices, as many as wanted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tectum.inference.sessions import Sessions
from tectum.inference.stage import Stage
from tectum.inference.stages import build_stage
from tectum.testing.models import write_model

__all__ = ["build", "write_models"]

ENCODER = """
<ir_version: 10, opset_import: ["" : 18]>
encoder (uint8[batch, 64, 64, 3] image) => (float[batch, 96] embedding)
<int64[3] split = {{-1, 128, 96}}, int64[2] wide = {{96, 512}}, int64[2] square = {{512, 512}},
 int64[2] narrow = {{512, 96}}, int64[1] middle = {{1}}> {{
    numbers = Cast<to: int = 1>(image)
    rows = Reshape(numbers, split)
    into = ConstantOfShape<value: tensor = float[1] {{0.001}}>(wide)
    weights = ConstantOfShape<value: tensor = float[1] {{0.002}}>(square)
    out = ConstantOfShape<value: tensor = float[1] {{0.001}}>(narrow)
    hidden0 = MatMul(rows, into)
    {layers}
    answer = MatMul(hidden{last}, out)
    embedding = ReduceMean<keepdims: int = 0>(answer, middle)
}}
"""
HEAD = """
<ir_version: 10, opset_import: ["" : 18]>
head ({inputs}, float[batch, {count}] present) => (float[batch, 1] score)
<int64[1] axis = {{1}}> {{
    all = Concat<axis: int = 1>({names}, present)
    sum = ReduceSum(all, axis)
    score = Sigmoid(sum)
}}
"""


def write_models(folder: Path, layers_of: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Write an encoder per name, of so many layers of 128 x 512 x 512, and a head; return specs.

    A layer takes about half a millisecond on one core.
    """
    specs: dict[str, dict[str, Any]] = {}
    names = list(layers_of)
    for name in names:
        layers = "\n    ".join(
            f"product{i} = MatMul(hidden{i}, weights)\n    hidden{i + 1} = Relu(product{i})"
            for i in range(layers_of[name])
        )
        manifest = {
            "model": f"bench/{name}",
            "version": 1,
            "licence": "Apache-2.0",
            "modality": name,
            "inputs": [_tensor("image", "uint8", ["batch", 64, 64, 3], kind="image")],
            "outputs": [_tensor("embedding", "float32", ["batch", 96], role="embedding")],
        }
        graph = ENCODER.format(layers=layers, last=layers_of[name])
        specs[name] = {"model": {"folder": str(write_model(folder / name, graph, manifest))}}
    inputs = [_tensor(name, "float32", ["batch", 96], kind="embedding") for name in names]
    declared = ", ".join(f"float[batch, 96] {name}" for name in names)
    graph = HEAD.format(inputs=declared, count=len(names), names=", ".join(names))
    head = {
        "model": "bench/head",
        "version": 1,
        "licence": "Apache-2.0",
        "modalities": names,
        "inputs": [*inputs, _tensor("present", "float32", ["batch", len(names)], kind="mask")],
        "outputs": [_tensor("score", "float32", ["batch", 1], role="probability")],
    }
    specs["head"] = {"model": {"folder": str(write_model(folder / "head", graph, head))}}
    return specs


def _tensor(name: str, dtype: str, shape: list[Any], **more: str) -> dict[str, Any]:
    return {"name": name, "dtype": dtype, "shape": shape, **more}


def build(specs: Mapping[str, dict[str, Any]]) -> dict[str, Stage]:
    """Load the stages; encoders are named as their inputs."""
    sessions = Sessions()
    names = [name for name in specs if name != "head"]
    stages = {
        name: build_stage(specs[name], name=name, inputs=[name], sessions=sessions)
        for name in names
    }
    given = {name: stages[name].outputs for name in names}
    stages["head"] = build_stage(specs["head"], name="head", inputs=given, sessions=sessions)
    return stages
