"""What things look like: each kind of box as a few painted cuboids and decals.

Coordinates are shares of the box: along -1 (rear) to 1 (front), across -1 (right) to 1 (left),
up 0 (ground) to 1 (top). Parts of one thing are painted in the order of the table.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from tectum_nodes.simulation.boxes import Kind
from tectum_nodes.simulation.chance import Floats, Ints

FRONT, REAR, LEFT, RIGHT, TOP = 1, 2, 4, 8, 16
SIDES = FRONT | REAR | LEFT | RIGHT
ALL = SIDES | TOP

Colour = tuple[int, int, int]
"""Blue, green, red."""

PAINTS: tuple[Colour, ...] = (
    (60, 50, 190), (170, 90, 40), (235, 235, 232), (60, 60, 64), (150, 152, 155),
    (70, 120, 60), (40, 150, 215), (125, 70, 95), (190, 160, 70), (205, 205, 200),
)  # fmt: skip
CLOTHES: tuple[Colour, ...] = (
    (70, 60, 200), (190, 120, 50), (60, 170, 220), (90, 90, 95), (120, 60, 130),
    (80, 140, 70), (200, 200, 205), (40, 110, 230),
)  # fmt: skip
WALLS: tuple[Colour, ...] = (
    (140, 165, 195), (150, 158, 168), (120, 140, 185), (165, 175, 180), (130, 150, 160),
    (150, 180, 205),
)  # fmt: skip

LEAVES: tuple[Colour, ...] = ((58, 112, 70), (64, 128, 92), (48, 98, 80), (80, 135, 105))
METALS: tuple[Colour, ...] = ((110, 108, 104), (88, 96, 60), (60, 110, 175), (95, 78, 62))

OWN: Colour = (-1, -1, -1)
"""The colour that the thing's tint picks."""
GLASS: Colour = (92, 76, 62)
RUBBER: Colour = (38, 36, 36)
SKIN: Colour = (140, 170, 215)
WHITE: Colour = (240, 240, 240)
STEEL: Colour = (125, 122, 120)
LEAF: Colour = (62, 118, 78)
BARK: Colour = (55, 75, 95)
RED_LIGHT: Colour = (50, 40, 235)
WHITE_LIGHT: Colour = (205, 240, 250)
BLUE_LIGHT: Colour = (255, 120, 30)


@dataclass(frozen=True, slots=True)
class Part:
    """A cuboid, or with few faces a decal."""

    along: tuple[float, float]
    across: tuple[float, float]
    up: tuple[float, float]
    colour: Colour
    faces: int = ALL
    glows: bool = False
    """Its brightness does not follow the daylight."""
    near_only: bool = False
    """Left out beyond 45 m, where it would be a speck."""


def _lights(low: float, high: float, out: float = 0.95) -> tuple[Part, ...]:
    inner = out - 0.32
    return tuple(
        Part((-1, 1), (side * inner, side * out), (low, high), colour, face, True, True)
        for side in (-1.0, 1.0)
        for face, colour in ((REAR, RED_LIGHT), (FRONT, WHITE_LIGHT))
    )


def _wheels(height: float, *places: float) -> tuple[Part, ...]:
    return tuple(
        Part((x - 0.14, x + 0.14), (-1, 1), (0.0, height), RUBBER, LEFT | RIGHT, near_only=True)
        for x in places
    )


