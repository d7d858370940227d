"""Boxes: things that stand on the ground, as columns, in the ego frame.

Sensors and truth work on all boxes at once, hence columns rather than a list of objects.
"""

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np

from tectum_nodes.simulation.chance import Floats, Ints


class Kind(IntEnum):
    """What a box is. Values up to AMBULANCE are road users, the rest is scenery.

    The last three have the size of a cyclist, a pedestrian and a car, and stand where those are:
    by its shape alone nobody can tell them apart.
    """

    CAR = 0
    VAN = 1
    TRUCK = 2
    CYCLIST = 3
    PEDESTRIAN = 4
    AMBULANCE = 5
    BUILDING = 6
    TREE = 7
    POLE = 8
    BIN = 9
    SHELTER = 10
    BUSH = 11
    POST = 12
    SKIP = 13


LABELS = {
    Kind.CAR: "car",
    Kind.VAN: "car",
    Kind.TRUCK: "truck",
    Kind.CYCLIST: "cyclist",
    Kind.PEDESTRIAN: "pedestrian",
    Kind.AMBULANCE: "emergency vehicle",
}

# Length, width, height in metres; a tree is its trunk (the crown is drawn, and hit, above it).
SIZES = np.array(
    [
        (4.4, 1.8, 1.5),
        (5.2, 2.0, 2.1),
        (8.5, 2.4, 3.2),
        (1.8, 0.6, 1.75),
        (0.5, 0.6, 1.75),
        (5.6, 2.0, 2.5),
        (18.0, 9.0, 9.0),
        (0.4, 0.4, 5.5),
        (0.2, 0.2, 5.0),
        (0.6, 0.6, 1.1),
        (3.6, 1.3, 2.4),
        (1.8, 0.6, 1.7),
        (0.5, 0.6, 1.75),
        (4.4, 1.8, 1.5),
    ]
)


@dataclass(frozen=True, slots=True)
class Boxes:
    """Columns of equal length, one row per box."""

    kind: Ints
    """Values of `Kind`."""
    ident: Ints
    """The same thing has the same number at all times."""
    x: Floats
    """Centre, metres forward."""
    y: Floats
    """Centre, metres left."""
    heading: Floats
    """Radians, counter-clockwise from forward."""
    length: Floats
    width: Floats
    height: Floats
    vx: Floats
    """Velocity relative to the ground, m/s, along the ego's axes."""
    vy: Floats
    tint: Floats
    """A number in [0, 1) that picks the colour."""

    def __len__(self) -> int:
        return len(self.kind)

    def where(self, mask: np.ndarray) -> "Boxes":
        """The rows that a boolean mask, or an index array, picks."""
        return Boxes(*(getattr(self, f.name)[mask] for f in fields(self)))

    def corners(self) -> Floats:
        """Footprints, (n, 4, 2): front left, front right, rear right, rear left."""
        along = np.array([0.5, 0.5, -0.5, -0.5]) * self.length[:, None]
        across = np.array([0.5, -0.5, -0.5, 0.5]) * self.width[:, None]
        cos, sin = np.cos(self.heading)[:, None], np.sin(self.heading)[:, None]
        x = self.x[:, None] + cos * along - sin * across
        y = self.y[:, None] + sin * along + cos * across
        return np.stack([x, y], axis=-1)


def join(*parts: Boxes) -> Boxes:
    """All rows of several boxes, in order."""
    return Boxes(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Boxes)))
