from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tectum.errors import ConfigError
from tectum.inference.early_head import EarlyHead
from tectum.inference.session import NeverStopped
from tectum.inference.stage import Cut, OutputSpec, StageOutput
from tectum.message import AnyArray, Kind
from tectum.testing.messages import make_message

INPUTS: dict[str, tuple[OutputSpec, ...]] = {"camera": (), "lidar": ()}
RIG = {
    "frames": {"lidar": {"parent": "front", "matrix": np.eye(4).tolist()}},
    "cameras": {
        "front": {"frame": "front", "projection": [[10, 0, 5, 0], [0, 10, 5, 0], [0, 0, 1, 0]]}
    },
}
PAINT = {"paint": {"points": "lidar", "image": "camera"}}


def _head(spec: dict[str, Any], rig: Any = RIG, inputs: Any = INPUTS) -> EarlyHead:
    return EarlyHead(spec, name="head", inputs=inputs, rig=rig, model=None)


def _image(value: int = 0, size: int = 10) -> Cut:
    pixels = np.full((size, size, 3), value, np.uint8)
    pixels[5, 5] = (0, 0, 255)  # red, as blue green red
    message = make_message(
        "camera/image", Kind.IMAGE, pixels, encoding="bgr8", frame_id="front", stamp_ns=5
    )
    return Cut((message,))


def _scan() -> Cut:
    points = np.array([[0, 0, 2, 7], [0, 0, -2, 7]], np.float32)
    names = ("x", "y", "z", "intensity")
    return Cut((make_message("lidar/points", Kind.POINTS, points, frame_id="lidar", names=names),))


def _run(head: EarlyHead, **args: Cut | None) -> dict[str, AnyArray]:
    output: StageOutput = head.run("default", args, None, NeverStopped())
    return dict(output.arrays)


def test_points_are_painted_through_the_rig() -> None:
    painted = _run(_head(PAINT), camera=_image(), lidar=_scan())["painted"]
    assert painted.tolist() == [[0, 0, 2, 7, 1, 0, 0, 1], [0, 0, -2, 7, 0, 0, 0, 0]]


def test_without_the_camera_points_stay_unpainted_and_without_the_lidar_there_are_none() -> None:
    assert (
        _run(_head(PAINT), camera=None, lidar=_scan())["painted"][:, 4:].tolist() == [[0] * 4] * 2
    )
    assert _run(_head(PAINT), camera=_image(), lidar=None) == {}


def test_images_are_stacked_in_the_graphs_order_and_missing_ones_are_zeros() -> None:
    head = _head({"stack": {"left": "mono8", "right": "rgb8"}}, inputs={"left": (), "right": ()})
    both = _run(head, left=_image(9), right=_image(7))["stacked"]
    assert both.shape == (10, 10, 4)
    assert both[0, 0].tolist() == [9, 7, 7, 7]
    assert both[5, 5, 1:].tolist() == [255, 0, 0]
    alone = _run(head, left=None, right=_image(7, size=20))["stacked"]
    assert alone[0, 0].tolist() == [0, 7, 7, 7]
    assert _run(head, left=None, right=None) == {}


WRONG = [
    ({"spec": PAINT, "rig": None}, "early: paint: no rig"),
    ({"spec": {"paint": {"points": "lidra", "image": "camera"}}}, "did you mean 'lidar'"),
    ({"spec": {"stack": {"radar": "mono8"}}}, "early.stack.radar: unknown key"),
    ({"spec": {"stack": {"camera": "rgb16"}}}, "'rgb16' is not one of"),
    ({"spec": {}}, "early.paint.points is missing"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_what_is_wrong_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _head(**settings)
