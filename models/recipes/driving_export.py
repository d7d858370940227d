"""Export the trained networks of the simulated drive to ONNX, measure them, write their manifests.

    python models/recipes/driving_export.py DATA WORK

Every number in a manifest or model card is measured here, with ONNX Runtime on one thread, on the
held-out seeds. The camera gets an int8 variant as well (static quantisation, calibrated on
training seeds), which is what the runtime degrades to.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
import time
from pathlib import Path

import driving_cards
import numpy as np
import onnx
import onnxruntime as ort
import torch
from driving import trained
from driving_data import Samples
from driving_nets import COLUMNS, ROWS, SHARED, SOUND, size
from metrics import average_precision
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from tectum_nodes.simulation import WEATHERS

SHIPPED = Path(__file__).parents[1] / "tectum_models" / "driving"
OPSET = 20
MODALITIES = ("camera", "lidar", "siren")
INPUT = {"camera": "image", "lidar": "points", "siren": "audio"}
DECISION = {"camera": "occupancy", "lidar": "occupancy", "siren": "siren"}


def export(work: Path, name: str, path: Path) -> int:
    """Write a network as one ONNX file; return its number of parameters."""
    model = trained(work, name)
    batch, points = torch.export.Dim("batch"), torch.export.Dim("points")
    # Two tensors: one object given twice would become one input.
    grids = (torch.zeros(2, SHARED, ROWS, COLUMNS), torch.zeros(2, SHARED, ROWS, COLUMNS))
    args, names, shapes, outputs = {
        "camera": (
            (torch.zeros(2, 192, 320, 3, dtype=torch.uint8),), ["image"],
            ({0: batch},), ["embedding", "occupancy"],
        ),
        "lidar": ((torch.rand(50, 4),), ["points"], ({0: points},), ["embedding", "occupancy"]),
        "siren": (
            (torch.zeros(2, 16_000, dtype=torch.int16),), ["audio"],
            ({0: batch},), ["embedding", "siren"],
        ),
        "head": (
            (*grids, torch.zeros(2, SOUND), torch.ones(2, 3)), [*MODALITIES, "present"],
            ({0: batch},) * 4, ["occupancy", "siren_probability"],
        ),
    }[name]  # fmt: skip
    program = torch.onnx.export(
        model, args, dynamo=True, opset_version=OPSET, input_names=names,
        output_names=outputs, dynamic_shapes=shapes, external_data=False, verbose=False,
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(bare(program.model_proto), str(path))
    return size(model)


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


class Pictures(CalibrationDataReader):
    """Training pictures, one by one, for calibration."""

    def __init__(self, images: np.ndarray) -> None:
        self._images = iter(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next picture, or None."""
        image = next(self._images, None)
        return None if image is None else {"image": image[None]}


def quantise(data: Samples, source: Path, target: Path, work: Path) -> None:
    """Write the int8 variant of the camera encoder; the last layers stay in float."""
    prepared = work / "camera_prepared.onnx"
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    graph = onnx.load(str(prepared)).graph
    convolutions = [node.name for node in graph.node if node.op_type == "Conv"]
    quantize_static(
        str(prepared), str(target), Pictures(data.image[::40]), quant_format=QuantFormat.QDQ,
        per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv", "Add"], nodes_to_exclude=convolutions[-1:],
    )  # fmt: skip


