"""`tectum trace`: a recorded run as a timeline for Perfetto or chrome://tracing."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["trace"]

_file = click.Path(dir_okay=False, path_type=Path)


@click.command(short_help="Make a timeline of a recording, for Perfetto.")
@click.argument("log", type=_file, metavar="LOG")
@click.argument("target", type=_file, required=False, metavar="[FILE]")
def trace(log: Path, target: Path | None) -> None:
    """Write what happened in LOG, with topics: ['*'], as a trace: FILE, or LOG.json.gz.

    Open it at https://ui.perfetto.dev (it stays on this machine) or in chrome://tracing: captures
    and ways of all messages, the runs on every lane, every set with its phases and outcome.
    """
    from tectum_launch.tracing import write_trace  # noqa: PLC0415 - start-up of the command line

    target = target or log.with_suffix(".json.gz")
    count = write_trace(log, target)
    click.echo(f"{target}: {count} events; open it at https://ui.perfetto.dev")
