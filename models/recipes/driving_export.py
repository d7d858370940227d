"""Export the trained networks of the simulated drive to ONNX, measure them, write their manifests.

    python models/recipes/driving_export.py DATA WORK [camera|lidar|siren|head...]

Every number in a manifest or model card is measured here, with ONNX Runtime on one thread, on the
held-out seeds. The camera has a small variant as well, which is what the runtime degrades to.
`driving_int8.py` then makes the variants in integers. Where some are named only those are exported,
and heads are measured with the encoders as they are shipped.
"""

from __future__ import annotations

import hashlib
import itertools
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import driving_cards
import numpy as np
import torch
from driving import trained
from driving_data import Samples
from driving_nets import COLUMNS, MIXES, ROWS, SHARED, SOUND, size
from exporting import Feed, parity, session, write
from metrics import average_precision

from tectum.inference.manifest import read_manifest
from tectum_nodes.simulation import WEATHERS

SHIPPED = Path(__file__).parents[1] / "tectum_models" / "driving"
MODALITIES = ("camera", "lidar", "siren")
INPUT = {"camera": "image", "lidar": "points", "siren": "audio"}
DECISION = {"camera": "occupancy", "lidar": "occupancy", "siren": "siren"}
HEAD_OUTPUTS = ("occupancy", "siren_probability", "velocity", "ahead")
HEADS = ("head", *(f"head_{kind}" for kind in MIXES[1:]))


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
            ({0: batch},), ["embedding", "siren", "ahead"],
        ),
        "head": (
            (*grids, torch.zeros(2, SOUND), torch.ones(2, 3), torch.zeros(2, 3)),
            [*MODALITIES, "present", "age"], ({0: batch},) * 5, list(HEAD_OUTPUTS),
        ),
    }[name.split("_", maxsplit=1)[0]]  # fmt: skip
    write(model, args, names, outputs, path, shapes)
    return size(model)


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
        embedding, decision, *_ = run.run(None, {key: value})
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


def head_feeds(
    embeddings: dict[str, np.ndarray], present: tuple[int, ...], age: np.ndarray
) -> list[dict[str, np.ndarray]]:
    """What a session of a head is fed, moment by moment; absent embeddings are zeros."""
    mask = np.array([present], np.float32)
    ages = np.zeros((len(age), 1, 3), np.float32)
    ages[:, 0, 0] = age * present[0]
    return [
        {
            name: embeddings[name][k : k + 1] * np.float32(here)
            for name, here in zip(MODALITIES, present, strict=True)
        }
        | {"present": mask, "age": ages[k]}
        for k in range(len(age))
    ]


def fuse(
    path: Path, feeds: Sequence[Feed], outputs: Sequence[str] = HEAD_OUTPUTS
) -> tuple[dict[str, np.ndarray], float]:
    """All outputs of a head, and the median latency in ms."""
    run, rows, spent = session(path), [], []
    for feed in feeds:
        begun = time.perf_counter()
        rows.append(run.run(None, dict(feed)))
        spent.append(time.perf_counter() - begun)
    columns = (np.concatenate(column) for column in zip(*rows, strict=True))
    return dict(zip(outputs, columns, strict=True)), float(np.median(spent) * 1e3)


def on_the_right_side(path: Path, data: Samples) -> float:
    """Return the share of sirens that approach of which the file says rightly: ahead, or behind."""
    run, heard = session(path), data.approaching[:] > 0
    sides = [run.run(None, {INPUT["siren"]: value})[2] for value in feeds(data, "siren")]
    right = (np.concatenate(sides)[:, 0] > 0.5) == (data.ahead[:] > 0)
    return float(right[heard].mean())


def shipped(name: str) -> dict[str, Path]:
    """Return the files of an encoder as they are shipped, by variant, best first."""
    manifest = read_manifest(SHIPPED / name)
    return {one.name: manifest.folder / one.file for one in manifest.variants}


def variant(path: Path, name: str, quality: dict[str, float], latency: float) -> dict[str, object]:
    """An entry of a manifest's `variants`."""
    return {
        "name": name, "file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "quality": quality, "latency_ms": {"cpu": round(latency, 2)},
    }  # fmt: skip


