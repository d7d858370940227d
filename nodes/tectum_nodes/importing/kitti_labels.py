"""The labels of a KITTI object folder (`label_2/000000.txt`), as its development kit has them.

A line is: type, truncation, occlusion, alpha, box (4, pixels), height width length (m), x y z of
the middle of its bottom in the frame of the rectified camera 0 (m), turn about that frame's y axis.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tectum.errors import DataError

__all__ = ["LABELS", "OBJECT_COLUMNS", "Labels", "labels_in"]

LABELS = ("Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc")
OBJECT_COLUMNS = ("x", "y", "z", "length", "width", "height", "rotation_y", "label")
"""Metres, radians; x y z is the middle of the bottom, in the camera's frame; `label` an index."""


class Labels(NamedTuple):
    """The objects of one frame; regions that nobody labelled (`DontCare`) are left out."""

    boxes: NDArray[np.float32]
    """(n, 4): x1 y1 x2 y2 in pixels."""
    label: NDArray[np.int32]
    """(n,)"""
    objects: NDArray[np.float32]
    """(n, 8): see `OBJECT_COLUMNS`."""


def labels_in(file: Path, shift: NDArray[np.float64]) -> Labels:
    """Return the labels of a file; `shift` goes from camera 0 to the camera of the pictures.

    Raises:
        DataError: a line is not a label.
    """
    boxes, label, objects = [], [], []
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, 1):
        name, *rest = line.split() or ["DontCare"]
        if name == "DontCare":
            continue
        try:
            values = [float(text) for text in rest[:14]]
            index = LABELS.index(name)
            height, width, length, x, y, z, turn = values[7:14]
        except ValueError:
            known = ", ".join(LABELS)
            msg = f"{file}:{number} is not a label of KITTI (one of {known}, then 14 numbers)"
            raise DataError(msg) from None
        boxes.append(values[3:7])
        label.append(index)
        place = np.array([x, y, z]) + shift
        objects.append([*place, length, width, height, turn, index])
    return Labels(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(label, np.int32),
        np.array(objects, np.float32).reshape(-1, len(OBJECT_COLUMNS)),
    )
