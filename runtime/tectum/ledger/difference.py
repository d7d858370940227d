"""What two runs over the same triggers decided differently. Pure.

Rows of one stamp, and of one head where there are several, belong together, whatever their numbers
are. An input is *used* by a row that was answered and not without it; a sample is another where its
sequence number or its stamp is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tectum.ledger.digest import decision_line
from tectum.ledger.histogram import Histogram
from tectum.ledger.row import InputRow, Outcome, Row, Status

__all__ = ["Change", "Difference", "InputDifference", "RowChange", "difference_of"]


class Change(StrEnum):
    """How a trigger was decided otherwise; of several that hold, the first."""

    ONLY_BEFORE = "only_before"
    """The other run has no such trigger."""
    ONLY_AFTER = "only_after"
    GAINED = "gained"
    """Answered, and was not."""
    LOST = "lost"
    """Not answered, and was."""
    FULLER = "fuller"
    """Answered with an input more, and none less."""
    THINNER = "thinner"
    """Answered with an input less."""
    REPAIRED = "re_paired"
    """Answered from the same inputs, but another sample of one."""
    OTHERWISE = "otherwise"
    """Of the same samples: another variant, reason or flag."""


@dataclass(frozen=True, slots=True)
class RowChange:
    """One trigger that was decided otherwise; one of the two rows may be missing."""

    change: Change
    stamp_ns: int
    before: Row | None
    after: Row | None


@dataclass(slots=True)
class InputDifference:
    """What became of one input, over the triggers that both runs have."""

    used_before: int = 0
    used_after: int = 0
    gained: int = 0
    """Answers that use it, and did not."""
    lost: int = 0
    re_paired: int = 0
    """Answers that use another sample of it."""
    missing_before: Counter[str] = field(default_factory=Counter)
    """Reason -> answers that were without it."""
    missing_after: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Difference:
    """The differences between two runs."""

    alike: int = 0
    """Triggers that were decided alike."""
    counts: Counter[Change] = field(default_factory=Counter)
    changes: list[RowChange] = field(default_factory=list)
    """In the order of their stamps."""
    moved: Counter[tuple[Outcome, Outcome]] = field(default_factory=Counter)
    """(outcome, other outcome) -> triggers."""
    inputs: dict[str, InputDifference] = field(default_factory=dict)
    later: Histogram = field(default_factory=Histogram)
    """How much later the same trigger was answered, where both runs answered it; in ns."""


def difference_of(before: Sequence[Row], after: Sequence[Row]) -> Difference:
    """Return what differs between the rows of two runs over the same data."""
    found = Difference()
    for old, new in _pairs(before, after):
        _take(found, old, new)
    return found


def _pairs(
    before: Iterable[Row], after: Iterable[Row]
) -> Iterator[tuple[Row, Row] | tuple[Row, None] | tuple[None, Row]]:
    """Yield the rows of one stamp together, in the order of stamps; of equals, each in its turn."""
    old, new = _by_stamp(before), _by_stamp(after)
    for key in sorted(old.keys() | new.keys()):
        one, other = old.get(key), new.get(key)
        if one is not None and other is not None:
            yield one, other
        elif one is not None:
            yield one, None
        elif other is not None:
            yield None, other


def _by_stamp(rows: Iterable[Row]) -> dict[tuple[int, str, int], Row]:
    seen: defaultdict[tuple[int, str], int] = defaultdict(int)
    found = {}
    for row in rows:
        asked = row.stamp_ns, row.head
        found[*asked, seen[asked]] = row
        seen[asked] += 1
    return found


def _take(found: Difference, old: Row | None, new: Row | None) -> None:
    either = old or new
    assert either is not None, "a pair has one row at least"
    if old is not None and new is not None:
        _take_inputs(found, old, new)
        if old.outcome is not new.outcome:
            found.moved[old.outcome, new.outcome] += 1
        if _answered(old) and _answered(new):
            found.later.add(new.delivered_ns - old.delivered_ns)
    change = _change(old, new)
    if change is None:
        found.alike += 1
        return
    found.counts[change] += 1
    found.changes.append(RowChange(change, either.stamp_ns, old, new))


def _change(old: Row | None, new: Row | None) -> Change | None:
    if old is None:
        return Change.ONLY_AFTER
    if new is None:
        return Change.ONLY_BEFORE
    if _decision(old) == _decision(new):
        return None
    if _answered(old) != _answered(new):
        return Change.GAINED if _answered(new) else Change.LOST
    used, now_used = _used(old), _used(new)
    if not used.keys() <= now_used.keys():
        return Change.THINNER
    if used.keys() < now_used.keys():
        return Change.FULLER
    return Change.REPAIRED if used != now_used else Change.OTHERWISE


def _decision(row: Row) -> str:
    """Return the decision, without the number of the trigger: the other run may count otherwise."""
    return decision_line(row).partition("|")[2]


def _answered(row: Row) -> bool:
    return row.outcome is not Outcome.SHED


def _used(row: Row) -> dict[str, tuple[int, int]]:
    """Return sequence number and stamp of each input that an answer uses."""
    if not _answered(row):
        return {}
    return {
        item.name: (item.seq, item.stamp_ns)
        for item in row.inputs
        if item.status is not Status.MISSING
    }


def _take_inputs(found: Difference, old: Row, new: Row) -> None:
    used, now_used = _used(old), _used(new)
    for name in dict.fromkeys(item.name for item in (*old.inputs, *new.inputs)):
        item = found.inputs.setdefault(name, InputDifference())
        was, is_now = used.get(name), now_used.get(name)
        item.used_before += was is not None
        item.used_after += is_now is not None
        item.gained += was is None and is_now is not None
        item.lost += was is not None and is_now is None
        item.re_paired += None not in (was, is_now) and was != is_now
    for row, of in ((old, "missing_before"), (new, "missing_after")):
        for part in _missing(row):
            getattr(found.inputs[part.name], of)[part.reason] += 1


def _missing(row: Row) -> list[InputRow]:
    if not _answered(row):
        return []
    return [item for item in row.inputs if item.status is Status.MISSING and item.reason]
