"""A recording in place of sensors: for which nodes it stands in, and what is said when for none."""

from pathlib import Path

import numpy as np
import pytest

from tectum.errors import ConfigError
from tectum.message import Kind
from tectum.recording.writer import LogWriter
from tectum.testing.arrivals import START_NS
from tectum.testing.messages import make_message
from tectum_launch.compile import load_graph
from tectum_launch.replaced import Recording

GRAPH = """\
graph: small
budget: 100ms
nodes:
  camera: {run: plain_nodes:Camera, rate: "${no_such_variable}"}
  lidar: {run: plain_nodes:Lidar}
  microphone: {run: plain_nodes:Microphone}
  perception:
    run: fusion
    trigger: lidar
    inputs:
      camera: {topic: camera/image}
      lidar: {topic: lidar/points}
      sound: {topic: microphone/audio}
    head: {late: product}
  recorder: {run: plain_nodes:Listener}
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.mcap"
    with LogWriter(path) as writer:
        for seq in range(5):
            stamp_ns = START_NS + seq * 100_000_000
            image = np.zeros((4, 6, 3), np.uint8)
            writer.write(
                make_message("camera/image", Kind.IMAGE, image, encoding="bgr8",
                             seq=seq, stamp_ns=stamp_ns),
                stamp_ns,
            )  # fmt: skip
            cloud = np.zeros((3, 3), np.float32)
            writer.write(
                make_message("lidar/points", Kind.POINTS, cloud, names=["x", "y", "z"],
                             seq=seq, stamp_ns=stamp_ns),
                stamp_ns,
            )  # fmt: skip
    return path


def load(path, option):
    return load_graph(str(path), replay=Recording.parse(option), cores=2)


def test_one_player_stands_in_for_every_sensor_that_the_log_has(write_graph, log):
    graph = load(write_graph(GRAPH), str(log))
    assert [node.name for node in graph.nodes] == ["microphone", "perception", "recorder", "player"]
    player = graph.nodes[-1]
    assert player.config["topics"] == ["camera/image", "lidar/points"]
    assert [topic.name for topic in player.publishes] == ["camera/image", "lidar/points"]
    topics = {topic.name: topic.node for topic in graph.topics}
    assert topics["camera/image"] == topics["lidar/points"] == "player"
    assert topics["microphone/audio"] == "microphone"


def test_only_the_topics_that_are_named_are_played(write_graph, log):
    text = GRAPH.replace('"${no_such_variable}"', "5Hz")
    graph = load(write_graph(text), f"{log}:lidar/points")
    assert graph.nodes[-1].config["topics"] == ["lidar/points"]
    assert "camera" in [node.name for node in graph.nodes]


def test_the_recorded_pace_is_that_of_the_plan(write_graph, log):
    plan = load(write_graph(GRAPH), str(log)).nodes[1].fusion.plan
    assert plan.input("lidar").period_ns == 100_000_000


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("nowhere.mcap", "--replay nowhere.mcap: there is no file nowhere.mcap"),
        ("{log}:radar/points", "{log} has no topic 'radar/points'; it has camera/image, lidar/po"),
    ],
)
def test_a_recording_that_lacks_what_is_named_is_refused(write_graph, log, option, message):
    with pytest.raises(ConfigError) as caught:
        load(write_graph(GRAPH), option.format(log=log))
    assert str(caught.value).startswith(message.format(log=log))


def test_a_recording_that_can_stand_in_for_nobody_is_refused(write_graph, log):
    text = "graph: g\nnodes:\n  microphone: {run: plain_nodes:Microphone}\n"
    with pytest.raises(ConfigError) as caught:
        load(write_graph(text), str(log))
    assert str(caught.value) == (
        f"{log}, which has camera/image, lidar/points, can stand in for no node of the graph, "
        "whose sensors publish microphone/audio"
    )
