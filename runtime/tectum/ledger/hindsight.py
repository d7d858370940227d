"""Rows with what was learned after they were closed, for those who explain them afterwards.

A set is settled the moment no later sample is expected to match, so the row names the best sample
*until then*. Arrivals, and the rows around it, know of samples that came later and lay nearer, just
outside the tolerance; notes know of samples that would have been better. Decisions are left as
they were.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tectum.ledger.came import Came
from tectum.ledger.row import InputRow, Row
from tectum.pipeline.orders import Note
from tectum.pipeline.plan import AlignPlan, Plan

__all__ = ["with_hindsight"]

_Known = list[tuple[int, int]]
"""Stamp and sequence number of each sample of one input that is known of, by stamp."""


def with_hindsight(
    rows: Sequence[Row], plan: Plan, notes: Sequence[Note] = (), arrivals: Came | None = None
) -> list[Row]:
    """Return `rows`; where refusals or `beaten` marks are others afterwards, a copy says so."""
    beaten = {(note.input, note.detail_ns) for note in notes if note.change == "beaten"}
    known = {item.name: _known(rows, item.name, arrivals or {}) for item in plan.inputs}
    aligns = {item.name: item.align for item in plan.inputs}
    return [_row(row, aligns, known, beaten) for row in rows]


def _row(
    row: Row,
    aligns: Mapping[str, AlignPlan],
    known: Mapping[str, _Known],
    beaten: set[tuple[str, int]],
) -> Row:
    inputs = tuple([_seen_again(i, row, aligns[i.name], known[i.name], beaten) for i in row.inputs])
    same = all(new is old for new, old in zip(inputs, row.inputs, strict=True))
    return row if same else replace(row, inputs=inputs)


def _known(rows: Sequence[Row], name: str, arrivals: Came) -> _Known:
    found = {sample[0]: sample[1] for sample in arrivals.get(name, ())}
    for row in rows:
        for item in row.inputs:
            if item.name != name:
                continue
            if item.seq >= 0:
                found[item.stamp_ns] = item.seq
            if item.refused_seq >= 0:
                found[row.stamp_ns + item.refused_distance_ns] = item.refused_seq
    return sorted(found.items())


def _seen_again(
    item: InputRow, row: Row, align: AlignPlan, known: _Known, beaten: set[tuple[str, int]]
) -> InputRow:
    if (item.name, row.stamp_ns) in beaten and not item.beaten:
        item = replace(item, beaten=True)
    if item.reason != "out_of_tolerance" or align.rule == "interpolate":
        return item
    item = replace(item)
    for stamp_ns, seq in _neighbours(known, row.stamp_ns):
        distance_ns = stamp_ns - row.stamp_ns
        if abs(distance_ns) < abs(item.refused_distance_ns):
            item.refused_seq, item.refused_distance_ns = seq, distance_ns
            item.limit_ns = align.after_ns if distance_ns > 0 else align.before_ns
    return item


def _neighbours(known: _Known, instant_ns: int) -> _Known:
    after = bisect_left(known, (instant_ns, 0))
    return known[max(0, after - 1) : after + 1]
