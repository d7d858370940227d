"""Run a compiled graph to its end: the whole launch, for the command line and for embedding.

`launch` returns when every process is gone and the run's folder removed. Call it from the main
thread of a program: nodes die with the thread that started them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tectum.clock import GraphClock
from tectum_launch.assertions import judge
from tectum_launch.graph import Graph
from tectum_launch.hosts import answering_for_the_clock
from tectum_launch.ledgers import keep_ledgers
from tectum_launch.members import Limits
from tectum_launch.nursery import Nursery
from tectum_launch.report import assemble_report, fusion_reports, recording_reports
from tectum_launch.run_folder import RunFolder
from tectum_launch.supervisor import Listener, Supervisor

__all__ = ["Launched", "launch"]


@dataclass(frozen=True, slots=True)
class Launched:
    """What came of a launch."""

    exit_code: int
    report: dict[str, Any]


def launch(
    graph: Graph,
    listener: Listener,
    *,
    duration_ns: int = 0,
    limits: Limits | None = None,
    clock: GraphClock | None = None,
    nursery: Nursery | None = None,
) -> Launched:
    """Run `graph` until it ends, `duration_ns` are over, or a signal asks it to stop.

    Args:
        graph: what to run.
        listener: hears every line of the nodes and of the launcher: (node, level, text).
        duration_ns: counted from the instant when all nodes are ready; 0: no limit.
        limits: how long is waited for nodes.
        clock: the graph clock of the run.
        nursery: from which nodes are forked; default: one for this launch.

    Raises:
        ConfigError: no folder for the run can be made.
    """
    clock = clock or GraphClock()
    folder = RunFolder.create(graph, clock)
    try:
        with nursery or Nursery() as ready, answering_for_the_clock(graph, clock):
            supervisor = Supervisor(
                graph, folder, ready, listener, duration_ns=duration_ns, limits=limits
            )
            supervisor.run()
        fusion = fusion_reports(graph, folder.path)
        here = [node.name for node in graph.here if node.fusion]
        verdicts = judge(graph.faults, fusion, here)
        report = assemble_report(
            graph,
            fusion,
            supervisor.supervision,
            clock.now_ns(),
            verdicts,
            recording_reports(graph, folder.path),
        )
        if fusion:
            keep_ledgers(folder.path)
    finally:
        folder.remove()
    return Launched(report["exit_code"], report)
