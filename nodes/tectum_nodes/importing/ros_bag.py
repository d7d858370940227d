"""ROS 2 bags, sqlite3 and MCAP, without ROS: pictures, clouds, IMU, poses, texts, Velodyne packets.

A bag is a folder with `metadata.yaml`, or one of its files. Calibrations (`CameraInfo`) and fixed
transforms (`/tf_static`) become the rig; pictures of a topic with `rect` in its name are rectified,
so that their camera has the projection P and no distortion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from tectum.errors import DataError
from tectum.message import Kind
from tectum.node.base import Capture, NodeConfig
from tectum_nodes.importing.base import Item, Source, Stream
from tectum_nodes.importing.ros_files import BagFile, BagTopic, Row, opened_bag_file
from tectum_nodes.importing.ros_rig import CAMERA_INFO, STATIC_TRANSFORMS, TRANSFORMS, ros_rig
from tectum_nodes.importing.ros_scans import VELODYNE_SCAN, VelodyneScans
from tectum_nodes.ros2.reading import READERS, read_message
from tectum_nodes.yaml_file import read_yaml

__all__ = ["RosBag", "RosBagConfig"]

_METADATA = "metadata.yaml"
_RIG_TYPES = (CAMERA_INFO, TRANSFORMS)


class RosBagConfig(NodeConfig):
    """How raw lidar packets of a bag are made into sweeps."""

    phase: Annotated[float, Field(ge=0, lt=360)] = 0.0
    """Azimuth in degrees at which a Velodyne's sweep begins."""


class RosBag(Source):
    """A ROS 2 bag."""

    title = "a ROS 2 bag (sqlite3 or MCAP): its folder or a file of it"
    Config: ClassVar[type[NodeConfig]] = RosBagConfig
    config: RosBagConfig

    def __init__(self, path: Path, config: Any) -> None:
        """Find the files of the bag.

        Raises:
            DataError: its metadata or a file is missing or wrong.
        """
        super().__init__(path, config)
        self._files = _bag_files(path)

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether it is a folder with metadata of rosbag2, or a file of a bag."""
        if path.is_dir():
            return (path / _METADATA).is_file()
        name = path.name.removesuffix(".zstd")
        return name.endswith((".db3", ".mcap"))

    def streams(self) -> tuple[Stream, ...]:
        """Return the topics; those of a rig are not messages, but are taken all the same."""
        return tuple(
            _stream(name, topic) for name, topic in self._topics.items() if name not in self._rigs
        )

    def items(self, wanted: frozenset[str]) -> Iterator[Item]:
        """Yield the messages of the topics, and the sweeps of packets."""
        scans = {
            name: VelodyneScans(name, self.config.phase)
            for name in sorted(wanted)
            if self._topics[name].type == VELODYNE_SCAN
        }
        for row in self._rows(wanted):
            if row.topic not in wanted:  # a definition further on in the file is damaged
                self.troubles[f"{row.topic}: what this is, the file does not say"] += 1
                continue
            try:
                if row.topic in scans:
                    yield from scans[row.topic].message(row.data)
                else:
                    yield _item(row, self._topics[row.topic].type)
            except DataError as error:
                self.troubles[f"{row.topic}: {error}"] += 1
        for scan in scans.values():
            yield from scan.end(self.troubles)

    def rig(self) -> Mapping[str, Any] | None:
        """Return cameras and frames of the bag's calibrations and fixed transforms."""
        if not self._rigs:
            return None
        rows = ((row, self._topics[row.topic].type) for row in self._rows(self._rigs))
        return ros_rig(rows, list(self._topics), self.troubles)

    @cached_property
    def _topics(self) -> dict[str, BagTopic]:
        found: dict[str, BagTopic] = {}
        for file in self._files:
            for name, topic in file.topics().items():
                before = found.get(name, BagTopic(topic.type, 0)).messages
                unknown = before is None or topic.messages is None
                total = None if unknown else (before or 0) + (topic.messages or 0)
                found[name] = BagTopic(topic.type, total)
        return found

    @property
    def _rigs(self) -> frozenset[str]:
        return frozenset(
            name
            for name, topic in self._topics.items()
            if topic.type == CAMERA_INFO or name == STATIC_TRANSFORMS
        )

    def _rows(self, topics: frozenset[str]) -> Iterator[Row]:
        troubles: Counter[str] = Counter()
        for file in self._files:
            yield from file.rows(topics, troubles)
        for text, count in troubles.items():
            self.troubles[text] = max(count, self.troubles[text])  # a file may be read twice


def _stream(name: str, topic: BagTopic) -> Stream:
    kind = Kind.POINTS if topic.type == VELODYNE_SCAN else None
    if topic.type in READERS:
        kind = READERS[topic.type].kind
    return Stream(name, kind, topic.type or "messages of an unknown type", topic.messages)


def _item(row: Row, type_name: str) -> Item:
    found = read_message(type_name, row.data)
    stamp_ns = found.stamp_ns or row.time_ns
    kind = READERS[type_name].kind
    capture = Capture(
        row.topic, kind, found.arrays, stamp_ns, frame_id=found.frame_id, fields=found.fields
    )
    return Item(row.time_ns, capture)


def _bag_files(path: Path) -> list[BagFile]:
    if not path.is_dir():
        return [opened_bag_file(path)]
    metadata = _metadata(path / _METADATA)
    mode = str(metadata.get("compression_mode") or "").upper()
    names = metadata.get("relative_file_paths")
    if not isinstance(names, list) or not names:
        msg = f"{path / _METADATA} names no files under relative_file_paths"
        raise DataError(msg)
    return [
        opened_bag_file(path / Path(str(name)).name, packed_messages=mode == "MESSAGE")
        for name in names
    ]


def _metadata(path: Path) -> Mapping[str, Any]:
    found = read_yaml(path)
    about = found.get("rosbag2_bagfile_information") if isinstance(found, Mapping) else None
    if not isinstance(about, Mapping):
        msg = f"{path} is not the metadata of a ROS 2 bag: it lacks rosbag2_bagfile_information"
        raise DataError(msg)
    return about
