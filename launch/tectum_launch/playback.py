"""Players of recordings in a run, and what they are told: pause, step, seek, another rate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tectum.clock import NS_PER_S
from tectum.errors import ConfigError, DataError
from tectum.ledger.words import clock_words
from tectum.rundir import find_run
from tectum.units import parse_duration_ns
from tectum_launch.moments import parse_moment_ns
from tectum_nodes.playback_desk import SUFFIX, PlaybackOrder, send_order

__all__ = ["find_players", "playback_order", "playback_text", "tell_players"]


def find_players(run: str | Path | None = None, node: str = "") -> list[Path]:
    """Return the desks of the players in a run, or that of one of them.

    Raises:
        DataError: there is no such run, or it plays no recording.
    """
    folder = find_run(run)
    desks = sorted(folder.glob(f"*{SUFFIX}"))
    named = [desk for desk in desks if not node or desk.name == f"{node}{SUFFIX}"]
    if not named:
        known = ", ".join(desk.name.removesuffix(SUFFIX) for desk in desks) or "none"
        what = f"no player {node!r}" if node else "no player of a recording"
        msg = f"run {folder.name} has {what} (it has: {known})"
        raise DataError(msg)
    return named


def tell_players(desks: list[Path], order: str, value: str = "") -> dict[str, dict[str, Any]]:
    """Tell each player an order in a person's words; return, by node, where it is then.

    Raises:
        ConfigError: `value` is not what the order takes.
        DataError: a player does not answer.
    """
    answers = {}
    for desk in desks:
        status = send_order(desk, PlaybackOrder("status")) if order == "seek" else {}
        asked = playback_order(order, value, status)
        answers[desk.name.removesuffix(SUFFIX)] = send_order(desk, asked)
    return answers


def playback_order(order: str, value: str, status: Mapping[str, Any]) -> PlaybackOrder:
    """Return the order that a person's words mean.

    `seek` takes `+5s` and `-5s` from where the recording is, `12.5s` from its begin, and a time of
    day in UTC; `step` a duration; `rate` a number.

    Raises:
        ConfigError: `value` is not what the order takes.
    """
    takes = {"seek": "a moment: 12.5s, +5s, -5s, 12:03:10.2", "rate": "a number: 0.5, 2"}
    if bool(value) != (order in takes) and not (order == "step" and value):
        msg = f"{order} takes {takes.get(order, 'no value')}"
        raise ConfigError(msg)
    if order == "step":
        return PlaybackOrder(order, by_ns=parse_duration_ns(value) if value else 0)
    if order == "rate":
        return PlaybackOrder(order, rate=_number(value))
    if order != "seek":
        return PlaybackOrder(order)
    if value[0] in "+-":
        by_ns = parse_duration_ns(value[1:])
        return PlaybackOrder(order, by_ns=by_ns if value[0] == "+" else -by_ns)
    return PlaybackOrder(order, to_ns=parse_moment_ns(value, int(status["begin_ns"])))


def playback_text(node: str, status: Mapping[str, Any]) -> str:
    """Return where a recording is, for a person."""
    at_s, lasts_s = (
        (int(status[key]) - int(status["begin_ns"])) / NS_PER_S for key in ("at_ns", "end_ns")
    )
    rate = "" if status["rate"] == 1 else f", {status['rate']:g} times as fast"
    when = clock_words(int(status["at_ns"]))
    return f"{node}: {status['state']} at {at_s:.2f} s of {lasts_s:.2f} ({when} UTC){rate}"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        msg = f"rate {text!r}: write a number: 0.5 is half as fast, 2 twice"
        raise ConfigError(msg) from None
