"""`tectum new`: a commented start for a graph or a node of one's own."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["new"]

_path = click.argument("path", type=click.Path(path_type=Path))


@click.group()
def new() -> None:
    """Begin a graph, or a node of your own, with files that work as they stand."""


@new.command()
@_path
def graph(path: Path) -> None:
    """Write a commented graph to PATH: two simulated sensors, fused, their results in a table."""
    from tectum_launch.starters import new_graph  # noqa: PLC0415 - start-up of the command line

    (file,) = new_graph(path)
    click.echo(f"{file} is written. Try:\n  tectum check {file}\n  tectum launch {file} --console")


@new.command()
@_path
def node(path: Path) -> None:
    """Write a sensor node to PATH, and a test of it beside it."""
    from tectum_launch.starters import new_node  # noqa: PLC0415 - start-up of the command line

    file, test = new_node(path)
    run = f"{file.stem}:{''.join(part.capitalize() for part in file.stem.split('_'))}"
    click.echo(
        f"{file} and {test} are written. Try:\n  python -m pytest {test}\n"
        f"In a graph beside it: {file.stem}: {{run: {run}, rate: 10Hz}}"
    )
