"""Poses as other formats write them, to matrices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tectum.errors import DataError

__all__ = ["pose_matrix"]


def pose_matrix(translation: Sequence[float], xyzw: Sequence[float]) -> NDArray[np.float64]:
    """Return the 4 x 4 transform of a translation and a quaternion, brought to length 1.

    Raises:
        DataError: the quaternion is zero.
    """
    length = float(np.linalg.norm(xyzw))
    if not length:
        msg = "a pose has the quaternion 0 0 0 0, which is no rotation"
        raise DataError(msg)
    x, y, z, w = (number / length for number in xyzw)
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = translation
    return matrix
