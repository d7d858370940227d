"""`tectum graph`: draw a graph without starting it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tectum_launch.commands.check import set_option

__all__ = ["graph"]


@click.command(short_help="Draw a graph without starting it.")
@click.argument("name", metavar="GRAPH")
@set_option
@click.option("--svg", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write a picture.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The compiled graph as JSON.")
def graph(name: str, settings: tuple[str, ...], svg: Path | None, *, as_json: bool) -> None:
    """Show the nodes of GRAPH, who hears whom, how inputs are aligned, and its parameters.

    GRAPH is a file, or the name of a shipped graph.
    """
    from tectum_launch.compile import load_graph  # noqa: PLC0415 - start-up of the command line
    from tectum_launch.document import read_document  # noqa: PLC0415
    from tectum_launch.graph_svg import graph_svg  # noqa: PLC0415
    from tectum_launch.graph_words import graph_text  # noqa: PLC0415
    from tectum_launch.inclusion import include_files  # noqa: PLC0415
    from tectum_launch.parameters import declared_parameters  # noqa: PLC0415
    from tectum_launch.shipped import find_graph  # noqa: PLC0415

    compiled = load_graph(name, settings)
    if svg:
        svg.write_text(graph_svg(compiled), encoding="utf-8")
        click.echo(f"drawn in {svg}", err=True)
        return
    if as_json:
        click.echo(json.dumps(compiled.document(), indent=1))
        return
    document = read_document(find_graph(name))
    include_files(document)
    click.echo(graph_text(compiled, declared_parameters(document)))
