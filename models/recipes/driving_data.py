"""Samples of the simulated drive for training and evaluation, as flat arrays on disk.

A sample is one moment as a fused set would hold it: a lidar sweep at t, a picture of about then,
the second of sound that ends when the sweep ends, and what is true at t. Seeds from 1000 train
encoders, from 2000 the heads (on embeddings that their encoders did not learn by heart), from 3000
the siren encoder; seeds from 9000 are held out and used for evaluation only. Pictures of the
heads' samples may be late by up to 160 ms; `late` is the held-out samples with every picture 100 ms
later.

    python models/recipes/driving_data.py FOLDER [held|late|sound|train|head ...]
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np

from tectum.fusion.projection import camera_from_points
from tectum_nodes.simulation import (
    WEATHERS,
    DriveConfig,
    Fault,
    Scene,
    World,
    camera,
    lidar,
    siren,
    truth,
)
from tectum_nodes.simulation.rig import CameraModel, LidarModel, camera_rig, lidar_rig

TRAIN_SEEDS = range(1000, 1512)
HEAD_SEEDS = range(2000, 2288)
HELD_OUT_SEEDS = range(9000, 9064)
MOMENTS = 16
SOUND_TRAIN_SEEDS = range(3000, 3400)
MAX_POINTS = 24 * 512
SWEEP_NS = 100_000_000
JITTER_NS = 17_000_000
"""Half of the camera's period: a picture that is nearest to a sweep is no farther from it."""
LATE_NS = 100_000_000
LATEST_NS = 160_000_000


@dataclass(frozen=True)
class Samples:
    """Memory-mapped columns."""

    image: np.ndarray
    """uint8 (n, 192, 320, 3)"""
    age: np.ndarray
    """float32 (n,): by how much the picture is older than the sweep, seconds"""
    pictured: np.ndarray
    """uint8 (n, 24, 16): occupancy when the picture was taken"""
    points: np.ndarray
    """float16 (n, MAX_POINTS, 4), zero beyond `count`"""
    count: np.ndarray
    audio: np.ndarray
    """int16 (n, 16000)"""
    occupancy: np.ndarray
    """uint8 (n, 24, 16): occupancy at the sweep"""
    velocity: np.ndarray
    """float16 (n, 2, 24, 16): m/s over ground, forward and left"""
    approaching: np.ndarray
    ahead: np.ndarray
    """uint8 (n,): the siren that is heard is ahead, not behind"""
    weather: np.ndarray

    @classmethod
    def load(cls, folder: Path, name: str) -> Samples:
        """The samples that `make` has written."""
        keys = cls.__annotations__
        return cls(*(np.load(folder / f"{name}_{key}.npy", mmap_mode="r") for key in keys))


def projection() -> np.ndarray:
    """Return 3 x 4, points of the simulated lidar to pixels of the simulated camera."""
    camera, lidar = camera_rig(CameraModel()), lidar_rig(LidarModel())
    rig = {**camera, "frames": {**camera["frames"], **lidar["frames"]}}
    return camera_from_points(rig, "camera", "lidar")


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


def ages(seed: int, name: str) -> np.ndarray:
    """By how much each picture of a drive is older than its sweep, ns."""
    rng = np.random.default_rng([seed, 2])
    found = rng.integers(-JITTER_NS, JITTER_NS, MOMENTS)
    if name == "late":
        return found + LATE_NS
    if name == "head":
        found[::2] = rng.integers(-JITTER_NS, LATEST_NS, len(found[::2]))
    return found


def sample(seed: int, name: str) -> list[tuple]:
    """All samples of a drive."""
    config, rows = drive(seed), []
    world = World(config)
    for t_ns, age_ns in zip(moments(seed, MOMENTS), ages(seed, name), strict=True):
        scene, pictured = world.at(int(t_ns)), world.at(int(t_ns - age_ns))
        points = np.zeros((MAX_POINTS, 4), np.float16)
        cloud = lidar.sweep(scene)
        points[: len(cloud)] = cloud
        row = (
            camera.render(pictured), np.float32(age_ns / 1e9), _occupied(pictured),
            points, len(cloud), sound_until(config, int(t_ns) + SWEEP_NS),
            _occupied(scene), truth.velocity(scene).astype(np.float16),
            truth.siren_approaching(scene), scene.siren.ahead_m > 0, seed % 4,
        )  # fmt: skip
        rows.append(row)
    return rows


def late(seed: int, name: str) -> list[tuple]:
    """Pictures of a drive that are too old, and how old."""
    world = World(drive(seed))
    return [
        (camera.render(world.at(int(t_ns - age_ns))), np.float32(age_ns / 1e9))
        for t_ns, age_ns in zip(moments(seed, MOMENTS), ages(seed, name), strict=True)
    ]


def _occupied(scene: Scene) -> np.ndarray:
    return truth.occupancy(scene).astype(np.uint8)


def sounds(seed: int, name: str) -> list[tuple]:
    """Seconds of sound of a drive, with what is true when they end."""
    del name
    config, rows = DriveConfig(seed, WEATHERS[seed % 4], siren_every_s=30.0), []
    world = World(config)
    for t_ns in moments(seed, 48):
        scene = world.at(int(t_ns))
        sound = sound_until(config, int(t_ns) + SWEEP_NS)
        siren_now = scene.siren
        rows.append((sound, siren_now.approaching, siren_now.active, siren_now.ahead_m > 0))
    return rows


def make(folder: Path, *only: str) -> None:
    """Write all samples, or only those of some sets."""
    folder.mkdir(parents=True, exist_ok=True)
    names = list(Samples.__annotations__)
    jobs = (
        ("held", sample, HELD_OUT_SEEDS, names, MOMENTS),
        ("late", late, HELD_OUT_SEEDS, ["image", "age"], MOMENTS),
        ("sound", sounds, SOUND_TRAIN_SEEDS, ["audio", "approaching", "active", "ahead"], 48),
        ("train", sample, TRAIN_SEEDS, names, MOMENTS),
        ("head", sample, HEAD_SEEDS, names, MOMENTS),
    )
    with ProcessPoolExecutor(2) as pool:
        for name, function, seeds, columns, each in jobs:
            if only and name not in only:
                continue
            arrays: list[np.ndarray] = []
            for k, rows in enumerate(pool.map(function, seeds, repeat(name), chunksize=4)):
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
