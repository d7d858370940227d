"""Small convolutional encoders and a head with weights drawn from a seed, for device tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tectum.testing.models import write_model

WIDTH = 16
"""Of an embedding."""


def write_encoder(folder: Path, modality: str, *, side: int = 32, seed: int = 0) -> Path:
    """Write an encoder of uint8 images of `side` x `side`: two convolutions, a mean, a product."""
    image = {"name": "image", "kind": "image", "dtype": "uint8", "shape": ["batch", side, side, 3]}
    code = {"name": "code", "role": "embedding", "dtype": "float32", "shape": ["batch", WIDTH]}
    manifest = {**_about(modality), "modality": modality, "inputs": [image], "outputs": [code]}
    draw = np.random.default_rng(seed)
    weights = {
        "scale": np.full(1, 1 / 255),
        "w1": draw.normal(0, 0.3, (8, 3, 3, 3)),
        "w2": draw.normal(0, 0.2, (WIDTH, 8, 3, 3)),
        "w3": draw.normal(0, 0.3, (WIDTH, WIDTH)),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["numbers", "scale"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "w1"], ["c1"], strides=[2, 2]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], strides=[2, 2]),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("GlobalAveragePool", ["r2"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w3"], ["code"]),
    ]
    inputs = [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", side, side, 3])]
    return write_model(folder, _model(nodes, inputs, [_floats("code", WIDTH)], weights), manifest)


def write_head(folder: Path, modalities: tuple[str, ...], *, seed: int = 9) -> Path:
    """Write a head: the embeddings and the mask through one hidden layer to three scores.

    What it is fed for an absent modality changes its answer, whatever the mask says.
    """
    count = len(modalities)
    wide = WIDTH * count + count
    embeddings = [
        {"name": name, "kind": "embedding", "dtype": "float32", "shape": ["batch", WIDTH]}
        for name in modalities
    ]
    mask = {"name": "present", "kind": "mask", "dtype": "float32", "shape": ["batch", count]}
    scores = {"name": "scores", "role": "scores", "dtype": "float32", "shape": ["batch", 3]}
    manifest = {
        **_about("head"),
        "modalities": list(modalities),
        "inputs": [*embeddings, mask],
        "outputs": [scores],
    }
    draw = np.random.default_rng(seed)
    weights = {"w1": draw.normal(0, 0.3, (wide, 8)), "w2": draw.normal(0, 0.5, (8, 3))}
    nodes = [
        helper.make_node("Concat", [*modalities, "present"], ["all"], axis=1),
        helper.make_node("MatMul", ["all", "w1"], ["hidden"]),
        helper.make_node("Tanh", ["hidden"], ["bent"]),
        helper.make_node("MatMul", ["bent", "w2"], ["scores"]),
    ]
    inputs = [*(_floats(name, WIDTH) for name in modalities), _floats("present", count)]
    return write_model(folder, _model(nodes, inputs, [_floats("scores", 3)], weights), manifest)


def _about(name: str) -> dict[str, Any]:
    return {"model": f"test/{name}", "version": 1, "licence": "Apache-2.0"}


def _floats(name: str, width: int) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])


def _model(nodes: list[Any], inputs: list[Any], outputs: list[Any], weights: dict[str, Any]) -> Any:
    initial = [
        numpy_helper.from_array(np.asarray(v, np.float32), name) for name, v in weights.items()
    ]
    graph = helper.make_graph(nodes, "net", inputs, outputs, initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    onnx.checker.check_model(model)
    return model
