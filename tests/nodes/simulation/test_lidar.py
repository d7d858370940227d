from dataclasses import replace

import numpy as np
import pytest

from tectum_nodes.simulation import WEATHERS, DriveConfig, Fault, World, lidar
from tectum_nodes.simulation.boxes import SIZES, Kind
from tectum_nodes.simulation.rig import LidarModel

MODEL = LidarModel()


def on(points, x, y):
    """Points above the ground in a box around (x, y)."""
    near = (abs(points[:, 0] - x) < 3) & (abs(points[:, 1] - y) < 1.2)
    return points[near & (points[:, 2] + MODEL.z_m > 0.1)]


@pytest.mark.parametrize("weather", WEATHERS)
def test_a_sweep_has_points_within_range_in_the_lidar_frame(weather):
    points = lidar.sweep(World(DriveConfig(weather=weather)).at(10**10))
    assert points.dtype == np.float32
    assert 1000 < len(points) <= MODEL.rings * MODEL.azimuths
    assert np.isfinite(points).all()
    assert np.linalg.norm(points[:, :3], axis=1).max() < MODEL.range_m + 0.01
    assert points[:, 2].min() > -MODEL.z_m - 0.15
    assert 0 <= points[:, 3].min() < points[:, 3].max() <= 1


def test_points_lie_on_the_surface_of_a_car_without_noise(scene_with):
    points = on(lidar.sweep(scene_with((Kind.CAR, 15.0, 2.0), noise=0.0)), 15.0, 2.0)
    length, width, height = SIZES[Kind.CAR]
    assert len(points) > 20
    outside = np.maximum(abs(points[:, 0] - 15.0) - length / 2, abs(points[:, 1] - 2.0) - width / 2)
    top = abs(points[:, 2] + MODEL.z_m - height)
    assert np.all((abs(outside) < 1e-3) | ((top < 1e-3) & (outside < 0)))


def test_what_stands_behind_a_truck_returns_no_points(scene_with):
    alone = lidar.sweep(scene_with((Kind.PEDESTRIAN, 25.0, 0.0), noise=0.0))
    hidden = lidar.sweep(
        scene_with((Kind.PEDESTRIAN, 25.0, 0.0), (Kind.TRUCK, 14.0, 0.0), noise=0.0)
    )
    assert len(on(alone, 25.0, 0.0)) >= 3
    assert len(on(hidden, 25.0, 0.0)) == 0


def test_a_low_thing_hides_only_what_is_low_behind_it(scene_with):
    truck, bin_ = (Kind.TRUCK, 24.0, 0.0), (Kind.BIN, 16.0, 0.0)
    lowest = []
    for things in ((truck,), (truck, bin_)):
        seen = on(lidar.sweep(scene_with(*things, noise=0.0)), 20.0, 0.0)
        lowest.append(seen[abs(seen[:, 1]) < 0.3, 2].min())
    over_the_bin = (1.1 - MODEL.z_m) * 19.75 / 16.3
    assert lowest[0] < -1.3
    assert over_the_bin < lowest[1] < over_the_bin + 0.3


def test_far_things_return_fewer_points_and_fog_takes_them_first(scene_with):
    count = {
        (weather, x): len(on(lidar.sweep(scene_with((Kind.CAR, x, 3.0), weather=weather)), x, 3.0))
        for weather in ("day", "fog")
        for x in (10.0, 25.0)
    }
    assert count["day", 10.0] > 4 * count["day", 25.0] > 0
    assert count["fog", 25.0] < 0.5 * count["day", 25.0]
    assert count["fog", 10.0] > 0.5 * count["day", 10.0]


def test_a_black_car_returns_fewer_points_than_a_white_one_and_a_wet_one_fewer_still(scene_with):
    """Tints 0.35 and 0.25 pick black and white of the ten paints."""
    count = {}
    for weather in ("day", "rain"):
        scene = scene_with((Kind.CAR, 18.0, 3.0), weather=weather)
        for paint, tint in (("black", 0.35), ("white", 0.25)):
            painted = replace(scene, users=replace(scene.users, tint=np.array([tint])))
            count[weather, paint] = len(on(lidar.sweep(painted), 18.0, 3.0))
    assert count["day", "black"] < 0.5 * count["day", "white"]
    assert count["rain", "white"] < count["day", "white"]


def test_what_stands_among_road_users_looks_like_them_to_a_lidar(scene_with):
    for user, thing in (
        (Kind.CAR, Kind.SKIP),
        (Kind.PEDESTRIAN, Kind.POST),
        (Kind.CYCLIST, Kind.BUSH),
    ):
        shapes = [
            on(lidar.sweep(scene_with((kind, 12.0, 3.0), noise=0.0)), 12.0, 3.0)[:, :2]
            for kind in (user, thing)
        ]
        assert len(shapes[0]) > 5
        assert abs(len(shapes[0]) - len(shapes[1])) <= 0.1 * len(shapes[0])
        assert np.ptp(shapes[0], axis=0) == pytest.approx(np.ptp(shapes[1], axis=0), abs=0.05)


def test_faults_take_the_sweep_or_a_sector_of_it():
    def swept(kind):
        return lidar.sweep(World(DriveConfig(faults=(Fault("lidar", kind, 0, 100),))).at(10**10))

    assert swept("dropout").shape == (0, 4)
    bearing = np.abs(np.arctan2(swept("sector")[:, 1], swept("sector")[:, 0]))
    assert len(bearing) > 1000
    assert bearing.min() > np.radians(39.5)


def test_sweeps_of_two_moments_have_noise_of_their_own(scene_with):
    scene = scene_with((Kind.CAR, 15.0, 2.0))
    one, two = (lidar.sweep(replace(scene, t_ns=t)) for t in (0, 1))
    assert np.array_equal(one, lidar.sweep(replace(scene, t_ns=0)))
    assert one.shape != two.shape or not np.array_equal(one, two)
