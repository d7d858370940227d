"""Export the trained networks of the simulated drive to ONNX, measure them, write their manifests.

    python models/recipes/driving_export.py DATA WORK

Every number in a manifest or model card is measured here, with ONNX Runtime on one thread, on the
held-out seeds. The camera has a small variant as well, which is what the runtime degrades to.
(Static quantisation to int8 was tried: on a CPU it was slower than float, 3.3 to 3.7 ms against
2.8 ms, because so small a network spends its time on converting.)
"""

from __future__ import annotations

import hashlib
import itertools
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
    }[name.removesuffix("_small")]  # fmt: skip
    program = torch.onnx.export(
        model, args, dynamo=True, opset_version=OPSET, input_names=names,
        output_names=outputs, dynamic_shapes=shapes, external_data=False, verbose=False,
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(bare(program.model_proto), str(path))
    _check(model, path, dict(zip(names, args, strict=True)))
    return size(model)


def _check(model: torch.nn.Module, path: Path, feed: dict[str, torch.Tensor]) -> None:
    """Stop if the file does not give what the network gives, for silence and darkness too."""
    with torch.no_grad():
        wanted = model(*feed.values())
    given = session(path).run(None, {key: value.numpy() for key, value in feed.items()})
    for one, other in zip(wanted, given, strict=True):
        np.testing.assert_allclose(one.numpy(), other, atol=1e-3)


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


def ship_encoder(name: str, data: Samples, work: Path) -> list[np.ndarray]:
    """Export, measure and describe an encoder; return its embeddings, best variant first."""
    paths = {"fp32": SHIPPED / name / f"{name}.onnx"}
    if name == "camera":
        paths["small"] = SHIPPED / name / "camera_small.onnx"
    variants, tables, parameters, kept = [], {}, {}, []
    for label, file in paths.items():
        parameters[label] = export(work, file.stem, file)
        embeddings, decisions, latency = encode(file, name, data)
        kept.append(embeddings)
        tables[label] = scores(data, DECISION[name], decisions)
        variants.append(variant(file, label, tables[label]["all"], latency))
        print(name, label, tables[label], f"{latency:.2f} ms", flush=True)
    chance = float(truth_of(data, DECISION[name]).mean())
    driving_cards.write(SHIPPED / name, name, variants, tables, parameters, chance)
    return kept


def ship_head(data: Samples, embeddings: dict[str, list[np.ndarray]], work: Path) -> None:
    """Export, measure and describe the head, for every set of modalities."""
    path = SHIPPED / "head" / "head.onnx"
    parameters = export(work, "head", path)
    sets = sorted(itertools.product((0, 1), repeat=3), key=sum, reverse=True)
    names = [" + ".join(itertools.compress(MODALITIES, present)) or "nothing" for present in sets]
    best = {name: rows[0] for name, rows in embeddings.items()}
    degraded = {**best, "camera": embeddings["camera"][-1]}
    runs = [(name, best, present) for name, present in zip(names, sets, strict=True)]
    runs.insert(1, ("small camera + lidar + siren", degraded, (1, 1, 1)))
    tables: dict[str, dict[str, dict[str, float]]] = {"occupancy": {}, "siren": {}}
    latency = 0.0
    for name, given, present in runs:
        grid, alarm, spent = fuse(path, given, present)
        latency = latency or spent
        tables["occupancy"][name] = scores(data, "occupancy", grid)
        tables["siren"][name] = scores(data, "siren", alarm)
        print("head", name, *(table[name]["all"] for table in tables.values()), flush=True)
    grid_score, alarm_score = (table[names[0]]["all"] for table in tables.values())
    entry = variant(path, "fp32", grid_score, latency)
    entry["quality"] = {"average_precision": grid_score, "siren_average_precision": alarm_score}
    driving_cards.write_head(SHIPPED / "head", [entry], tables, {"fp32": parameters}, data)


def main(folder: Path, work: Path) -> None:
    """Export everything."""
    data = Samples.load(folder, "held")
    embeddings = {name: ship_encoder(name, data, work) for name in MODALITIES}
    ship_head(data, embeddings, work)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
