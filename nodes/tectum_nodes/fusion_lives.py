"""The lives of a fusion node in one run: what each left is kept, also where it was killed.

A life writes its report once a second, and each row to its ledger at once. When it is over, the
report is put aside as `<node>.life-<number>.json`, with the rows that it had closed since: by the
next life as it opens, or by the launcher at the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack

from tectum.ledger.codec import row_from
from tectum.ledger.merging import HISTOGRAMS, merged_lives
from tectum.ledger.row import Row
from tectum.ledger.tally import Tally
from tectum.pipeline.plan import Plan

__all__ = ["close_life", "histogram_documents", "report_of_lives"]


def close_life(folder: Path, node: str, plan: Plan) -> int:
    """Put aside what a life of `node` left in the run's directory, where it left anything.

    Returns:
        When it delivered its last answer, in ns on the graph clock; 0: there was none.
    """
    path, last_ns = folder / f"{node}.report.json", 0
    parts = [json.loads(path.read_text(encoding="utf-8"))] if path.is_file() else []
    counted, tail = (parts[0]["triggers"] if parts else 0), Tally(plan)
    for number, row in _rows(folder / f"{node}.ledger"):
        last_ns = max(last_ns, row.delivered_ns)
        if number >= counted:
            tail.add(row)
    if tail.triggers:
        document = tail.document(counters={}, digest="", unexplained=0)
        parts.append(document | {HISTOGRAMS: histogram_documents(tail)})
    if parts:
        aside = folder / f"{node}.life-{len(_lives(folder, node)):06}.json"
        aside.write_text(json.dumps(parts), encoding="utf-8")
        path.unlink(missing_ok=True)
    return last_ns


def report_of_lives(folder: Path, node: str) -> dict[str, Any] | None:
    """Return the report of all lives of `node` that were closed, or None where there is none."""
    lives = [json.loads(path.read_text(encoding="utf-8")) for path in _lives(folder, node)]
    if not lives:
        return None
    return merged_lives([part for parts in lives for part in parts]) | {"lives": len(lives)}


def histogram_documents(tally: Tally) -> dict[str, Any]:
    """Return what `merged_lives` takes the quantiles of all lives from."""
    return {path: histogram.document() for path, histogram in tally.histograms().items()}


def _lives(folder: Path, node: str) -> list[Path]:
    return sorted(folder.glob(f"{node}.life-*.json"))


def _rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Yield the rows of the last life in a ledger file, and in its older part, with numbers."""
    files = [path.with_suffix(".ledger.old"), path] if _first_number(path) else [path]
    for file in files:
        number = _first_number(file)
        for entry in _entries(file):
            if "row" in entry:
                yield number, row_from(entry["row"])
                number += 1


def _first_number(path: Path) -> int:
    first = next(_entries(path), {})
    return int(first.get("rows", 0))


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the entries of a ledger file; a last one that was cut is left out."""
    if not path.is_file():
        return
    unpacker = msgpack.Unpacker(strict_map_key=False)
    unpacker.feed(path.read_bytes())
    yield from unpacker
