"""`tectum schema`: a JSON Schema of graph files, for editors."""

from __future__ import annotations

import json
from pathlib import Path

import click

__all__ = ["schema"]


@click.command(short_help="Write a JSON Schema of graph files, for editors.")
@click.argument(
    "file", required=False, type=click.Path(dir_okay=False, path_type=Path), metavar="[FILE]"
)
def schema(file: Path | None) -> None:
    r"""Write a JSON Schema of graph files to FILE, or to stdout.

    An editor with a YAML language server then completes keys and marks mistakes: begin a graph with

    \b
        # yaml-language-server: $schema=graph.schema.json
    """
    from tectum_launch.json_schema import graph_json_schema  # noqa: PLC0415 - start-up

    text = json.dumps(graph_json_schema(), indent=1) + "\n"
    if file is None:
        click.echo(text, nl=False)
    else:
        file.write_text(text, encoding="utf-8")