def session(path: Path) -> ort.InferenceSession:
    """A session as the runtime makes it: one thread, no spinning."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def feeds(data: Samples, name: str) -> list[np.ndarray]:
    """What a session of an encoder is fed, sample by sample."""
    if name == "lidar":
        pairs = zip(data.points, data.count, strict=True)
        return [points[:count].astype(np.float32) for points, count in pairs]
    return [row[None] for row in (data.image if name == "camera" else data.audio)]


def encode(path: Path, name: str, data: Samples) -> tuple[np.ndarray, np.ndarray, float]:
    """Embeddings and decisions of all samples, and the median latency in ms."""
    run, key = session(path), INPUT[name]
    embeddings, decisions, spent = [], [], []
    for value in feeds(data, name):
        begun = time.perf_counter()
        embedding, decision = run.run(None, {key: value})
        spent.append(time.perf_counter() - begun)
        embeddings.append(embedding)
        decisions.append(decision)
    return np.concatenate(embeddings), np.concatenate(decisions), float(np.median(spent) * 1e3)


def truth_of(data: Samples, output: str) -> np.ndarray:
    """What an output should have been."""
    return data.approaching[:, None] if output == "siren" else data.occupancy


def scores(data: Samples, output: str, found: np.ndarray) -> dict[str, float]:
    """Average precision overall and per weather."""
    truth = truth_of(data, output)
    table = {"all": average_precision(truth, found)}
    for k, weather in enumerate(WEATHERS):
        rows = data.weather == k
        table[weather] = average_precision(truth[rows], found[rows])
    return {key: round(value, 3) for key, value in table.items()}


def fuse(
    path: Path, embeddings: dict[str, np.ndarray], present: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, float]:
    """Both outputs of the head with some modalities absent, and the median latency in ms."""
    run = session(path)
    mask = np.array([present], np.float32)
    grids, alarms, spent = [], [], []
    for k in range(len(embeddings["camera"])):
        feed = {
            name: embeddings[name][k : k + 1] * np.float32(here)
            for name, here in zip(MODALITIES, present, strict=True)
        }
        begun = time.perf_counter()
        grid, alarm = run.run(None, {**feed, "present": mask})
        spent.append(time.perf_counter() - begun)
        grids.append(grid)
        alarms.append(alarm)
    return np.concatenate(grids), np.concatenate(alarms), float(np.median(spent) * 1e3)


def variant(path: Path, name: str, quality: float, latency: float) -> dict[str, object]:
    """An entry of a manifest's `variants`."""
    return {
        "name": name, "file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "quality": {"average_precision": quality}, "latency_ms": {"cpu": round(latency, 2)},
    }  # fmt: skip


def ship_encoder(
    name: str, data: Samples, train: Samples, work: Path
) -> tuple[np.ndarray, dict[str, dict[str, float]]]:
    """Export, measure and describe an encoder; return its embeddings and its scores."""
    path = SHIPPED / name / f"{name}.onnx"
    parameters = export(work, name, path)
    paths = {"fp32": path}
    if name == "camera":
        paths["int8"] = path.with_name("camera_int8.onnx")
        quantise(train, path, paths["int8"], work)
    variants, tables, kept = [], {}, None
    for label, file in paths.items():
        embeddings, decisions, latency = encode(file, name, data)
        kept = embeddings if kept is None else kept
        tables[label] = scores(data, DECISION[name], decisions)
        variants.append(variant(file, label, tables[label]["all"], latency))
        print(name, label, tables[label], f"{latency:.2f} ms", flush=True)
    chance = float(truth_of(data, DECISION[name]).mean())
    driving_cards.write(SHIPPED / name, name, variants, tables, parameters, chance)
    return kept, tables


def ship_head(
    data: Samples, embeddings: dict[str, np.ndarray], work: Path
) -> dict[str, dict[str, dict[str, float]]]:
    """Export, measure and describe the head; return its scores per set of modalities."""
    path = SHIPPED / "head" / "head.onnx"
    parameters = export(work, "head", path)
    tables: dict[str, dict[str, dict[str, float]]] = {"occupancy": {}, "siren": {}}
    latency = 0.0
    for present in sorted(itertools.product((0, 1), repeat=3), key=sum, reverse=True):
        grid, alarm, spent = fuse(path, embeddings, present)
        latency = latency or spent
        label = " + ".join(m for m, here in zip(MODALITIES, present, strict=True) if here)
        tables["occupancy"][label or "nothing"] = scores(data, "occupancy", grid)
        tables["siren"][label or "nothing"] = scores(data, "siren", alarm)
        found = (tables[key][label or "nothing"]["all"] for key in tables)
        print("head", label or "nothing", *found, flush=True)
    best = tables["occupancy"]["camera + lidar + siren"]["all"]
    alarm = tables["siren"]["camera + lidar + siren"]["all"]
    entry = variant(path, "fp32", best, latency)
    entry["quality"] = {"average_precision": best, "siren_average_precision": alarm}
    driving_cards.write_head(SHIPPED / "head", [entry], tables, parameters, data)
    return tables


def main(folder: Path, work: Path) -> None:
    """Export everything that is trained."""
    data, train = Samples.load(folder, "held"), Samples.load(folder, "train")
    embeddings, results = {}, {}
    for name in MODALITIES:
        embeddings[name], results[name] = ship_encoder(name, data, train, work)
    if (work / "head.pt").is_file():
        results["head"] = ship_head(data, embeddings, work)
    (work / "results.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
