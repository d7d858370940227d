"""`tectum launch`: run a graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tectum_launch.commands.check import set_option

if TYPE_CHECKING:
    from tectum_launch.graph import Graph
    from tectum_launch.overrides import Addition
    from tectum_launch.terminal import Terminal

__all__ = ["launch"]


@click.command(short_help="Run a graph.")
@click.argument("graph")
@set_option
@click.option(
    "--duration", metavar="TIME", help="Stop after this time: 10s. Default: until it ends."
)
@click.option(
    "--report", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write the report of the run as JSON.",
)  # fmt: skip
@click.option(
    "--record", type=click.Path(dir_okay=False, path_type=Path), metavar="LOG",
    help="Record everything that is said into a new MCAP file.",
)  # fmt: skip
@click.pass_context
def launch(
    ctx: click.Context,
    graph: str,
    settings: tuple[str, ...],
    duration: str | None,
    report: Path | None,
    record: Path | None,
) -> None:
    """Run GRAPH until it ends or Ctrl-C; exit code 0 where no node failed.

    GRAPH is a file, or the name of a shipped graph.
    """
    from tectum.clock import GraphClock  # noqa: PLC0415 - start-up of the command line
    from tectum_launch.compile import load_graph  # noqa: PLC0415
    from tectum_launch.launch import launch as run  # noqa: PLC0415
    from tectum_launch.report import report_text  # noqa: PLC0415
    from tectum_launch.terminal import Terminal  # noqa: PLC0415

    duration_ns = parse_duration(duration)
    additions = [recorder(record)] if record else []
    compiled = load_graph(graph, settings, additions=additions)
    clock = GraphClock()
    terminal = Terminal(tuple(node.name for node in compiled.nodes), clock)
    _refuse_errors(compiled, terminal)
    launched = run(compiled, terminal.say, duration_ns=duration_ns, clock=clock)
    if report:
        report.write_text(json.dumps(launched.report, indent=1) + "\n", encoding="utf-8")
    click.echo(report_text(launched.report))
    ctx.exit(launched.exit_code)


def parse_duration(duration: str | None) -> int:
    """Return the nanoseconds of `--duration`; 0 where it is not given."""
    from tectum.errors import ConfigError  # noqa: PLC0415
    from tectum.units import parse_duration_ns  # noqa: PLC0415

    duration_ns = parse_duration_ns(duration) if duration else 0
    if duration is not None and duration_ns <= 0:
        msg = f"--duration {duration!r}: write how long to run, such as 10s"
        raise ConfigError(msg)
    return duration_ns


def recorder(log: Path) -> Addition:
    """Return the recorder that `--record LOG` adds to a graph."""
    from tectum_launch.overrides import Addition  # noqa: PLC0415

    entry = {"run": "recorder", "path": str(log.resolve())}
    return Addition("recorder", entry, f"--record {log}")


def _refuse_errors(compiled: Graph, terminal: Terminal) -> None:
    """Say what is doubtful, and refuse what cannot work."""
    from tectum_launch.checks import check_graph  # noqa: PLC0415
    from tectum_launch.findings import GraphError  # noqa: PLC0415

    findings = check_graph(compiled)
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        raise GraphError(errors)
    for finding in findings:
        terminal.say("", finding.level, finding.text)
