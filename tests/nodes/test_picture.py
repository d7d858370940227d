from __future__ import annotations

import numpy as np

from tectum_nodes.picture import AHEAD_M, ASIDE_M, HOT, LEAD, PIXELS_PER_M, draw_boxes, draw_grid
from tectum_nodes.picture import draw_objects as draw

IMAGE = np.full((100, 200, 3), 128, np.uint8)
ABOVE_W, ABOVE_H = round(2 * ASIDE_M * PIXELS_PER_M), round(AHEAD_M * PIXELS_PER_M)
POINTS = np.array([[10.0, 0.0, 0.0], [500.0, 0.0, 0.0], [10.0, -90.0, 0.0]], np.float32)


def _object(distance: float) -> np.ndarray:
    return np.array([[50, 20, 90, 60, 0.9, 1, distance, distance, 2.0, 0, 20]], np.float32)


def _has(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Return where the picture has exactly `colour`, as (rows, columns)."""
    return np.argwhere((picture == colour).all(axis=2))


def test_the_image_and_the_view_from_above_stand_side_by_side() -> None:
    picture = draw(IMAGE, POINTS, _object(8.0), ("person", "car"))
    assert picture.shape == (ABOVE_H + 26, 200 + 6 + ABOVE_W, 3)
    assert picture.dtype == np.uint8


def test_the_lead_is_marked_in_both() -> None:
    marked = _has(draw(IMAGE, POINTS, _object(8.0), ("person", "car"), lead=0), LEAD)
    assert (marked[:, 1] < 200).any()
    assert (marked[:, 1] >= 206).any()
    assert len(_has(draw(IMAGE, POINTS, _object(8.0), ("person", "car")), LEAD)) == 0


def test_what_another_camera_saw_is_drawn_from_above_only() -> None:
    elsewhere = np.array([False])
    marked = _has(draw(IMAGE, POINTS, _object(8.0), lead=0, in_image=elsewhere), LEAD)
    assert (marked[:, 1] >= 206).all()
    assert len(marked)


def test_an_object_without_a_distance_is_drawn_on_the_image_only() -> None:
    marked = _has(draw(IMAGE, POINTS, _object(float("nan")), lead=0), LEAD)
    assert (marked[:, 1] < 200).all()


def test_the_input_image_is_left_alone() -> None:
    before = IMAGE.copy()
    draw(IMAGE, POINTS, _object(8.0))
    draw_boxes(IMAGE, _object(8.0)[:, :6])
    assert np.array_equal(IMAGE, before)


def test_no_points_and_no_objects_are_no_error() -> None:
    nothing = np.zeros((0, 3), np.float32), np.zeros((0, 11), np.float32)
    assert draw(IMAGE, *nothing).shape[1] == 206 + ABOVE_W


def test_a_probable_cell_is_hot_at_its_place() -> None:
    grid = np.zeros((24, 16))
    grid[5, 12] = 1.0  # 10 to 12 m ahead, 8 to 10 m left
    place = {"x_min_m": 0, "y_min_m": -16, "cell_m": 2}
    hot = _has(draw_grid(IMAGE, POINTS[:0], grid, place, [("siren", 0.5)]), HOT)
    rows, columns = (hot - (26, 206)).T
    assert (rows >= (AHEAD_M - 12) * PIXELS_PER_M - 1).all()
    assert (rows <= (AHEAD_M - 10) * PIXELS_PER_M + 1).all()
    assert (columns >= (ASIDE_M - 10) * PIXELS_PER_M - 1).all()
    assert (columns <= (ASIDE_M - 8) * PIXELS_PER_M + 1).all()


def test_bars_are_as_long_as_their_probability() -> None:
    wide = np.zeros((40, 528, 3), np.uint8)

    def length(share: float) -> int:
        picture = draw_boxes(wide, np.zeros((0, 6)), [("speaking", share)])
        return len({column for _, column in _has(picture, LEAD)})

    assert length(1.0) == 528 - 44 - 84 + 1
    assert abs(length(0.5) - length(1.0) / 2) <= 1
    assert length(float("nan")) <= 1