_CAR = (
    Part((-1, 1), (-1, 1), (0.14, 0.6), OWN),
    Part((-1, 1), (-0.96, 0.96), (0.1, 0.15), RUBBER, near_only=True),
    *_wheels(0.4, -0.62, 0.62),
    Part((-0.8, 0.42), (-0.84, 0.84), (0.6, 1.0), GLASS, SIDES),
    Part((-0.8, 0.42), (-0.84, 0.84), (0.93, 1.0), OWN),
    Part((-0.24, -0.16), (-0.84, 0.84), (0.6, 1.0), OWN, LEFT | RIGHT, near_only=True),
    *_lights(0.38, 0.52),
)
_VAN = (
    Part((-1, 1), (-1, 1), (0.12, 1.0), OWN),
    Part((0.45, 0.9), (-1, 1), (0.55, 0.88), GLASS, LEFT | RIGHT),
    Part((0, 1), (-0.85, 0.85), (0.55, 0.9), GLASS, FRONT),
    Part((-1, 0), (-0.8, 0.8), (0.6, 0.9), GLASS, REAR, near_only=True),
    Part((-1, 1), (-0.97, 0.97), (0.06, 0.12), RUBBER, near_only=True),
    *_wheels(0.3, -0.6, 0.64),
    *_lights(0.3, 0.42),
)
_TRUCK = (
    Part((-1, 1), (-0.9, 0.9), (0.1, 0.28), RUBBER),
    *_wheels(0.28, -0.75, -0.45, 0.72),
    Part((-1, 0.52), (-1, 1), (0.26, 1.0), (212, 214, 214)),
    Part((-1, 0.52), (-1, 1), (0.3, 0.48), OWN, SIDES),
    Part((0.56, 1), (-0.94, 0.94), (0.16, 0.8), OWN),
    Part((0.6, 1), (-0.82, 0.82), (0.48, 0.74), GLASS, FRONT),
    Part((0.64, 0.9), (-0.94, 0.94), (0.48, 0.72), GLASS, LEFT | RIGHT),
    *_lights(0.2, 0.27, 0.85),
)
_CYCLIST = (
    Part((-1, -0.3), (-0.1, 0.1), (0.0, 0.38), RUBBER),
    Part((0.3, 1), (-0.1, 0.1), (0.0, 0.38), RUBBER),
    Part((-0.55, 0.6), (-0.12, 0.12), (0.3, 0.4), STEEL),
    Part((-0.3, 0.05), (-0.5, 0.5), (0.2, 0.55), (95, 70, 55)),
    Part((-0.35, 0.25), (-0.8, 0.8), (0.5, 0.83), OWN),
    Part((-0.02, 0.28), (-0.34, 0.34), (0.84, 1.0), SKIN),
    Part((-0.06, 0.3), (-0.38, 0.38), (0.93, 1.02), (60, 200, 230)),
    Part((-1, 1), (-0.25, 0.25), (0.4, 0.48), RED_LIGHT, REAR, True, True),
)
_PEDESTRIAN = (
    Part((-0.4, 0.4), (-0.62, -0.08), (0.0, 0.47), (95, 70, 55)),
    Part((-0.4, 0.4), (0.08, 0.62), (0.0, 0.47), (95, 70, 55)),
    Part((-0.5, 0.5), (-0.85, 0.85), (0.45, 0.82), OWN),
    Part((-0.4, 0.4), (-0.33, 0.33), (0.84, 1.0), SKIN),
    Part((-0.46, 0.36), (-0.36, 0.36), (0.95, 1.03), (50, 60, 75)),
)
_AMBULANCE = (
    Part((-1, 1), (-1, 1), (0.1, 0.9), WHITE),
    Part((-1, 1), (-1, 1), (0.32, 0.48), (40, 60, 225), SIDES),
    Part((0, 1), (-0.85, 0.85), (0.52, 0.82), GLASS, FRONT),
    Part((0.5, 0.9), (-1, 1), (0.52, 0.8), GLASS, LEFT | RIGHT),
    *_wheels(0.26, -0.6, 0.64),
    Part((0.35, 0.6), (-0.8, -0.1), (0.88, 1.02), BLUE_LIGHT, ALL, True),
    Part((0.35, 0.6), (0.1, 0.8), (0.88, 1.02), BLUE_LIGHT, ALL, True),
    Part((-0.95, -0.75), (-0.8, 0.8), (0.88, 1.0), BLUE_LIGHT, ALL, True),
    *_lights(0.22, 0.31),
)
_BUILDING = (
    Part((-1, 1), (-1, 1), (0.0, 1.0), OWN),
    *(
        Part(
            (-0.93 + k * 0.385, -0.68 + k * 0.385), (-1, 1), (low, low + 0.17), GLASS, LEFT | RIGHT
        )
        for low in (0.1, 0.4, 0.7)
        for k in range(5)
    ),
    Part((-1, 1), (-0.7, 0.7), (0.4, 0.55), GLASS, FRONT | REAR),
    Part((-1, 1), (-0.7, 0.7), (0.7, 0.85), GLASS, FRONT | REAR),
)
_TREE = (
    Part((-0.8, 0.8), (-0.8, 0.8), (0.0, 0.5), BARK),
    Part((-8, 8), (-8, 8), (0.42, 0.8), LEAF),
    Part((-5.5, 5.5), (-5.5, 5.5), (0.8, 1.0), (72, 132, 92)),
)
_POLE = (
    Part((-0.6, 0.6), (-0.6, 0.6), (0.0, 1.0), STEEL),
    Part((-1.2, 1.2), (-1.5, 5.5), (0.97, 1.0), STEEL),
)
_BIN = (
    Part((-1, 1), (-1, 1), (0.0, 0.9), OWN),
    Part((-1.1, 1.1), (-1.1, 1.1), (0.88, 1.0), RUBBER),
)
_SHELTER = (
    Part((-1, 1), (-1, -0.9), (0.0, 0.92), (150, 140, 130)),
    Part((-1, -0.96), (-1, 1), (0.0, 0.92), (160, 150, 140)),
    Part((0.96, 1), (-1, 1), (0.0, 0.92), (160, 150, 140)),
    Part((-1.05, 1.05), (-1.05, 1.1), (0.92, 1.0), STEEL),
)

