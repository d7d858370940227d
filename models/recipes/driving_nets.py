"""The networks of the simulated drive: three encoders, a fusion head and a stacker, in PyTorch.

Each encoder takes the sensor's tensor as it is and gives an embedding and a decision of its own.
Camera and lidar share the bird's-eye grid of `tectum_nodes.simulation.truth` (24 x 16 cells of
2 m). Nothing here is imported at run time; the exported ONNX files are what runs.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from tectum_nodes.simulation.rig import CameraModel, LidarModel
from tectum_nodes.simulation.truth import GRID

ROWS, COLUMNS, CELL_M = GRID.rows, GRID.columns, GRID.cell_m
SHARED = 32
SOUND = 32


def block(
    inputs: int, outputs: int, stride: int | tuple[int, int] = 1, kernel: int = 3
) -> nn.Sequential:
    """Convolution, normalisation, ReLU."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


class Residual(nn.Module):
    """Two convolutions around a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one, self.two = block(width, width), block(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        return x + self.two(self.one(x))


class GridDecision(nn.Module):
    """Embedding on the grid to probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Conv2d(SHARED, 1, 1)
        nn.init.constant_(self.score.bias, -2.5)

    def forward(self, embedding: Tensor) -> Tensor:
        """(b, 32, 24, 16) to logits (b, 24, 16)."""
        return self.score(embedding).squeeze(1)


