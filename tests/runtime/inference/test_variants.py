"""One model in three precisions, side by side: alike in what they say, unlike in what they cost."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from tectum.clock import NS_PER_MS as MS
from tectum.errors import ModelError
from tectum.inference.encoder import OnnxEncoder
from tectum.inference.manifest import read_manifest
from tectum.inference.session import NeverStopped
from tectum.inference.stage import Cut
from tectum.message import Kind
from tectum.pipeline.events import Measured
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan
from tectum.pipeline.simulate import fixed_durations, simulate
from tectum.testing.arrivals import START_NS, Source, arrivals
from tectum.testing.messages import make_message

PRECISIONS = ("fp32", "fp16", "int8")
SIDE, WIDE, OUT = 16, 256, 32
TOLERANCE = {"fp32": 0.0, "fp16": 2e-3, "int8": 5e-2}
"""Share of the largest number of an embedding that a precision may be off by."""

MANIFEST: dict[str, Any] = {
    "model": "test/precise",
    "version": 1,
    "licence": "Apache-2.0",
    "modality": "camera",
    "inputs": [
        {"name": "image", "kind": "image", "dtype": "uint8", "shape": ["batch", SIDE, SIDE, 3]}
    ],
    "outputs": [{"name": "code", "role": "embedding", "dtype": "float32", "shape": ["batch", OUT]}],
}


def _net(kind: int) -> onnx.ModelProto:
    """Return two layers that compute in `kind`; what goes in and out is the same for all."""
    draw, inside = np.random.default_rng(3), helper.tensor_dtype_to_np_dtype(kind)
    rows = SIDE * SIDE * 3
    weights = {
        "scale": np.full(1, 1 / 255),
        "w1": draw.normal(0, rows**-0.5, (rows, WIDE)),
        "w2": draw.normal(0, WIDE**-0.5, (WIDE, OUT)),
    }
    nodes = [
        helper.make_node("Flatten", ["image"], ["pixels"]),
        helper.make_node("Cast", ["pixels"], ["numbers"], to=kind),
        helper.make_node("Mul", ["numbers", "scale"], ["scaled"]),
        helper.make_node("MatMul", ["scaled", "w1"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["bent"]),
        helper.make_node("MatMul", ["bent", "w2"], ["inner"]),
        helper.make_node("Cast", ["inner"], ["code"], to=TensorProto.FLOAT),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("code", TensorProto.FLOAT, ["batch", OUT])],
        [numpy_helper.from_array(value.astype(inside), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    return model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a model with a file for each precision."""
    onnx.save(_net(TensorProto.FLOAT), str(tmp_path / "fp32.onnx"))
    onnx.save(_net(TensorProto.FLOAT16), str(tmp_path / "fp16.onnx"))
    quantize_dynamic(tmp_path / "fp32.onnx", tmp_path / "int8.onnx", weight_type=QuantType.QInt8)
    variants = [
        {
            "name": name,
            "file": f"{name}.onnx",
            "sha256": hashlib.sha256((tmp_path / f"{name}.onnx").read_bytes()).hexdigest(),
        }
        for name in PRECISIONS
    ]
    document = {**MANIFEST, "variants": variants}
    (tmp_path / "model.yaml").write_text(json.dumps(document))
    return tmp_path


def _cut(seed: int) -> Cut:
    image = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    return Cut((make_message("camera/image", Kind.IMAGE, image, encoding="bgr8"),))


def test_each_precision_is_smaller_and_says_nearly_the_same(folder: Path) -> None:
    encoder = OnnxEncoder(read_manifest(folder), name="camera")
    assert encoder.variants == PRECISIONS
    for seed in range(8):
        args = {"camera": _cut(seed)}
        codes = {
            name: encoder.run(name, args, None, NeverStopped()).arrays["code"]
            for name in PRECISIONS
        }
        for name, code in codes.items():
            assert code.dtype == np.float32
            largest = np.abs(codes["fp32"]).max()
            np.testing.assert_allclose(code, codes["fp32"], rtol=0, atol=TOLERANCE[name] * largest)
        assert not np.array_equal(codes["fp32"], codes["fp16"])
        assert not np.array_equal(codes["fp32"], codes["int8"])
    sizes = [(folder / f"{name}.onnx").stat().st_size for name in PRECISIONS]
    assert sizes == sorted(sizes, reverse=True)


def test_a_precision_whose_tensors_differ_from_the_others_is_refused(folder: Path) -> None:
    model = _net(TensorProto.FLOAT16)
    model.graph.node[-1].attribute[0].i = TensorProto.FLOAT16
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    onnx.save(model, str(folder / "fp16.onnx"))
    document = json.loads((folder / "model.yaml").read_text())
    document["variants"][1]["sha256"] = ""
    (folder / "model.yaml").write_text(json.dumps(document))
    with pytest.raises(ModelError, match=r"output 'code' is float16 .* says float32"):
        OnnxEncoder(read_manifest(folder), name="camera")


def _taken(costs_ms: dict[str, int]) -> list[str]:
    """Return which precision each of twenty sets used, where a run costs so much."""
    plan = Plan(
        "precise",
        (InputPlan("camera", "camera/image", AlignPlan("exact"), "encode"),),
        (StagePlan("encode", PRECISIONS), StagePlan("head")),
        "head",
        "camera",
        budget_ns=60 * MS,
    )
    durations = {f"encode/{name}": cost * MS for name, cost in costs_ms.items()}
    known = [Measured(START_NS, "encode", name, cost * MS) for name, cost in costs_ms.items()]
    heard = arrivals(Source("camera", 100 * MS, transit_ns=5 * MS), 2000 * MS)
    known.append(Measured(START_NS, "head", "default", MS))
    rows = simulate(plan, [*known, *heard], fixed_durations({**durations, "head": MS})).rows
    assert {row.reason for row in rows} == {"complete"}
    return sorted({row.inputs[0].variant for row in rows})


@pytest.mark.parametrize(
    ("costs_ms", "taken"),
    [
        ({"fp32": 20, "fp16": 10, "int8": 5}, ["fp32"]),
        ({"fp32": 90, "fp16": 40, "int8": 20}, ["fp16"]),
        ({"fp32": 90, "fp16": 80, "int8": 20}, ["int8"]),
        ({"fp32": 90, "fp16": 120, "int8": 20}, ["int8"]),  # half precision on a processor
    ],
)
def test_the_best_precision_that_is_in_time_is_taken_whatever_its_name_promises(
    costs_ms: dict[str, int], taken: list[str]
) -> None:
    assert _taken(costs_ms) == taken
