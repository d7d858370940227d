"""nuScenes: six cameras and a lidar with their own stamps, the rig, the vehicle's pose, labels.

Read are the data set itself (the tables of `v1.0-*`, a scene at a time) and the one-file summaries
that MMDetection3D makes of it; what lies where in each is told by an index (`nuscenes_tables`,
`nuscenes_summary`). A picture is stamped when its exposure was triggered. The data set stamps a
lidar scan when its turn ends: here its stamp is the begin of that turn, 50 ms earlier, and its span
ends at the data set's time. Frames are called as the nodes: `cam_front`, `lidar`; their parent is
`ego`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tectum.clock import NS_PER_MS
from tectum.errors import DataError
from tectum.message import Kind
from tectum.node.base import Capture, NodeConfig
from tectum_nodes.importing.base import Item, Source, Stream
from tectum_nodes.importing.nuscenes_index import Shot, node_of
from tectum_nodes.importing.nuscenes_summary import is_summary, summary_index
from tectum_nodes.importing.nuscenes_tables import tables_folder, tables_index

__all__ = ["NuScenes", "NuScenesConfig"]

_TURN_NS = 50 * NS_PER_MS
"""The lidar turns 20 times a second."""
_FIELDS = ("x", "y", "z", "intensity", "ring")


class NuScenesConfig(NodeConfig):
    """What of the data set is taken."""

    scene: str = ""
    """Name of a scene (scene-0061); default: the first."""
    sweeps: bool = False
    """Take what lies between the keyframes too."""


class NuScenes(Source):
    """A scene of nuScenes."""

    title = "nuScenes (the data set's folder, or a summary in JSON)"
    Config: ClassVar[type[NodeConfig]] = NuScenesConfig
    config: NuScenesConfig

    def __init__(self, path: Path, config: Any) -> None:
        """Read the index.

        Raises:
            DataError: a table or file is missing or wrong, or there is no such scene.
        """
        super().__init__(path, config)
        summary = _summary(path)
        if summary is not None:
            self._index = summary_index(summary)
        else:
            folder = tables_folder(path)
            if folder is None:
                msg = f"{path} has neither the tables of nuScenes (v1.0-*) nor a summary in JSON"
                raise DataError(msg)
            self._index = tables_index(folder, config.scene, sweeps=config.sweeps)
        self.troubles.update(self._index.troubles)

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether it has tables or a summary of nuScenes."""
        return _summary(path) is not None or tables_folder(path) is not None

    def streams(self) -> tuple[Stream, ...]:
        """Return the sensors, the vehicle's pose and the labels."""
        index = self._index
        streams = [
            _sensor(channel, [shot for shot in index.shots if shot.channel == channel])
            for channel in dict.fromkeys(shot.channel for shot in index.shots)
        ]
        if index.poses:
            streams.append(
                Stream("ego_pose", Kind.POSE, "the vehicle's pose", len(index.poses), "ego/pose")
            )
        if index.labels:
            count = len(index.labels)
            streams.append(
                Stream("labels", Kind.TENSOR, "labelled objects", count, "labels/objects")
            )
        return tuple(streams)

    def items(self, wanted: frozenset[str]) -> Iterator[Item]:
        """Yield shots, poses and labels in the order of time; missing files are counted."""
        said = [*self._shots(wanted)]
        if "ego_pose" in wanted:
            said += [(stamp_ns, _pose(stamp_ns, pose)) for stamp_ns, pose in self._index.poses]
        if "labels" in wanted:
            said += [(found.stamp_ns, found.capture("labels")) for found in self._index.labels]
        for arrived_ns, what in sorted(said, key=lambda pair: pair[0]):
            try:
                capture = _loaded(what) if isinstance(what, Shot) else what
            except (DataError, OSError) as error:
                self.troubles[str(error)] += 1
                continue
            yield Item(arrived_ns, capture)

    def rig(self) -> Mapping[str, Any] | None:
        """Return the calibration of the scene's sensors."""
        return self._index.rig

    def _shots(self, wanted: frozenset[str]) -> Iterator[tuple[int, Shot | Capture]]:
        return ((shot.time_ns, shot) for shot in self._index.shots if shot.channel in wanted)


def _summary(path: Path) -> Path | None:
    """Return the summary that `path` is or holds: the only one of its folder."""
    if path.is_file():
        return path if path.suffix == ".json" and is_summary(path) else None
    found = [file for file in sorted(path.glob("*.json")) if is_summary(file)]
    return found[0] if len(found) == 1 else None


def _sensor(channel: str, shots: list[Shot]) -> Stream:
    if channel.startswith("CAM"):
        return Stream(channel, Kind.IMAGE, "pictures", len(shots), f"{node_of(channel)}/image")
    if channel.startswith("LIDAR"):
        return Stream(channel, Kind.POINTS, "lidar scans", len(shots), f"{node_of(channel)}/points")
    return Stream(channel, None, "radar", len(shots))


def _loaded(shot: Shot) -> Capture:
    node = node_of(shot.channel)
    if shot.channel.startswith("CAM"):
        data = np.fromfile(shot.path, np.uint8)
        if data[:3].tobytes() != b"\xff\xd8\xff":
            msg = f"{shot.path} is not a JPEG picture"
            raise DataError(msg)
        fields = {"encoding": "jpeg"}
        return Capture(
            shot.channel, Kind.IMAGE, (data,), shot.time_ns, frame_id=node, fields=fields
        )
    nbytes = shot.path.stat().st_size
    if nbytes % (4 * len(_FIELDS)):
        msg = f"{shot.path} is not a lidar scan: its {nbytes} bytes are not x y z intensity ring"
        raise DataError(msg)
    points = np.fromfile(shot.path, "<f4").reshape(-1, len(_FIELDS))
    stamp_ns = shot.time_ns - _TURN_NS
    names = {"names": list(_FIELDS)}
    return Capture(
        shot.channel, Kind.POINTS, (points,), stamp_ns, _TURN_NS, frame_id=node, fields=names
    )


def _pose(stamp_ns: int, pose: Any) -> Capture:
    fields = {"child_frame_id": "ego"}
    return Capture("ego_pose", Kind.POSE, (pose,), stamp_ns, frame_id="map", fields=fields)
