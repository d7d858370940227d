"""A session: one launch as the command line knows it, from a graph's name to its report.

The lines of all nodes go to the terminal as they come; a console, where one is wanted, has the
terminal while the graph runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tectum.clock import GraphClock
from tectum_launch.checks import check_graph
from tectum_launch.compile import load_graph
from tectum_launch.findings import GraphError
from tectum_launch.graph import Graph
from tectum_launch.launch import Launched, launch
from tectum_launch.overrides import Addition
from tectum_launch.screen import lent_terminal
from tectum_launch.terminal import Terminal

__all__ = ["Session", "run_session"]


@dataclass(frozen=True, slots=True)
class Session:
    """What is asked of one launch."""

    graph: str
    """A file, or the name of a shipped graph."""
    settings: tuple[str, ...] = ()
    """`a.b=c` each."""
    duration_ns: int = 0
    record: Path | None = None
    """Record everything that is said into this file."""
    replay: str = ""
    """`LOG[:topic,...]`: a recording that stands in for sensors."""
    console: bool = False
    """Show the graph at work."""
    additions: tuple[Addition, ...] = ()
    """Further nodes."""

    def nodes(self) -> Iterator[Addition]:
        """Yield the nodes that this session adds to its graph."""
        if self.record:
            entry = {"run": "recorder", "path": str(self.record.resolve())}
            yield Addition("recorder", entry, f"--record {self.record}")
        if self.console:
            yield Addition("console", {"run": "console"}, "--console")
        yield from self.additions


def run_session(session: Session) -> Launched:
    """Compile, check and run the graph of `session` to its end.

    Raises:
        GraphError: the graph has errors; nothing was started.
        ConfigError: there is no such graph or recording, or no folder for the run.
    """
    graph = load_graph(
        session.graph, session.settings, additions=session.nodes(), replay=session.replay
    )
    clock = GraphClock()
    terminal = Terminal(tuple(node.name for node in graph.nodes), clock)
    _refuse_errors(graph, terminal)
    with lent_terminal(graph, terminal):
        return launch(graph, terminal.say, duration_ns=session.duration_ns, clock=clock)


def _refuse_errors(graph: Graph, terminal: Terminal) -> None:
    """Say what is doubtful, and refuse what cannot work."""
    findings = check_graph(graph)
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        raise GraphError(errors)
    for finding in findings:
        terminal.say("", finding.level, finding.text)
