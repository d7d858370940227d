"""An open set: one trigger on its way to its outcome, or to that of one of several heads.

Of several heads each has a set of its own for a trigger: with the inputs that it takes, its
deadline and its row. These sets are *siblings*: what one picks is the pick of all, and encoded
once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tectum.budget.choice import Choice
from tectum.ledger.row import InputRow, Outcome, Row, Status
from tectum.pipeline.head import Head
from tectum.pipeline.orders import Picked
from tectum.pipeline.runs import Run
from tectum.sync.base import Pick
from tectum.sync.stream import NEVER_NS
from tectum.sync.triggers import Due

__all__ = ["OpenSet", "open_sets"]

_NOTHING: Mapping[int, int] = {}
_UNREAD = InputRow("")
"""Stands for the inputs that a head does not take; never changed."""


@dataclass(slots=True, eq=False)
class OpenSet:
    """The picks and runs of one trigger, input by input in graph order."""

    by: Head
    """Who is to answer."""
    row: Row
    items: list[InputRow]
    """Per input, its part of the row."""
    t_ns: int
    deadline_ns: int
    """`NEVER_NS` where there is no budget."""
    pending: list[int]
    """Indices of the inputs whose pick is not committed."""
    picks: list[Pick | None]
    args: list[Picked | None]
    """Per input, the argument that stands for its pick."""
    runs: list[Run | None]
    """Per input, the run that encodes it (or did); held by this set."""
    siblings: tuple[OpenSet, ...] = ()
    """The sets of the other heads for the same trigger."""
    head: Run | None = None
    resolved: bool = False
    answer: int | None = None
    ample: bool = False
    """There is so much time that all of it might take twice as long as predicted."""
    choice: Choice | None = None
    """How it is computed, where there is so much time and nothing is waited for."""
    spare_ns: int = 0
    """How much later than predicted the answer may come."""
    begun: bool = False
    """The run that all others can wait for began as its sample came."""
    due_ns: int = 0
    """Until then time alone changes nothing for this set; 0: not looked at yet."""
    planned: list[int] = field(default_factory=list)
    """Indices of the inputs (and of the head) whose variant was chosen once: see the planner."""
    placed: Mapping[int, int] = field(default_factory=lambda: _NOTHING)
    """Where there are siblings: the inputs that this set is to encode, and when that should be
    done; as of `placed_ns`."""
    placed_ns: int = 0
    awaited: Mapping[int, int] = field(default_factory=lambda: _NOTHING)
    """The same of what siblings are to encode for this one."""

    def present(self) -> list[str]:
        """Return the names of the inputs that take part, as far as committed."""
        return [item.name for item in self.row.inputs if item.status is not Status.MISSING]

    def possible(self) -> list[str]:
        """Return the names of the inputs that take part or still may."""
        return [
            item.name
            for index, item in zip(self.by.reads, self.row.inputs, strict=True)
            if item.status is not Status.MISSING or index in self.pending
        ]

    def waiting(self) -> list[Run]:
        """Return the runs that were ordered for it and have not begun."""
        runs = (*self.runs, self.head)
        return [run for run in runs if run is not None and not run.begun_ns]

    def review_ns(self) -> int:
        """Return when runs that still wait are decided anew: half the spare time is gone."""
        begins = [run.ends_ns - run.expected_ns for run in self.waiting()]
        return min(min(begins, default=NEVER_NS) + self.spare_ns // 2, NEVER_NS)

    def miss(self, index: int, reason: str) -> None:
        """Mark an input as missing for `reason`, keeping what is known of its sample."""
        item = self.items[index]
        item.status, item.reason, item.variant = Status.MISSING, reason, ""

    def settle_outcome(self) -> None:
        """Set outcome and reason of an answered set from its inputs."""
        for item in self.row.inputs:
            if item.status is not Status.FRESH:
                self.row.outcome, self.row.reason = Outcome.PARTIAL, f"input_{item.reason}"
                return
        self.row.outcome, self.row.reason = Outcome.COMPLETE, "complete"

    def flag(self, flag: str) -> None:
        """Add a flag once, keeping them sorted."""
        if flag not in self.row.flags:
            self.row.flags = tuple(sorted((*self.row.flags, flag)))


def open_sets(
    trigger: int, due: Due, now_ns: int, heads: tuple[Head, ...], count: int
) -> tuple[OpenSet, ...]:
    """Return the sets of a trigger just accepted, one per head; there are `count` inputs.

    The budget counts from the end of the trigger's capture.
    """
    opened = tuple([_open_set(trigger, due, now_ns, head, count) for head in heads])
    if len(opened) > 1:
        for one in opened:
            one.siblings = tuple([other for other in opened if other is not one])
    return opened


def _open_set(trigger: int, due: Due, now_ns: int, head: Head, count: int) -> OpenSet:
    deadline_ns = due.end_ns + head.budget_ns if head.budget_ns else NEVER_NS
    row = Row(
        trigger,
        due.t_ns,
        inputs=tuple([InputRow(name) for name in head.names]),
        head=head.name,
        span_ns=due.end_ns - due.t_ns,
        accepted_ns=now_ns,
        deadline_ns=deadline_ns if head.budget_ns else 0,
    )
    items = list(row.inputs)
    if len(items) < count:
        items = [_UNREAD] * count
        for index, item in zip(head.reads, row.inputs, strict=True):
            items[index] = item
    return OpenSet(
        head,
        row,
        items,
        due.t_ns,
        deadline_ns,
        list(head.reads),
        [None] * count,
        [None] * count,
        [None] * count,
    )
