"""A bridge closes no circle: what is made of what it says may go out through it again."""

from __future__ import annotations

import pytest

from tectum.message import Kind
from tectum_launch.compile import load_graph
from tectum_launch.findings import GraphError

BRIDGED = """\
graph: robot
budget: 100ms
nodes:
  ros:
    run: ros2
    from_ros:
      lidar: {topic: /points, type: PointCloud2, rate: 10Hz}
    to_ros:
      /tectum: {topic: perception/result}
  perception:
    run: fusion
    trigger: lidar
    inputs: {lidar: {topic: ros/lidar, encoder: driving/lidar}}
    head: {late: mean}
"""


def test_results_go_out_through_the_bridge_that_brought_the_inputs(tmp_path):
    path = tmp_path / "graph.yaml"
    path.write_text(BRIDGED)
    graph = load_graph(str(path))
    topics = {topic.name: topic for topic in graph.topics}
    assert (topics["ros/lidar"].kind, topics["ros/lidar"].period_ns) == (Kind.POINTS, 100_000_000)
    assert topics["perception/result"].node == "perception"


def test_a_topic_that_goes_to_ros_must_be_there(tmp_path):
    path = tmp_path / "graph.yaml"
    path.write_text(BRIDGED.replace("perception/result", "perception/results"))
    with pytest.raises(GraphError) as caught:
        load_graph(str(path))
    text = str(caught.value)
    assert "graph.yaml:9:24: nodes.ros.to_ros./tectum.topic: no node publishes" in text
    assert text.endswith("did you mean 'perception/result'?")
