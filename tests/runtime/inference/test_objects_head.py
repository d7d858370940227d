from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tectum.errors import ConfigError
from tectum.inference.objects_head import ObjectsHead
from tectum.inference.session import NeverStopped
from tectum.inference.stage import Cut, OutputSpec, StageOutput
from tectum.message import Kind
from tectum.testing.messages import make_message

INPUTS = {"camera": (OutputSpec("boxes", "boxes", ("person", "car", "dog")),), "lidar": ()}
RIG = {
    "frames": {
        "lidar": {
            "parent": "front",
            "matrix": [[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]],
        }
    },
    "cameras": {
        "front": {"frame": "front", "projection": [[100, 0, 50, 0], [0, 100, 50, 0], [0, 0, 1, 0]]}
    },
}


def _head(inputs: Any = INPUTS, rig: Any = RIG, **spec: Any) -> ObjectsHead:
    return ObjectsHead(spec, name="head", inputs=inputs, rig=rig)


def _boxes(*rows: tuple[float, ...]) -> StageOutput:
    boxes = np.array(rows, np.float32).reshape(-1, 6)
    return StageOutput({"boxes": boxes}, {"frame_id": "front"})


def _cloud() -> Cut:
    """Return a wall of points at 10 m that fills the image."""
    y, z = np.meshgrid(np.linspace(-5, 5, 60), np.linspace(-5, 5, 60))
    points = np.stack([np.full(y.size, 10.0), y.ravel(), z.ravel()], axis=1).astype(np.float32)
    message = make_message("lidar/points", Kind.POINTS, points, frame_id="lidar", names=("x",))
    return Cut((message,))


CAR, DOG = (40, 40, 60, 60, 0.9, 1), (0, 0, 20, 20, 0.8, 2)


def _run(head: ObjectsHead, camera: StageOutput | None, lidar: Cut | None) -> StageOutput:
    return head.run("default", {"camera": camera, "lidar": lidar}, None, NeverStopped())


def test_every_box_gets_the_distance_of_the_points_in_it() -> None:
    output = _run(_head(), _boxes(DOG, CAR), _cloud())
    objects = output.arrays["objects"]
    assert objects[:, 5].tolist() == [1, 2]
    assert objects[:, 6] == pytest.approx([10, 10])
    assert output.arrays["lead_distance"] == pytest.approx([10])
    assert output.facts["present"] == ["camera", "lidar"]


def test_labels_and_scores_are_chosen() -> None:
    head = _head(labels=["car"], min_score=0.5)
    faint = (0, 0, 20, 20, 0.4, 1)
    assert _run(head, _boxes(DOG, CAR, faint), _cloud()).arrays["objects"][:, 4].tolist() == [
        pytest.approx(0.9)
    ]


def test_without_the_lidar_objects_stay_and_distances_go() -> None:
    output = _run(_head(), _boxes(CAR), None)
    assert output.arrays["objects"][0, :5] == pytest.approx(CAR[:5])
    assert np.isnan(output.arrays["objects"][0, 6])
    assert np.isnan(output.arrays["lead_distance"][0])
    assert output.facts["present"] == ["camera"]


def test_without_the_camera_there_are_no_objects() -> None:
    output = _run(_head(), None, _cloud())
    assert output.arrays["objects"].shape == (0, 11)
    assert np.isnan(output.arrays["lead_distance"][0])


def test_what_leads_can_be_chosen() -> None:
    output = _run(_head(lead=["dog"]), _boxes(CAR), _cloud())
    assert np.isnan(output.arrays["lead_distance"][0])


def test_its_outputs_name_their_columns_labels_and_units() -> None:
    objects, lead = _head().outputs
    assert objects.labels == ("person", "car", "dog")
    assert "distance_m" in objects.facts["columns"]
    assert lead.facts == {"unit": "m"}


def test_a_frame_that_the_rig_lacks_is_named() -> None:
    with pytest.raises(ConfigError, match="no path from frame 'lidar'"):
        _run(_head(rig={"cameras": RIG["cameras"]}), _boxes(CAR), _cloud())


WRONG = [
    ({"labels": ["cart"]}, "objects.labels: 'cart' is not a label of the detector"),
    ({"min_scroe": 1}, "objects.min_scroe: unknown key .*did you mean 'min_score'"),
    ({"rig": None}, "objects: no rig: give the graph a `rig`"),
    ({"inputs": {"lidar": ()}}, "takes two inputs, one whose encoder gives boxes"),
    ({"inputs": {**INPUTS, "radar": ()}}, r"takes two inputs.*none on \['lidar', 'radar'\]"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_what_is_wrong_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _head(**settings)
