"""Patterns of topics against the topics of a run."""

import pytest

from tectum.errors import ConfigError
from tectum.transport.topics import resolve, topic_name

TOPICS = {
    "camera/image": {"node": "camera", "kind": "image"},
    "camera/calibration": {"node": "camera", "kind": "tensor"},
    "lidar/points": {"node": "lidar", "kind": "points"},
    "fusion.2/result": {"node": "fusion.2", "kind": "result"},
    "fusion.2/warning": {"node": "fusion.2", "kind": "result"},
    "fusion.2/health": {"node": "fusion.2", "kind": "health"},
}
ANSWERS = ("fusion.2/result", "fusion.2/warning")


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["camera/image"], ("camera/image",)),
        (["camera/*"], ("camera/image", "camera/calibration")),
        (["*/points", "camera/image"], ("camera/image", "lidar/points")),
        (["*"], tuple(TOPICS)),
        (["*", "camera/image", "*"], tuple(TOPICS)),
        (["nothing/*"], ()),
        (["fusionX2/*"], ()),
        (["fusion.2/*"], (*ANSWERS, "fusion.2/health")),
        (["*:result"], ANSWERS),
        (["fusion.2/*:result", "*:image"], ("camera/image", *ANSWERS)),
        (["camera/*:result"], ()),
        (["camera/*:pictures"], ()),
        (["camera/@health", "lidar/points"], ("lidar/points", "camera/@health")),
        ([], ()),
    ],
)
def test_patterns_give_topics_in_the_order_of_the_run(patterns, expected):
    assert resolve(patterns, TOPICS) == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("camera/imag", "no node publishes 'camera/imag'; did you mean 'camera/image'?"),
        ("radar/@health", "no node publishes 'radar/@health'"),
    ],
)
def test_a_name_that_nobody_publishes_is_refused(name, message):
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        resolve([name], TOPICS)


def test_a_node_that_no_topic_is_named_after_has_housekeeping_topics_too():
    assert resolve(["player/@statement"], TOPICS, ["player"]) == ("player/@statement",)


def test_an_output_that_is_a_whole_topic_keeps_its_name():
    assert topic_name("camera", "image") == "camera/image"
    assert topic_name("player", "camera/image") == "camera/image"
