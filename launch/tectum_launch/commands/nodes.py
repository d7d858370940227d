"""`tectum nodes`: which nodes there are, and what each is configured with."""

from __future__ import annotations

import json

import click

__all__ = ["nodes"]


@click.group()
def nodes() -> None:
    """List the nodes that a graph can run, or show one."""


@nodes.command("list")
@click.option("--json", "as_json", is_flag=True, help="Names and classes as JSON.")
def list_nodes(*, as_json: bool) -> None:
    """List the registered nodes."""
    from tectum_launch.registry import registered  # noqa: PLC0415 - start-up of the command line

    names = registered()
    if as_json:
        click.echo(json.dumps(names, indent=1))
        return
    width = max(map(len, names))
    for name, target in names.items():
        click.echo(f"{name:<{width}}  {target}")


@nodes.command()
@click.argument("run", metavar="NODE")
@click.option("--json", "as_json", is_flag=True, help="The node's JSON schema.")
def show(run: str, *, as_json: bool) -> None:
    """Show what NODE does, publishes and is configured with."""
    from tectum_launch.reference import node_reference  # noqa: PLC0415

    reference = node_reference(run)
    if as_json:
        click.echo(json.dumps(reference.document(), indent=1))
        return
    click.echo(reference.text())
