"""Nodes in processes of their own, without a launcher: for tests of nodes and of the runtime."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.node.base import Node
from tectum.node.control import Lines, Order, Report, State, order_line, parse_report
from tectum.rundir import process_started, write_run
from tectum.transport.endpoint import ipc_endpoint
from tectum.transport.pool_file import remove_pools
from tectum.transport.subscriber import ZmqSubscriber
from tectum.transport.topics import resolve, topic_name

__all__ = ["NodeProcess", "ProcessRun"]


@dataclass
class NodeProcess:
    """One node's process, seen by whoever started it."""

    process: subprocess.Popen[str]
    control: socket.socket
    reports: list[Report] = field(default_factory=list)
    lines: Lines = field(default_factory=Lines)

    def wait_for(self, state: State, timeout_s: float = 20.0) -> Report:
        """Return the first report of `state`.

        Raises:
            TimeoutError: it does not come, or the process ends without it.
        """
        clock = GraphClock()
        until_ns = clock.now_ns() + round(timeout_s * NS_PER_S)
        while True:
            for report in self.reports:
                if report.state is state:
                    return report
            if not self.hear((until_ns - clock.now_ns()) / NS_PER_S):
                msg = f"no {state} from the process, or it has ended; it said {self.reports}"
                raise TimeoutError(msg)

    def hear(self, timeout_s: float) -> bool:
        """Wait for further reports; False where none came, or the process has ended."""
        self.control.settimeout(max(0.001, timeout_s))
        try:
            data = self.control.recv(4096)
        except TimeoutError:
            return False
        parsed = (parse_report(line) for line in self.lines.feed(data))
        self.reports += [report for report in parsed if report is not None]
        return bool(data)

    def order(self, order: Order) -> None:
        """Send an order."""
        self.control.sendall(order_line(order))

    def end(self, timeout_s: float = 20.0) -> tuple[int, str]:
        """Return exit code and stderr once the process has ended."""
        _, errors = self.process.communicate(timeout=timeout_s)
        self.control.close()
        return self.process.returncode, errors


class ProcessRun:
    """A run whose nodes are started one by one. A context manager; leaves nothing behind."""

    def __init__(self, nodes: Mapping[str, tuple[type[Node], Mapping[str, Any]]]) -> None:
        """Lay out a run of `nodes`: name -> (class, configuration as in a graph file)."""
        self._folder = tempfile.TemporaryDirectory(prefix="tr")
        self.folder = Path(self._folder.name)
        self.clock = GraphClock()
        self.processes: dict[str, NodeProcess] = {}
        self.guests: dict[str, list[str]] = {name: [] for name in nodes}
        """Names of further subscribers that a node waits for before it has joined."""
        self._nodes = nodes
        self._subscribers: list[ZmqSubscriber] = []

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill what still runs and remove the directory."""
        for subscriber in self._subscribers:
            subscriber.close()
        for node in self.processes.values():
            node.process.kill()
            node.process.communicate()
            node.control.close()
        remove_pools(self.folder.name)
        self._folder.cleanup()

    @property
    def document(self) -> dict[str, Any]:
        """Return `run.json` as it is written."""
        configs = {
            name: made.Config.model_validate(config) for name, (made, config) in self._nodes.items()
        }
        topics = {
            topic_name(name, output): {"node": name, "kind": kind.value}
            for name, (made, _) in self._nodes.items()
            for output, kind in made.outputs_of(configs[name]).items()
        }
        subscribes = {
            name: [
                topic
                for topic in resolve(made.topics_of(configs[name]), topics, self._nodes)
                if topics[topic]["node"] != name
            ]
            for name, (made, _) in self._nodes.items()
        }
        now_ns = self.clock.now_ns()
        nodes = {
            name: self._record(name, configs[name].model_dump(mode="json"), topics, subscribes)
            for name in self._nodes
        }
        return {
            "version": 1,
            "id": self.folder.name,
            "graph": "test",
            "pid": os.getpid(),
            "pid_started": process_started(os.getpid()),
            "started_ns": now_ns,
            "epoch_ns": now_ns,
            "offset_ns": self.clock.offset_ns,
            "nodes": nodes,
            "topics": topics,
        }

    def subscribe(self, name: str, *topics: str, queue: int = 256) -> ZmqSubscriber:
        """Return a subscriber of this process to exact `topics`; their nodes wait for it."""
        known = self.document["topics"]
        owners = (known.get(topic, {}).get("node") or topic.partition("/")[0] for topic in topics)
        nodes = sorted(set(owners))
        for node in nodes:
            self.guests[node].append(name)
        endpoints = [ipc_endpoint(self.folder, node) for node in nodes]
        subscriber = ZmqSubscriber(name, endpoints, topics, self.clock, queue=queue, nodes=nodes)
        self._subscribers.append(subscriber)
        return subscriber

    def spawn(self, *names: str) -> None:
        """Start the processes of `names`, or of all nodes."""
        write_run(self.folder, self.document)
        for name in names or tuple(self._nodes):
            ours, theirs = socket.socketpair()
            command = [sys.executable, "-m", "tectum.node", "--run", str(self.folder)]
            command += ["--node", name, "--control-fd", str(theirs.fileno())]
            process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE, text=True
            )
            theirs.close()
            self.processes[name] = NodeProcess(process, ours)

    def start(self) -> None:
        """Wait until all have joined, then let them begin."""
        for node in self.processes.values():
            node.wait_for(State.JOINED)
        for node in self.processes.values():
            node.order(Order.START)

    def collect(self, subscriber: ZmqSubscriber, topic: str) -> list[Any]:
        """Drain `subscriber` until the final statement about `topic` has come."""
        results: list[Any] = []
        until_ns = self.clock.now_ns() + 20 * NS_PER_S
        while not subscriber.counters()[topic]["final"] and self.clock.now_ns() < until_ns:
            subscriber.wait(20 * NS_PER_MS)
            results += subscriber.drain()
        return results

    def _record(
        self,
        name: str,
        config: Mapping[str, Any],
        topics: Mapping[str, Mapping[str, str]],
        subscribes: Mapping[str, list[str]],
    ) -> dict[str, Any]:
        made = self._nodes[name][0]
        own = {topic for topic, record in topics.items() if record["node"] == name}
        listeners = [other for other, heard in subscribes.items() if own.intersection(heard)]
        return {
            "class": f"{made.__module__}:{made.__qualname__}",
            "config": dict(config),
            "endpoint": ipc_endpoint(self.folder, name),
            "outputs": {
                topic.removeprefix(f"{name}/"): topics[topic]["kind"] for topic in sorted(own)
            },
            "subscribes": subscribes[name],
            "subscribers": [*listeners, *self.guests[name]],
            "pid": None,
        }
