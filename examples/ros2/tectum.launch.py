"""Starts a Tectum graph with the rest of a robot: `ros2 launch ./tectum.launch.py`.

Tectum has a Python of its own; where it is not on the path: `tectum:=/opt/tectum/bin/tectum`.
"""
# ruff: noqa: TID251 - this `launch` is ROS's own

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, ThisLaunchFileDir


def generate_launch_description():
    """Return what is started: one process, which starts and supervises the graph's nodes."""
    graph = PathJoinSubstitution([ThisLaunchFileDir(), "graph.yaml"])
    return LaunchDescription(
        [
            DeclareLaunchArgument("tectum", default_value="tectum"),
            DeclareLaunchArgument("graph", default_value=graph),
            ExecuteProcess(
                cmd=[LaunchConfiguration("tectum"), "launch", LaunchConfiguration("graph")],
                name="tectum",
                output="screen",
                sigterm_timeout="5",  # a graph stops within two seconds of Ctrl-C
            ),
        ]
    )
