"""A session: one launch as the command line knows it, from a graph's name to its report.

The lines of all nodes go to the terminal as they come; a console, where one is wanted, has the
terminal while the graph runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tectum.clock import GraphClock
from tectum.errors import ConfigError
from tectum.recording.series_reader import open_log
from tectum_launch.checks import check_graph
from tectum_launch.compile import load_graph
from tectum_launch.fault_plan import fault_text
from tectum_launch.findings import GraphError
from tectum_launch.graph import Graph
from tectum_launch.keyboard import playback_keys
from tectum_launch.launch import Launched, launch
from tectum_launch.nursery import Nursery
from tectum_launch.overrides import Addition
from tectum_launch.replaced import Recording
from tectum_launch.screen import lent_terminal
from tectum_launch.shipped import shipped_graphs
from tectum_launch.terminal import JsonTerminal, Terminal

__all__ = ["Session", "recorded_graph", "run_session"]


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
    playing: dict[str, Any] = field(default_factory=dict)
    """How it is played: the keys rate, start, end, loop, paused of the player."""
    console: bool = False
    """Show the graph at work."""
    additions: tuple[Addition, ...] = ()
    """Further nodes."""
    host: str = ""
    """Which of the graph's hosts this is; empty: everything runs here."""
    log_format: str = "text"
    """How lines are said: text, or json."""
    faults: str = ""
    """A file of faults, or the name of a shipped one; empty: those of the graph."""

    def nodes(self) -> Iterator[Addition]:
        """Yield the nodes that this session adds to its graph."""
        if self.record:
            entry = {"run": "recorder", "path": str(self.record.resolve()), **self._here()}
            yield Addition("recorder", entry, f"--record {self.record}")
        if self.console:
            yield Addition("console", {"run": "console", **self._here()}, "--console")
        yield from self.additions

    def _here(self) -> dict[str, str]:
        return {"host": self.host} if self.host else {}


def run_session(session: Session, nursery: Nursery | None = None) -> Launched:
    """Compile, check and run the graph of `session` to its end.

    Args:
        session: what is asked for.
        nursery: one that was started earlier, so that it has imported the more; it is ended.

    Raises:
        GraphError: the graph has errors; nothing was started.
        ConfigError: there is no such graph or recording, or no folder for the run.
    """
    with nursery or Nursery() as ready:  # it imports while the graph is compiled
        return _run(session, ready)


def _run(session: Session, nursery: Nursery) -> Launched:
    graph = load_graph(
        session.graph,
        session.settings,
        additions=session.nodes(),
        replay=Recording.parse(session.replay, session.playing) if session.replay else None,
        host=session.host,
        faults=session.faults,
    )
    clock = GraphClock()
    made = JsonTerminal if session.log_format == "json" else Terminal
    terminal = made(tuple(node.name for node in graph.nodes), clock)
    _refuse_errors(graph, terminal)
    for record in graph.faults.records:
        terminal.say("", "warning", f"on purpose: {fault_text(record)}")
    with lent_terminal(graph, terminal), playback_keys(terminal, wanted=bool(session.replay)):
        return launch(
            graph,
            terminal.say,
            duration_ns=session.duration_ns,
            clock=clock,
            nursery=nursery,
        )


def recorded_graph(log: Path) -> str:
    """Return the graph that `log` was recorded from: its file, else a shipped one of its name.

    Raises:
        DataError: there is no such recording.
        ConfigError: neither is here.
    """
    with open_log(log) as reader:
        run = reader.run
    source = run.get("description", {}).get("source", "")
    if source and Path(source).is_file():
        return str(source)
    if run.get("graph") in shipped_graphs():
        return str(run["graph"])
    msg = f"the graph from which {log} was recorded is not here ({source or 'unknown'}): name GRAPH"
    raise ConfigError(msg)


def _refuse_errors(graph: Graph, terminal: Terminal) -> None:
    """Say what is doubtful, and refuse what cannot work."""
    findings = check_graph(graph)
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        raise GraphError(errors)
    for finding in findings:
        terminal.say("", finding.level, finding.text)
