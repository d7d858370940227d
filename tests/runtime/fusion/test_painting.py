from __future__ import annotations

import numpy as np
import pytest

from tectum.errors import DataError
from tectum.fusion.painting import paint, stack

AHEAD = np.array([[10, 0, 5, 0], [0, 10, 5, 0], [0, 0, 1, 0]], float)
"""A camera at the points' origin, looking along z: focal length 10, middle (5, 5)."""


def _image() -> np.ndarray:
    image = np.zeros((10, 10, 3), np.uint8)
    image[5, 5] = (255, 0, 0)
    image[5, 7] = (0, 255, 0)
    return image


def test_points_get_the_colour_of_their_pixels() -> None:
    points = np.array([[0, 0, 2, 9], [0.4, 0, 2, 8]], np.float32)
    painted = paint(points, _image(), AHEAD)
    assert painted.tolist() == [[0, 0, 2, 9, 1, 0, 0, 1], [np.float32(0.4), 0, 2, 8, 0, 1, 0, 1]]


def test_points_behind_or_beside_the_picture_stay_unpainted() -> None:
    painted = paint(np.array([[0, 0, -2], [9, 0, 2]], np.float32), _image(), AHEAD)
    assert painted[:, 3:].tolist() == [[0, 0, 0, 0]] * 2


def test_without_a_picture_no_point_is_painted() -> None:
    painted = paint(np.ones((3, 4), np.float32), None, AHEAD)
    assert painted.shape == (3, 8)
    assert not painted[:, 4:].any()


def test_layers_become_channels_in_order() -> None:
    stacked = stack([np.full((2, 3), 7), np.full((2, 3, 2), 1)])
    assert stacked.dtype == np.float32
    assert stacked[0, 0].tolist() == [7, 1, 1]


def test_layers_of_different_sizes_are_refused() -> None:
    with pytest.raises(DataError, match=r"one height and width .*\(2, 3\), \(3, 2\)"):
        stack([np.zeros((2, 3)), np.zeros((3, 2))])
