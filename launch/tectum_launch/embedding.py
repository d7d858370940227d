"""A graph's fusion node inside someone else's program: no processes, no sockets.

    with tectum_launch.embed("driving") as fusion:
        fusion.push("camera/image", image, stamp_ns)
        for result in fusion.poll(): ...

The loop runs in a thread of its own, so deadlines hold whatever the caller does; for that Python's
switch interval is lowered, as in every node. `push`, `poll` and `wait` may be called from any
thread, `results` and `aresults` iterate. For a recording see `tectum_launch.embedded_log`.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from types import TracebackType

from tectum.clock import NS_PER_MS, NS_PER_S, Clock, GraphClock
from tectum.errors import ClosedError, ConfigError, ContractError, nearest_name
from tectum.inference.stage import Stage
from tectum.message import AnyArray, ArrayPayload, BufferSpec, Header, Kind, Message, Value
from tectum.node.lanes import Lanes
from tectum.node.process import SWITCH_INTERVAL_S
from tectum.node.shell import Shell
from tectum.pipeline.plan import Plan
from tectum.result_stream import Result
from tectum_launch.compile import load_graph
from tectum_launch.desk import Desk
from tectum_launch.embedded_headers import Headers
from tectum_launch.graph import Graph, GraphNode, fusion_config
from tectum_nodes.fusion import FusionConfig, build_stages

__all__ = ["Embedded", "embed", "fusion_node", "load_stages"]

_LONGEST_WAIT_NS = 50 * NS_PER_MS


def embed(graph: str, settings: Iterable[str] = (), *, node: str = "") -> Embedded:
    """Return the fusion node of a graph, loaded and warmed up, to be fed by `push`.

    Args:
        graph: a graph file, or the name of a shipped one; its other nodes are not started.
        settings: `a.b=c` each, as with `tectum launch --set`.
        node: the fusion node; default: the only one.

    Raises:
        ConfigError: the graph is wrong, or has no such fusion node.
        ModelError: a model is missing or not what its manifest says.
    """
    compiled = load_graph(graph, settings)
    return Embedded(compiled, fusion_node(compiled, node))


class Embedded:
    """A fusion node in this process."""

    def __init__(self, graph: Graph, node: GraphNode, clock: Clock | None = None) -> None:
        """Load the models, warm them up, and start the loop."""
        self.name = node.name
        self.clock: Clock = clock or GraphClock()
        """What stamps are read from: `clock.now_ns()` is the present on the graph clock."""
        self.plan, self.stages = load_stages(graph, node)
        self._headers = Headers({topic.name: topic.kind for topic in graph.topics})
        self._inputs: dict[str, list[str]] = {}
        for item in self.plan.inputs:
            self._inputs.setdefault(item.topic, []).append(item.name)
        self._coming: deque[tuple[str, Message | None]] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._accident: BaseException | None = None
        self._desk = Desk(self.plan, self.stages)
        self._lanes = Lanes(self.plan.lanes, self.clock, on_done=self._run_ended)
        self._desk.shell = self._shell = Shell(
            self.plan, self.stages, self._lanes, self.clock, self._desk, self._desk.failed
        )
        self._shell.measure()
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_INTERVAL_S))
        self._thread = threading.Thread(target=self._loop, name=self.name, daemon=True)
        self._thread.start()

    # -- messages in

    def push(
        self,
        topic: str,
        array: AnyArray,
        stamp_ns: int | None = None,
        *,
        span_ns: int = 0,
        error_ns: int = 0,
        frame_id: str = "",
        **fields: Value,
    ) -> None:
        """Give the node a message; returns at once.

        Args:
            topic: as in the graph, `camera/image`.
            array: image uint8 (H, W, 3) bgr or (bytes,) JPEG, audio int16 (samples, channels),
                points float32 (points, fields), or any tensor; not written to afterwards.
            stamp_ns: start of capture on `clock`; default: now, and for audio so long ago as the
                block lasts.
            span_ns: how long the capture lasted; default: 0, and for audio what its samples last.
            error_ns: bound on the stamp's uncertainty.
            frame_id: coordinate frame of spatial data.
            fields: of the kind: `encoding`, `rate_hz` (default: 16000), `names` ... Give audio its
                `first`, the index of its first sample on the source's timeline, where the source
                counts; without it the stamp says where a block lies and what was lost before it,
                and without either it goes on where the last ended.

        Raises:
            ContractError: no input listens to the topic, or the array does not fit its kind.
            ClosedError: the node was closed.
        """
        now_ns = self.clock.now_ns()
        self._known(topic)
        header = Header(
            topic,
            Kind.TENSOR,
            seq=0,
            stamp_ns=now_ns if stamp_ns is None else stamp_ns,
            span_ns=span_ns,
            error_ns=error_ns,
            sent_ns=now_ns,
            frame_id=frame_id,
            fields=fields,
            buffers=(BufferSpec(array.dtype.name, array.shape),),
        )
        header = self._headers.complete(header, stamped=stamp_ns is not None)
        self._hand_in(topic, Message(header, (ArrayPayload(array),)))

    def end(self, topic: str) -> None:
        """Say that nothing follows on a topic."""
        self._known(topic)
        self._hand_in(topic, None)

    # -- results out

    def poll(self) -> list[Result]:
        """Return the results since the last call, shed triggers included; never waits.

        Raises what the loop has failed with, if it has.
        """
        if self._accident is not None:
            raise self._accident
        return self._desk.take()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until there is a result or the node has ended; False on time-out."""
        return self._desk.ready.wait(timeout_s)

    def results(self) -> Iterator[Result]:
        """Yield results as they come, until every topic has ended or the node is closed."""
        while not self._desk.over:
            self.wait()
            yield from self.poll()
        yield from self.poll()

    async def aresults(self) -> AsyncIterator[Result]:
        """Yield results as they come, for asyncio."""
        while not self._desk.over:
            await asyncio.to_thread(self.wait)
            for result in self.poll():
                yield result
        self.poll()

    def report(self) -> dict[str, Value]:
        """Return the core of a report: outcomes, latency, inputs, digest."""
        return self._desk.report()

    @property
    def digest(self) -> str:
        """Return the digest of all decisions so far."""
        return self._desk.digest

    # -- life

    def close(self) -> None:
        """Give every open trigger its outcome, stop the loop, give the models back."""
        self._closing = True
        self._wake.set()
        self._thread.join()
        for stage in self.stages.values():
            stage.close()

    def __enter__(self) -> Embedded:
        """Return this node."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    # -- parts

    def _known(self, topic: str) -> None:
        if self._closing:
            msg = f"'{self.name}' has been closed"
            raise ClosedError(msg)
        if topic not in self._inputs:
            known = ", ".join(self._inputs)
            hint = nearest_name(topic, self._inputs)
            msg = f"no input of '{self.name}' listens to '{topic}'{hint} (topics: {known})"
            raise ContractError(msg)

    def _hand_in(self, topic: str, message: Message | None) -> None:
        self._coming.append((topic, message))
        self._wake.set()

    def _loop(self) -> None:
        try:
            self._turns()
        except BaseException as accident:  # the caller's thread raises it
            self._accident = accident
        finally:
            self._lanes.close()
            self._desk.end()

    def _turns(self) -> None:
        shell, wake_ns = self._shell, 0
        while not self._closing and not shell.pipeline.done:
            wait_ns = min(wake_ns - self.clock.now_ns(), _LONGEST_WAIT_NS)
            if wait_ns > 0:
                self._wake.wait(wait_ns / NS_PER_S)
            self._wake.clear()
            while self._coming:
                self._take(*self._coming.popleft())
            wake_ns = shell.turn()
        shell.stop()

    def _run_ended(self) -> None:
        """Go on in the lane's thread, and leave the rest to the loop."""
        if self._shell.run_ended():
            self._wake.set()

    def _take(self, topic: str, message: Message | None) -> None:
        for name in self._inputs[topic]:
            if message is None:
                self._shell.end(name)
            else:
                self._shell.push(name, message)


def fusion_node(graph: Graph, wanted: str) -> GraphNode:
    """Return the fusion node called `wanted`, or the only one for an empty name.

    Raises:
        ConfigError: there is none, or several.
    """
    nodes = {node.name: node for node in graph.nodes if node.fusion is not None}
    if wanted in nodes:
        return nodes[wanted]
    if wanted or len(nodes) != 1:
        known = ", ".join(nodes) or "none"
        hint = nearest_name(wanted, nodes)
        msg = f"{graph.source} has no single fusion node '{wanted}'{hint} (it has: {known})"
        raise ConfigError(msg)
    return next(iter(nodes.values()))


def load_stages(graph: Graph, node: GraphNode) -> tuple[Plan, dict[str, Stage]]:
    """Return the plan of a fusion node and its stages, loaded, not yet warmed up."""
    assert node.fusion is not None
    config = FusionConfig.model_validate(fusion_config(node.fusion, graph.rig))
    return node.fusion.plan, build_stages(node.fusion.plan, config)
