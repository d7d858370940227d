"""The objects of a result as `vision_msgs/Detection3DArray` (vision_msgs 4).

An object is a box in a picture and a place: `center` is the place, in the frame of the points that
told it (name that frame in the graph: the result does not carry it). Its size is not known, and is
zero. The id is the number of its track, where the result has tracks. Objects without a place (no
point told their distance) are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tectum.message import Message
from tectum_nodes.ros2.cdr_writer import CdrWriter

__all__ = ["write_detections"]


def write_detections(message: Message, stamp_ns: int, frame_id: str) -> bytes:
    """Return the objects of a result; none where it has no output of that role."""
    document: Any = message.header.fields["result"]
    outputs: Mapping[str, Any] = document.get("outputs", {})
    entry = next((item for item in outputs.values() if item["role"] == "objects"), None)
    rows = message.array(entry["buffer"]).tolist() if entry else []
    columns = list(entry["columns"]) if entry else []
    labels = list(entry["labels"]) if entry else []
    tracks = _tracks(outputs, message)
    told = [
        (dict(zip(columns, row, strict=True)), tracks.get(index, ""))
        for index, row in enumerate(rows)
    ]
    placed = [item for item in told if np.isfinite([item[0][key] for key in _PLACE]).all()]
    cdr = CdrWriter()
    cdr.header(stamp_ns, frame_id)
    cdr.number("I", len(placed))
    for found, track in placed:
        _detection(cdr, found, _label(labels, found["label"]), track, (stamp_ns, frame_id))
    return cdr.data()


_PLACE = ("x_m", "y_m", "z_m")
_UPRIGHT = (0.0, 0.0, 0.0, 1.0)


def _detection(
    cdr: CdrWriter, found: Mapping[str, float], label: str, track: str, header: tuple[int, str]
) -> None:
    place = [float(found[key]) for key in _PLACE]
    cdr.header(*header)
    cdr.number("I", 1)
    cdr.text(label)
    cdr.floats([float(found["score"])])
    cdr.floats([*place, *_UPRIGHT])
    cdr.floats([0.0] * 36)
    cdr.floats([*place, *_UPRIGHT])
    cdr.floats([0.0] * 3)
    cdr.text(track)


def _tracks(outputs: Mapping[str, Any], message: Message) -> dict[int, str]:
    """Return row of an object -> number of its track."""
    for entry in outputs.values():
        columns = list(entry.get("columns") or ())
        if "track" in columns and "object" in columns:
            rows = message.array(entry["buffer"])
            at, who = columns.index("object"), columns.index("track")
            return {int(row[at]): str(int(row[who])) for row in rows if row[at] >= 0}
    return {}


def _label(labels: list[str], number: float) -> str:
    index = int(number) if np.isfinite(number) else -1
    return labels[index] if 0 <= index < len(labels) else str(index)
