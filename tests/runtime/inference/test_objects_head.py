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
    ({"inputs": {"lidar": ()}}, "takes inputs whose encoders give boxes"),
    ({"inputs": {**INPUTS, "radar": ()}}, r"takes inputs.*none on \['lidar', 'radar'\]"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_what_is_wrong_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _head(**settings)


def _moment(head: ObjectsHead, at_ms: int, distance: float, *boxes: tuple[float, ...]) -> Any:
    y, z = np.meshgrid(np.linspace(-5, 5, 60), np.linspace(-5, 5, 60))
    points = np.stack([np.full(y.size, distance), y.ravel(), z.ravel()], 1).astype(np.float32)
    message = make_message(
        "lidar/points", Kind.POINTS, points, stamp_ns=at_ms * 10**6, frame_id="lidar", names=("x",)
    )
    return _run(head, _boxes(*boxes), Cut((message,))).arrays


def test_with_track_the_vehicle_ahead_has_a_speed_and_survives_missed_detections() -> None:
    head = _head(track=True)
    for k in range(10):
        told = _moment(head, 100 * k, 20 - 0.2 * k, CAR)
    assert told["lead_closing_speed"] == pytest.approx([2], abs=0.1)
    assert told["lead_time_to_collision"] == pytest.approx([18.2 / 2], rel=0.05)
    track = told["lead_track"]
    assert told["tracks"].shape == (1, 14)
    assert told["tracks"][0, 13] == 0  # its row of `objects`
    missed = _moment(head, 1000, 18.0)
    assert missed["objects"].shape == (0, 11)
    assert missed["lead_track"] == track
    assert missed["lead_distance"] == pytest.approx([18.0], abs=0.1)
    without_camera = _run(head, None, Cut((make_message(
        "lidar/points", Kind.POINTS, np.ones((1, 3), np.float32), stamp_ns=11 * 10**8, names=("x",)
    ),))).arrays  # fmt: skip
    assert without_camera["lead_track"] == track
    assert without_camera["lead_distance"] == pytest.approx([17.8], abs=0.1)


def test_a_vehicle_that_is_not_followed_yet_has_a_distance_and_no_speed() -> None:
    told = _moment(_head(track=True), 0, 20, CAR)
    assert told["lead_distance"] == pytest.approx([20])
    assert told["lead_track"] == [-1]
    assert np.isnan(told["lead_closing_speed"][0])


def test_rules_of_tracks_are_set_and_misspellings_are_named() -> None:
    head = _head(track={"confirm": 3, "keep": 10**8})
    for k in range(3):
        told = _moment(head, 100 * k, 20, CAR)
        assert (told["lead_track"] == [-1]) == (k < 2)
    with pytest.raises(ConfigError, match=r"objects.track.keeep: unknown key.*did you mean 'keep'"):
        _head(track={"keeep": 1})
    with pytest.raises(ConfigError, match=r"objects.track.gate: -1.0 is not above 0"):
        _head(track={"gate": -1.0})


AROUND = {**INPUTS, "left": INPUTS["camera"]}
RIG_AROUND = {
    "frames": {
        **RIG["frames"],
        "left": {"parent": "front", "matrix": np.eye(4).tolist()},
    },
    "cameras": {**RIG["cameras"], "left": {**RIG["cameras"]["front"], "frame": "left"}},
}


def _from_left(*rows: tuple[float, ...]) -> StageOutput:
    return StageOutput(_boxes(*rows).arrays, {"frame_id": "left"})


def test_what_two_cameras_see_of_one_thing_is_one_object_of_the_surer() -> None:
    head = _head(AROUND, RIG_AROUND)
    surer = (*CAR[:4], 0.95, 1)
    args = {"camera": _boxes(CAR, DOG), "left": _from_left(surer), "lidar": _cloud()}
    output = head.run("default", args, None, NeverStopped())
    objects = output.arrays["objects"]
    assert objects[:, 4].tolist() == pytest.approx([0.95, 0.8])
    assert output.arrays["seen_by"].tolist() == [1, 0]
    assert head.outputs[-1].labels == ("camera", "left")


def test_things_of_different_labels_or_places_stay_two() -> None:
    head = _head(AROUND, RIG_AROUND)
    other_label, other_place = (*CAR[:4], 0.5, 0), (80, 80, 95, 95, 0.6, 1)
    args = {"camera": _boxes(CAR), "left": _from_left(other_label, other_place), "lidar": _cloud()}
    output = head.run("default", args, None, NeverStopped())
    assert output.arrays["seen_by"].tolist() == [0, 1, 1]


def test_the_vehicle_ahead_is_looked_for_in_the_first_camera() -> None:
    head = _head(AROUND, RIG_AROUND)
    args = {"camera": _boxes(DOG), "left": _from_left(CAR), "lidar": _cloud()}
    output = head.run("default", args, None, NeverStopped())
    assert np.isnan(output.arrays["lead_distance"][0])


def test_cameras_with_detectors_of_other_labels_are_refused() -> None:
    other = {**AROUND, "left": (OutputSpec("boxes", "boxes", ("cat",)),)}
    with pytest.raises(ConfigError, match="the boxes of camera and left have other labels"):
        _head(other, RIG_AROUND)
