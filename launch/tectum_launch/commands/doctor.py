"""`tectum doctor`: what this machine offers, and the way out where something is missing."""

from __future__ import annotations

import json

import click

__all__ = ["doctor"]

_MARKS = {"ok": ("ok  ", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "red")}


@click.command(short_help="Examine this machine, and say the way out.")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
@click.pass_context
def doctor(ctx: click.Context, *, as_json: bool) -> None:
    """Examine packages, devices, folders and limits; each with its way out.

    Exit code 1 where something keeps Tectum from running.
    """
    from tectum_launch.doctor import examine  # noqa: PLC0415 - start-up of the command line

    lines = examine()
    if as_json:
        click.echo(json.dumps([line.document() for line in lines], indent=1))
    else:
        width = max(len(line.name) for line in lines)
        for line in lines:
            mark, colour = _MARKS[line.state]
            click.echo(f"{click.style(mark, fg=colour)}  {line.name:<{width}}  {line.found}")
            if line.way_out:
                click.echo(f"{'':<{width + 8}}-> {line.way_out}")
    ctx.exit(1 if any(line.state == "fail" for line in lines) else 0)
