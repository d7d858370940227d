"""A graph of a camera, a thermal camera and a microphone, to plant mistakes in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tectum_launch.checks import Machine, check_graph
from tectum_launch.checks.costs import read_costs
from tectum_launch.compile import load_graph

TEXT = """\
graph: proof
budget: 100ms
nodes:
  camera: {run: large_nodes:Eye, rate: 10Hz, nbytes: 6000000}
  thermal: {run: large_nodes:Eye, rate: 10Hz, nbytes: 600000}
  perception:
    run: fusion
    trigger: camera
    inputs:
      camera: {topic: camera/image, encoder: {run: large_nodes:Once}}
      thermal: {topic: thermal/image, align: exact, encoder: {run: large_nodes:Once}}
    head: {late: product}
    lanes: 1
"""
NODES = """
from tectum.message import Kind
from tectum.node.base import NodeConfig, SensorNode
from tectum.node.fields import Rate


class Eye(SensorNode):
    outputs = {"image": Kind.IMAGE}

    class Config(NodeConfig):
        rate: Rate = 10.0
        nbytes: int = 0

    @classmethod
    def period_ns_of(cls, config):
        return {"image": round(1e9 / config.rate)}

    @classmethod
    def nbytes_of(cls, config):
        return {"image": config.nbytes} if config.nbytes else {}

    def captures(self, context):
        yield from ()


class Once:
    variants = ("full",)

    def __init__(self, *, name, inputs):
        pass


class Each(Once):
    on = "sample"
"""


ROOMY = Machine(8)
"""Of which only the cores are known."""


@pytest.fixture
def found(write_graph, tmp_path: Path):
    """Return a function: `key: message` of what is found after replacements in the graph.

    `costs` is the content of a file of costs, `machine` what the graph is to run on.
    """
    (tmp_path / "large_nodes.py").write_text(NODES)

    def of(
        *replacements: tuple[str, str], costs: str = "{}", machine: Machine = ROOMY
    ) -> list[str]:
        text = TEXT
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        graph = load_graph(str(write_graph(text)), cores=8)
        file = tmp_path / "costs.yaml"
        file.write_text(costs)
        findings = check_graph(graph, costs=read_costs(file, graph), machine=machine)
        return [item.text.split(": ", 1)[1] for item in findings]

    return of
