"""Checks of memory: buffers fit in main memory, and payloads in transit in shared memory.

Reckoned for this host, from the sizes of messages that nodes or a file of costs tell; what they do
not tell counts nothing. Where the machine's memory is not known nothing is checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from tectum.transport.pool import PAGE, slots_needed
from tectum.transport.publisher import SHARED_FROM_BYTES
from tectum.transport.subscriber import DEFAULT_HOLD
from tectum.units import duration_text, size_text
from tectum_launch.checks.base import Fusion, at_least_size
from tectum_launch.checks.buffers import most_held_bytes
from tectum_launch.checks.machine import Machine
from tectum_launch.findings import Finding, KeyPath
from tectum_launch.graph import Graph

__all__ = ["buffers_fit_in_memory", "pools_fit_in_shared_memory"]


def buffers_fit_in_memory(fusions: Sequence[Fusion], machine: Machine) -> Iterator[Finding]:
    """All buffers of all fusion nodes, full, fit in the memory that is left."""
    held = {
        (fusion.name, item.name): most_held_bytes(fusion, item)
        for fusion in fusions
        for item in fusion.plan.inputs
    }
    total = sum(held.values())
    if not machine.memory_bytes or total <= machine.memory_bytes:
        return
    node, name = max(held, key=lambda key: held[key])
    fusion = next(fusion for fusion in fusions if fusion.name == node)
    item, others = fusion.plan.input(name), total - held[node, name]
    size, largest = machine.memory_bytes - others, size_text(held[node, name])
    way_out = (
        f"buffer: {{size: {size // 10**6}MB}} would do"
        if size >= 10**6
        else "keep less of every input, or give the machine more memory"
    )
    message = (
        f"the buffers of the graph can grow to {size_text(total)}, and {largest} of it is "
        f"{item.topic} ({duration_text(item.history_ns)} and what the alignment looks back), but "
        f"this machine has {size_text(machine.memory_bytes)} left; {way_out}"
    )
    yield fusion.finding(("inputs", name, "buffer"), message)


def pools_fit_in_shared_memory(
    graph: Graph, fusions: Sequence[Fusion], machine: Machine
) -> Iterator[Finding]:
    """The slots that publishers will use fit in what is free: else payloads go through sockets."""
    pools = _pools(graph, fusions)
    total = sum(slots * nbytes for slots, nbytes in pools.values())
    if not machine.shared_bytes or total <= machine.shared_bytes:
        return
    largest = max(pools, key=lambda topic: prod(pools[topic]))
    slots, nbytes = pools[largest]
    node = next(topic.node for topic in graph.topics if topic.name == largest)
    message = (
        f"payloads in transit need {size_text(total)} of shared memory, most of it for {largest} "
        f"({slots} slots of {size_text(nbytes)}), but {size_text(machine.shared_bytes)} are free: "
        f"some will go through sockets, which is slower; smaller messages, or /dev/shm with "
        f"{at_least_size(total)} free would do (in a container: --shm-size)"
    )
    path: KeyPath = ("nodes", node)
    yield Finding(graph.description.place(path), path, message, level="warning")


def _pools(graph: Graph, fusions: Sequence[Fusion]) -> dict[str, tuple[int, int]]:
    """Return topic -> slots and bytes of one, where payloads travel in shared memory here."""
    sizes = {topic.name: topic.nbytes for topic in graph.topics}
    for fusion in fusions:
        sizes |= {item.topic: fusion.nbytes(item) for item in fusion.plan.inputs}
    pools = {}
    for node in graph.here:
        for topic in node.publishes:
            hearers = sum(topic.name in other.subscribes for other in graph.here)
            nbytes = -(-sizes[topic.name] // PAGE) * PAGE
            if hearers and sizes[topic.name] >= SHARED_FROM_BYTES:
                pools[topic.name] = (slots_needed(hearers * DEFAULT_HOLD), nbytes)
    return pools
