"""An object fusion head: a detector's boxes and a lidar's points in, road users in metres out.

One input of the graph has an encoder that gives boxes; one has none and carries points. Without
points every object is there and its distance is NaN; without boxes there are no objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tectum.errors import ConfigError
from tectum.fusion.objects import OBJECT_COLUMNS, ObjectRules, distinct, lead_object, locate
from tectum.fusion.projection import camera_from_points
from tectum.inference.keys import Keys
from tectum.inference.stage import Cut, OutputSpec, StageArg, StageOutput, Stopper, Tensor
from tectum.message import AnyArray, Value

__all__ = ["ObjectsHead"]

VEHICLES = ("car", "motorcycle", "bus", "truck", "train")
"""Labels of COCO that can be the vehicle ahead."""


class ObjectsHead:
    """A stage that tells where detected road users are."""

    variants: tuple[str, ...] = ("default",)

    def __init__(
        self,
        spec: Mapping[str, Any],
        *,
        name: str,
        inputs: Mapping[str, Sequence[OutputSpec]],
        rig: Mapping[str, Any] | None,
    ) -> None:
        """Find the boxes and the points among the inputs.

        Args:
            spec: optionally `labels` (the names to keep; default: all), `min_score` (0 to 1),
                `lead` (names that can be the vehicle ahead), and the fields of
                `ObjectRules`.
            name: of the stage.
            inputs: what the encoder of each input of the graph gives.
            rig: the graph's rig.

        Raises:
            ConfigError: there is no rig, no boxes, no points, or a label is unknown.
        """
        self.name = name
        keys = Keys(spec, "head", "objects")
        self._boxes, self._points = _roles(inputs)
        labels = next(output.labels for output in inputs[self._boxes[0]] if output.role == "boxes")
        self._kept = _indices(keys, "labels", labels, labels)
        self._lead = _indices(keys, "lead", labels, VEHICLES)
        self._min_score = keys.get("min_score", float, 0.0)
        self._rules = _rules(keys)
        keys.finish()
        if rig is None:
            msg = "objects: no rig: give the graph a `rig`, or use nodes that give theirs"
            raise ConfigError(msg)
        self._rig = rig
        self.outputs: tuple[OutputSpec, ...] = (
            OutputSpec("objects", "objects", labels, {"columns": list(OBJECT_COLUMNS)}),
            OutputSpec("lead_distance", "tensor", (), {"unit": "m"}),
        )

    def warm_up(self, variant: str) -> None:
        """Do nothing: the first run costs what later ones cost."""

    def run(
        self,
        variant: str,
        args: Mapping[str, StageArg],
        state: Mapping[str, Tensor] | None,
        stopper: Stopper,
    ) -> StageOutput:
        """Locate what was detected."""
        del variant, state, stopper
        source, output = self._boxes
        found, cut = args.get(source), args.get(self._points)
        facts: dict[str, Value] = {"present": [name for name, arg in args.items() if arg]}
        if not isinstance(found, StageOutput):
            return StageOutput(_answer(np.zeros((0, len(OBJECT_COLUMNS)), np.float32), None), facts)
        boxes = found.arrays[output].astype(np.float32, copy=False)
        boxes = boxes[np.isin(boxes[:, 5], self._kept) & (boxes[:, 4] >= self._min_score)]
        objects = self._located(boxes, cut, str(found.facts.get("frame_id", "")))
        return StageOutput(_answer(objects, lead_object(objects, self._lead)), facts)

    def close(self) -> None:
        """Do nothing: nothing is held."""

    def _located(self, boxes: AnyArray, cut: StageArg, image_frame: str) -> NDArray[np.float32]:
        points: AnyArray = np.zeros((0, 3), np.float32)
        projection = np.zeros((3, 4))
        if isinstance(cut, Cut):
            points = cut.message.array()
            projection = camera_from_points(self._rig, image_frame, cut.message.header.frame_id)
        return distinct(locate(boxes, points, projection, self._rules), self._rules)


def _answer(objects: NDArray[np.float32], lead: int | None) -> dict[str, AnyArray]:
    distance = np.float32("nan") if lead is None else objects[lead, 6]
    return {"objects": objects, "lead_distance": np.array([distance], np.float32)}


def _roles(inputs: Mapping[str, Sequence[OutputSpec]]) -> tuple[tuple[str, str], str]:
    """Return (input, output) of the boxes, and the input of the points."""
    boxes = [
        (name, output.name)
        for name, outputs in inputs.items()
        for output in outputs
        if output.role == "boxes"
    ]
    bare = [name for name, outputs in inputs.items() if not outputs]
    if len(boxes) != 1 or len(bare) != 1 or len(inputs) != 2:
        msg = (
            "objects: takes two inputs, one whose encoder gives boxes and one of points without "
            f"an encoder; found boxes from {[name for name, _ in boxes]}, none on {bare}"
        )
        raise ConfigError(msg)
    return boxes[0], bare[0]


def _indices(
    keys: Keys, key: str, labels: Sequence[str], default: Sequence[str]
) -> tuple[int, ...]:
    wanted = keys.texts(key)
    unknown = [name for name in wanted if name not in labels]
    if unknown:
        raise keys.error(unknown[0], key, f"a label of the detector ({', '.join(labels)})")
    names = wanted or [name for name in default if name in labels]
    return tuple(labels.index(name) for name in names)


def _rules(keys: Keys) -> ObjectRules:
    rules = ObjectRules()
    return ObjectRules(
        shrink=keys.get("shrink", float, rules.shrink),
        depth_m=keys.get("depth_m", float, rules.depth_m),
        density=keys.get("density", float, rules.density),
        min_points=keys.get("min_points", int, rules.min_points),
        covered=keys.get("covered", float, rules.covered),
        same_m=keys.get("same_m", float, rules.same_m),
    )
