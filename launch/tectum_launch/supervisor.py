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
from collections.abc import Callable

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.node.control import Order as Command
from tectum.node.control import Report, State
from tectum_launch.child import Child, cause_of
from tectum_launch.environment import environment_of
from tectum_launch.graph import Graph
from tectum_launch.members import AHEAD_NS, Limits, Member
from tectum_launch.nursery import Nursery
from tectum_launch.orders import Begin, Halt, Kill, Order, Release, Say, Spawn
from tectum_launch.run_folder import RunFolder
from tectum_launch.signals import signals_as_bytes
from tectum_launch.supervision import Supervision

__all__ = ["Listener", "Supervisor"]

LONGEST_WAIT_NS = 50 * NS_PER_MS
"""Between two looks at which processes have ended."""

BURIAL_NS = 200 * NS_PER_MS
"""How long what nodes had started, and was killed, is waited for at the end."""

Listener = Callable[[str, str, str], None]
"""Called with (node, level, text) for every line that a person may want to read."""


class Supervisor:
    """Runs one graph."""

    def __init__(
        self,
        graph: Graph,
        folder: RunFolder,
        nursery: Nursery,
        listener: Listener,
        *,
        duration_ns: int = 0,
        limits: Limits | None = None,
    ) -> None:
        """Prepare to run `graph` in `folder`; nothing is started yet.

        Processes are forked by `nursery`, but for those with variables of their own: some libraries
        read these when they are imported.
        """
        self._nursery = nursery
        self._orphans: set[int] = set()
        """Process groups of nodes that have ended; what they started has become ours."""
        self._graph, self._folder, self._listener = graph, folder, listener
        self._clock: GraphClock = folder.clock
        self.supervision = Supervision(
            _members(graph),
            self._clock.now_ns(),
            duration_ns=duration_ns,
            limits=limits or Limits(),
        )
        self._children: dict[str, Child] = {}
        self._process_of = {node.name: node.process for node in graph.here}
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """Run the graph to its end and return the exit code; every process is gone then."""
        with signals_as_bytes() as signals:
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
        self._nursery.watch_run(self._folder.path)
        targets = (node.target.partition(":")[0] for node in self._graph.here)
        self._nursery.import_modules(name for name in targets if name.startswith("tectum_nodes."))
        for process in self._graph.processes:
            self._spawn(process)
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
            self._take(child, reports or [])
            return
        lines = child.lines(fd)
        if lines is None:
            self._selector.unregister(fd)
        for line in lines or ():
            self._pass_on(child, line)

    def _take(self, child: Child, reports: list[Report]) -> None:
        """Take up what the nodes of a process report; they may end one by one."""
        for report in reports:
            now_ns = self._clock.now_ns()
            if report.node not in child.nodes or report.node in child.ended:
                continue
            self._carry_out(self.supervision.reported(now_ns, report))
            if report.state is State.FAILED:
                child.failed.add(report.node)
            elif report.state is State.ENDED and len(child.nodes) > 1 and not child.ends:
                child.ended.add(report.node)
                self._carry_out(self.supervision.exited(now_ns, report.node, "", clean=True))

    def _reap(self) -> None:
        """Take up the ends of processes."""
        for process, child in list(self._children.items()):
            code = child.exit_code()
            if code is None:
                self._look_whether_frozen(child)
                continue
            self._take(child, child.reports() or [])
            for _, line in child.remaining_lines():
                self._pass_on(child, line)
            self._forget(process)
            cause = cause_of(code, child.last_words)
            for node in sorted(child.nodes, key=lambda name: name not in child.failed):
                if node not in child.ended:
                    now_ns = self._clock.now_ns()
                    self._carry_out(self.supervision.exited(now_ns, node, cause, clean=code == 0))

        self._reap_orphans()

    def _look_whether_frozen(self, child: Child) -> None:
        frozen, now_ns = child.is_frozen(), self._clock.now_ns()
        for node in child.nodes:
            self._carry_out(self.supervision.frozen(now_ns, node, frozen=frozen))

    def _reap_orphans(self) -> None:
        """Reap what nodes had started that have ended."""
        for group in tuple(self._orphans):
            try:
                while os.waitpid(-group, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                self._orphans.discard(group)

    def _carry_out(self, orders: list[Order]) -> None:
        for order in orders:
            if isinstance(order, Say):
                self._listener(order.node, order.level, order.text)
            elif isinstance(order, Begin):
                self._folder.began(self._clock.now_ns() + AHEAD_NS)
                for child in self._children.values():
                    child.order(Command.START)
            elif isinstance(order, Spawn):
                self._respawn(self._process_of[order.node])
            elif isinstance(order, Release):
                for child in self._holding((order.node,)):
                    child.order(Command.START)
            elif isinstance(order, Halt):
                for child in self._holding(order.nodes):
                    child.halted = True
                    child.order(Command.STOP)
            else:
                number = signal.SIGKILL if isinstance(order, Kill) else signal.SIGTERM
                for child in self._holding(order.nodes):
                    child.signal(number)

    def _holding(self, nodes: tuple[str, ...]) -> list[Child]:
        """Return the processes that have these nodes, each once."""
        processes = dict.fromkeys(self._process_of[node] for node in nodes)
        return [self._children[name] for name in processes if name in self._children]

    def _respawn(self, process: str) -> None:
        """Start a process again; its nodes ask for it one by one."""
        if process not in self._children:
            self._note_pids()
            self._spawn(process)
            self._note_pids()

    def _spawn(self, process: str) -> None:
        nodes = self._graph.processes[process]
        names = tuple(node.name for node in nodes)
        own = any(node.env for node in nodes)
        environment = environment_of(self._graph, nodes)
        child = Child(names, self._folder.path, environment, None if own else self._nursery)
        self._nursery.born(child.pid)
        self._children[process] = child
        for source in (child.control.fileno(), *child.streams):
            self._selector.register(source, selectors.EVENT_READ, child)

    def _forget(self, process: str) -> None:
        child = self._children.pop(process)
        for source in (child.control.fileno(), *child.streams):
            with contextlib.suppress(KeyError):
                self._selector.unregister(source)
        child.close()
        self._nursery.buried(child.pid)
        self._orphans.add(child.pid)

    def _note_pids(self) -> None:
        pids = {node: child.pid for child in self._children.values() for node in child.nodes}
        self._folder.started(pids, self.supervision.alive())

    def _pass_on(self, child: Child, line: str) -> None:
        """Pass a line on under the name of its node: `LEVEL text`, `LEVEL [node] text`, `text`."""
        node, (level, _, text) = child.nodes[0], line.partition(" ")
        if level not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
            level, text = "info", line
        named = [name for name in child.nodes if text.startswith(f"[{name}] ")]
        if named:
            node, text = named[0], text.removeprefix(f"[{named[0]}] ")
        if text:
            self._listener(node, level.lower(), text)

    def _kill_all(self) -> None:
        """Leave nothing behind, whatever went wrong here."""
        for process, child in list(self._children.items()):
            child.signal(signal.SIGKILL)
            self._forget(process)
        until_ns = self._clock.now_ns() + BURIAL_NS
        while self._orphans and self._clock.now_ns() < until_ns:
            self._reap_orphans()
            self._clock.sleep_until_ns(self._clock.now_ns() + NS_PER_MS)


def _members(graph: Graph) -> tuple[Member, ...]:
    """Return what supervision knows of the nodes; those of one process are stopped together."""
    return tuple(
        Member(
            node.name,
            node.on_exit,
            publishes=any(other.publishes for other in graph.processes[node.process]),
            listens=bool(node.subscribes),
            answers=node.fusion is not None,
            faults=graph.faults.of_nodes(other.name for other in graph.processes[node.process]),
            process=node.process,
            silent=not node.publishes,
            restart=node.restart,
            hang=node.hang,
        )
        for node in graph.here
    )
