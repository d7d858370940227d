"""`tectum topics`, `tectum echo`, `tectum hz`: what is said in a running graph."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tectum.listening import Listening
    from tectum.transport.base import Received
    from tectum_launch.pace import Pace

__all__ = ["echo", "hz", "topics"]

_run = click.option(
    "--run", metavar="RUN", help="Id or folder of a run; default: the newest that lives."
)
_json = click.option("--json", "as_json", is_flag=True, help="As JSON.")


@click.command()
@_run
@_json
def topics(run: str | None, *, as_json: bool) -> None:
    """List the topics of a running graph: kind, publisher, hearers."""
    from tectum.rundir import find_run, read_run  # noqa: PLC0415 - start-up of the command line

    document = read_run(find_run(run))
    hears = {name: node.get("subscribes", ()) for name, node in document["nodes"].items()}
    found = {
        topic: {**record, "heard_by": [name for name, of in hears.items() if topic in of]}
        for topic, record in document["topics"].items()
    }
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    width = max(map(len, found), default=0)
    for topic, record in found.items():
        hearers = ", ".join(record["heard_by"]) or "nobody"
        click.echo(f"{topic:<{width}}  {record['kind']:<8} heard by {hearers}")


@click.command(short_help="Print what a topic says.")
@click.argument("patterns", nargs=-1, required=True, metavar="TOPIC...")
@_run
@click.option("-n", "--count", type=click.IntRange(1), help="Stop after so many messages.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON per message.")
@click.option("--values", is_flag=True, help="With --json: all numbers of the buffers too.")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Also constant facts, and what is said about the future.",
)
def echo(
    patterns: tuple[str, ...],
    run: str | None,
    count: int | None,
    *,
    as_json: bool,
    values: bool,
    everything: bool,
) -> None:
    """Print what is said on TOPIC (`camera/*` for several): pictures, sounds, clouds in a line."""
    from tectum.listening import listen  # noqa: PLC0415 - start-up of the command line
    from tectum.message import Kind  # noqa: PLC0415
    from tectum_launch.summaries import message_document, message_text  # noqa: PLC0415

    aside = (Kind.PROMISE, Kind.END, Kind.LATCHED)
    left = count or 1 << 62
    with listen(patterns, run) as listening:
        for item in _until_interrupted(listening):
            message = item.message
            if message is None:
                assert item.gap is not None, "one or the other"
                click.echo(f"{item.gap.topic}: {item.gap.missing} messages missed", err=True)
                continue
            if message.header.kind in aside and not everything:
                continue
            if as_json:
                click.echo(json.dumps(message_document(message, values=values)))
            else:
                click.echo(message_text(message))
            message.release()
            left -= 1
            if not left:
                return


@click.command(short_help="Measure how fast topics come.")
@click.argument("patterns", nargs=-1, metavar="[TOPIC]...")
@_run
@click.option("--for", "duration", metavar="TIME", help="How long; default: until Ctrl-C.")
@click.option("--window", type=click.IntRange(2), default=1000, help="Messages that count.")
@_json
def hz(
    patterns: tuple[str, ...], run: str | None, duration: str | None, window: int, *, as_json: bool
) -> None:
    """Measure rate, jitter, age and size of TOPIC (default: all), a line per topic and second."""
    from tectum.clock import NS_PER_S  # noqa: PLC0415 - start-up of the command line
    from tectum.listening import listen  # noqa: PLC0415
    from tectum.units import parse_duration_ns  # noqa: PLC0415

    lasting_ns = parse_duration_ns(duration) if duration else 1 << 62
    paces: dict[str, Pace] = {}
    with listen(patterns or ("*",), run) as listening:
        begun_ns = listening.clock.now_ns()
        told_ns = begun_ns
        for item in _until_interrupted(listening, begun_ns + lasting_ns):
            _count(item, paces, window, listening.clock.now_ns())
            now_ns = listening.clock.now_ns()
            if now_ns - told_ns >= NS_PER_S and not as_json:
                told_ns = now_ns
                _tell(paces)
    if as_json:
        click.echo(json.dumps({name: pace.document() for name, pace in paces.items()}, indent=1))
    elif not paces:
        click.echo("nothing came")
    else:
        _tell(paces)


def _until_interrupted(listening: Listening, end_ns: int = 1 << 62) -> Iterator[Received]:
    """Yield what arrives until Ctrl-C, the end of the run, or `end_ns`."""
    with contextlib.suppress(KeyboardInterrupt):
        yield from listening.until(end_ns)


def _count(item: Received, paces: dict[str, Pace], window: int, now_ns: int) -> None:
    from tectum_launch.pace import Pace  # noqa: PLC0415 - start-up of the command line

    topic = item.message.header.topic if item.message else item.gap.topic if item.gap else ""
    pace = paces.setdefault(topic, Pace(window))
    if item.gap is not None:
        pace.miss(item.gap)
    if item.message is not None:
        pace.take(item.message.header, now_ns)
        item.message.release()


def _tell(paces: dict[str, Pace]) -> None:
    width = max(map(len, paces))
    for name, pace in sorted(paces.items()):
        click.echo(f"{name:<{width}}  {pace.text()}")
