"""What the bridge is told: which topics of ROS 2 come into the graph, which of the graph go out."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from tectum.errors import nearest_name
from tectum.node.base import NodeConfig
from tectum.node.fields import Duration, Rate
from tectum_nodes.ros2.reading import READERS
from tectum_nodes.ros2.writing import WRITERS

__all__ = ["BridgeConfig", "FromRos", "Quality", "ToRos", "full_type"]

RosTopic = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z_/][A-Za-z0-9_/]*$")]
"""A topic of ROS 2 in full: `/camera/image_raw`."""

Output = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")]


def full_type(given: Any, known: Any) -> Any:
    """Return the full name of a type: `Image` is `sensor_msgs/msg/Image`.

    Raises:
        ValueError: it is none of `known`.
    """
    if given in known:
        return given
    for name in known:
        if name.rpartition("/")[2] == given or name.replace("/msg/", "/") == given:
            return name
    shorts = [name.rpartition("/")[2] for name in known]
    hint = nearest_name(str(given), shorts)
    msg = f"{given!r} is no type that the bridge knows; known are {', '.join(shorts)}{hint}"
    raise ValueError(msg)


Heard = Annotated[str, BeforeValidator(lambda given: full_type(given, READERS))]
Said = Annotated[str, BeforeValidator(lambda given: full_type(given, WRITERS))]


class Quality(NodeConfig):
    """Quality of service of a topic of ROS 2."""

    reliability: Literal["best_effort", "reliable"]
    """`reliable` is sent again where it was lost; it does not hear publishers of best effort."""
    durability: Literal["volatile", "transient_local"] = "volatile"
    """`transient_local`: what was said last is given to who comes later."""
    depth: Annotated[int, Field(ge=1, le=1000)] = 5
    """How many messages wait."""


SENSOR_DATA = Quality(reliability="best_effort")
"""As ROS 2's own profile of that name."""
STATIC = Quality(reliability="reliable", durability="transient_local", depth=100)
"""What is said once and kept for who comes later, as /tf_static is."""
RELIABLE = Quality(reliability="reliable", depth=10)


class FromRos(NodeConfig):
    """A topic of ROS 2 that becomes an output of the node."""

    topic: RosTopic
    """Its name in ROS 2."""
    type: Heard
    """Image, CompressedImage, PointCloud2, Imu, PoseStamped, Odometry or String."""
    qos: Quality = SENSOR_DATA
    """Default: best effort, the newest 5."""
    rate: Rate | None = None
    """Expected messages per second; only for what the graph expects."""
    stamp: Literal["header", "arrival"] = "header"
    """Take the stamp of the header to the nanosecond, or when the message arrived. Messages
    whose header has none, or that have no header, have that of their arrival."""
    span: Annotated[Duration, Field(ge=0)] = 0
    """How long a capture takes, which ROS does not say: 100ms for a lidar's sweep at 10 Hz."""
    frame: str = ""
    """Coordinate frame; default: the header's."""
    info: RosTopic | None = None
    """Of a picture: the topic of its CameraInfo, which becomes the output's `calibration`."""


class ToRos(NodeConfig):
    """A topic of the graph that is published in ROS 2."""

    topic: Annotated[str, StringConstraints(pattern=r"^[^/*]+/[^/*]+$")]
    """Its name in the graph: `perception/result`."""
    type: Said | None = None
    """Image, CompressedImage, PointCloud2, Imu, PoseStamped, String (of a result: JSON),
    DiagnosticArray or Detection3DArray; default: what fits the topic's kind."""
    qos: Quality = RELIABLE
    """Default: reliable, which everyone can hear, the newest 10."""
    frame: str = ""
    """Frame of the header; default: the message's own."""


class BridgeConfig(NodeConfig):
    """Which topics are mapped, and whose Python has rclpy."""

    python: Annotated[str, Field(min_length=1)] = "/usr/bin/python3"
    """The Python that has rclpy: the robot's own, 3.8 or newer."""
    setup: tuple[str, ...] = ()
    """Files to source before: [/opt/ros/jazzy/setup.bash]; default: the environment as it is."""
    domain: Annotated[int, Field(ge=0, le=232)] | None = None
    """ROS_DOMAIN_ID; default: that of the environment."""
    from_ros: dict[Output, FromRos] = Field(default_factory=dict)
    """Output of this node -> the topic of ROS 2 that it is."""
    to_ros: dict[RosTopic, ToRos] = Field(default_factory=dict)
    """Topic of ROS 2 -> the topic of the graph that it is."""
    rig: str = ""
    """File in which the rig that ROS says is kept (CameraInfo of every `info`, /tf_static), to be
    named as the graph's `rig`; default: none."""
    clock: Literal["system", "use", "publish"] = "system"
    """`system`: ROS and the graph tell Unix time. `use`: ROS runs on simulated time
    (use_sim_time), which /clock maps to the graph's. `publish`: the graph's time is said on
    /clock, for nodes with use_sim_time."""
    clock_rate: Annotated[Rate, Field(ge=1, le=1000)] = 100.0
    """How often /clock is published."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not self.from_ros and not self.to_ros and self.clock != "publish":
            msg = "a bridge needs `from_ros`, `to_ros` or `clock: publish`: nothing is mapped"
            raise ValueError(msg)
        return self
