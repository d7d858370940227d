"""The rig: where each sensor sits and how each camera projects.

A rig document has `frames`, each with its pose in its parent frame, and `cameras`, each with its
intrinsics. It comes from a file, stands in the graph, or is given by a node that reads recordings
(`rig_of`); `merged_rig` puts them together. Lengths in metres, pixels in pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from tectum.errors import ConfigError
from tectum.node.base import NodeConfig
from tectum_launch.document import Document, read_document
from tectum_launch.findings import GraphError, KeyPath
from tectum_launch.schema import Name
from tectum_launch.validation import validated

__all__ = ["CameraConfig", "FrameConfig", "RigConfig", "graph_rig", "merged_rig"]

Row3 = Annotated[tuple[float, ...], Field(min_length=3, max_length=3)]
Row4 = Annotated[tuple[float, ...], Field(min_length=4, max_length=4)]
Matrix3 = Annotated[tuple[Row3, ...], Field(min_length=3, max_length=3)]
Projection = Annotated[tuple[Row4, ...], Field(min_length=3, max_length=3)]
Matrix4 = Annotated[tuple[Row4, ...], Field(min_length=4, max_length=4)]


class FrameConfig(NodeConfig):
    """The pose of a coordinate frame in its parent: x_parent = matrix * x_frame."""

    parent: str
    """Name of the parent frame."""
    matrix: Matrix4 | None = None
    """Homogeneous transform; or give `translation` and `rotation`."""
    translation: Row3 | None = None
    """x, y, z in metres."""
    rotation: Row4 | None = None
    """Unit quaternion x, y, z, w; default: no rotation."""

    @model_validator(mode="after")
    def _one_form(self) -> FrameConfig:
        if (self.matrix is None) == (self.translation is None):
            msg = "a frame takes `matrix` (4 x 4), or `translation` with `rotation`"
            raise ValueError(msg)
        length = math.hypot(*(self.rotation or (1.0,)))
        if abs(length - 1.0) > 1e-3:
            msg = f"a rotation is a unit quaternion x, y, z, w; this one has length {length:.4f}"
            raise ValueError(msg)
        return self

    def rows(self) -> list[list[float]]:
        """Return the 4 x 4 transform from this frame to its parent."""
        if self.matrix is not None:
            return [list(row) for row in self.matrix]
        x, y, z, w = self.rotation or (0.0, 0.0, 0.0, 1.0)
        t = self.translation or (0.0, 0.0, 0.0)
        return [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w), t[0]],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w), t[1]],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y), t[2]],
            [0.0, 0.0, 0.0, 1.0],
        ]


class CameraConfig(NodeConfig):
    """How a camera projects: pinhole with the distortion of OpenCV."""

    frame: str = ""
    """Its optical frame (x right, y down, z forward); default: the camera's name."""
    width: Annotated[int, Field(gt=0)]
    """Pixels."""
    height: Annotated[int, Field(gt=0)]
    """Pixels."""
    matrix: Matrix3 | None = None
    """Intrinsics K, 3 x 3."""
    projection: Projection | None = None
    """Instead of K, for rectified images: 3 x 4, from the camera's frame to pixels."""
    distortion: tuple[float, ...] = ()
    """k1, k2, p1, p2, k3 ... in OpenCV's order; default: none."""

    @model_validator(mode="after")
    def _one_form(self) -> CameraConfig:
        if (self.matrix is None) == (self.projection is None):
            msg = "a camera takes `matrix` (3 x 3), or `projection` (3 x 4)"
            raise ValueError(msg)
        return self

    def document(self, name: str) -> dict[str, Any]:
        """Return the camera called `name` as plain data."""
        return {**self.model_dump(mode="json", exclude_none=True), "frame": self.frame or name}


class RigConfig(NodeConfig):
    """All frames and cameras of a graph."""

    frames: dict[Name, FrameConfig] = Field(default_factory=dict)
    """Frame name -> its pose in its parent."""
    cameras: dict[Name, CameraConfig] = Field(default_factory=dict)
    """Camera name -> its intrinsics."""

    def document(self) -> dict[str, Any]:
        """Return the rig as plain data, every pose as a 4 x 4 matrix."""
        frames = {
            name: {"parent": frame.parent, "matrix": frame.rows()}
            for name, frame in self.frames.items()
        }
        cameras = {name: camera.document(name) for name, camera in self.cameras.items()}
        return {"frames": frames, "cameras": cameras}


def graph_rig(document: Document, path: KeyPath, value: Any) -> dict[str, Any] | None:
    """Return the rig that `rig:` names or holds; errors of its file join the graph's findings."""
    source, where = document, path
    if isinstance(value, str):
        try:
            file = document.folder_at(path) / Path(value).expanduser()
            source, where = read_document(file), ()
        except GraphError as error:
            document.findings += error.findings
            return None
        except ConfigError as error:
            document.report(path, f"{error}", value=value)
            return None
        value = source.tree
    rig = validated(source, where, RigConfig, value)
    if source is not document:
        document.findings += source.findings
    return None if rig is None else rig.document()


def merged_rig(rigs: Iterable[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    """Return all `rigs` as one; the first that names a frame or camera holds."""
    merged: dict[str, Any] = {"frames": {}, "cameras": {}}
    for rig in rigs:
        for part, entries in (rig or {}).items():
            merged[part] = {**entries, **merged.get(part, {})}
    return merged if any(merged.values()) else None
