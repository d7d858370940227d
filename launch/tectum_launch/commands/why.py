"""`tectum why`: why a result is missing, partial or shed."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tectum_launch.ledgers import Ledger

__all__ = ["why"]

_BEFORE, _AFTER = 100, 30
"""How many rows around one trigger say what is usual, and what came too late."""
_FAR_NS = 1_000_000_000
"""A trigger further from the moment that was asked about is told to be."""


@click.command()
@click.argument("source", required=False, metavar="[LOG|RUN]")
@click.option(
    "--at", metavar="TIME", help="One trigger: 12:03:10.2 (UTC), or 4.5s after the begin."
)
@click.option("--from", "begin", metavar="TIME", help="Only triggers from this time on.")
@click.option("--to", "end", metavar="TIME", help="Only triggers until this time.")
@click.option("--json", "as_json", is_flag=True, help="Sentences and rows as JSON.")
def why(
    source: str | None, at: str | None, begin: str | None, end: str | None, *, as_json: bool
) -> None:
    """Say why results are missing, partial or shed; times are in UTC.

    LOG is a recording; RUN the id or folder of a living run. Default: the newest living run, else
    the one that ended last.
    """
    from tectum_launch.ledgers import read_ledgers  # noqa: PLC0415 - start-up of the command line

    if at and (begin or end):
        msg = "--at asks about one trigger, --from and --to about a stretch: give one or the other"
        raise click.UsageError(msg)
    ledgers = read_ledgers(source)
    if at:
        documents = [_one_trigger(ledger, at) for ledger in ledgers]
    else:
        documents = [_stretch(ledger, begin, end) for ledger in ledgers]
    if as_json:
        click.echo(json.dumps(documents, indent=1))
        return
    for document in documents:
        if len(documents) > 1:
            click.echo(f"{document['node']}:")
        for sentence in document["sentences"]:
            click.echo(sentence)


def _one_trigger(ledger: Ledger, at: str) -> dict[str, Any]:
    from tectum.ledger.codec import row_document  # noqa: PLC0415 - start-up of the command line
    from tectum.ledger.why import explain  # noqa: PLC0415
    from tectum_launch.moments import parse_moment_ns  # noqa: PLC0415

    rows = ledger.rows
    if not rows:
        return {"node": ledger.node, "sentences": ["no triggers"], "row": None}
    instant_ns = parse_moment_ns(at, rows[0].stamp_ns)
    index = min(range(len(rows)), key=lambda i: abs(rows[i].stamp_ns - instant_ns))
    sentences = _far_words(rows[index].stamp_ns - instant_ns)
    told = [index]
    if ledger.plan.heads:
        told = [i for i, row in enumerate(rows) if row.stamp_ns == rows[index].stamp_ns]
    for i in told:
        words = explain(
            rows[i],
            ledger.plan,
            rows[max(0, i - _BEFORE) : i],
            later=rows[i + 1 : i + 1 + _AFTER],
            notes=ledger.notes,
            arrivals=ledger.arrivals,
        )
        sentences += words.split("\n")
    return {
        "node": ledger.node,
        "sentences": sentences,
        "row": row_document(rows[index]),
        **({"rows": [row_document(rows[i]) for i in told]} if ledger.plan.heads else {}),
    }


def _far_words(away_ns: int) -> list[str]:
    """Return that the trigger that is told is not of the moment that was asked about."""
    from tectum.ledger.words import duration_words  # noqa: PLC0415 - start-up of the command line

    if abs(away_ns) < _FAR_NS:
        return []
    side = "before" if away_ns < 0 else "after"
    return [f"no trigger at that moment; the nearest is {duration_words(abs(away_ns))} {side} it:"]


def _stretch(ledger: Ledger, begin: str | None, end: str | None) -> dict[str, Any]:
    from tectum.ledger.why import explain_span  # noqa: PLC0415 - start-up of the command line
    from tectum_launch.moments import parse_moment_ns  # noqa: PLC0415

    rows = ledger.rows
    first_ns = rows[0].stamp_ns if rows else 0
    begin_ns = parse_moment_ns(begin, first_ns) if begin else first_ns
    end_ns = parse_moment_ns(end, first_ns) if end else 1 << 63
    inside = [row for row in rows if begin_ns <= row.stamp_ns <= end_ns]
    return {
        "node": ledger.node,
        "triggers": len(inside),
        "begin_ns": inside[0].stamp_ns if inside else 0,
        "end_ns": inside[-1].stamp_ns if inside else 0,
        "outcomes": Counter(row.outcome.value for row in inside),
        "sentences": explain_span(inside, ledger.plan, ledger.notes, arrivals=ledger.arrivals),
    }