_BUSH = (
    Part((-1, 1), (-0.8, 0.8), (0.0, 0.3), (110, 140, 165)),
    Part((-0.95, 0.95), (-1, 1), (0.3, 0.85), OWN),
    Part((-0.6, 0.6), (-0.7, 0.7), (0.85, 1.0), OWN),
)
_POST = (
    Part((-0.7, 0.7), (-0.7, 0.7), (0.0, 0.45), STEEL),
    Part((-1, 1), (-1, 1), (0.45, 1.0), OWN),
    Part((-1, 1), (-0.7, 0.7), (0.55, 0.92), (225, 225, 220), FRONT | REAR),
)
_SKIP = (
    Part((-1, 1), (-1, 1), (0.06, 0.9), OWN),
    Part((-0.5, 0.5), (-0.7, 0.7), (0.9, 1.0), (85, 105, 120)),
    Part((-1, 1), (-1, 1), (0.8, 0.9), STEEL, SIDES),
)

SHAPES: dict[Kind, tuple[Part, ...]] = {
    Kind.CAR: _CAR,
    Kind.VAN: _VAN,
    Kind.TRUCK: _TRUCK,
    Kind.CYCLIST: _CYCLIST,
    Kind.PEDESTRIAN: _PEDESTRIAN,
    Kind.AMBULANCE: _AMBULANCE,
    Kind.BUILDING: _BUILDING,
    Kind.TREE: _TREE,
    Kind.POLE: _POLE,
    Kind.BIN: _BIN,
    Kind.SHELTER: _SHELTER,
    Kind.BUSH: _BUSH,
    Kind.POST: _POST,
    Kind.SKIP: _SKIP,
}


def palette(kind: Kind) -> tuple[Colour, ...]:
    """The colours that a tint chooses from."""
    return _PALETTES.get(kind, PAINTS)


_PALETTES = {
    Kind.CYCLIST: CLOTHES,
    Kind.PEDESTRIAN: CLOTHES,
    Kind.BUILDING: WALLS,
    Kind.BUSH: LEAVES,
    Kind.POST: METALS,
    Kind.SKIP: METALS,
}


def own_colours(kind: Ints, tint: Floats) -> Floats:
    """The colour that each thing's tint picks, (n, 3), blue, green, red."""
    paints, sizes = _paints()
    return np.asarray(paints[kind, (tint * sizes[kind]).astype(np.int64)])


@cache
def _paints() -> tuple[Floats, Ints]:
    sizes = np.array([len(palette(kind)) for kind in Kind])
    paints = np.zeros((len(Kind), int(sizes.max()), 3))
    for kind in Kind:
        paints[kind, : sizes[kind]] = palette(kind)
    return paints, sizes
