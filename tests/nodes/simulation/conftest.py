"""Scenes with chosen things in them, for tests of the sensors."""

from dataclasses import replace

import numpy as np
import pytest

from tectum_nodes.simulation import DriveConfig, Scene, World
from tectum_nodes.simulation.boxes import SIZES, Boxes, Kind

Thing = tuple[Kind, float, float]


@pytest.fixture
def scene_with():
    """A function that makes a scene of things, each (kind, x, y)."""
    return _scene_with


def _scene_with(*things: Thing, **config) -> Scene:
    """A scene with nothing but things at (x, y), facing forward; no siren."""
    kind = np.array([t[0] for t in things], np.int64)
    x, y = (np.array([t[k] for t in things], float) for k in (1, 2))
    zero = np.zeros(len(things))
    size = SIZES[kind].reshape(-1, 3).T
    boxes = Boxes(kind, np.arange(len(kind)), x, y, zero, *size, zero, zero, zero)
    scene = World(DriveConfig(siren_every_s=0, **config)).at(10**10)
    return replace(scene, users=boxes, scenery=boxes.where(kind < 0))