def ship_encoder(name: str, data: Samples, work: Path) -> list[np.ndarray]:
    """Export, measure and describe an encoder; return its embeddings, best variant first."""
    paths = {"fp32": SHIPPED / name / f"{name}.onnx"}
    if name == "camera":
        paths["small"] = SHIPPED / name / "camera_small.onnx"
    variants, tables, parameters, kept, apart = [], {}, {}, [], {}
    for label, file in paths.items():
        parameters[label] = export(work, file.stem, file)
        some = [{INPUT[name]: value} for value in feeds(data, name)[:: len(data.age) // 64]]
        apart[label] = parity(trained(work, file.stem), file, some)
        embeddings, decisions, latency = encode(file, name, data)
        kept.append(embeddings)
        tables[label] = scores(data, DECISION[name], decisions)
        quality = {"average_precision": tables[label]["all"]}
        variants.append(variant(file, label, quality, latency))
        print(name, label, tables[label], f"{latency:.2f} ms", f"{apart[label]:.1e}", flush=True)
    chance = float(truth_of(data, DECISION[name]).mean())
    sides = sides_of(name, paths, data)
    driving_cards.write(SHIPPED / name, name, variants, tables, parameters, apart, chance, sides)
    return kept


def sides_of(name: str, paths: dict[str, Path], data: Samples) -> dict[str, float]:
    """Return how often each variant of the siren's encoder tells ahead from behind."""
    if name != "siren":
        return {}
    return {label: on_the_right_side(path, data) for label, path in paths.items()}


def ship_head(
    name: str, data: Samples, embeddings: dict[str, list[np.ndarray]], work: Path
) -> None:
    """Export, measure and describe a head, for every set of modalities."""
    path = SHIPPED / name / f"{name}.onnx"
    parameters = export(work, name, path)
    sets = sorted(itertools.product((0, 1), repeat=3), key=sum, reverse=True)
    names = [" + ".join(itertools.compress(MODALITIES, present)) or "nothing" for present in sets]
    best = {modality: rows[0] for modality, rows in embeddings.items()}
    degraded = {**best, "camera": embeddings["camera"][-1]}
    runs = [(label, best, present) for label, present in zip(names, sets, strict=True)]
    runs.insert(1, ("small camera + lidar + siren", degraded, (1, 1, 1)))
    tables: dict[str, dict[str, dict[str, float]]] = {"occupancy": {}, "siren": {}}
    latency, apart, moves = 0.0, 0.0, (0.0, 0.0)
    for label, given, present in runs:
        fed = head_feeds(given, present, data.age)
        apart = max(apart, parity(trained(work, name), path, fed[:: len(fed) // 16]))
        found, spent = fuse(path, fed)
        if not latency:
            latency, moves = spent, velocity_errors(data, found["velocity"])
        tables["occupancy"][label] = scores(data, "occupancy", found["occupancy"])
        tables["siren"][label] = scores(data, "siren", found["siren_probability"])
        print(name, label, *(table[label]["all"] for table in tables.values()), flush=True)
    grid_score, alarm_score = (table[names[0]]["all"] for table in tables.values())
    quality = {"average_precision": grid_score, "siren_average_precision": alarm_score}
    entry = variant(path, "fp32", {**quality, "velocity_error_mps": moves[0]}, latency)
    driving_cards.write_head(
        SHIPPED / name, name, [entry], tables, {"fp32": parameters}, {"fp32": apart}, moves, data
    )


def velocity_errors(data: Samples, found: np.ndarray) -> tuple[float, float]:
    """Mean error of the velocity, m/s, where road users are; and that of calling all at rest."""
    taken, true = data.occupancy[:] > 0, data.velocity[:].astype(np.float32)
    wrong = (np.hypot(*(np.moveaxis(v, 1, 0))) for v in (found - true, true))
    near, rest = (round(float(distance[taken].mean()), 2) for distance in wrong)
    return near, rest


def main(folder: Path, work: Path, *only: str) -> None:
    """Export everything, or only some of it."""
    data, embeddings = Samples.load(folder, "held"), {}
    for name in MODALITIES:
        if not only or name in only:
            embeddings[name] = ship_encoder(name, data, work)
        else:
            embeddings[name] = [encode(path, name, data)[0] for path in shipped(name).values()]
    for name in HEADS:
        if not only or name in only:
            ship_head(name, data, embeddings, work)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
