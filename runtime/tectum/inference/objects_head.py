"""An object fusion head: a detector's boxes and a lidar's points in, road users in metres out.

One input of the graph has no encoder and carries points; the encoder of each other gives boxes: one
camera, or several around. Without points every object is there and its distance is NaN; without
boxes there are no objects. What two cameras see of one thing is one object, that of the surer.

With `track` objects are followed: the results tell who is who, how fast, and when the vehicle
ahead would be reached, also in moments at which the detector misses it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tectum.errors import ConfigError
from tectum.fusion.lead import lead_track, time_to_collision
from tectum.fusion.objects import (
    OBJECT_COLUMNS,
    ObjectRules,
    distinct,
    distinct_places,
    lead_object,
    locate,
)
from tectum.fusion.projection import camera_from_points
from tectum.fusion.tracks import TRACK_COLUMNS, Seen, Tracker, TrackRules, Tracks
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
                `lead` (names that can be the vehicle ahead), `track` (true, or some fields of
                `TrackRules`), and the fields of `ObjectRules`.
            name: of the stage.
            inputs: what the encoder of each input of the graph gives.
            rig: the graph's rig.

        Raises:
            ConfigError: there is no rig, no boxes, no points, or a label is unknown.
        """
        self.name = name
        keys = Keys(spec, "head", "objects")
        self._cameras, self._points = _roles(inputs)
        labels = _labels(inputs)
        self._kept = _indices(keys, "labels", labels, labels)
        self._lead = _indices(keys, "lead", labels, VEHICLES)
        self._min_score = keys.get("min_score", float, 0.0)
        self._rules = _rules(keys)
        self._tracker = _tracker(keys)
        self._one_at_a_time = threading.Lock()
        keys.finish()
        if rig is None:
            msg = "objects: no rig: give the graph a `rig`, or use nodes that give theirs"
            raise ConfigError(msg)
        self._rig = rig
        self.outputs: tuple[OutputSpec, ...] = (
            OutputSpec("objects", "objects", labels, {"columns": list(OBJECT_COLUMNS)}),
            OutputSpec("lead_distance", "tensor", (), {"unit": "m"}),
            *(_track_outputs(labels) if self._tracker else ()),
            *((OutputSpec("seen_by", "tensor", tuple(self._cameras)),) if self._around else ()),
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
        cut = args.get(self._points)
        facts: dict[str, Value] = {"present": [name for name, arg in args.items() if arg]}
        stamp_ns = _stamp_ns(cut)
        seen = [np.zeros((0, len(OBJECT_COLUMNS) + 1), np.float32)]
        for number, (source, output) in enumerate(self._cameras.items()):
            found = args.get(source)
            if isinstance(found, StageOutput):
                stamp_ns = stamp_ns or found.stamp_ns
                objects = self._seen(found, output, cut)
                seen.append(np.insert(objects, objects.shape[1], number, axis=1))
        together = np.concatenate(seen)
        if self._around:
            together = distinct_places(together, self._rules)
        answer = self._answer(together[:, :-1], together[:, -1] == 0, stamp_ns)
        if self._around:
            answer["seen_by"] = together[:, -1]
        return StageOutput(answer, facts)

    def close(self) -> None:
        """Do nothing: nothing is held."""

    @property
    def _around(self) -> bool:
        """Return whether there are several cameras."""
        return len(self._cameras) > 1

    def _seen(self, found: StageOutput, output: str, cut: StageArg) -> NDArray[np.float32]:
        """Return the objects of one camera's boxes."""
        boxes = found.arrays[output].astype(np.float32, copy=False)
        boxes = boxes[np.isin(boxes[:, 5], self._kept) & (boxes[:, 4] >= self._min_score)]
        return self._located(boxes, cut, str(found.facts.get("frame_id", "")))

    def _located(self, boxes: AnyArray, cut: StageArg, image_frame: str) -> NDArray[np.float32]:
        points: AnyArray = np.zeros((0, 3), np.float32)
        projection = np.zeros((3, 4))
        if isinstance(cut, Cut):
            points = cut.message.array()
            projection = camera_from_points(self._rig, image_frame, cut.message.header.frame_id)
        return distinct(locate(boxes, points, projection, self._rules), self._rules)

    def _answer(
        self, objects: NDArray[np.float32], ahead: NDArray[np.bool_], stamp_ns: int
    ) -> dict[str, AnyArray]:
        """Return what is told; the vehicle ahead is one of `ahead`, those of the first camera."""
        lead = lead_object(np.where(ahead[:, None], objects, np.nan), self._lead)
        distance = float("nan") if lead is None else float(objects[lead, 6])
        if self._tracker is None:
            return {"objects": objects, "lead_distance": _number(distance)}
        tracks = self._follow(self._tracker, objects, stamp_ns)
        row = lead_track(tracks, self._lead, self._tracker.rules.confirm)
        return {"objects": objects, **_lead_answer(objects, tracks, row, distance)}

    def _follow(self, tracker: Tracker, objects: NDArray[np.float32], stamp_ns: int) -> Tracks:
        """Return the tracks at `stamp_ns`, with the rows of `objects` that each is."""
        located = np.flatnonzero(np.isfinite(objects[:, 7]))
        positions = objects[located, 7:9].astype(np.float64)
        seen = Seen(stamp_ns, positions, objects[located, 5].astype(np.int64))
        with self._one_at_a_time:  # several lanes may ask at once
            tracks = tracker.take(seen)
        if tracks.stamp_ns != stamp_ns:  # too late: the newest, which are of other objects
            return replace(tracks, objects=np.full(len(tracks), -1))
        rows = np.append(located, -1)[tracks.objects]
        return replace(tracks, objects=rows)


def _lead_answer(
    objects: NDArray[np.float32], tracks: Tracks, row: int | None, distance: float
) -> dict[str, AnyArray]:
    """Return what is told of the vehicle ahead; `distance`, where it is not followed yet."""
    track, closing, until = -1.0, float("nan"), float("nan")
    if row is not None:
        seen_as = int(tracks.objects[row])
        distance = float(tracks.means[row, 0] if seen_as < 0 else objects[seen_as, 6])
        track, closing = float(tracks.ids[row]), -float(tracks.means[row, 2])
        until = time_to_collision(distance, closing)
    return {
        "lead_distance": _number(distance),
        "lead_track": _number(track),
        "lead_closing_speed": _number(closing),
        "lead_time_to_collision": _number(until),
        "tracks": tracks.table(),
    }


def _number(value: float) -> AnyArray:
    return np.array([value], np.float32)


def _stamp_ns(cut: StageArg) -> int:
    return cut.message.header.stamp_ns if isinstance(cut, Cut) else 0


def _track_outputs(labels: Sequence[str]) -> tuple[OutputSpec, ...]:
    return (
        OutputSpec("lead_track", "tensor"),
        OutputSpec("lead_closing_speed", "tensor", (), {"unit": "m/s"}),
        OutputSpec("lead_time_to_collision", "tensor", (), {"unit": "s"}),
        OutputSpec("tracks", "tensor", tuple(labels), {"columns": list(TRACK_COLUMNS)}),
    )


def _tracker(keys: Keys) -> Tracker | None:
    """Return a tracker where the spec asks for one: `track: true`, or a mapping of its rules."""
    wanted = keys.get("track", object, False)
    if isinstance(wanted, bool):
        return Tracker() if wanted else None
    own = Keys(wanted, keys.place, keys.at("track"))
    rules = TrackRules()
    values: dict[str, Any] = {}
    for item in fields(TrackRules):
        default, key = getattr(rules, item.name), item.name.removesuffix("_ns")
        timed = key != item.name
        values[item.name] = (
            own.duration_ns(key, default) if timed else own.get(key, type(default), default)
        )
        if values[item.name] <= 0:
            raise own.error(values[item.name], key, "above 0")
    own.finish()
    return Tracker(TrackRules(**values))


def _roles(inputs: Mapping[str, Sequence[OutputSpec]]) -> tuple[dict[str, str], str]:
    """Return input -> output of the boxes, in the graph's order, and the input of the points."""
    boxes = {
        name: output.name
        for name, outputs in inputs.items()
        for output in outputs
        if output.role == "boxes"
    }
    bare = [name for name, outputs in inputs.items() if not outputs]
    if not boxes or len(bare) != 1 or len(inputs) != len(boxes) + 1:
        msg = (
            "objects: takes inputs whose encoders give boxes and one of points without "
            f"an encoder; found boxes from {list(boxes)}, none on {bare}"
        )
        raise ConfigError(msg)
    return boxes, bare[0]


def _labels(inputs: Mapping[str, Sequence[OutputSpec]]) -> tuple[str, ...]:
    """Return the labels of the boxes, which are the same from all cameras."""
    found = {
        name: tuple(output.labels)
        for name, outputs in inputs.items()
        for output in outputs
        if output.role == "boxes"
    }
    first, *others = found
    for other in others:
        if found[other] != found[first]:
            msg = f"objects: the boxes of {first} and {other} have other labels; use one detector"
            raise ConfigError(msg)
    return found[first]


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
