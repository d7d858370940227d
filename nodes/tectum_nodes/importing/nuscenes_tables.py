"""The index of the nuScenes data set itself: its tables (`v1.0-*/*.json`), of one scene.

See Caesar et al., "nuScenes: a multimodal dataset for autonomous driving", 2020, and the schema of
its development kit. Quaternions there are w x y z; times are microseconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tectum.errors import DataError, nearest_name
from tectum_nodes.importing.geometry import pose_matrix
from tectum_nodes.importing.nuscenes_index import OBJECT_COLUMNS, Index, Objects, Shot

__all__ = ["tables_folder", "tables_index"]

Row = Mapping[str, Any]


def tables_folder(path: Path) -> Path | None:
    """Return the folder of tables that `path` is or holds; None where there is none, or several."""
    if (path / "sample_data.json").is_file():
        return path
    found = [file.parent for file in sorted(path.glob("v1.0-*/sample_data.json"))]
    return found[0] if len(found) == 1 else None


def tables_index(folder: Path, scene: str, *, sweeps: bool) -> Index:
    """Return the index of a scene (`""`: the first).

    Raises:
        DataError: a table is missing or wrong, or there is no such scene.
    """
    try:
        return _Tables(folder).index(scene, sweeps=sweeps)
    except (KeyError, TypeError, ValueError) as error:
        msg = f"the tables in {folder} are not those of nuScenes: {error!r}"
        raise DataError(msg) from error


class _Tables:
    """The tables, read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def index(self, scene_name: str, *, sweeps: bool) -> Index:
        index = Index()
        scene = self._scene(scene_name, index)
        samples = {
            row["token"]: row
            for row in self._rows("sample")
            if row["scene_token"] == scene["token"]
        }
        placed, poses = self._table("calibrated_sensor"), self._table("ego_pose")
        sensors = self._table("sensor")
        for row in sorted(self._rows("sample_data"), key=lambda row: row["timestamp"]):
            if row["sample_token"] not in samples or not (sweeps or row["is_key_frame"]):
                continue
            calibrated = placed[row["calibrated_sensor_token"]]
            channel = sensors[calibrated["sensor_token"]]["channel"]
            time_ns = row["timestamp"] * 1000
            index.shots.append(Shot(channel, time_ns, self._folder.parent / row["filename"]))
            index.place(channel, _matrix(calibrated))
            if calibrated["camera_intrinsic"]:
                size = (row["width"], row["height"])
                index.calibrate(channel, calibrated["camera_intrinsic"], size)
            if channel == "LIDAR_TOP":
                index.poses.append((time_ns, _pose(poses[row["ego_pose_token"]])))
        index.labels = self._labels(samples)
        return index

    def _scene(self, name: str, index: Index) -> Row:
        scenes = {row["name"]: row for row in self._rows("scene")}
        if name and name not in scenes:
            msg = (
                f"{self._folder} has no scene {name!r}{nearest_name(name, scenes)}; "
                f"it has {', '.join(list(scenes)[:10])}"
            )
            raise DataError(msg)
        if not name and len(scenes) > 1:
            chosen = next(iter(scenes))
            text = f"scenes besides {chosen} are left out: choose one with --set scene=NAME"
            index.troubles[text] = len(scenes) - 1
        return scenes[name or next(iter(scenes))]

    def _labels(self, samples: Mapping[str, Row]) -> list[Objects]:
        """Return the labelled objects on the map, by keyframe."""
        if not (self._folder / "sample_annotation.json").is_file():
            return []
        instances, categories = self._table("instance"), self._table("category")
        names = tuple(sorted({row["name"] for row in categories.values()}))
        rows: dict[str, list[list[float]]] = {token: [] for token in samples}
        for row in self._rows("sample_annotation"):
            if row["sample_token"] in rows:
                category = categories[instances[row["instance_token"]]["category_token"]]
                width, length, height = row["size"]
                ahead = _matrix(row)[:2, 0]
                yaw = float(np.arctan2(ahead[1], ahead[0]))
                numbers = [*row["translation"], length, width, height, yaw]
                rows[row["sample_token"]].append([*numbers, names.index(category["name"])])
        return [
            Objects(
                samples[token]["timestamp"] * 1000,
                "map",
                names,
                np.array(found, np.float32).reshape(-1, len(OBJECT_COLUMNS)),
            )
            for token, found in rows.items()
        ]

    def _table(self, name: str) -> dict[str, Row]:
        return {row["token"]: row for row in self._rows(name)}

    def _rows(self, name: str) -> list[Row]:
        path = self._folder / f"{name}.json"
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            msg = f"the table {path} cannot be read: {error.strerror}"
            raise DataError(msg) from error
        return list(rows)


def _matrix(row: Row) -> NDArray[np.float64]:
    w, x, y, z = row["rotation"]
    return pose_matrix(row["translation"], (x, y, z, w))


def _pose(row: Row) -> NDArray[np.float64]:
    w, x, y, z = row["rotation"]
    return np.array([*row["translation"], x, y, z, w], np.float64)
