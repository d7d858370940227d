"""`tectum playback`: pause, step or seek a recording that is being played."""

from __future__ import annotations

import json

import click

__all__ = ["playback"]

_ORDERS = ("status", "pause", "resume", "step", "seek", "rate")


@click.command(
    short_help="Pause, step or seek a recording that is played.",
    context_settings={"ignore_unknown_options": True},
)
@click.argument("order", type=click.Choice(_ORDERS))
@click.argument("value", required=False, default="")
@click.option("--run", metavar="RUN", help="Id or folder of a run; default: the newest that lives.")
@click.option("--node", default="", metavar="NAME", help="One player; default: all of the run.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def playback(order: str, value: str, run: str | None, node: str, *, as_json: bool) -> None:
    r"""Tell the players of a run to pause or go on, and say where the recording is.

    \b
    status           where it is
    pause, resume
    step [TIME]      play so much and pause; default: one period of its slowest topic
    seek MOMENT      12.5s from its begin, +5s or -5s from here, 12:03:10.2 UTC
    rate NUMBER      0.5 is half as fast, 2 twice
    """
    from tectum_launch.playback import (  # noqa: PLC0415 - start-up of the command line
        find_players,
        playback_text,
        tell_players,
    )

    answers = tell_players(find_players(run, node), order, value)
    if as_json:
        click.echo(json.dumps(answers, indent=1))
        return
    for name, status in answers.items():
        click.echo(playback_text(name, status))
