"""From a trained network to one ONNX file, and the proof that the file is the network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch

OPSET = 20
PARITY = 1e-4
"""How far an exported file's numbers may be from the network's."""

Feed = Mapping[str, np.ndarray]


def write(
    model: torch.nn.Module, args: tuple[torch.Tensor, ...], names: Sequence[str],
    outputs: Sequence[str], path: Path, shapes: tuple[Any, ...] | None = None, opset: int = OPSET,
) -> None:  # fmt: skip
    """Write a network as one ONNX file; `shapes` says which sizes are free."""
    program = torch.onnx.export(
        model, args, dynamo=True, opset_version=opset, input_names=list(names),
        output_names=list(outputs), dynamic_shapes=shapes, external_data=False, verbose=False,
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(bare(program.model_proto), str(path))


def bare(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without the exporter's notes (source lines, paths): they are half of the file."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    del graph.value_info[:]
    for zeros in [one for one in graph.initializer if len(one.raw_data) > 4096]:
        if not any(zeros.raw_data):
            _make_zeros(graph, zeros)
    model.producer_name, model.producer_version = "tectum", ""
    return model


def _make_zeros(graph: onnx.GraphProto, zeros: onnx.TensorProto) -> None:
    """Replace a constant of nothing but zeros, which the scatters start from, by its shape."""
    value = onnx.helper.make_tensor("", zeros.data_type, [1], [0])
    shape = onnx.numpy_helper.from_array(np.array(zeros.dims, np.int64), f"{zeros.name}_shape")
    node = onnx.helper.make_node("ConstantOfShape", [shape.name], [zeros.name], value=value)
    graph.initializer.append(shape)
    graph.initializer.remove(zeros)
    graph.node.insert(0, node)


def session(path: Path) -> ort.InferenceSession:
    """A session as the runtime makes it: one thread, no spinning."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def parity(model: torch.nn.Module, path: Path, feeds: Iterable[Feed]) -> float:
    """The largest difference between what the file and the network give, of any output's number.

    Numbers above 1 are compared relative to their size: float32 has seven digits.

    Raises:
        ValueError: it is above `PARITY`, or the file gives what is no number.
    """
    run, worst = session(path), 0.0
    for feed in feeds:
        with torch.no_grad():
            wanted = model(*(torch.from_numpy(np.array(value)) for value in feed.values()))
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        for output, one, other in zip(
            run.get_outputs(), wanted, run.run(None, dict(feed)), strict=True
        ):
            away = np.abs(one.numpy() - other) / np.maximum(1.0, np.abs(other))
            if not away.max() <= PARITY:  # NaN fails as well
                msg = (
                    f"{path.name}: {output.name} differs from what the network gives by"
                    f" {away.max():.1e}, and {PARITY:.0e} is allowed: the export changed the model"
                )
                raise ValueError(msg)
            worst = max(worst, float(away.max()))
    return worst
