import subprocess
import sys
from dataclasses import fields
from hashlib import sha256
from itertools import pairwise

import numpy as np
import pytest

from tectum_nodes.simulation import DriveConfig, World, camera, lidar, siren, truth

STEP_NS = 50_000_000


def digest_of_everything(seed: int, t_ns: int) -> str:
    config = DriveConfig(seed=seed, weather="rain")
    scene = World(config).at(t_ns)
    parts = [
        getattr(boxes, f.name) for boxes in (scene.users, scene.scenery) for f in fields(boxes)
    ]
    parts += [lidar.sweep(scene), camera.render(scene), truth.occupancy(scene)]
    parts.append(siren.chunk(config, 100_000, 101_600))
    return sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


def test_the_world_is_the_same_in_every_process_and_in_any_order():
    here = [digest_of_everything(5, t) for t in (7_000_000_000, -3_000_000_000, 7_000_000_000)]
    assert here[0] == here[2]
    assert here[0] != here[1]
    code = (
        f"import runpy; print(runpy.run_path({__file__!r})['digest_of_everything'](5, 7 * 10**9))"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here[0]


@pytest.mark.parametrize("start_s", [0, 1_000_000])
def test_road_users_move_as_their_velocity_says(start_s):
    """Also after eleven days; whoever appears or leaves does so out of the grid."""
    world = World(DriveConfig(seed=11, traffic=1.5, siren_every_s=30))
    for k in range(0, 300, 3):
        t_ns = start_s * 1_000_000_000 + k * 500_000_000
        before, after = world.at(t_ns), world.at(t_ns + STEP_NS)
        then = {u.ident: u for u in after.road_users()}
        near = [u for u in before.road_users() if abs(u.x_m) < 35 and abs(u.y_m) < 13]
        for user in near:
            other = then[user.ident]
            turn = after.ego.yaw - before.ego.yaw
            dt = STEP_NS / 1e9
            moved = complex(other.x_m, other.y_m) * np.exp(1j * turn)
            drift = complex(user.vx_mps - before.ego.speed_mps, user.vy_mps) * dt
            # Swaying within the lane, at most 0.6 m/s, is not in the velocity.
            assert abs(moved - complex(user.x_m, user.y_m) - drift) < 0.04 + 0.6 * dt
            assert (user.label, user.length_m) == (other.label, other.length_m)


def test_nobody_stands_in_somebody_else_of_the_same_lane():
    world = World(DriveConfig(seed=2, traffic=3.0, siren_every_s=0))
    for k in range(200):
        users = world.at(k * 700_000_000).users
        lane = users.ident & 63
        for number in range(3):
            x = np.sort(users.x[lane == number])
            assert np.all(np.diff(x) > 2.0)


def test_traffic_is_a_density_and_an_empty_road_is_possible():
    counts = [
        np.mean(
            [
                len(World(DriveConfig(seed=s, traffic=t, siren_every_s=0)).at(10**10).users)
                for s in range(30)
            ]
        )
        for t in (0.0, 1.0, 2.0)
    ]
    assert counts[0] == 0
    assert 15 < counts[1] < counts[2]


def test_all_kinds_of_road_users_come_by_and_seeds_differ():
    world = World(DriveConfig(seed=4, siren_every_s=30))
    labels = {u.label for k in range(60) for u in world.at(k * 2_000_000_000).road_users()}
    assert labels == {"car", "truck", "cyclist", "pedestrian", "emergency vehicle"}
    other = World(DriveConfig(seed=5)).at(10**10)
    assert not np.array_equal(world.at(10**10).users.x, other.users.x)


def test_a_siren_approaches_before_it_passes_and_not_after():
    world = World(DriveConfig(seed=1, siren_every_s=30))
    states = [world.at(k * 100_000_000).siren for k in range(0, 3000, 6)]
    assert {s.approaching for s in states} == {True, False}
    for before, after in pairwise(states):
        if before.approaching and after.active:
            assert abs(after.ahead_m) < abs(before.ahead_m) + 18.0
        if before.active and after.active and not before.approaching and abs(before.ahead_m) < 100:
            assert abs(after.ahead_m) > abs(before.ahead_m)
