"""`tectum log`: what a recording holds, and mending one that was cut."""

from __future__ import annotations

import json
from pathlib import Path

import click

__all__ = ["log"]

_file = click.Path(dir_okay=False, path_type=Path)


@click.group()
def log() -> None:
    """Look into a recording, or mend one that a crash cut."""


@log.command()
@click.argument("source", metavar="LOG", type=_file)
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
def info(source: Path, *, as_json: bool) -> None:
    """Show the topics, counts and time spans of LOG, and what is wrong with it."""
    from tectum.recording.info import info_document, info_text  # noqa: PLC0415 - start-up

    document = info_document(source)
    click.echo(json.dumps(document, indent=1) if as_json else info_text(document))


@log.command()
@click.argument("source", metavar="LOG", type=_file)
@click.argument("target", metavar="NEW", type=_file)
@click.option("--overwrite", is_flag=True, help="Replace NEW where it exists.")
def mend(source: Path, target: Path, *, overwrite: bool) -> None:
    """Copy all that can be read of LOG into NEW, an ordinary log with an index."""
    from tectum.recording.mend import mend as mended  # noqa: PLC0415 - start-up

    click.echo(mended(source, target, overwrite=overwrite).sentence())
