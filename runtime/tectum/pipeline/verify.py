"""Verify: feed a journal back and see that the same decisions come out.

Needs neither payloads nor models. What is compared is the decision digest and, where the recorded
rows are at hand, every row with all its evidence, so that a journal with one event changed is
caught at the first row on which that event bears.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from tectum.errors import ContractError
from tectum.ledger.codec import row_document
from tectum.ledger.row import InputRow, Row
from tectum.pipeline.events import Event
from tectum.pipeline.orders import Close
from tectum.pipeline.pipeline import Pipeline
from tectum.pipeline.plan import Plan

__all__ = ["Verification", "verify"]


@dataclass(frozen=True, slots=True)
class Verification:
    """What became of a journal that was fed back."""

    digest: str
    """Of the decisions that came out this time."""
    events: int
    """How many events were fed."""
    rows: int
    """How many rows were closed."""
    difference: str = ""
    """The first difference in words; empty where everything agrees."""
    event: int = -1
    """Index of the event at which the difference showed; -1 for none, or only at the end."""
    row: int = -1
    """Trigger number of the first row that differs; -1 for none."""

    @property
    def ok(self) -> bool:
        """Return whether everything agrees."""
        return not self.difference


def verify(
    plan: Plan,
    journal: Iterable[Event],
    digest: str | None = None,
    rows: Sequence[Row] | None = None,
) -> Verification:
    """Feed `journal` to a fresh pipeline and compare what it decides.

    Args:
        plan: the plan that was recorded with the journal.
        journal: every event, in the order in which the pipeline took them up.
        digest: the recorded decision digest; None compares no digest.
        rows: the recorded rows, in order; a recording cut short may lack the last ones.
    """
    pipeline, closed, index = Pipeline(plan), 0, -1
    for index, event in enumerate(journal):
        try:
            orders = pipeline.feed(event)
        except ContractError as error:
            words = f"event {index} cannot follow what came before: {error}"
            return Verification(pipeline.digest.hexdigest(), index, closed, words, index)
        for order in orders:
            if not isinstance(order, Close):
                continue
            words = _difference(order.row, rows, closed)
            closed += 1
            if words:
                found, trigger = pipeline.digest.hexdigest(), order.row.trigger
                return Verification(found, index + 1, closed, words, index, trigger)
    found = pipeline.digest.hexdigest()
    words = _difference_at_end(found, digest, closed, rows)
    return Verification(found, index + 1, closed, words)


def _difference(row: Row, rows: Sequence[Row] | None, index: int) -> str:
    """Return how `row` differs from the recorded one, or an empty string."""
    if rows is None or index >= len(rows):
        return ""
    recorded = rows[index]
    if row_document(row) == row_document(recorded):
        return ""
    name, before, after = _first_field(recorded, row)
    return f"trigger {row.trigger}: {name} was recorded as {before!r} and comes out as {after!r}"


def _first_field(recorded: Row, row: Row) -> tuple[str, object, object]:
    """Return name, recorded and new value of the first field that differs."""
    for old, new in zip(recorded.inputs, row.inputs, strict=False):
        for item in fields(InputRow):
            before, after = getattr(old, item.name), getattr(new, item.name)
            if before != after:
                return f"{new.name}.{item.name}", before, after
    for item in fields(Row):
        before, after = getattr(recorded, item.name), getattr(row, item.name)
        if item.name != "inputs" and before != after:
            return item.name, before, after
    return "the number of inputs", len(recorded.inputs), len(row.inputs)


def _difference_at_end(
    found: str, digest: str | None, closed: int, rows: Sequence[Row] | None
) -> str:
    if rows is not None and closed < len(rows):
        return f"{len(rows)} rows were recorded and {closed} come out"
    if digest is not None and digest != found:
        return f"the decision digest was recorded as {digest} and comes out as {found}"
    return ""
