"""docs/ros2.md and examples/ros2 say what the bridge really is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tectum_launch.compile import load_graph
from tectum_launch.reference import node_reference
from tectum_nodes.ros2.config import FromRos, Quality, ToRos
from tectum_nodes.ros2.reading import READERS
from tectum_nodes.ros2.writing import WRITERS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "ros2.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "examples" / "ros2"


def test_the_page_names_every_key_of_the_node_as_it_is() -> None:
    section = PAGE.partition("## Keys\n")[2]
    table = [line for line in section.splitlines() if line.startswith("| ")]
    rows = node_reference("ros2").rows()
    assert table[2 : 2 + len(rows)] == rows


@pytest.mark.parametrize("config", [FromRos, ToRos, Quality])
def test_the_page_names_every_key_of_a_topic(config: type[FromRos]) -> None:
    for name in config.model_fields:
        assert re.search(rf"`{name}`|\b{name}: ", PAGE), name


def test_the_page_names_every_type() -> None:
    for name in {*READERS, *WRITERS}:
        assert f"`{name.rpartition('/')[2]}`" in PAGE


def test_the_example_graph_is_right() -> None:
    graph = load_graph(str(EXAMPLE / "graph.yaml"))
    assert {topic.name for topic in graph.topics} >= {"ros/camera", "ros/lidar", "ros/imu"}


def test_the_launch_file_starts_the_graph_beside_it() -> None:
    tree = ast.parse((EXAMPLE / "tectum.launch.py").read_text(encoding="utf-8"))
    made = [item.name for item in tree.body if isinstance(item, ast.FunctionDef)]
    text = ast.unparse(tree)
    assert made == ["generate_launch_description"]
    assert "'launch', LaunchConfiguration('graph')" in text
    assert "'graph.yaml'" in text
