"""Which class a `run:` names: a registered name, or `package.module:Class`.

Names come from the table here and from the entry point group `tectum.nodes` of installed
packages. Listing names imports nothing; a class is imported when a graph uses it.
"""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points

from tectum.errors import ConfigError, TectumError
from tectum.node.base import Node
from tectum_launch.findings import allowed_names

__all__ = ["GROUP", "SHIPPED", "load_class", "load_node", "registered", "target_of"]

GROUP = "tectum.nodes"

SHIPPED = {
    "camera": "tectum_nodes.camera:CameraNode",
    "console": "tectum_nodes.console:ConsoleNode",
    "dashboard": "tectum_nodes.dashboard.node:DashboardNode",
    "fusion": "tectum_nodes.fusion:FusionNode",
    "kitti_camera": "tectum_nodes.kitti:KittiCamera",
    "kitti_lidar": "tectum_nodes.kitti:KittiLidar",
    "log": "tectum_nodes.log_player:LogPlayer",
    "microphone": "tectum_nodes.microphone:MicrophoneNode",
    "ouster": "tectum_nodes.ouster:OusterNode",
    "pictures": "tectum_nodes.pictures:PicturesNode",
    "program": "tectum_nodes.program:ProgramNode",
    "recorder": "tectum_nodes.recorder:RecorderNode",
    "ros2": "tectum_nodes.ros2.bridge:Ros2Bridge",
    "sink": "tectum_nodes.sink:SinkNode",
    "simulated_camera": "tectum_nodes.simulated_camera:SimulatedCamera",
    "simulated_lidar": "tectum_nodes.simulated_lidar:SimulatedLidar",
    "simulated_microphone": "tectum_nodes.simulated_microphone:SimulatedMicrophone",
    "simulated_truth": "tectum_nodes.simulated_truth:SimulatedTruth",
    "tensor": "tectum_nodes.tensor:TensorNode",
    "velodyne": "tectum_nodes.velodyne:VelodyneNode",
    "video": "tectum_nodes.video:VideoReader",
}
"""The nodes that come with Tectum."""


def registered() -> dict[str, str]:
    """Return every registered name and its `package.module:Class`, sorted by name."""
    others = {point.name: point.value for point in entry_points(group=GROUP)}
    return dict(sorted({**others, **SHIPPED}.items()))


def target_of(run: str) -> str:
    """Return the `package.module:Class` that `run` names.

    Raises:
        ConfigError: `run` is neither registered nor of that form.
    """
    if ":" in run:
        return run
    names = registered()
    if run not in names:
        msg = f"no node is called {run!r}{allowed_names(run, names)}"
        raise ConfigError(msg)
    return names[run]


def load_node(run: str) -> type[Node]:
    """Return the node class that `run` names.

    Raises:
        ConfigError: it is not known, cannot be imported, or is not a `tectum.node.base.Node`.
    """
    target = target_of(run)
    found = load_class(target)
    if not issubclass(found, Node):
        msg = f"{target} is not a node: it must be a subclass of tectum.node.base.Node"
        raise ConfigError(msg)
    return found


def load_class(target: str) -> type:
    """Return the class at `package.module:Class`.

    Raises:
        ConfigError: it cannot be imported, or is not a class.
    """
    module_name, _, name = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except TectumError as error:
        msg = f"{module_name} cannot be used here: {error}"
        raise ConfigError(msg) from error
    except ImportError as error:
        msg = f"{module_name} cannot be imported: {error}"
        raise ConfigError(msg) from error
    except Exception as error:
        msg = f"{module_name} cannot be imported: {type(error).__name__}: {error}"
        raise ConfigError(msg) from error
    found = getattr(module, name, None)
    if isinstance(found, type):
        return found
    classes = [
        key
        for key, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module_name
    ]
    msg = f"{module_name} has no class {name!r}{allowed_names(name, classes)}"
    raise ConfigError(msg)
