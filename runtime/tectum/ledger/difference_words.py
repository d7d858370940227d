"""What two runs decided differently, for a person: a summary, and a line per trigger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tectum.ledger.difference import Change, Difference, InputDifference, RowChange
from tectum.ledger.row import InputRow, Outcome, Row, Status
from tectum.ledger.words import clock_words, counted, duration_words

__all__ = ["change_words", "difference_lines", "input_lines"]

_MEANS = {
    Change.ONLY_BEFORE: "a trigger only before",
    Change.ONLY_AFTER: "a trigger only after",
    Change.GAINED: "answered, and was not",
    Change.LOST: "not answered, and was",
    Change.FULLER: "answered with an input more",
    Change.THINNER: "answered with an input less",
    Change.REPAIRED: "answered from another sample of an input",
    Change.OTHERWISE: "of the same samples: another variant, reason or flag",
}


def difference_lines(found: Difference) -> list[str]:
    """Return how many triggers were decided alike, and how the others were not."""
    total = found.alike + sum(found.counts.values())
    width = len(str(max(found.counts.values(), default=0)))
    kinds = [
        f"  {found.counts[change]:>{width}} {_name(change)}: {_MEANS[change]}"
        for change in Change
        if found.counts[change]
    ]
    return [f"{found.alike} of {counted(total, 'trigger')} decided alike", *kinds]


def input_lines(found: Difference) -> list[str]:
    """Return a line for each input that something happened to."""
    return [
        f"{name}: {words}"
        for name, item in found.inputs.items()
        if (words := ", ".join(_input_words(item)))
    ]


def change_words(change: RowChange) -> str:
    """Return what happened to one trigger, in a line."""
    row = change.before or change.after
    assert row is not None, "a change has one row at least"
    of_head = f" {row.head}" if row.head else ""
    begin = f"#{row.trigger}{of_head} {clock_words(change.stamp_ns)} {_name(change.change)}"
    if change.before is None or change.after is None:
        return f"{begin}: {_outcome(row)}"
    details = list(_details(change.before, change.after))
    return f"{begin}: {'; '.join(details)}" if details else begin


def _details(old: Row, new: Row) -> Iterator[str]:
    if (old.outcome, old.reason) != (new.outcome, new.reason):
        yield f"{_outcome(old)} -> {_outcome(new)}"
    if old.flags != new.flags:
        yield f"{'+'.join(old.flags) or 'no flag'} -> {'+'.join(new.flags) or 'no flag'}"
    if Outcome.SHED in (old.outcome, new.outcome):
        return  # what inputs there were is not what decided
    after = {item.name: item for item in new.inputs}
    for item in old.inputs:
        other = after.pop(item.name, None)
        words, now = _pick(item, old), _pick(other, new) if other else "not an input"
        if words != now:
            yield f"{item.name} {words} -> {now}"
    for item in after.values():
        yield f"{item.name} not an input -> {_pick(item, new)}"


def _pick(item: InputRow, row: Row) -> str:
    """Return which sample it is and where it lies: `#31 12.1 ms before`."""
    if item.status is Status.MISSING:
        return f"missing ({item.reason.replace('_', ' ')})"
    off_ns = item.stamp_ns - row.stamp_ns
    where = (
        f" {duration_words(abs(off_ns))} {'before' if off_ns < 0 else 'after'}" if off_ns else ""
    )
    cached = f" cached ({item.reason.replace('_', ' ')})" if item.status is Status.CACHED else ""
    variant = f" by {item.variant}" if item.variant not in ("", "default") else ""
    return f"#{item.seq}{where}{cached}{variant}"


def _outcome(row: Row) -> str:
    plain = row.reason in ("", row.outcome.value)
    return row.outcome.value if plain else f"{row.outcome.value} ({row.reason.replace('_', ' ')})"


def _input_words(item: InputDifference) -> Iterator[str]:
    for count, words in ((item.gained, "gained"), (item.lost, "lost"), (item.re_paired, None)):
        if count:
            yield f"{count} {words or 're-paired'}"
    if item.used_before != item.used_after:
        yield f"used by {item.used_before} -> {item.used_after}"
    yield from _moved(item.missing_before, item.missing_after)


def _moved(before: Counter[str], after: Counter[str]) -> Iterator[str]:
    for reason in dict.fromkeys([*before, *after]):
        if before[reason] != after[reason]:
            yield f"{reason.replace('_', ' ')} {before[reason]} -> {after[reason]}"


def _name(change: Change) -> str:
    return change.value.replace("re_paired", "re-paired").replace("_", " ")
