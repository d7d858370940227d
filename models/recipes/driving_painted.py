"""Early fusion on the simulated drive: points painted by the camera, one network, one file.

    python models/recipes/driving_data.py DATA train head held late
    python models/recipes/driving_painted.py DATA WORK      # trains, exports, measures, describes

Each point has the colour of the pixel that it falls on (`tectum.fusion.painting`, which is what the
runtime does). Trained on the moments of encoders and heads together: half of the heads' pictures
are late by up to 160 ms, and of one moment in four the picture is dropped. Seed 7.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import driving_cards
import numpy as np
import torch
from driving import SEED, Batch, fit, learned, shuffled
from driving_data import Samples, projection
from driving_export import SHIPPED, fuse, scores, variant, velocity_errors
from driving_nets import COLUMNS, ROWS, LidarEncoder, Residual, block, size
from exporting import Feed, parity, write
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import smooth_l1_loss

from tectum.fusion.painting import paint
from tectum_nodes.simulation.rig import LidarModel

EPOCHS, DROPPED = 6, 0.25
OUTPUTS = ("occupancy", "velocity")
WIDTH = 32


class Painted(nn.Module):
    """Painted points to occupancy and velocity, on the lidar encoder's raster with four maps more.

    Those are the mean colour of what stands above the road in each cell, and the share of it that a
    pixel was there for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bare = LidarEncoder()
        del self.bare.net, self.bare.decide
        wide = WIDTH + WIDTH // 2
        self.net = nn.Sequential(
            block(self.bare.slices + 6, WIDTH, 2, kernel=5), Residual(WIDTH), block(WIDTH, wide, 2),
            Residual(wide), Residual(wide), block(wide, WIDTH),
        )  # fmt: skip
        self.occupied = nn.Conv2d(WIDTH, 1, 1)
        self.moves = nn.Conv2d(WIDTH, 2, 1)
        self.prior = nn.Parameter(torch.full((1, ROWS, COLUMNS), -2.5))

    def raster(self, points: Tensor) -> Tensor:
        """(n, 8) to (1, slices + 6, 96, 64)."""
        bare = self.bare
        points, cell = bare.cells(points)
        cells = bare.rows * bare.columns
        tall = points[:, 2] + LidarModel().z_m >= bare.EDGES[0]
        cell = torch.where(tall, cell, torch.full_like(cell, cells))
        painted = points[:, 7].clamp(0, 1)
        added = torch.cat([points[:, 4:7].clamp(0, 1).T * painted, painted[None]])
        sums = torch.stack(
            [torch.zeros(cells + 1).scatter_add(0, cell, one) for one in added.unbind()]
        )
        count = torch.zeros(cells + 1).scatter_add(0, cell, torch.ones_like(painted))
        colours = sums[:3] / sums[3:].clamp(min=1.0)
        share = sums[3:] / count.clamp(min=1.0)
        maps = torch.cat([colours, share])[:, :cells].reshape(1, 4, bare.rows, bare.columns)
        return torch.cat([bare.raster(points[:, :4]), maps], dim=1)

    def logits(self, raster: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of occupancy, and velocity in tens of m/s."""
        seen = self.net(raster)
        return self.occupied(seen).squeeze(1) + self.prior, self.moves(seen)

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Occupancy (1, 24, 16) and velocity (1, 2, 24, 16) in m/s, of float32 (n, 8)."""
        occupancy, velocity = self.logits(self.raster(points))
        return torch.sigmoid(occupancy), 10.0 * velocity


def painted(data: Samples, pictures: np.ndarray | None) -> Iterator[np.ndarray]:
    """Yield the points of each moment, float32 (n, 8), painted by `pictures` (BGR) or by none."""
    onto = projection()
    for k, (points, count) in enumerate(zip(data.points, data.count, strict=True)):
        image = None if pictures is None else pictures[k][..., ::-1]
        yield paint(points[:count].astype(np.float32), image, onto)


def rasters(model: Painted, data: Samples) -> np.ndarray:
    """Return the rasters of all moments, float16."""
    with torch.no_grad():
        maps = [
            model.raster(torch.from_numpy(cloud))[0].half().numpy()
            for cloud in painted(data, data.image)
        ]
    return np.stack(maps)


def train(folder: Path, model: Painted) -> None:
    """Rasters to occupancy and velocity; without a picture its four maps are zeros."""
    sets = [Samples.load(folder, name) for name in ("train", "head")]
    maps = np.concatenate([rasters(model, data) for data in sets])
    occupancy = np.concatenate([data.occupancy for data in sets])
    velocity = np.concatenate([data.velocity for data in sets])
    draw = torch.Generator().manual_seed(SEED)

    def loss(batch: Batch) -> Tensor:
        raster, occupied, moving = (one.float() for one in batch)
        seen = (torch.rand(len(raster), 1, 1, 1, generator=draw) >= DROPPED).float()
        raster = torch.cat([raster[:, :-4], raster[:, -4:] * seen], dim=1)
        grid, moves = model.logits(raster)
        taken = occupied[:, None]
        missed = taken * smooth_l1_loss(moves, moving / 10, beta=0.1, reduction="none")
        return cross_entropy(grid, occupied) + 0.1 * missed.sum() / taken.sum().clamp(min=1)

    count = len(maps)
    batches = shuffled(count, [maps, occupancy, velocity], 32)
    fit(model, loss, batches, count // 32, EPOCHS, 4e-3)


def ship(folder: Path, model: Painted) -> None:
    """Export, measure and describe: painted, unpainted, and painted by pictures 100 ms late."""
    path = SHIPPED / "painted" / "painted.onnx"
    points = torch.export.Dim("points")
    write(model, (torch.rand(50, 8),), ["points"], list(OUTPUTS), path, ({0: points},))
    data = Samples.load(folder, "held")
    late = np.load(folder / "late_image.npy", mmap_mode="r")
    ways = {
        "camera + lidar": data.image,
        "camera 100 ms late + lidar": late,
        "lidar": None,
    }
    table, latency, moves, apart = {}, 0.0, (0.0, 0.0), 0.0
    for label, pictures in ways.items():
        feeds: list[Feed] = [{"points": cloud} for cloud in painted(data, pictures)]
        apart = max(apart, parity(model, path, feeds[:: len(feeds) // 32]))
        found, spent = fuse(path, feeds, OUTPUTS)
        if not table:
            latency, moves = spent, velocity_errors(data, found["velocity"])
        table[label] = scores(data, "occupancy", found["occupancy"])
        print(label, table[label], f"{spent:.2f} ms", flush=True)
    quality = {"average_precision": table["camera + lidar"]["all"], "velocity_error_mps": moves[0]}
    driving_cards.write_fused(
        "painted", SHIPPED / "painted", variant(path, "fp32", quality, latency), table, size(model),
        apart, float(data.occupancy[:].mean()), ("", driving_cards.moved(moves)),
    )  # fmt: skip


def main(folder: Path, work: Path) -> None:
    """Train, keep the weights, ship."""
    ship(folder, learned(Painted, partial(train, folder), work / "painted.pt"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
