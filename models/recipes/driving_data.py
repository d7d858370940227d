"""Samples of the simulated drive for training and evaluation, as flat arrays on disk.

A sample is one moment as a fused set would hold it: a lidar sweep at t, a picture within 40 ms of
it, the second of sound that ends when the sweep ends, and what is true at t. Seeds from 1000 train
encoders, from 2000 the head (on embeddings that its encoders did not learn by heart), from 3000
the siren encoder; seeds from 9000 are held out and used for evaluation only.

    python models/recipes/driving_data.py FOLDER [held|sound|train|head ...]
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tectum_nodes.simulation import WEATHERS, DriveConfig, Fault, World, camera, lidar, siren, truth

TRAIN_SEEDS = range(1000, 1640)
HEAD_SEEDS = range(2000, 2320)
HELD_OUT_SEEDS = range(9000, 9064)
MOMENTS = 16
SOUND_TRAIN_SEEDS = range(3000, 3400)
MAX_POINTS = 24 * 512
SWEEP_NS = 100_000_000


@dataclass(frozen=True)
class Samples:
    """Memory-mapped columns."""

    image: np.ndarray
    """uint8 (n, 192, 320, 3)"""
    points: np.ndarray
    """float16 (n, MAX_POINTS, 4), zero beyond `count`"""
    count: np.ndarray
    audio: np.ndarray
    """int16 (n, 16000)"""
    occupancy: np.ndarray
    """uint8 (n, 24, 16)"""
    approaching: np.ndarray
    weather: np.ndarray

    @classmethod
    def load(cls, folder: Path, name: str) -> Samples:
        """The samples that `make` has written."""
        keys = cls.__annotations__
        return cls(*(np.load(folder / f"{name}_{key}.npy", mmap_mode="r") for key in keys))


def drive(seed: int) -> DriveConfig:
    """The drive of a seed: weathers in turn, traffic and faults by the seed."""
    rng = np.random.default_rng(seed)
    faults = (
        Fault("camera", "blur", 20.0, 6.0, 120.0),
        Fault("camera", "blackout", 70.0, 4.0, 120.0),
        Fault("lidar", "sector", 100.0, 6.0, 120.0),
    )
    weather = WEATHERS[seed % len(WEATHERS)]
    traffic = float(rng.uniform(0.6, 1.6))
    return DriveConfig(seed, weather, traffic, siren_every_s=34.0, faults=faults)


def moments(seed: int, count: int) -> np.ndarray:
    """Times at which a drive is sampled, ns."""
    rng = np.random.default_rng([seed, 1])
    return rng.integers(2_000_000_000, 900_000_000_000, count)


def sound_until(config: DriveConfig, end_ns: int) -> np.ndarray:
    """The second of sound before a time."""
    end = end_ns * siren.RATE_HZ // 1_000_000_000
    return siren.chunk(config, end - siren.RATE_HZ, end)


def sample(seed: int) -> list[tuple]:
    """All samples of a drive."""
    config, rows = drive(seed), []
    world, rng = World(config), np.random.default_rng([seed, 2])
    for t_ns in moments(seed, MOMENTS):
        scene = world.at(int(t_ns))
        skewed = world.at(int(t_ns + rng.integers(-40_000_000, 40_000_000)))
        points = np.zeros((MAX_POINTS, 4), np.float16)
        cloud = lidar.sweep(scene)
        points[: len(cloud)] = cloud
        sound = sound_until(config, int(t_ns) + SWEEP_NS)
        occupied = truth.occupancy(scene).astype(np.uint8)
        approaching = truth.siren_approaching(scene)
        row = (camera.render(skewed), points, len(cloud), sound, occupied, approaching, seed % 4)
        rows.append(row)
    return rows


def sounds(seed: int) -> list[tuple]:
    """Seconds of sound of a drive, with what is true when they end."""
    config, rows = DriveConfig(seed, WEATHERS[seed % 4], siren_every_s=30.0), []
    world = World(config)
    for t_ns in moments(seed, 48):
        scene = world.at(int(t_ns))
        row = (sound_until(config, int(t_ns) + SWEEP_NS), truth.siren_approaching(scene))
        rows.append(row)
    return rows


def make(folder: Path, *only: str) -> None:
    """Write all samples, or only those of some sets."""
    folder.mkdir(parents=True, exist_ok=True)
    names = list(Samples.__annotations__)
    jobs = (
        ("held", sample, HELD_OUT_SEEDS, names, MOMENTS),
        ("sound", sounds, SOUND_TRAIN_SEEDS, ["audio", "approaching"], 48),
        ("train", sample, TRAIN_SEEDS, names, MOMENTS),
        ("head", sample, HEAD_SEEDS, names, MOMENTS),
    )
    with ProcessPoolExecutor(2) as pool:
        for name, function, seeds, columns, each in jobs:
            if only and name not in only:
                continue
            arrays: list[np.ndarray] = []
            for k, rows in enumerate(pool.map(function, seeds, chunksize=4)):
                for r, row in enumerate(rows):
                    arrays = arrays or [
                        np.lib.format.open_memmap(
                            folder / f"{name}_{column}.npy", "w+",
                            np.asarray(value).dtype, (len(seeds) * each, *np.shape(value)),
                        )
                        for column, value in zip(columns, row, strict=True)
                    ]  # fmt: skip
                    for array, value in zip(arrays, row, strict=True):
                        array[k * each + r] = value
            for array in arrays:
                array.flush()
            print(f"{name}: {len(seeds) * each} samples", flush=True)


if __name__ == "__main__":
    make(Path(sys.argv[1]), *sys.argv[2:])
