"""A learned late stacker on the simulated drive: from what camera and lidar decide, one decision.

    python models/recipes/driving_data.py DATA head held late
    python models/recipes/driving_stacker.py DATA WORK      # trains, exports, measures, describes

It learns from decisions of the shipped encoders on drives that they were not trained on. Half of
the pictures are late by up to 160 ms, and of half of the moments one sensor or both are dropped.
Seed 7; a minute or two on one core.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import driving_cards
import numpy as np
import torch
from driving import SEED, Batch, fit, learned, shuffled
from driving_data import Samples
from driving_export import SHIPPED, encode, fuse, scores, shipped, variant
from driving_nets import COLUMNS, ROWS, Stacker, size
from exporting import Feed, parity, session, write
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from tectum.fusion.late import fuse as combine

EPOCHS, DROPPED = 12, 0.5
INPUTS = ("camera", "lidar", "present", "age")
BOTH = (1, 1)


def decisions(data: Samples, name: str) -> np.ndarray:
    """Return what the shipped encoder of a sensor decides about every moment, (n, 24, 16)."""
    return encode(shipped(name)["fp32"], name, data)[1]


def train(folder: Path, model: Stacker) -> None:
    """Decisions to occupancy."""
    data = Samples.load(folder, "head")
    columns = [decisions(data, "camera"), decisions(data, "lidar"), data.age, data.occupancy]
    draw = torch.Generator().manual_seed(SEED)

    def loss(batch: Batch) -> Tensor:
        camera, lidar, late, occupied = batch
        keep = torch.rand(len(camera), 2, generator=draw) >= DROPPED
        keep |= torch.rand(len(camera), 1, generator=draw) >= DROPPED
        age = torch.stack([late, torch.zeros_like(late)], dim=1)
        return cross_entropy(model.logits(camera, lidar, keep.float(), age), occupied.float())

    count = len(columns[0])
    fit(model, loss, shuffled(count, columns, 64), count // 64, EPOCHS, 4e-3)


def fed(
    camera: np.ndarray, lidar: np.ndarray, present: tuple[int, int], age: np.ndarray
) -> list[Feed]:
    """Return what a session is fed, moment by moment; what is absent is zeros."""
    mask = np.array([present], np.float32)
    return [
        {
            "camera": camera[k : k + 1] * np.float32(present[0]),
            "lidar": lidar[k : k + 1] * np.float32(present[1]),
            "present": mask,
            "age": np.array([[age[k] * present[0], 0]], np.float32),
        }
        for k in range(len(age))
    ]


def late_decisions(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return what the camera's encoder makes of pictures that are 100 ms late, and their ages."""
    run = session(shipped("camera")["fp32"])
    images, ages = (np.load(folder / f"late_{key}.npy", mmap_mode="r") for key in ("image", "age"))
    return np.concatenate([run.run(None, {"image": one[None]})[1] for one in images]), ages[:]


def ship(folder: Path, model: Stacker) -> None:
    """Export, measure and describe, with every set of sensors and with late pictures."""
    path = SHIPPED / "stacker" / "stacker.onnx"
    grids = (torch.full((2, ROWS, COLUMNS), 0.5), torch.full((2, ROWS, COLUMNS), 0.5))
    batch = torch.export.Dim("batch")
    args = (*grids, torch.ones(2, 2), torch.zeros(2, 2))
    write(model, args, list(INPUTS), ["occupancy"], path, ({0: batch},) * 4)
    data = Samples.load(folder, "held")
    camera, lidar = decisions(data, "camera"), decisions(data, "lidar")
    (late, lateness), none = late_decisions(folder), np.zeros(len(camera), np.float32)
    ways = {
        "camera + lidar": fed(camera, lidar, BOTH, data.age),
        "camera 100 ms late + lidar": fed(late, lidar, BOTH, lateness),
        "the same, and the stacker is not told": fed(late, lidar, BOTH, none),
        "lidar": fed(camera, lidar, (0, 1), data.age),
        "camera": fed(camera, lidar, (1, 0), data.age),
        "nothing": fed(camera, lidar, (0, 0), data.age),
    }
    table, latency, apart = {}, 0.0, 0.0
    for label, feeds in ways.items():
        apart = max(apart, parity(model, path, feeds[:: len(feeds) // 32]))
        found, spent = fuse(path, feeds, ("occupancy",))
        latency = latency or spent
        table[label] = scores(data, "occupancy", found["occupancy"])
        print(label, table[label], f"{spent:.3f} ms", flush=True)
    product = combine("product", np.stack([camera, lidar]), [1, 1], "probability")
    table["camera + lidar, by product instead"] = scores(data, "occupancy", product)
    quality = {"average_precision": table["camera + lidar"]["all"]}
    entry, chance = variant(path, "fp32", quality, latency), float(data.occupancy[:].mean())
    driving_cards.write_fused(
        "stacker", SHIPPED / "stacker", entry, table, size(model), apart, chance
    )


def main(folder: Path, work: Path) -> None:
    """Train, keep the weights, ship."""
    ship(folder, learned(Stacker, partial(train, folder), work / "stacker.pt"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
