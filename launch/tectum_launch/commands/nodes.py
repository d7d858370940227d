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


@nodes.command()
@click.argument("run", metavar="NODE")
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--for", "duration", default="3s", metavar="TIME", help="How long to listen.")
@click.option("--json", "as_json", is_flag=True, help="What was found, as JSON.")
def probe(run: str, settings: tuple[str, ...], duration: str, *, as_json: bool) -> None:
    """List the devices that NODE could use; with settings, show what such a source gives.

    For example: tectum nodes probe camera url=rtsp://192.168.1.20/stream
    """
    from tectum.units import parse_duration_ns  # noqa: PLC0415 - start-up of the command line
    from tectum_launch.probe import (  # noqa: PLC0415
        devices_of,
        log_to_terminal,
        probe_text,
        probed,
    )

    if not settings:
        devices = devices_of(run)
        if devices is None:
            click.echo(f"{run} lists no devices: give it settings (see `tectum nodes show {run}`)")
            return
        lines = devices or [f"no device for {run} is connected"]
        click.echo(json.dumps(devices, indent=1) if as_json else "\n".join(lines))
        return
    log_to_terminal()
    found = probed(run, settings, parse_duration_ns(duration))
    click.echo(json.dumps(found, indent=1) if as_json else probe_text(found))
