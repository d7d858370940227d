"""`tectum keys`: by which hosts know each other."""

from __future__ import annotations

import json
import socket

import click

__all__ = ["keys"]


@click.group(short_help="Keys by which hosts know each other.")
def keys() -> None:
    """Make this host's keys, show its public one, and trust other hosts.

    A graph over several hosts is encrypted, and only hosts whose public key is trusted take part.
    """


@keys.command()
@click.argument("name", default="")
@click.option("--replace", is_flag=True, help="Make new keys where there are some.")
def new(name: str, *, replace: bool) -> None:
    """Make the keys of this host, called NAME as in the graph's `hosts:` (default: its name)."""
    from tectum.transport.keys import keys_folder, make_keys  # noqa: PLC0415 - start-up

    ring = make_keys(name or socket.gethostname(), replace=replace)
    click.echo(f"made keys in {keys_folder()}; on the other hosts run:")
    click.echo(f"tectum keys trust {ring.name} {ring.public}")


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Names and public keys as JSON.")
def list_keys(*, as_json: bool) -> None:
    """List the public keys of this host and of those that it trusts."""
    from tectum.transport.keys import read_keys  # noqa: PLC0415 - start-up of the command line

    ring = read_keys()
    if as_json:
        own = {"name": ring.name, "public": ring.public}
        click.echo(json.dumps({"own": own, "trusted": ring.trusted}, indent=1))
        return
    rows = [(ring.name, ring.public, "this host"), *((*pair, "") for pair in ring.trusted.items())]
    width = max(len(name) for name, _, _ in rows)
    for name, key, remark in rows:
        click.echo(f"{name:<{width}}  {key}  {remark}".rstrip())


@keys.command()
@click.argument("name")
@click.argument("key")
def trust(name: str, key: str) -> None:
    """Trust host NAME, whose public key is KEY (see `tectum keys list` there)."""
    from tectum.transport.keys import trust as trust_key  # noqa: PLC0415 - start-up

    click.echo(f"{name} is trusted: {trust_key(name, key)}")