class CameraEncoder(nn.Module):
    """Image to bird's-eye grid.

    A dense layer along each image column turns heights into the grid's rows (distance and height
    in the image are tied by the ground plane; cf. Roddick and Cipolla 2020, "Predicting semantic
    map representations from images using pyramid occupancy networks"). A constant matrix per row,
    from the pinhole model, then spreads columns of the image over columns of the grid.
    """

    SKY = 48
    STRIDE = 8

    def __init__(self, width: int = 32, deep: int = 1) -> None:
        super().__init__()
        first = width * 3 // 4
        self.picture = nn.Sequential(
            block(3, first, 4, kernel=7), block(first, first),
            block(first, width, 2), *(Residual(width) for _ in range(deep)),
        )  # fmt: skip
        self.thin = block(width, 20, kernel=1)
        heights = (192 - self.SKY) // self.STRIDE
        self.depth = nn.Conv1d(20 * heights, 14 * ROWS, 1)
        self.register_buffer("spread", torch.tensor(column_spread(self.STRIDE)), persistent=False)
        self.bird = nn.Sequential(block(14, SHARED), block(SHARED, SHARED), block(SHARED, SHARED))
        self.decide = GridDecision()

    def logits(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding and occupancy logits of uint8 (b, 192, 320, 3) BGR."""
        x = image[:, self.SKY :].permute(0, 3, 1, 2).float() * (1 / 64.0) - 2.0
        x = self.thin(self.picture(x))
        x = torch.relu(self.depth(x.flatten(1, 2)))
        x = (x.unflatten(1, (ROWS, 14)) @ self.spread).transpose(1, 2)
        embedding = self.bird(x)
        return embedding, self.decide(embedding)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding (b, 32, 24, 16) and occupancy (b, 24, 16)."""
        embedding, logits = self.logits(image)
        return embedding, torch.sigmoid(logits)


class SmallCameraEncoder(CameraEncoder):
    """The same with half the width: cheaper, for when time is short.

    It learns to give the large one's embedding, so that the head takes either.
    """

    def __init__(self) -> None:
        super().__init__(width=16, deep=0)


def column_spread(stride: int) -> np.ndarray:
    """Weights from image columns to grid columns, one matrix per grid row: (24, 320/stride, 16)."""
    model = CameraModel()
    width = model.width // stride
    weights = np.zeros((ROWS, width, COLUMNS), np.float32)
    inside = (np.arange(4) + 0.5) / 4 * CELL_M
    for i in range(ROWS):
        for j in range(COLUMNS):
            x = GRID.x_min_m + i * CELL_M + inside - model.x_m
            y = GRID.y_min_m + j * CELL_M + inside
            u = model.cx_px - model.focal_px * y[None] / np.maximum(x[:, None], 0.1)
            at = u.ravel() / stride - 0.5
            low = np.floor(at)
            for k, share in ((low, 1 - (at - low)), (low + 1, at - low)):
                seen = (k >= 0) & (k < width) & (np.repeat(x, 4) > 0.1)
                np.add.at(weights[i, :, j], k[seen].astype(int), share[seen] / at.size)
    return weights


class LidarEncoder(nn.Module):
    """Points to bird's-eye grid: histograms of height in cells of 0.5 m, then convolutions."""

    FINE = 4
    EDGES = (0.25, 0.6, 1.0, 1.4, 1.8, 2.4)

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.columns = ROWS * self.FINE, COLUMNS * self.FINE
        self.slices = len(self.EDGES) + 1
        self.net = nn.Sequential(
            block(self.slices + 2, 24, 2, kernel=5), Residual(24), block(24, SHARED, 2),
            Residual(SHARED), block(SHARED, SHARED),
        )  # fmt: skip
        self.decide = GridDecision()
        self.register_buffer("edges", torch.tensor(self.EDGES), persistent=False)

    def cells(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Points without what is no number, and the cell of each; outside: one beyond the last."""
        points = torch.where(torch.isfinite(points), points, torch.full_like(points, -1e4))
        size = CELL_M / self.FINE
        i = torch.floor((points[:, 0] - GRID.x_min_m) / size)
        j = torch.floor((points[:, 1] - GRID.y_min_m) / size)
        inside = (i >= 0) & (i < self.rows) & (j >= 0) & (j < self.columns)
        outside = torch.full_like(i, self.rows * self.columns)
        return points, torch.where(inside, i * self.columns + j, outside).to(torch.int64)

    def raster(self, points: Tensor) -> Tensor:
        """(n, 4) to (1, slices + 2, 96, 64): counts by height, highest point, brightest point."""
        points, cell = self.cells(points)
        cells = self.rows * self.columns
        z = (points[:, 2] + LidarModel().z_m).clamp(-0.5, 4.0)
        level = (z[:, None] >= self.edges[None]).to(torch.int64).sum(dim=1)
        one = torch.ones_like(z)
        stride = cells + 1
        counts = torch.zeros(self.slices * stride).scatter_add(0, level * stride + cell, one)
        top = torch.zeros(stride).scatter_reduce(0, cell, z, "amax")
        bright = torch.zeros(stride).scatter_reduce(0, cell, points[:, 3].clamp(0, 1), "amax")
        counts = torch.log1p(counts.view(self.slices, stride))
        maps = torch.cat([counts, top.view(1, -1), bright.view(1, -1)])
        return maps[:, :cells].reshape(1, -1, self.rows, self.columns)

    def logits(self, raster: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding and occupancy logits of rasters."""
        embedding = self.net(raster)
        return embedding, self.decide(embedding)

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding (1, 32, 24, 16) and occupancy (1, 24, 16) of float32 (n, 4)."""
        embedding, logits = self.logits(self.raster(points))
        return embedding, torch.sigmoid(logits)


class SirenEncoder(nn.Module):
    """A second of sound to whether a siren comes nearer, and whether it is ahead or behind.

    One microphone has no bearing; but by how much a pitch is shifted tells those who come towards
    us from those who overtake us. The spectrum is one product of frames, which do not overlap, with
    windowed cosines and sines on a logarithmic scale of frequencies, fine enough to see a Doppler
    shift.
    """

    BANDS, WINDOW, FRAMES = 64, 1000, 16
    WIDTHS = (16, 48, 64, 64, 32)
    STRIDES = ((1, 2), (2, 2), (1, 1), (1, 1), (1, 2))
    """Over time and over bands."""
    QUIETEST = 1e-8
    """What power is added to each band's before the logarithm; it is 1 in what `power` gives."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("later", torch.tensor(self.waves()), persistent=False)
        mirrored = torch.tensor([1.0, -1.0]).repeat_interleave(self.BANDS)
        self.register_buffer("mirrored", mirrored, persistent=False)
        shapes = zip((1, *self.WIDTHS), self.WIDTHS, self.STRIDES, (5, 3, 3, 3, 3), strict=False)
        self.net = nn.Sequential(*(block(*shape) for shape in shapes))
        self.over_time = nn.AvgPool2d((self.FRAMES // 2, 1))
        self.embed = nn.Linear(self.WIDTHS[-1] * self.BANDS // 8, SOUND)
        self.score = nn.Linear(SOUND, 2)
        self.drop = nn.Dropout(0.2)

    @classmethod
    def waves(cls) -> np.ndarray:
        """The later half of windowed cosines and sines, (window / 2, 2 * bands), float16."""
        hertz = np.geomspace(340.0, 3000.0, cls.BANDS)
        t = (np.arange(cls.WINDOW // 2) + 0.5) / 16_000
        window = np.hanning(cls.WINDOW)[cls.WINDOW // 2 :, None]
        angle = 2 * np.pi * t[:, None] * hertz
        waves = np.concatenate([np.cos(angle), np.sin(angle)], axis=1) * window
        return waves.astype(np.float16)

    def whole(self) -> Tensor:
        """All of the waves: cosines are even and sines odd. It is done when a file is loaded."""
        later = self.later.float() * (1 / (32768 * self.WINDOW * math.sqrt(self.QUIETEST)))
        return torch.cat([later.flip(0) * self.mirrored, later])

    def power(self, audio: Tensor) -> Tensor:
        """Power of each band in each frame, (b, frames, bands), of int16 (b, 16000)."""
        wave = audio.unflatten(1, (self.FRAMES, self.WINDOW)).float() @ self.whole()
        real, imaginary = wave.split(self.BANDS, dim=2)
        return real * real + imaginary * imaginary

    def judge(self, power: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding, and logits of siren and of it being ahead, of the power."""
        x = self.over_time(self.net(torch.log(power + 1.0).unsqueeze(1)))
        embedding = torch.relu(self.embed(self.drop(x.flatten(1))))
        return embedding, self.score(embedding)

    def logits(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding, and logits of siren and of it being ahead, of int16 (b, 16000)."""
        return self.judge(self.power(audio))

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Embedding (b, 32), and probabilities of siren and ahead (b, 1)."""
        embedding, logits = self.logits(audio)
        siren, ahead = torch.sigmoid(logits).split(1, dim=1)
        return embedding, siren, ahead


MIXES = ("concat", "sum", "gated", "attention")


class Mix(nn.Module):
    """Two maps of embeddings to one, `kind` is one of `MIXES`; `mask` is (b, 2).

    concat: side by side. sum: added. gated: each cell decides whom to believe (Arevalo et al.
    2017). attention: each cell asks what a learned query looks for (Vaswani et al. 2017).
    """

    WIDTH = 48

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        if kind == "concat":
            self.enter = block(2 * SHARED + 2, self.WIDTH)
            return
        self.enter = nn.ModuleList([nn.Conv2d(SHARED, self.WIDTH, 3, padding=1) for _ in range(2)])
        if kind != "sum":
            self.weigh = nn.Conv2d(2 * SHARED + 2, 2 * self.WIDTH, 3, padding=1)

    def forward(self, maps: list[Tensor], mask: Tensor) -> Tensor:
        """Two (b, 32, 24, 16) to (b, 48, 24, 16)."""
        plane = mask[:, :, None, None].expand(-1, -1, ROWS, COLUMNS)
        both = torch.cat([*maps, plane], dim=1)
        if self.kind == "concat":
            return self.enter(both)
        tokens = torch.stack([enter(x) for enter, x in zip(self.enter, maps, strict=True)], dim=1)
        if self.kind == "gated":
            tokens = tokens * torch.sigmoid(self.weigh(both).unflatten(1, (2, self.WIDTH)))
        elif self.kind == "attention":
            tokens = tokens * torch.softmax(self.weigh(both).unflatten(1, (2, self.WIDTH)), dim=1)
        return torch.relu(tokens.sum(dim=1))


class Hearing(nn.Module):
    """The embedding of a sound, or its absence, to whether a siren approaches and is ahead."""

    def __init__(self) -> None:
        super().__init__()
        self.silence = nn.Parameter(torch.zeros(1, SOUND))
        self.listen = nn.Sequential(
            nn.Linear(SOUND + 1, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 2)
        )

    def forward(self, siren: Tensor, here: Tensor) -> Tensor:
        """Logits (b, 2) of (b, 32); `here` is (b, 1), true or false."""
        heard = torch.where(here, siren, self.silence)
        logits: Tensor = self.listen(torch.cat([heard, here.float()], dim=1))
        return logits


class Head(nn.Module):
    """Embeddings, any of them absent, to occupancy, velocity and siren.

    An absent embedding is replaced, not scaled, by a learned null token, so that its bytes cannot
    matter and no mask gives NaN. What is old is moved on: a map x of age a becomes
    x + a * drift(x), with a learned drift, which is what a warp by the motion of all that is seen
    comes to as long as that is about a cell (Taylor's first term).
    """

    def __init__(self, kind: str = "concat") -> None:
        super().__init__()
        self.no_camera = nn.Parameter(torch.zeros(1, SHARED, 1, 1))
        self.no_lidar = nn.Parameter(torch.zeros(1, SHARED, 1, 1))
        self.drift = nn.ModuleList(
            [nn.Sequential(block(SHARED, SHARED), nn.Conv2d(SHARED, SHARED, 1)) for _ in range(2)]
        )
        self.mix = Mix(kind)
        self.think = nn.Sequential(Residual(Mix.WIDTH), block(Mix.WIDTH, 32))
        self.occupied = nn.Conv2d(32, 1, 1)
        self.moves = nn.Conv2d(32, 2, 1)
        self.prior = nn.Parameter(torch.full((1, ROWS, COLUMNS), -2.5))
        self.hear = Hearing()

    def logits(
        self, camera: Tensor, lidar: Tensor, siren: Tensor, present: Tensor, age: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of occupancy, velocity in tens of m/s, logits of siren and of it being ahead."""
        here = present > 0.5
        camera = torch.where(here[:, 0, None, None, None], camera, self.no_camera)
        lidar = torch.where(here[:, 1, None, None, None], lidar, self.no_lidar)
        mask = here.float()
        tenths = torch.where(here, 10.0 * age.clamp(-0.25, 0.25), torch.zeros_like(age))
        maps = [
            x + tenths[:, k, None, None, None] * self.drift[k](x)
            for k, x in enumerate((camera, lidar))
        ]
        seen = self.think(self.mix(maps, mask[:, :2]))
        occupancy = self.occupied(seen).squeeze(1) + self.prior
        return occupancy, self.moves(seen), self.hear(siren, here[:, 2:])

    def forward(
        self, camera: Tensor, lidar: Tensor, siren: Tensor, present: Tensor, age: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Occupancy (b, 24, 16), siren (b, 1), velocity (b, 2, 24, 16) in m/s, ahead (b, 1).

        `present` is (b, 3); `age` is (b, 3) in seconds, of each modality.
        """
        occupancy, velocity, sirens = self.logits(camera, lidar, siren, present, age)
        alarm, ahead = torch.sigmoid(sirens).split(1, dim=1)
        return torch.sigmoid(occupancy), alarm, 10.0 * velocity, ahead


class Stacker(nn.Module):
    """What camera and lidar decide, either of them absent, to what they decide together.

    A product of experts (log-odds added, each with a learned weight, to a learned prior of the
    place) and what a few convolutions over both maps add to it: a neighbour's word, and how far
    to believe a map that is old, and where what it shows has gone since.
    """

    WIDTH = 16
    SURE = 7.0

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.prior = nn.Parameter(torch.zeros(1, ROWS, COLUMNS))
        self.think = nn.Sequential(block(6, self.WIDTH), block(self.WIDTH, self.WIDTH))
        self.add = nn.Conv2d(self.WIDTH, 1, 1)
        nn.init.zeros_(self.add.weight)

    def logits(self, camera: Tensor, lidar: Tensor, present: Tensor, age: Tensor) -> Tensor:
        """Log-odds (b, 24, 16) of probabilities (b, 24, 16), `present` and `age` (b, 2)."""
        here = present > 0.5
        both = torch.stack([camera, lidar], dim=1)
        both = torch.where(here[:, :, None, None], both, torch.full_like(both, 0.5))
        odds = torch.log(both.clamp(1e-6, 1.0)) - torch.log((1.0 - both).clamp(1e-6, 1.0))
        odds = odds.clamp(-self.SURE, self.SURE)
        tenths = torch.where(here, 10.0 * age.clamp(-0.25, 0.25), torch.zeros_like(age))
        old = odds * tenths[:, :, None, None]
        plane = here.float()[:, :, None, None].expand(-1, -1, ROWS, COLUMNS)
        added = self.add(self.think(torch.cat([0.3 * odds, old, plane], dim=1))).squeeze(1)
        return (odds * self.weight[:, None, None]).sum(dim=1) + self.prior + added

    def forward(self, camera: Tensor, lidar: Tensor, present: Tensor, age: Tensor) -> Tensor:
        """Occupancy (b, 24, 16)."""
        return torch.sigmoid(self.logits(camera, lidar, present, age))


def size(module: nn.Module) -> int:
    """Number of learned parameters."""
    return sum(math.prod(p.shape) for p in module.parameters())
