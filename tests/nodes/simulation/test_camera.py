from dataclasses import replace

import cv2
import numpy as np
import pytest

from tectum_nodes.simulation import WEATHERS, DriveConfig, Fault, World, camera
from tectum_nodes.simulation.boxes import Kind
from tectum_nodes.simulation.rig import CameraModel

MODEL = CameraModel()


def changed(one, two):
    """Pixels (v, u) in which two pictures differ."""
    return np.argwhere(np.abs(one.astype(int) - two.astype(int)).sum(axis=2) > 6)


@pytest.mark.parametrize("weather", WEATHERS)
def test_a_picture_has_the_size_of_its_camera_and_is_repeatable(weather):
    scene = World(DriveConfig(weather=weather)).at(10**10)
    image = camera.render(scene)
    assert (image.shape, image.dtype) == ((192, 320, 3), np.uint8)
    assert np.array_equal(image, camera.render(scene))
    assert camera.render(scene, MODEL.scaled(2)).shape == (384, 640, 3)
    assert not np.array_equal(image, camera.render(replace(scene, t_ns=scene.t_ns + 1)))


def test_a_car_is_drawn_where_the_pinhole_model_puts_it(scene_with):
    empty, car = scene_with(noise=0.0), scene_with((Kind.CAR, 20.0, 3.0), noise=0.0)
    where = changed(camera.render(empty), camera.render(car))
    x = 20.0 - 2.2 - MODEL.x_m
    left = MODEL.cx_px - MODEL.focal_px * (3.0 + 0.9) / x
    bottom = MODEL.cy_px + MODEL.focal_px * MODEL.z_m / x
    assert abs(where[:, 1].min() - left) < 2
    assert abs(where[:, 0].max() - bottom) < 2
    top = MODEL.cy_px - MODEL.focal_px * (1.5 - MODEL.z_m) / x
    assert abs(where[:, 0].min() - top) < 2


def test_what_stands_behind_a_truck_changes_no_pixel(scene_with):
    alone = scene_with((Kind.TRUCK, 14.0, 0.0), noise=0.0)
    both = scene_with((Kind.TRUCK, 14.0, 0.0), (Kind.PEDESTRIAN, 25.0, 0.0), noise=0.0)
    nobody = scene_with(noise=0.0)
    seen = scene_with((Kind.PEDESTRIAN, 25.0, 0.0), noise=0.0)
    assert len(changed(camera.render(alone), camera.render(both))) == 0
    assert len(changed(camera.render(nobody), camera.render(seen))) > 10


def test_a_thing_half_behind_the_lens_is_cut_and_one_behind_is_not_drawn(scene_with):
    nobody = camera.render(scene_with(noise=0.0))
    beside = camera.render(scene_with((Kind.TRUCK, 2.0, 3.0), noise=0.0))
    behind = camera.render(scene_with((Kind.TRUCK, -9.0, 3.0), noise=0.0))
    columns = changed(nobody, beside)[:, 1]
    assert columns.min() == 0
    assert columns.max() < MODEL.cx_px
    assert len(changed(nobody, behind)) == 0


def test_fog_hides_what_is_far_and_dusk_is_dark(scene_with):
    def contrast(weather, x):
        pictures = [
            camera.render(scene_with(*things, weather=weather, noise=0.0)).astype(int)
            for things in ((), ((Kind.CAR, x, 0.0),))
        ]
        return np.abs(pictures[0] - pictures[1]).max()

    assert contrast("fog", 45.0) < 0.4 * contrast("day", 45.0)
    assert contrast("fog", 8.0) > 0.5 * contrast("day", 8.0)
    assert (
        camera.render(scene_with(weather="dusk")).mean() < 0.5 * camera.render(scene_with()).mean()
    )


def test_the_horizon_moves_as_the_car_pitches_unless_the_sensor_is_perfect(scene_with):
    def horizon(t_s, noise):
        image = camera.render(replace(scene_with(noise=noise), t_ns=int(t_s * 1e9))).astype(int)
        blueness = np.median(image[..., 0] - image[..., 2], axis=1)
        return int(np.nonzero(blueness > 15)[0].max())

    times = np.arange(10.0, 14.0, 0.4)
    assert 2 <= np.ptp([horizon(t, 1.0) for t in times]) <= 8
    assert np.ptp([horizon(t, 0.0) for t in times]) == 0


def test_drops_on_the_lens_blur_what_is_behind_them_until_the_wiper_comes(scene_with):
    def blurred(t_s):
        """Pixels that drops change; streaks of rain, a pixel wide, are eroded."""
        scenes = (scene_with((Kind.TRUCK, 9, 0), weather="rain", noise=n) for n in (1e-3, 0.0))
        pictures = [camera.render(replace(scene, t_ns=int(t_s * 1e9))) for scene in scenes]
        mask = np.abs(np.subtract(*(p.astype(int) for p in pictures))).max(axis=2) > 3
        return cv2.erode(mask.astype(np.uint8), np.ones((3, 3))) > 0

    first, second, wiped = (blurred(t) for t in (10.1, 11.9, 12.1))
    assert first.sum() > 50
    assert (first & second).sum() > 4 * (first & wiped).sum()


def test_faults_blind_or_blur_the_camera():
    def rendered(*faults):
        return camera.render(World(DriveConfig(noise=0.0, faults=faults)).at(10**10)).astype(float)

    clear = rendered()
    black, blurred = (rendered(Fault("camera", kind, 0, 100)) for kind in ("blackout", "blur"))
    assert black.max() < 10
    sharpness = [np.abs(np.diff(image, axis=1)).mean() for image in (clear, blurred)]
    assert sharpness[1] < 0.6 * sharpness[0]
    assert abs(clear.mean() - blurred.mean()) < 2
