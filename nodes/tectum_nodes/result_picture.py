"""From a result and the samples that it used to a picture: the outputs' roles choose the drawing.

Objects and grids are drawn beside the view from above, boxes on the image, probabilities and
scores as bars. Pure: messages in, an image out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tectum.inference.preprocess import image_of
from tectum.message import AnyArray, Kind, Message
from tectum_nodes.picture import Bar, Image, draw_boxes, draw_grid, draw_objects

__all__ = ["draw_result"]

DARK: NDArray[np.uint8] = np.full((240, 320, 3), 20, np.uint8)
"""Stands for the camera's picture where the camera is missing."""


def draw_result(result: Message, samples: Mapping[str, Message]) -> Image:
    """Return the picture of `result`.

    Args:
        result: of kind RESULT; its arrays are drawn as their roles say.
        samples: the messages that it used, by input; images and points are drawn.
    """
    document: Any = result.header.fields["result"]
    outputs: dict[str, Any] = document["outputs"]
    arrays = {name: result.array(entry["buffer"]) for name, entry in outputs.items()}
    image, points = _image(samples), _points(samples)
    title, bars = _title(document, _holding(outputs, arrays)), _bars(outputs, arrays)
    objects = _first(outputs, "objects")
    if objects:
        labels, lead = outputs[objects]["labels"], _lead(arrays, objects)
        return draw_objects(
            image, points, arrays[objects], labels, lead=lead, title=title,
            in_image=_in_image(samples, outputs, arrays),
        )  # fmt: skip
    grid = _first(outputs, "grid")
    if grid and "grid" in outputs[grid]:
        return draw_grid(image, points, arrays[grid], outputs[grid]["grid"], bars, title=title)
    boxes = _first(outputs, "boxes")
    found: AnyArray = arrays[boxes] if boxes else np.zeros((0, 6), np.float32)
    return draw_boxes(image, found, bars, title=title)


def _first(outputs: Mapping[str, Any], role: str) -> str:
    return next((name for name, entry in outputs.items() if entry["role"] == role), "")


def _image(samples: Mapping[str, Message]) -> AnyArray:
    for message in samples.values():
        if message.header.kind is Kind.IMAGE:
            return image_of(message, "bgr8")
    return DARK


def _in_image(
    samples: Mapping[str, Message], outputs: Mapping[str, Any], arrays: Mapping[str, AnyArray]
) -> NDArray[np.bool_] | None:
    """Return which objects the camera saw whose picture is drawn; None: there is but one."""
    if "seen_by" not in outputs:
        return None
    cameras = list(outputs["seen_by"]["labels"])
    shown = [name for name, message in samples.items() if message.header.kind is Kind.IMAGE]
    number = cameras.index(shown[0]) if shown and shown[0] in cameras else -1
    return np.asarray(arrays["seen_by"] == number)


def _points(samples: Mapping[str, Message]) -> AnyArray:
    for message in samples.values():
        if message.header.kind is Kind.POINTS:
            return message.array()
    return np.zeros((0, 3), np.float32)


def _lead(arrays: Mapping[str, AnyArray], objects: str) -> int | None:
    """Return the row of the object whose distance the result calls the lead's."""
    if "lead_distance" not in arrays:
        return None
    distances: NDArray[np.float32] = arrays[objects][:, 6].astype(np.float32)
    rows = np.flatnonzero(distances == arrays["lead_distance"][0])
    return int(rows[0]) if len(rows) else None


def _bars(outputs: Mapping[str, Any], arrays: Mapping[str, AnyArray]) -> list[Bar]:
    bars: list[Bar] = []
    for name, entry in outputs.items():
        numbers = [float(number) for number in arrays[name].ravel()[:32]]
        if entry["role"] == "probability" and len(numbers) == 1:
            bars.append((name, numbers[0]))
        if entry["role"] == "scores":
            labels = entry["labels"] or [str(index) for index in range(len(numbers))]
            bars += list(zip(labels, numbers, strict=False))
    return bars


def _holding(outputs: Mapping[str, Any], arrays: Mapping[str, AnyArray]) -> list[str]:
    """Return the labels that hold: `neutral`, `nobody speaking`."""
    return [
        str(entry["labels"][int(arrays[name][0])])
        for name, entry in outputs.items()
        if entry["role"] == "label"
    ]


def _title(document: Mapping[str, Any], holding: list[str]) -> str:
    missing = [name for name, entry in document["inputs"].items() if entry["status"] == "missing"]
    without = f" without {', '.join(missing)}" if missing else ""
    parts = [f"{document['node']} #{document['trigger']}", f"{document['outcome']}{without}"]
    return "   ".join([*holding, *parts, f"{document['latency_ms']:.0f} ms after the capture"])
