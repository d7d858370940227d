"""An early fusion head: raw aligned samples made into one, then one model, or none.

`paint`: each point of a lidar gets the colour of the pixel that it falls on, through the rig; the
model takes points with the fields of the lidar and `red green blue painted`. `stack`: images of
one moment become the channels of one tensor. What is missing is zeros (`painted` says so); without
the lidar there is nothing to paint, and no output. Without a model the fused sample is the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from tectum.errors import ConfigError
from tectum.fusion.painting import PAINT_COLUMNS, paint, stack
from tectum.fusion.projection import camera_from_points
from tectum.inference.encoder import OnnxEncoder
from tectum.inference.keys import Keys
from tectum.inference.manifest import sizes_of
from tectum.inference.preprocess import image_of
from tectum.inference.stage import Cut, OutputSpec, StageArg, StageOutput, Stopper, Tensor
from tectum.message import AnyArray, ArrayPayload, BufferSpec, Header, Kind, Message, Value

__all__ = ["EarlyHead"]

CHANNELS = {"mono8": 1, "rgb8": 3, "bgr8": 3}


class EarlyHead:
    """A stage that fuses samples before any model sees them."""

    def __init__(
        self,
        spec: Mapping[str, Any],
        *,
        name: str,
        inputs: Mapping[str, Sequence[OutputSpec]],
        rig: Mapping[str, Any] | None,
        model: OnnxEncoder | None,
    ) -> None:
        """Find the inputs.

        Args:
            spec: `paint` (`points` and `image`: inputs), or `stack` (input -> encoding).
            name: of the stage.
            inputs: of the graph; those that are fused have no encoder.
            rig: the graph's rig, for painting.
            model: what looks at the fused sample; None: nothing does.

        Raises:
            ConfigError: an input is unknown or encoded, or there is no rig.
        """
        self.name, self._model, self._rig = name, model, rig
        keys = Keys(spec, "head", "early")
        paints, stacks = keys.below("paint"), keys.below("stack")
        keys.finish()
        raw = tuple(key for key, outputs in inputs.items() if not outputs)
        encodings = {key: stacks.choice(key, ("", *CHANNELS), "") for key in raw}
        self._stacked = {key: encoding for key, encoding in encodings.items() if encoding}
        stacks.finish()
        if not self._stacked:
            self._points = paints.choice("points", raw)
            self._image = paints.choice("image", raw)
            if rig is None:
                msg = "early: paint: no rig: give the graph a `rig`, or use nodes that give theirs"
                raise ConfigError(msg)
        paints.finish()
        self.variants: tuple[str, ...] = model.variants if model else ("default",)
        self.outputs: tuple[OutputSpec, ...] = model.outputs if model else (self._bare(),)

    @property
    def models(self) -> dict[str, str]:
        """Return the model's name with the SHA-256 of its best variant's file."""
        return self._model.models if self._model else {}

    def warm_up(self, variant: str) -> None:
        """Run the model once."""
        if self._model:
            self._model.warm_up(variant)

    def run(
        self,
        variant: str,
        args: Mapping[str, StageArg],
        state: Mapping[str, Tensor] | None,
        stopper: Stopper,
    ) -> StageOutput:
        """Fuse what is there and look at it."""
        present = {key: arg for key, arg in args.items() if isinstance(arg, Cut)}
        facts: dict[str, Value] = {"present": list(present)}
        fused = self._stack(present) if self._stacked else self._paint(present)
        if fused is None:
            return StageOutput({}, facts)
        if self._model is None:
            return StageOutput({self.outputs[0].name: fused.array()}, facts)
        found = self._model.run(variant, {self.name: Cut((fused,))}, state, stopper)
        return StageOutput(found.arrays, {**found.facts, **facts}, found.state)

    def close(self) -> None:
        """Give back the model's sessions."""
        if self._model:
            self._model.close()

    def _bare(self) -> OutputSpec:
        if self._stacked:
            return OutputSpec("stacked", "tensor", (), {"inputs": list(self._stacked)})
        return OutputSpec("painted", "tensor", (), {"added": list(PAINT_COLUMNS)})

    def _paint(self, present: Mapping[str, Cut]) -> Message | None:
        if self._points not in present:
            return None
        scan, projection = present[self._points].message, np.zeros((3, 4))
        image: Any = None
        if self._image in present:
            picture = present[self._image].message
            image = image_of(picture, "rgb8")
            frames = picture.header.frame_id, scan.header.frame_id
            projection = camera_from_points(self._rig or {}, *frames)
        painted = paint(scan.array(), image, projection)
        names = scan.header.fields.get("names", ())
        given = tuple(names) if isinstance(names, (list, tuple)) else ()
        return _message(scan, Kind.POINTS, painted, names=(*given, *PAINT_COLUMNS))

    def _stack(self, present: Mapping[str, Cut]) -> Message | None:
        if not present:
            return None
        images = {
            key: image_of(present[key].message, encoding)
            for key, encoding in self._stacked.items()
            if key in present
        }
        height, width = self._size(next(iter(images.values())))
        layers = [
            _fitted(images[key], width, height)
            if key in images
            else np.zeros((height, width, CHANNELS[encoding]), np.float32)
            for key, encoding in self._stacked.items()
        ]
        return _message(next(iter(present.values())).message, Kind.TENSOR, stack(layers))

    def _size(self, image: AnyArray) -> tuple[int, int]:
        """Return height and width: the model's, else those of the first image."""
        if self._model is None:
            return image.shape[0], image.shape[1]
        height, width = sizes_of(self._model.manifest.inputs[0].shape)[-3:-1]
        return height, width


def _fitted(image: Any, width: int, height: int) -> AnyArray:
    same = image.shape[:2] == (height, width)
    fitted = image if same else cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(fitted)


def _message(like: Message, kind: Kind, array: AnyArray, **fields: Value) -> Message:
    old = like.header
    header = Header(
        old.topic,
        kind,
        old.seq,
        old.stamp_ns,
        span_ns=old.span_ns,
        frame_id=old.frame_id,
        fields=fields,
        buffers=(BufferSpec(str(array.dtype), array.shape),),
    )
    return Message(header, (ArrayPayload(array),))
