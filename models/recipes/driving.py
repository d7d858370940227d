"""Train the models of the simulated drive.

    python models/recipes/driving_data.py DATA
    python models/recipes/driving.py camera|camera_small|lidar|siren|head... DATA WORK
    python models/recipes/driving.py hearing DATA WORK    # heads again, for another siren encoder
    python models/recipes/driving_export.py DATA WORK

Needs the extra `export`; about 40 minutes on one core, no GPU. Seed 7 throughout.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from driving_data import Samples
from driving_nets import (
    MIXES,
    CameraEncoder,
    Head,
    Hearing,
    LidarEncoder,
    SirenEncoder,
    SmallCameraEncoder,
)
from metrics import average_precision
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

SEED = 7
Batch = tuple[Tensor, ...]
Loss = Callable[[Batch], Tensor]
M = TypeVar("M", bound=nn.Module)


def fit(
    model: nn.Module, loss: Loss, batches: Callable[[int], Iterator[Batch]],
    steps: int, epochs: int, rate: float,
) -> None:  # fmt: skip
    """AdamW with one cycle of the learning rate."""
    optimiser = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.02)
    plan = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=steps * epochs, pct_start=0.15
    )
    model.train()
    begun = time.perf_counter()
    for epoch in range(epochs):
        total = 0.0
        for batch in batches(epoch):
            optimiser.zero_grad()
            value = loss(batch)
            value.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 2.0)
            optimiser.step()
            plan.step()
            total += value.item()
        spent = time.perf_counter() - begun
        print(f"epoch {epoch + 1}/{epochs}: loss {total / steps:.4f}, {spent:.0f} s", flush=True)
    model.eval()


def shuffled(size: int, columns: list[np.ndarray], batch: int) -> Callable[[int], Iterator[Batch]]:
    """Batches of columns in an order of its own for each epoch."""

    def batches(epoch: int) -> Iterator[Batch]:
        order = np.random.default_rng([SEED, epoch]).permutation(size)
        for start in range(0, size - batch + 1, batch):
            rows = np.sort(order[start : start + batch])
            yield tuple(torch.from_numpy(np.asarray(column[rows])) for column in columns)

    return batches


def rasters(model: LidarEncoder, data: Samples) -> np.ndarray:
    """The lidar encoder's rasters, float16."""
    maps = []
    with torch.no_grad():
        for points, count in zip(data.points, data.count, strict=True):
            cloud = torch.from_numpy(points[:count].astype(np.float32))
            maps.append(model.raster(cloud)[0].half().numpy())
    return np.stack(maps)


