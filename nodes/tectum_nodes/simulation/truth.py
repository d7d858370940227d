"""What is true in a scene, in the form in which models answer.

Occupancy is a bird's-eye grid: row i covers x from x_min + i * cell forward, column j covers y
from y_min + j * cell (y is left), both half open. A cell is 1 where a road user stands, unless
that user is hidden from the ego altogether.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tectum_nodes.simulation.boxes import Boxes, Kind
from tectum_nodes.simulation.chance import Floats, Ints
from tectum_nodes.simulation.rays import spans
from tectum_nodes.simulation.world import Scene

_RAYS = np.linspace(-np.pi / 2, np.pi / 2, 361)
_FOOT = np.stack(np.meshgrid(np.linspace(-1, 1, 13), np.linspace(-1, 1, 5)), axis=-1).reshape(-1, 2)


@dataclass(frozen=True, slots=True)
class Grid:
    """A bird's-eye grid in the ego frame."""

    x_min_m: float = 0.0
    y_min_m: float = -16.0
    cell_m: float = 2.0
    rows: int = 24
    columns: int = 16


GRID = Grid()


def occupancy(scene: Scene, grid: Grid = GRID) -> NDArray[np.float32]:
    """Where road users stand: float32 (rows, columns) of 0 and 1."""
    cells = np.zeros((grid.rows, grid.columns), np.float32)
    (i, j), _ = _cells(scene.users.where(_in_sight(scene)), grid)
    cells[i, j] = 1.0
    return cells


def velocity(scene: Scene, grid: Grid = GRID) -> NDArray[np.float32]:
    """How they move over ground: float32 (2, rows, columns), m/s forward and left; 0 elsewhere."""
    cells = np.zeros((2, grid.rows, grid.columns), np.float32)
    users = scene.users.where(_in_sight(scene))
    (i, j), user = _cells(users, grid)
    cells[:, i, j] = users.vx[user], users.vy[user]
    return cells


def siren_approaching(scene: Scene) -> bool:
    """Whether an emergency vehicle with its siren on comes nearer, within 140 m."""
    return scene.siren.approaching


def _cells(users: Boxes, grid: Grid) -> tuple[tuple[Ints, Ints], Ints]:
    """Cells (rows, columns) that users stand in, and which user each of them is."""
    x, y = _footprints(users)
    i = np.floor((x - grid.x_min_m) / grid.cell_m).astype(np.int64)
    j = np.floor((y - grid.y_min_m) / grid.cell_m).astype(np.int64)
    inside = (i >= 0) & (i < grid.rows) & (j >= 0) & (j < grid.columns)
    return (i[inside], j[inside]), np.nonzero(inside)[0]


def _footprints(users: Boxes) -> tuple[Floats, Floats]:
    # 0.95: a cell that a bumper merely touches is not occupied.
    along = 0.475 * users.length[:, None] * _FOOT[:, 0]
    across = 0.475 * users.width[:, None] * _FOOT[:, 1]
    cos, sin = np.cos(users.heading)[:, None], np.sin(users.heading)[:, None]
    x = users.x[:, None] + cos * along - sin * across
    y = users.y[:, None] + sin * along + cos * across
    return x, y


def _in_sight(scene: Scene) -> NDArray[np.bool_]:
    """Users to whom at least one ray comes that nothing of their height or more stops before."""
    boxes = scene.everything()
    near = np.nonzero((boxes.x > -12.0) & (boxes.x < 62.0) & (boxes.kind != Kind.POLE))[0]
    boxes = boxes.where(near)
    enter, leave = spans(boxes, _RAYS)
    enter = np.where((leave > np.maximum(enter, 0.0)) & (enter > 0.0), enter, np.inf)
    seen = np.zeros(len(scene.users), bool)
    for column, user in enumerate(near[near < len(seen)]):
        rays = np.isfinite(enter[:, column])
        walls = boxes.height > boxes.height[column] - 0.3
        walls[column] = False
        first = enter[rays][:, walls].min(axis=1, initial=np.inf)
        seen[user] = bool((enter[rays, column] < first).any())
    return seen
