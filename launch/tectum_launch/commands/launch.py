"""`tectum launch`: run a graph."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tectum_launch.commands.check import set_option

__all__ = [
    "duration_option",
    "faults_option",
    "launch",
    "parse_duration",
    "playing",
    "playing_options",
]

_file = click.Path(dir_okay=False, path_type=Path)

duration_option = click.option(
    "--duration", metavar="TIME",
    help="Stop so long after all nodes are ready: 10s. Default: run until the graph ends.",
)  # fmt: skip


faults_option = click.option(
    "--faults", metavar="FILE", default="",
    help="What goes wrong on purpose, and what must hold all the same: a file, or a shipped name.",
)  # fmt: skip


def playing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how a recording is played; see `playing`."""
    for option in (
        click.option("--paused", is_flag=True, help="Playing: begin paused; see tectum playback."),
        click.option("--loop", is_flag=True, help="Playing: begin again at the end."),
        click.option("--end", metavar="TIME", help="Playing: until so long after its begin: 40s."),
        click.option("--start", metavar="TIME", help="Playing: from so long after its begin on."),
        click.option("--rate", type=click.FloatRange(0, min_open=True), metavar="NUMBER",
                     help="Playing: 2 is twice as fast. Simulating: no faster than so."),
    ):  # fmt: skip
        command = option(command)
    return command


def playing(
    *, rate: float | None, start: str | None, end: str | None, loop: bool, paused: bool
) -> dict[str, Any]:
    """Return what is given of `playing_options`, as keys of a player."""
    given = {"rate": rate, "start": start, "end": end, "loop": loop, "paused": paused}
    return {key: value for key, value in given.items() if value not in (None, False)}


@click.command(short_help="Run a graph.")
@click.argument("graph")
@set_option
@duration_option
@click.option("--report", type=_file, metavar="FILE", help="Write the report as JSON.")
@click.option(
    "--record", type=_file, metavar="LOG", help="Record all that is said into a new MCAP file."
)
@click.option(
    "--replay", metavar="LOG[:TOPIC,...]", default="",
    help="Play a recording instead of the sensors whose topics it has.",
)  # fmt: skip
@playing_options
@click.option(
    "--host", metavar="NAME", default="",
    help="Start only what runs on this of the graph's hosts; the others start the rest.",
)  # fmt: skip
@faults_option
@click.option("--console/--no-console", help="Show the graph at work.")
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True,
    help="How the lines of all nodes are said on stderr.",
)  # fmt: skip
@click.pass_context
def launch(
    ctx: click.Context,
    graph: str,
    settings: tuple[str, ...],
    duration: str | None,
    report: Path | None,
    record: Path | None,
    replay: str,
    host: str,
    faults: str,
    rate: float | None,
    start: str | None,
    end: str | None,
    log_format: str,
    *,
    loop: bool,
    paused: bool,
    console: bool,
) -> None:
    """Run GRAPH until it ends or Ctrl-C.

    GRAPH is a file, or the name of a shipped graph. The exit code is 0 where no node failed and
    what is asserted holds.
    """
    played = playing(rate=rate, start=start, end=end, loop=loop, paused=paused)
    if played and not replay:
        msg = f"--{next(iter(played))} says how a recording is played: name one with --replay LOG"
        raise click.UsageError(msg)
    duration_ns = parse_duration(duration)
    from tectum_launch.nursery import Nursery  # noqa: PLC0415 - start-up of the command line

    nursery = Nursery()  # it imports while this process does
    from tectum_launch.report import report_text  # noqa: PLC0415
    from tectum_launch.session import Session, run_session  # noqa: PLC0415

    session = Session(
        graph,
        settings,
        duration_ns=duration_ns,
        record=record,
        replay=replay,
        playing=played,
        console=console,
        log_format=log_format,
        host=host,
        faults=faults,
    )
    launched = run_session(session, nursery)
    if report:
        report.write_text(json.dumps(launched.report, indent=1) + "\n", encoding="utf-8")
    click.echo(report_text(launched.report))
    ctx.exit(launched.exit_code)


def parse_duration(duration: str | None) -> int:
    """Return the nanoseconds of `--duration`; 0 where it is not given."""
    from tectum.errors import ConfigError  # noqa: PLC0415 - start-up of the command line
    from tectum.units import parse_duration_ns  # noqa: PLC0415

    duration_ns = parse_duration_ns(duration) if duration else 0
    if duration is not None and duration_ns <= 0:
        msg = f"--duration {duration!r}: write how long to run, such as 10s"
        raise ConfigError(msg)
    return duration_ns
