"""Assignment: which track is which measurement, at the least total cost. Pure NumPy.

Shortest augmenting paths (Kuhn 1955, Munkres 1957; in the O(n^3) form of Jonker and Volgenant
1987). For the tens of objects of a scene that costs a millisecond or a few: the core needs no
SciPy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["assign"]

Floats = NDArray[np.float64]


def assign(cost: Floats, limit: float) -> list[tuple[int, int]]:
    """Return (row, column) pairs of the cheapest assignment, by row, none dearer than `limit`.

    A pair dearer than `limit` is never made: for it and for leaving both alone the price is the
    same. Costs may be infinite, not NaN.
    """
    if 0 in cost.shape:
        return []
    bounded = np.minimum(cost, limit)
    flipped = cost.shape[0] > cost.shape[1]
    columns = _columns(bounded.T if flipped else bounded)
    pairs = [(column, row) if flipped else (row, column) for row, column in enumerate(columns)]
    return sorted((row, column) for row, column in pairs if cost[row, column] < limit)


def _columns(cost: Floats) -> list[int]:
    """Return the column of each row; there are at least as many columns as rows."""
    rows, columns = cost.shape
    price, owner = np.zeros(columns), np.full(columns, -1)
    budget = np.zeros(rows)
    for newcomer in range(rows):
        _make_room(cost, newcomer, budget, price, owner)
    placed = {int(row): column for column, row in enumerate(owner) if row >= 0}
    return [placed[row] for row in range(rows)]


def _make_room(
    cost: Floats, newcomer: int, budget: Floats, price: Floats, owner: NDArray[np.int_]
) -> None:
    """Give `newcomer` a column along the cheapest path of rows that each move on by one."""
    reach, came_from = np.full(len(price), np.inf), np.full(len(price), -1)
    fixed = np.zeros(len(price), bool)
    row, column, spent = newcomer, -1, 0.0
    while True:
        through = spent + cost[row] - budget[row] - price
        shorter = (through < reach) & ~fixed
        reach[shorter], came_from[shorter] = through[shorter], column
        column = int(np.where(fixed, np.inf, reach).argmin())
        spent = float(reach[column])
        if owner[column] < 0:
            break
        fixed[column] = True
        row = int(owner[column])
    budget[newcomer] += spent
    budget[owner[fixed]] += spent - reach[fixed]
    price[fixed] -= spent - reach[fixed]
    while column >= 0:
        before = int(came_from[column])
        owner[column] = newcomer if before < 0 else owner[before]
        column = before
