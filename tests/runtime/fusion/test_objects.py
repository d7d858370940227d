from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tectum.fusion.objects import (
    OBJECT_COLUMNS,
    ObjectRules,
    distinct,
    lead_object,
    locate,
    robust_distance,
)

RULES = ObjectRules()
CAMERA = np.array([[100.0, -200.0, 0.0, 0.0], [50.0, 0.0, -200.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
"""A camera at the lidar's place: focal length 200, middle of the image at (100, 50)."""


def _plane(x: float, y: tuple[float, float], z: tuple[float, float], step: float) -> np.ndarray:
    """Points of an upright plane at distance `x`."""
    ys, zs = np.meshgrid(np.arange(*y, step), np.arange(*z, step))
    return np.stack([np.full(ys.size, x), ys.ravel(), zs.ravel()], axis=1)


def _box(x: float, y: tuple[float, float], z: tuple[float, float], score: float) -> np.ndarray:
    """The box that a detector would draw around such a plane."""
    left, right = 100 - 200 * y[1] / x, 100 - 200 * y[0] / x
    top, bottom = 50 - 200 * z[1] / x, 50 - 200 * z[0] / x
    return np.array([[left, top, right, bottom, score, 2.0]], np.float32)


REAR = _plane(12.0, (-0.9, 0.9), (-1.5, 0.0), 0.1)
BOX = _box(12.0, (-0.9, 0.9), (-1.5, 0.0), 0.9)
WALL = _plane(30.0, (-8.0, 8.0), (-1.5, 3.0), 0.4)
POLE = _plane(7.0, (-0.03, 0.03), (-1.5, 2.0), 0.05)


def _ground() -> np.ndarray:
    xs, ys = np.meshgrid(np.arange(3.0, 28.0, 0.3), np.arange(-4.0, 4.0, 0.15))
    return np.stack([xs.ravel(), ys.ravel(), np.full(xs.size, -1.6)], axis=1)


def _distance(*clouds: np.ndarray) -> float:
    return float(locate(BOX, np.concatenate(clouds), CAMERA, RULES)[0, 6])


def test_the_distance_is_that_of_the_rear_of_the_car() -> None:
    assert _distance(REAR) == pytest.approx(12.0)


def test_what_is_behind_around_and_before_the_car_does_not_move_it() -> None:
    assert _distance(REAR, WALL) == pytest.approx(12.0, abs=0.02)
    assert _distance(REAR, _ground()) == pytest.approx(12.0, abs=0.02)
    assert _distance(REAR, POLE) == pytest.approx(12.0, abs=0.02)
    assert _distance(REAR, WALL, _ground(), POLE) == pytest.approx(12.0, abs=0.02)


def test_noise_of_the_lidar_averages_out() -> None:
    noisy = REAR.copy()
    noisy[:, 0] += np.random.default_rng(7).normal(0, 0.02, len(noisy))
    assert _distance(noisy, WALL) == pytest.approx(12.0, abs=0.01)


def test_a_box_without_points_has_no_distance() -> None:
    row = locate(BOX, WALL[:2], CAMERA, RULES)[0]
    assert np.isnan(row[6:10]).all()
    assert row[:6] == pytest.approx(BOX[0])


def test_an_object_says_where_it_is_in_the_lidars_frame() -> None:
    row = dict(zip(OBJECT_COLUMNS, locate(BOX, REAR, CAMERA, RULES)[0].tolist(), strict=True))
    assert row["x_m"] == pytest.approx(12.0)
    assert row["y_m"] == pytest.approx(0.0, abs=0.06)
    assert row["z_m"] == pytest.approx(-0.8, abs=0.06)
    assert row["points"] >= RULES.min_points


def test_no_boxes_and_no_points_are_no_error() -> None:
    nothing = np.zeros((0, 6), np.float32)
    assert locate(nothing, REAR, CAMERA, RULES).shape == (0, len(OBJECT_COLUMNS))
    assert np.isnan(locate(BOX, np.zeros((0, 3)), CAMERA, RULES)[0, 6])
    assert distinct(locate(nothing, REAR, CAMERA, RULES), RULES).shape == (0, 11)


@given(
    near=st.lists(st.floats(9.9, 10.1), min_size=20, max_size=60),
    far=st.lists(st.floats(15.0, 60.0), max_size=18),
)
def test_a_minority_of_far_points_moves_nothing(near: list[float], far: list[float]) -> None:
    assert 9.9 <= robust_distance(np.array(near + far), RULES) <= 10.1


@given(distances=st.lists(st.floats(1, 80), min_size=4, max_size=50), seed=st.integers(0, 99))
def test_the_order_of_points_does_not_matter(distances: list[float], seed: int) -> None:
    shuffled = np.random.default_rng(seed).permutation(distances)
    first, again = robust_distance(np.array(distances), RULES), robust_distance(shuffled, RULES)
    assert first == again or (np.isnan(first) and np.isnan(again))


def _objects(*rows: tuple[tuple[float, float, float, float], float, float]) -> np.ndarray:
    """Objects from (box, score, distance)."""
    objects = np.zeros((len(rows), len(OBJECT_COLUMNS)), np.float32)
    for item, (box, score, distance) in zip(objects, rows, strict=True):
        item[:4], item[4], item[5] = box, score, 2
        item[6] = item[7] = distance
    return objects


def test_one_thing_found_twice_is_one_object() -> None:
    whole, part = ((0, 0, 100, 80), 0.9, 12.0), ((60, 20, 98, 60), 0.6, 12.4)
    assert distinct(_objects(part, whole), RULES)[:, 4].tolist() == [pytest.approx(0.9)]


def test_a_car_before_a_truck_stays() -> None:
    truck, car = ((0, 0, 100, 80), 0.9, 16.0), ((60, 40, 98, 78), 0.6, 12.0)
    assert len(distinct(_objects(truck, car), RULES)) == 2


def test_the_lead_is_the_nearest_of_the_right_kind_straight_ahead() -> None:
    objects = _objects(((0, 0, 9, 9), 0.9, 20.0), ((0, 0, 9, 9), 0.8, 9.0), ((0, 0, 9, 9), 0.7, 5))
    objects[2, 5] = 0.0  # a person
    assert lead_object(objects, (2,)) == 1
    objects[1, 8] = 3.0  # on the lane beside
    assert lead_object(objects, (2,)) == 0
    assert lead_object(objects, (7,)) is None
    assert lead_object(objects[:0], (2,)) is None


def test_an_object_without_a_distance_does_not_lead() -> None:
    objects = _objects(((0, 0, 9, 9), 0.9, float("nan")))
    assert lead_object(objects, (2,)) is None
