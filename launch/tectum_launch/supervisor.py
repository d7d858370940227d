"""The supervisor: carries out what `supervision` decides, on real processes.

One loop over control sockets, output pipes and signals; it never waits for a single process.
Whatever happens, when `run` returns every process has been reaped. Call it from the main thread.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.node.control import Order as Command
from tectum_launch.child import Child, cause_of
from tectum_launch.graph import Graph, GraphNode
from tectum_launch.members import Begin, Halt, Kill, Limits, Member, Order, Release, Say, Spawn
from tectum_launch.run_folder import RunFolder
from tectum_launch.supervision import Supervision

__all__ = ["Listener", "Supervisor"]

LONGEST_WAIT_NS = 50 * NS_PER_MS
"""Between two looks at which processes have ended."""

AHEAD_NS = 50 * NS_PER_MS
"""The run's epoch lies so far ahead of the start, so that every node can begin exactly at it."""

Listener = Callable[[str, str, str], None]
"""Called with (node, level, text) for every line that a person may want to read."""


class Supervisor:
    """Runs one graph."""

    def __init__(
        self,
        graph: Graph,
        folder: RunFolder,
        listener: Listener,
        *,
        duration_ns: int = 0,
        limits: Limits | None = None,
    ) -> None:
        """Prepare to run `graph` in `folder`; nothing is started yet."""
        self._graph, self._folder, self._listener = graph, folder, listener
        self._clock: GraphClock = folder.clock
        self.supervision = Supervision(
            tuple(_member(node) for node in graph.nodes),
            self._clock.now_ns(),
            duration_ns=duration_ns,
            limits=limits or Limits(),
        )
        self._children: dict[str, Child] = {}
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """Run the graph to its end and return the exit code; every process is gone then."""
        with _signals() as signals:
            self._selector.register(signals, selectors.EVENT_READ, signals)
            try:
                self._start_all()
                while not self.supervision.done:
                    self._turn()
            finally:
                self._kill_all()
                self._selector.close()
        return self.supervision.exit_code

    def _start_all(self) -> None:
        for node in self._graph.nodes:
            self._spawn(node.name)
        self._note_pids()

    def _turn(self) -> None:
        """Wait for something, take it up, and carry out what follows."""
        now_ns = self._clock.now_ns()
        wait_ns = min(self.supervision.next_wakeup_ns() - now_ns, LONGEST_WAIT_NS)
        for key, _ in self._selector.select(max(0, wait_ns) / NS_PER_S):
            if isinstance(key.data, socket.socket):
                self._carry_out(self._signalled(key.data))
            else:
                self._hear(key)
        self._reap()
        self._carry_out(self.supervision.tick(self._clock.now_ns()))

    def _signalled(self, signals: socket.socket) -> list[Order]:
        numbers = set(signals.recv(4096))
        names = [signal.Signals(number).name for number in sorted(numbers)]
        because = "Ctrl-C" if names == ["SIGINT"] else ", ".join(names)
        return self.supervision.stop(self._clock.now_ns(), because)

    def _hear(self, key: selectors.SelectorKey) -> None:
        """Take up what a child reports or writes."""
        child, fd = key.data, key.fd
        if fd == child.control.fileno():
            reports = child.reports()
            if reports is None:
                self._selector.unregister(child.control)
            for report in reports or ():
                if report.node == child.node:
                    self._carry_out(self.supervision.reported(self._clock.now_ns(), report))
            return
        lines = child.lines(fd)
        if lines is None:
            self._selector.unregister(fd)
        for line in lines or ():
            self._pass_on(child.node, line)

    def _reap(self) -> None:
        """Take up the ends of processes."""
        for child in list(self._children.values()):
            code = child.exit_code()
            if code is None:
                continue
            for report in child.reports() or ():
                self._carry_out(self.supervision.reported(self._clock.now_ns(), report))
            for _, line in child.remaining_lines():
                self._pass_on(child.node, line)
            self._forget(child)
            cause = cause_of(code, child.last_words)
            self._carry_out(
                self.supervision.exited(self._clock.now_ns(), child.node, cause, clean=code == 0)
            )

    def _carry_out(self, orders: list[Order]) -> None:
        for order in orders:
            if isinstance(order, Say):
                self._listener(order.node, order.level, order.text)
            elif isinstance(order, Begin):
                self._folder.began(self._clock.now_ns() + AHEAD_NS)
                self._command(tuple(self._children), Command.START)
            elif isinstance(order, Release):
                self._command((order.node,), Command.START)
            elif isinstance(order, Spawn):
                self._note_pids()
                self._spawn(order.node)
                self._note_pids()
            elif isinstance(order, Halt):
                self._command(order.nodes, Command.STOP)
            else:
                number = signal.SIGKILL if isinstance(order, Kill) else signal.SIGTERM
                self._signal(order.nodes, number)

    def _command(self, nodes: tuple[str, ...], command: Command) -> None:
        for node in nodes:
            if node in self._children:
                self._children[node].order(command)

    def _signal(self, nodes: tuple[str, ...], number: signal.Signals) -> None:
        for node in nodes:
            if node in self._children:
                self._children[node].signal(number)

    def _spawn(self, name: str) -> None:
        node = next(node for node in self._graph.nodes if node.name == name)
        child = Child(name, self._folder.path, _environment(self._graph, node))
        self._children[name] = child
        for source in (child.control.fileno(), *child.streams):
            self._selector.register(source, selectors.EVENT_READ, child)

    def _forget(self, child: Child) -> None:
        for source in (child.control.fileno(), *child.streams):
            with contextlib.suppress(KeyError):
                self._selector.unregister(source)
        child.close()
        del self._children[child.node]

    def _note_pids(self) -> None:
        pids = {name: child.pid for name, child in self._children.items()}
        self._folder.started(pids, self.supervision.alive())

    def _pass_on(self, node: str, line: str) -> None:
        level, _, text = line.partition(" ")
        if level in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
            self._listener(node, level.lower(), text)
        elif line:
            self._listener(node, "info", line)

    def _kill_all(self) -> None:
        """Leave nothing behind, whatever went wrong here."""
        for child in list(self._children.values()):
            child.signal(signal.SIGKILL)
            self._forget(child)


def _member(node: GraphNode) -> Member:
    return Member(
        node.name,
        node.on_exit,
        publishes=bool(node.publishes),
        listens=bool(node.subscribes),
        answers=node.fusion is not None,
    )


def _environment(graph: Graph, node: GraphNode) -> dict[str, str]:
    """Return what the process of `node` finds in its environment.

    Classes beside the graph file are importable, as they were when the graph was compiled.
    """
    beside = str(graph.description.folder)
    paths = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    search = os.pathsep.join([*paths, beside])
    return {**os.environ, "PYTHONPATH": search, "PYTHONUNBUFFERED": "1", **node.env}


@contextlib.contextmanager
def _signals() -> Iterator[socket.socket]:
    """Give a socket on which SIGINT, SIGTERM and SIGHUP arrive as bytes."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, _nothing) for number in numbers}
    former = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(former)
        for number, handler in before.items():
            signal.signal(number, handler)
        reader.close()
        writer.close()


def _nothing(number: int, frame: FrameType | None) -> None:
    """Leave it to the loop: the interpreter has already written to the wake-up socket."""
    del number, frame
