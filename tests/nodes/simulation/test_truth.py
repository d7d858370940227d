import numpy as np
import pytest

from tectum_nodes.simulation import DriveConfig, World, truth
from tectum_nodes.simulation.boxes import Kind


def test_cells_are_half_open_and_y_grows_to_the_left(scene_with):
    cells = truth.occupancy(scene_with((Kind.PEDESTRIAN, 11.0, 5.0)))
    assert cells.shape == (24, 16)
    assert np.argwhere(cells).tolist() == [[5, 10]]


def test_a_long_vehicle_fills_every_cell_that_it_stands_in(scene_with):
    cells = truth.occupancy(scene_with((Kind.TRUCK, 21.0, 1.0)))
    rows, columns = np.nonzero(cells)
    assert sorted(set(rows)) == [8, 9, 10, 11, 12]
    assert set(columns) == {7, 8, 9}


@pytest.mark.parametrize(("x", "y"), [(-5.0, 0.0), (60.0, 0.0), (20.0, 17.0), (20.0, -17.0)])
def test_who_is_outside_of_the_grid_is_not_in_it(scene_with, x, y):
    assert truth.occupancy(scene_with((Kind.PEDESTRIAN, x, y))).sum() == 0


def test_who_is_wholly_hidden_is_left_out_and_who_peeps_out_is_in(scene_with):
    hidden = truth.occupancy(scene_with((Kind.TRUCK, 14.0, 0.0), (Kind.PEDESTRIAN, 25.0, 0.5)))
    peeping = truth.occupancy(scene_with((Kind.TRUCK, 14.0, 0.0), (Kind.PEDESTRIAN, 25.0, 3.0)))
    over_a_bin = truth.occupancy(scene_with((Kind.BIN, 14.0, 1.0), (Kind.PEDESTRIAN, 25.0, 1.0)))
    assert hidden[12].sum() == 0
    assert peeping[12].sum() == 1
    assert over_a_bin[12].sum() == 1


def test_velocity_is_over_ground_and_where_somebody_stands():
    world = World(DriveConfig(seed=6, traffic=1.5))
    for k in range(20):
        scene = world.at(k * 3 * 10**9)
        cells, moves = truth.occupancy(scene), truth.velocity(scene)
        assert moves.shape == (2, 24, 16)
        assert not moves[:, cells == 0].any()
        speeds = np.hypot(*moves[:, cells > 0])
        users = np.hypot(scene.users.vx, scene.users.vy)
        assert np.abs(speeds[:, None] - users).min(axis=1).max() < 1e-5


@pytest.mark.parametrize("kind", [Kind.BUSH, Kind.POST, Kind.SKIP])
def test_what_only_looks_like_a_road_user_is_none(kind):
    world = World(DriveConfig(seed=6, traffic=1.5))
    scenes = [world.at(k * 3 * 10**9) for k in range(20)]
    assert any((scene.scenery.kind == kind).any() for scene in scenes)
    assert not any((scene.users.kind == kind).any() for scene in scenes)


def test_scenery_is_not_a_road_user():
    world = World(DriveConfig(traffic=0.0, siren_every_s=0))
    assert sum(truth.occupancy(world.at(k * 10**9)).sum() for k in range(20)) == 0


def test_truth_of_the_siren_is_that_of_the_scene():
    world = World(DriveConfig(siren_every_s=30))
    scenes = [world.at(k * 10**9) for k in range(120)]
    answers = [truth.siren_approaching(scene) for scene in scenes]
    assert answers == [scene.siren.approaching for scene in scenes]
    assert 5 < sum(answers) < 60
