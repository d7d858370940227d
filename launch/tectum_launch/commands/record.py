"""`tectum record`: record a graph that is running."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from tectum_launch.commands.launch import duration_option, parse_duration

__all__ = ["record"]


@click.command(short_help="Record a running graph.")
@click.argument("topics", nargs=-1)
@click.option(
    "--output", "-o", required=True, metavar="LOG",
    type=click.Path(dir_okay=False, path_type=Path), help="The new MCAP file.",
)  # fmt: skip
@click.option("--run", metavar="RUN", help="Id of the run; default: the newest that lives.")
@duration_option
def record(topics: tuple[str, ...], output: Path, run: str | None, duration: str | None) -> None:
    """Record TOPICS (names, or patterns with *; default: all) until the run ends or Ctrl-C."""
    from tectum_launch.recording import Joined, record_run  # noqa: PLC0415 - start-up

    logging.getLogger("tectum.node").setLevel(logging.INFO)
    joined = Joined(output, topics or ("*",), run, parse_duration(duration))
    click.echo(record_run(joined))
