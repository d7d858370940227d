"""The index of an MMDetection3D summary: one JSON file with `metainfo` and `data_list`.

Its times are seconds in float64, which hold the data set's microseconds exactly. Pictures and scans
lie beside the file, or under `samples/CHANNEL/` of its folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tectum.errors import DataError
from tectum.recording.rig import quaternion
from tectum_nodes.importing.nuscenes_index import OBJECT_COLUMNS, Index, Objects, Shot
from tectum_nodes.picture_file import picture_size

__all__ = ["is_summary", "summary_index"]

_LIDAR = "LIDAR_TOP"


def is_summary(path: Path) -> bool:
    """Return whether a JSON file begins like a summary of nuScenes."""
    with path.open(encoding="utf-8", errors="replace") as file:
        head = file.read(4096)
    return '"metainfo"' in head and '"nuscenes"' in head


def summary_index(path: Path) -> Index:
    """Return the index that a summary gives.

    Raises:
        DataError: it is not JSON, or lacks what is needed.
    """
    index = Index()
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        labels = _labels(document["metainfo"].get("categories", {}))
        for frame in document["data_list"]:
            _take(index, frame, labels, path.parent)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        msg = f"{path} is not a summary of nuScenes that can be read: {error!r}"
        raise DataError(msg) from error
    index.shots.sort(key=lambda shot: shot.time_ns)
    return index


def _take(index: Index, frame: Mapping[str, Any], labels: tuple[str, ...], folder: Path) -> None:
    stamp_ns = _time_ns(frame["timestamp"])
    index.poses.append((stamp_ns, _pose(_matrix(frame["ego2global"]))))
    for channel, image in frame["images"].items():
        file = _found(folder, channel, image["img_path"])
        index.shots.append(Shot(channel, _time_ns(image["timestamp"]), file))
        index.place(channel, _matrix(image["cam2ego"]))
        if file.is_file() and not index.is_calibrated(channel):
            index.calibrate(channel, image["cam2img"], picture_size(file))
    lidar = frame["lidar_points"]
    file = _found(folder, _LIDAR, lidar["lidar_path"])
    index.shots.append(Shot(_LIDAR, stamp_ns, file))
    index.place(_LIDAR, _matrix(lidar["lidar2ego"]))
    if "instances" in frame:
        rows = [[*item["bbox_3d"][:7], item["bbox_label_3d"]] for item in frame["instances"]]
        objects = np.array(rows, np.float32).reshape(-1, len(OBJECT_COLUMNS))
        index.labels.append(Objects(stamp_ns, "lidar", labels, objects))


def _found(folder: Path, channel: str, name: str) -> Path:
    places = (folder / name, folder / "samples" / channel / name)
    return next((place for place in places if place.is_file()), places[0])


def _labels(categories: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(sorted(categories, key=lambda name: categories[name]))


def _time_ns(seconds: float) -> int:
    return round(seconds * 1e6) * 1000


def _matrix(rows: Any) -> NDArray[np.float64]:
    return np.array(rows, np.float64).reshape(4, 4)


def _pose(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([*matrix[:3, 3], *quaternion(matrix[:3, :3])])
