"""Costs measured on this machine: every stage of a graph, and the way of a message between nodes.

A way is measured from publishing to the first byte read in another thread, through a real socket
and, for large messages, real shared memory; what a sensor needs before it publishes is not in it.
Numbers are of this machine, with whatever else it does now.
"""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

import numpy as np

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.errors import TectumError
from tectum.inference.measure import Latency, measure
from tectum.message import Kind
from tectum.transport.endpoint import ipc_endpoint
from tectum.transport.pool_file import remove_pools
from tectum.transport.publisher import ZmqPublisher
from tectum.transport.subscriber import ZmqSubscriber
from tectum_launch.checks.costs import Costs, NodeCosts
from tectum_launch.graph import FusionPart, Graph, GraphNode, fusion_config

__all__ = ["measured_costs", "measured_way"]

_SHARE = 0.99
"""A budget is kept when nearly all runs keep it."""
_WAYS = 100
_PACE_NS = 5 * NS_PER_MS
_PATIENCE_NS = 5 * NS_PER_S
_SMALL = 64
"""Bytes of a message of which no size is known."""


def measured_costs(graph: Graph, repeats: int = 30) -> Costs:
    """Return how long each stage and each way inside this host takes here, at p99.

    Raises:
        TectumError: a stage cannot be built, or no message arrives.
    """
    ways: dict[int, int] = {}
    costs: dict[str, NodeCosts] = {}
    for node in graph.nodes:
        if node.fusion is not None:
            stages = _stages_ns(node.fusion, graph, repeats)
            costs[node.name] = NodeCosts(stages, _ways_ns(node, graph, ways))
    return costs


def measured_way(nbytes: int, repeats: int = _WAYS) -> Latency:
    """Return how long messages of `nbytes` take from one thread to another.

    Raises:
        TectumError: they do not arrive.
    """
    clock = GraphClock()
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        endpoint = ipc_endpoint(Path(folder), "probe")
        publisher = ZmqPublisher("probe", endpoint, clock)
        hearer = _Hearer(ZmqSubscriber("ear", [endpoint], ["probe/tensor"], clock), clock)
        thread = threading.Thread(target=hearer.hear, args=(repeats,))
        thread.start()
        try:
            _publish(publisher, clock, nbytes, repeats)
        finally:
            thread.join()
            publisher.close()
            remove_pools(Path(folder).name)
    if len(hearer.took_ns) < repeats:
        msg = f"of {repeats} messages of {nbytes} bytes {len(hearer.took_ns)} arrived"
        raise TectumError(msg)
    return Latency("transport", "", tuple(sorted(hearer.took_ns)))


class _Hearer:
    """The other end of a way."""

    def __init__(self, subscriber: ZmqSubscriber, clock: GraphClock) -> None:
        self.took_ns: list[int] = []
        self._subscriber, self._clock = subscriber, clock

    def hear(self, count: int) -> None:
        """Take `count` messages, or those that come in time."""
        until_ns = self._clock.now_ns() + _PATIENCE_NS + count * 2 * _PACE_NS
        while len(self.took_ns) < count and self._clock.now_ns() < until_ns:
            self._subscriber.wait(50 * NS_PER_MS)
            for received in self._subscriber.drain():
                if received.message is not None:
                    int(received.message.array()[0])
                    now_ns = self._clock.now_ns()
                    self.took_ns.append(now_ns - received.message.header.stamp_ns)
                    received.message.release()
        self._subscriber.close()


def _publish(publisher: ZmqPublisher, clock: GraphClock, nbytes: int, count: int) -> None:
    until_ns = clock.now_ns() + _PATIENCE_NS
    while not publisher.joined() and clock.now_ns() < until_ns:
        publisher.wait(10 * NS_PER_MS)
        publisher.serve()
    array = np.zeros(nbytes, np.uint8)
    for _ in range(count):
        publisher.publish("tensor", Kind.TENSOR, (array,), stamp_ns=clock.now_ns())
        clock.sleep_until_ns(clock.now_ns() + _PACE_NS)


def _ways_ns(node: GraphNode, graph: Graph, known: dict[int, int]) -> dict[str, int]:
    """Return the way to each input whose node runs on the same host; `known` is by bytes."""
    assert node.fusion is not None
    topics = {topic.name: topic for topic in graph.topics}
    hosts = {other.name: other.host for other in graph.nodes}
    ways = {}
    for item in node.fusion.plan.inputs:
        topic = topics[item.topic]
        if hosts[topic.node] != node.host:
            continue
        nbytes = topic.nbytes or _SMALL
        if nbytes not in known:
            known[nbytes] = measured_way(nbytes).quantile_ns(_SHARE)
        ways[item.name] = known[nbytes]
    return ways


def _stages_ns(part: FusionPart, graph: Graph, repeats: int) -> dict[str, int]:
    from tectum_nodes.fusion import FusionConfig, build_stages  # noqa: PLC0415 - loads all of it

    config = FusionConfig.model_validate(fusion_config(part, graph.rig))
    stages = build_stages(part.plan, config)
    costs = {
        f"{name}/{variant}": measure(stage, variant, GraphClock(), repeats).quantile_ns(_SHARE)
        for name, stage in stages.items()
        for variant in stage.variants
    }
    for stage in stages.values():
        stage.close()
    return costs
