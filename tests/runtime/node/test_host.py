"""Nodes are made from their record in `run.json`, or refused with the key and the value."""

import pytest

from tectum.errors import ConfigError
from tectum.node.host import load_node
from tectum.testing.nodes import Metronome


def record(config, path="tectum.testing.nodes:Metronome"):
    return {"class": path, "config": config}


def test_a_record_becomes_a_node_with_its_configuration():
    node = load_node("drum", record({"rate": "30Hz", "count": 3}))
    assert type(node) is Metronome
    assert (node.config.rate, node.config.count) == (30.0, 3)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (record({"rate": "100"}), r"^nodes\.drum\.rate: .* \(found '100'\)$"),
        (record({"rat": "1Hz"}), r"^nodes\.drum\.rat: Extra inputs .* \(found '1Hz'\)$"),
        (record({"rate": 1, "count": "x"}), r"^nodes\.drum\.rate: .*; nodes\.drum\.count: "),
        (
            record({}, "tectum.nowhere:X"),
            r"nodes\.drum\.run: tectum\.nowhere:X cannot be loaded: No",
        ),
        (record({}, "tectum.clock:Watch"), r"nodes\.drum\.run: .* has no attribute 'Watch'"),
        (
            record({}, "tectum.clock:GraphClock"),
            r"GraphClock is not a subclass of tectum\.node\.ba",
        ),
        (record({}, "tectum.clock:NS_PER_S"), r"NS_PER_S is not a subclass of tectum\.node\.base"),
        (record({}, "tectum.clock"), r"nodes\.drum\.run: tectum\.clock cannot be loaded: "),
    ],
)
def test_a_record_that_makes_no_node_is_named(broken, message):
    with pytest.raises(ConfigError, match=message):
        load_node("drum", broken)
