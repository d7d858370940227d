"""One node's life: made, opened, joined, started, run, closed; the same in any kind of process.

The host owns no process: it reports where it stands and is told when to start and stop. Several
hosts may live in one process, each in its own thread.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tectum.clock import NS_PER_S, Clock
from tectum.errors import ConfigError, DataError, nearest_name
from tectum.node.base import Node
from tectum.node.context import NodeContext
from tectum.node.control import Report, State
from tectum.node.run_faults import node_faults
from tectum.rundir import read_run
from tectum.transport.base import Subscriber
from tectum.transport.joining import Delivery
from tectum.transport.keys import read_keys
from tectum.transport.publisher import Remote, ZmqPublisher
from tectum.transport.security import Insecure, Secured, Security
from tectum.transport.subscriber import Far, ZmqSubscriber
from tectum.transport.topics import resolve

__all__ = ["NodeHost", "load_node"]


class NodeHost:
    """Runs one node of a run. `start` and `stop` may be called from any thread."""

    def __init__(self, name: str, run: Mapping[str, Any], folder: Path, clock: Clock) -> None:
        """Be the node `name` of `run`, whose directory is `folder`.

        Raises:
            ConfigError: the run has no such node.
        """
        nodes = run["nodes"]
        if name not in nodes:
            msg = f"run {run.get('id')} has no node {name!r}{nearest_name(name, nodes)}"
            raise ConfigError(msg)
        self.name = name
        self._record = nodes[name]
        self._run, self._folder, self._clock = run, folder, clock
        self._started = threading.Event()
        self._context: NodeContext | None = None
        self._stopped = False

    def start(self) -> None:
        """Let the node begin to work."""
        self._started.set()
        if self._context is not None:
            self._context.wake()

    def stop(self) -> None:
        """Ask the node to end."""
        self._stopped = True
        if self._context is not None:
            self._context.stop()

    def live(self, report: Callable[[Report], None]) -> None:
        """Live the node's whole life; `report` hears of each state that it reaches.

        Raises:
            TectumError: what the node or its configuration lacks.
            Exception: a bug in the node.
        """
        node = load_node(self.name, self._record)
        context = self._open_context(report)
        try:
            node.open(context)
            self._begin(context, report)
            if not context.stopping:
                node.run(context)
        finally:
            context.state = "ending"
            report(Report(self.name, State.ENDING))
            try:
                node.close()
            finally:
                context.close()
        report(Report(self.name, State.ENDED))

    def _open_context(self, report: Callable[[Report], None]) -> NodeContext:
        remote = self._record.get("remote")
        publisher = ZmqPublisher(
            self.name,
            self._record["endpoint"],
            self._clock,
            remote=Remote(remote, self._security(), self._record["links"]) if remote else None,
        )
        context = NodeContext(
            self.name,
            self._run,
            self._folder,
            clock=self._clock,
            publisher=publisher,
            connect=self._connect,
            tell=lambda state, lasting_ns: report(Report(self.name, state, lasting_ns=lasting_ns)),
        )
        self._context = context
        if self._stopped:
            context.stop()
        return context

    def _begin(self, context: NodeContext, report: Callable[[Report], None]) -> None:
        """Report ready and joined, and wait for the start, which may come without all of them."""
        context.state = "ready"
        report(Report(self.name, State.READY))
        expected = frozenset(self._record.get("subscribers", ())) - {self.name}
        joined = False
        while not (self._started.is_set() or context.stopping):
            context.serve(self._clock.now_ns() + NS_PER_S // 50)
            if not joined and expected <= context.joined():
                joined = True
                report(Report(self.name, State.JOINED))
        with contextlib.suppress(DataError):  # a run in memory has no file
            context.epoch_ns = int(read_run(self._folder)["epoch_ns"])  # fixed at the start
        context.faults = node_faults(self._run, self.name, context.epoch_ns)
        context.state = "running"
        report(Report(self.name, State.RUNNING))

    def _connect(
        self, topics: tuple[str, ...], *, queue: int, hold: int, delivery: Delivery
    ) -> Subscriber:
        known, nodes = self._run["topics"], self._run["nodes"]
        exact = resolve(topics, known, nodes)
        publishers = dict.fromkeys(
            known[topic]["node"] if topic in known else topic.partition("/")[0] for topic in exact
        )
        near = [nodes[node]["endpoint"] for node in publishers if "host" not in nodes[node]]
        return ZmqSubscriber(
            self.name,
            near,
            exact,
            self._clock,
            queue=queue,
            hold=hold,
            delivery=delivery,
            nodes=publishers,
            far=self._far(exact, tuple(publishers)),
        )

    def _far(self, topics: tuple[str, ...], publishers: tuple[str, ...]) -> Far | None:
        """Return which of `publishers` are on other hosts, and how they are reached."""
        known, nodes = self._run["topics"], self._run["nodes"]
        far = {node: nodes[node]["host"] for node in publishers if "host" in nodes[node]}
        if not far:
            return None
        owners = {
            topic.partition("/")[0]: known[topic]["node"] for topic in topics if topic in known
        }
        hosts = {name: far[node] for name, node in owners.items() if node in far}
        clocks = self._run["hosts"]["clocks"]
        return Far(
            endpoints={nodes[node]["endpoint"]: host for node, host in far.items()},
            hosts={**far, **hosts},
            clocks={host: clocks[host] for host in far.values()},
            security=self._security(),
        )

    def _security(self) -> Security:
        """Return by what connections to other hosts are secured."""
        return Insecure() if self._run["hosts"]["insecure"] else Secured(read_keys())


def load_node(name: str, record: Mapping[str, Any]) -> Node:
    """Return the node that a record of `run.json` describes: its `class` and `config`.

    Raises:
        ConfigError: no such class, it is no node, or the configuration does not suit it.
    """
    module_name, _, class_name = str(record["class"]).partition(":")
    try:
        made = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        msg = f"nodes.{name}.run: {record['class']} cannot be loaded: {error}"
        raise ConfigError(msg) from error
    if not (isinstance(made, type) and issubclass(made, Node)):
        msg = f"nodes.{name}.run: {record['class']} is not a subclass of tectum.node.base.Node"
        raise ConfigError(msg)
    try:
        return made(made.Config.model_validate(record.get("config", {})))
    except ValidationError as error:
        faults = "; ".join(_fault(name, dict(item)) for item in error.errors())
        raise ConfigError(faults) from error


def _fault(name: str, item: Mapping[str, Any]) -> str:
    where = ".".join(["nodes", name, *(str(part) for part in item["loc"])])
    return f"{where}: {item['msg']} (found {item['input']!r})"
