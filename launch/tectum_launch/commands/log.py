"""`tectum log`: what a recording holds, a part of it, and mending one that a crash cut."""

from __future__ import annotations

import json
from pathlib import Path

import click

__all__ = ["log"]

_file = click.Path(dir_okay=False, path_type=Path)


@click.group()
def log() -> None:
    """Look into a recording, take a part of it, or mend one that a crash cut."""


@log.command()
@click.argument("source", metavar="LOG", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
def info(source: Path, *, as_json: bool) -> None:
    """Show the topics, counts and time spans of LOG, and what is wrong with it."""
    from tectum.recording.info import info_document, info_text  # noqa: PLC0415 - start-up
    from tectum.recording.series_reader import named_log  # noqa: PLC0415

    document = info_document(named_log(source))
    click.echo(json.dumps(document, indent=1) if as_json else info_text(document))


@log.command()
@click.argument("source", metavar="LOG", type=click.Path(path_type=Path))
@click.option("-o", "--output", "target", metavar="NEW", type=_file, required=True)
@click.option("--start", metavar="MOMENT", help="From then on: 10s after its begin, 12:03:10 UTC.")
@click.option("--end", metavar="MOMENT", help="Until then.")
@click.option("--topics", metavar="TOPIC,...", default="*", help="Names or patterns with *.")
@click.option("--overwrite", is_flag=True, help="Replace NEW where it exists.")
def cut(
    source: Path,
    target: Path,
    start: str | None,
    end: str | None,
    topics: str,
    *,
    overwrite: bool,
) -> None:
    """Copy a part of LOG into NEW: a stretch of time, some topics, or both.

    LOG is a file, the name of a series of files, or a folder with one recording.
    """
    from tectum.recording.cut import Part  # noqa: PLC0415 - start-up of the command line
    from tectum.recording.cut import cut as cut_out  # noqa: PLC0415
    from tectum.recording.series_reader import open_log  # noqa: PLC0415
    from tectum_launch.moments import parse_moment_ns  # noqa: PLC0415

    with open_log(source) as reader:
        begin_ns, last_ns = reader.span_ns
    part = Part(
        parse_moment_ns(start, begin_ns) if start else begin_ns,
        parse_moment_ns(end, begin_ns) if end else last_ns + 1,
        tuple(filter(None, topics.split(","))),
    )
    click.echo(cut_out(source, target, part, overwrite=overwrite).sentence())


@log.command()
@click.argument("source", metavar="LOG", type=_file)
@click.argument("target", metavar="NEW", type=_file)
@click.option("--overwrite", is_flag=True, help="Replace NEW where it exists.")
def mend(source: Path, target: Path, *, overwrite: bool) -> None:
    """Copy all that can be read of LOG into NEW, an ordinary log with an index."""
    from tectum.recording.mend import mend as mended  # noqa: PLC0415 - start-up

    click.echo(mended(source, target, overwrite=overwrite).sentence())
