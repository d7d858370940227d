"""Rays against boxes, seen from above: where a ray enters and leaves each box.

The slab method (Kay and Kajiya 1986) in the box's own axes, for all pairs at once.
"""

import numpy as np

from tectum_nodes.simulation.boxes import Boxes
from tectum_nodes.simulation.chance import Floats


def spans(boxes: Boxes, directions: Floats, x_m: float = 0.0) -> tuple[Floats, Floats]:
    """Horizontal distances at which rays enter and leave boxes.

    Args:
        boxes: n boxes in the ego frame.
        directions: Azimuths of m rays in radians, in the ego frame.
        x_m: The rays start at (x_m, 0).

    Returns:
        Two arrays (m, n) of metres; a ray misses a box where leave < enter or leave <= 0.
    """
    cos, sin = np.cos(boxes.heading), np.sin(boxes.heading)
    dx, dy = x_m - boxes.x, -boxes.y
    along, across = cos * dx + sin * dy, cos * dy - sin * dx
    ray_x, ray_y = np.cos(directions)[:, None], np.sin(directions)[:, None]
    step_x, step_y = ray_x * cos + ray_y * sin, ray_y * cos - ray_x * sin
    near_x, far_x = _slab(along, step_x, boxes.length / 2)
    near_y, far_y = _slab(across, step_y, boxes.width / 2)
    return np.maximum(near_x, near_y), np.minimum(far_x, far_y)


def _slab(start: Floats, step: Floats, half: Floats) -> tuple[Floats, Floats]:
    inverse = 1.0 / np.where(np.abs(step) < 1e-9, 1e-9, step)
    middle, reach = -start * inverse, half * np.abs(inverse)
    return middle - reach, middle + reach