def train_camera(folder: Path, model: CameraEncoder, epochs: int) -> None:
    """Camera to occupancy."""
    data = Samples.load(folder, "train")

    def loss(batch: Batch) -> Tensor:
        image, truth = batch
        dimmed = image.float() * torch.empty(len(image), 1, 1, 1).uniform_(0.8, 1.2)
        return cross_entropy(model.logits(dimmed.clamp(0, 255))[1], truth.float())

    size = len(data.image)
    batches = shuffled(size, [data.image, data.pictured], 32)
    fit(model, loss, batches, size // 32, epochs, 4e-3)


def train_small_camera(folder: Path, work: Path, model: SmallCameraEncoder, epochs: int) -> None:
    """Camera to occupancy, and to the embedding of the large encoder."""
    data = Samples.load(folder, "train")
    teacher = trained(work, "camera")

    def loss(batch: Batch) -> Tensor:
        image, truth = batch
        with torch.no_grad():
            wanted = teacher.logits(image)[0]
        given, logits = model.logits(image)
        missed = ((given - wanted) ** 2).mean() / wanted.var()
        # The teacher's own decision on the student's embedding: as the head will read it.
        read = cross_entropy(teacher.decide(given), truth.float())
        return cross_entropy(logits, truth.float()) + read + 0.3 * missed

    size = len(data.image)
    batches = shuffled(size, [data.image, data.pictured], 32)
    fit(model, loss, batches, size // 32, epochs, 4e-3)


def train_lidar(folder: Path, model: LidarEncoder, epochs: int) -> None:
    """Lidar to occupancy."""
    data = Samples.load(folder, "train")
    maps = rasters(model, data)

    def loss(batch: Batch) -> Tensor:
        raster, truth = batch
        return cross_entropy(model.logits(raster.float())[1], truth.float())

    batches = shuffled(len(maps), [maps, data.occupancy], 32)
    fit(model, loss, batches, len(maps) // 32, epochs, 4e-3)


def train_siren(folder: Path, model: SirenEncoder, epochs: int) -> None:
    """Sound to siren; louder or softer is a factor of the power."""
    names = ("audio", "approaching", "active", "ahead")
    audio, *truths = (np.load(folder / f"sound_{name}.npy", mmap_mode="r") for name in names)
    with torch.no_grad():
        parts = [
            model.power(torch.from_numpy(np.array(audio[k : k + 512]))).numpy()
            for k in range(0, len(audio), 512)
        ]
    columns = [np.concatenate(parts), *truths]

    def loss(batch: Batch) -> Tensor:
        power, approaching, active, ahead = batch
        gain = torch.empty(len(power), 1, 1).uniform_(0.6, 1.5)
        logits = model.judge(power * gain * gain)[1]
        side = cross_entropy(logits[:, 1], ahead.float(), weight=active.float())
        return cross_entropy(logits[:, 0], approaching.float()) + side

    size = len(audio)
    fit(model, loss, shuffled(size, columns, 64), size // 64, epochs, 3e-3)


@cache
def embeddings(folder: Path, work: Path, name: str) -> list[np.ndarray]:
    """Embeddings of a set by the trained encoders: camera, lidar, siren."""
    data = Samples.load(folder, name)
    camera, lidar, siren = (trained(work, n) for n in ("camera", "lidar", "siren"))
    found: list[list[np.ndarray]] = [[], [], []]
    with torch.no_grad():
        for k in range(0, len(data.image), 64):
            rows = slice(k, k + 64)
            clouds = [
                lidar.raster(torch.from_numpy(p[:n].astype(np.float32)))
                for p, n in zip(data.points[rows], data.count[rows], strict=True)
            ]
            outputs = (
                camera.logits(torch.from_numpy(data.image[rows]))[0].half(),
                lidar.logits(torch.cat(clouds))[0].half(),
                siren.logits(torch.from_numpy(data.audio[rows]))[0],
            )
            for into, output in zip(found, outputs, strict=True):
                into.append(output.numpy())
    return [np.concatenate(rows) for rows in found]


def train_head(folder: Path, work: Path, model: Head, epochs: int) -> None:
    """Embeddings to all answers, with modalities dropped at random and pictures that are late."""
    data = Samples.load(folder, "head")
    columns = [
        *embeddings(folder, work, "head"), data.age, data.occupancy, data.velocity,
        data.approaching, data.ahead,
    ]  # fmt: skip
    draw = torch.Generator().manual_seed(SEED)

    def loss(batch: Batch) -> Tensor:
        camera, lidar, siren, late, occupied, velocity, approaching, ahead = batch
        keep = torch.rand(len(camera), 3, generator=draw) < 0.6
        keep |= torch.rand(len(camera), 1, generator=draw) < 0.45
        age = torch.stack([late, torch.zeros_like(late), torch.zeros_like(late)], dim=1)
        grid, moves, sirens = model.logits(camera.float(), lidar.float(), siren, keep.float(), age)
        taken = occupied[:, None].float()
        missed = taken * nn.functional.smooth_l1_loss(
            moves, velocity.float() / 10, beta=0.1, reduction="none"
        )
        alarm_loss = cross_entropy(sirens[:, 0], approaching.float())
        side_loss = cross_entropy(sirens[:, 1], ahead.float(), weight=approaching.float())
        whole = cross_entropy(grid, occupied.float()) + 0.1 * (alarm_loss + side_loss)
        return whole + 0.1 * missed.sum() / taken.sum()

    size = len(data.image)
    fit(model, loss, shuffled(size, columns, 64), size // 64, epochs, 3e-3)


def train_hearing(folder: Path, work: Path, epochs: int) -> None:
    """Make what hears in each trained head anew; what sees stays as it is."""
    data, siren = Samples.load(folder, "head"), trained(work, "siren")
    with torch.no_grad():
        parts = [
            siren.logits(torch.from_numpy(np.array(data.audio[k : k + 64])))[0].numpy()
            for k in range(0, len(data.audio), 64)
        ]
    columns = [np.concatenate(parts), data.approaching, data.ahead]
    size = len(data.audio)
    for name in (name for name in NETS if name.startswith("head")):
        torch.manual_seed(SEED)
        draw = torch.Generator().manual_seed(SEED)
        head, hearing = trained(work, name), Hearing()

        def loss(batch: Batch, hearing: Hearing = hearing, draw: torch.Generator = draw) -> Tensor:
            heard, approaching, ahead = batch
            logits = hearing(heard, torch.rand(len(heard), 1, generator=draw) < 0.8)
            side = cross_entropy(logits[:, 1], ahead.float(), weight=approaching.float())
            return cross_entropy(logits[:, 0], approaching.float()) + side

        fit(hearing, loss, shuffled(size, columns, 64), size // 64, epochs, 3e-3)
        head.hear = hearing
        torch.save(head.state_dict(), work / f"{name}.pt")


NETS: dict[str, Callable[[], nn.Module]] = {
    "camera": CameraEncoder,
    "camera_small": SmallCameraEncoder,
    "lidar": LidarEncoder,
    "siren": SirenEncoder,
    "head": Head,
    **{f"head_{kind}": partial(Head, kind) for kind in MIXES[1:]},
}
EPOCHS = {"camera": 7, "camera_small": 4, "lidar": 5, "siren": 4}
HEAD_EPOCHS = 8


def learned(make: Callable[[], M], train: Callable[[M], None], kept: Path) -> M:
    """A network with the weights in the file `kept`; where there are none, it is trained first."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    kept.parent.mkdir(parents=True, exist_ok=True)
    model = make()
    if kept.is_file():
        model.load_state_dict(torch.load(kept, weights_only=True))
        model.eval()
    else:
        train(model)
        torch.save(model.state_dict(), kept)
    return model


def trained(work: Path, name: str) -> nn.Module:
    """A network with the weights of its training."""
    model = NETS[name]()
    model.load_state_dict(torch.load(work / f"{name}.pt", weights_only=True))
    return model.eval()


def report(folder: Path, name: str, model: nn.Module) -> None:
    """Average precision on the held-out seeds."""
    data = Samples.load(folder, "held")
    with torch.no_grad():
        if name.startswith("camera"):
            rows = (torch.from_numpy(image[None]) for image in data.image)
            truth = data.pictured
        elif name == "lidar":
            clouds = zip(data.points, data.count, strict=True)
            rows = (torch.from_numpy(p[:n].astype(np.float32)) for p, n in clouds)
            truth = data.occupancy
        else:
            rows = (torch.from_numpy(sound[None]) for sound in data.audio)
            truth = data.approaching[:, None]
        found = torch.cat([model(row)[1] for row in rows]).numpy()
    by_weather = [
        round(average_precision(truth[data.weather == w], found[data.weather == w]), 3)
        for w in range(4)
    ]
    print(name, round(average_precision(truth, found), 3), by_weather, "chance", truth.mean())


def main(name: str, folder: Path, work: Path) -> None:
    """Train one network and keep its weights."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    work.mkdir(parents=True, exist_ok=True)
    if name == "hearing":
        train_hearing(folder, work, HEAD_EPOCHS)
        return
    model = NETS[name]()
    if name.startswith("head"):
        train_head(folder, work, model, HEAD_EPOCHS)
    elif name == "camera_small":
        train_small_camera(folder, work, model, EPOCHS[name])
    else:
        {"camera": train_camera, "lidar": train_lidar, "siren": train_siren}[name](
            folder, model, EPOCHS[name]
        )
    torch.save(model.state_dict(), work / f"{name}.pt")
    if not name.startswith("head"):
        report(folder, name, model)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
