"""An open set: one trigger on its way to its outcome."""

from __future__ import annotations

from dataclasses import dataclass, field

from tectum.budget.choice import Choice
from tectum.ledger.row import InputRow, Outcome, Row, Status
from tectum.pipeline.orders import Picked
from tectum.pipeline.runs import Run
from tectum.sync.base import Pick
from tectum.sync.stream import NEVER_NS

__all__ = ["OpenSet", "open_set"]


@dataclass(slots=True, eq=False)
class OpenSet:
    """The picks and runs of one trigger, input by input in graph order."""

    row: Row
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
    head: Run | None = None
    resolved: bool = False
    answer: int | None = None
    ample: bool = False
    """There is so much time that all of it might take twice as long as predicted."""
    choice: Choice | None = None
    """How it is computed, where there is so much time and nothing is waited for."""
    spare_ns: int = 0
    """How much later than predicted the answer may come."""
    due_ns: int = 0
    """Until then time alone changes nothing for this set; 0: not looked at yet."""
    planned: list[int] = field(default_factory=list)
    """Indices of the inputs (and of the head) whose variant was chosen once: see the planner."""

    def present(self) -> list[str]:
        """Return the names of the inputs that take part, as far as committed."""
        return [item.name for item in self.row.inputs if item.status is not Status.MISSING]

    def possible(self) -> list[str]:
        """Return the names of the inputs that take part or still may."""
        rows = self.row.inputs
        return [
            item.name
            for index, item in enumerate(rows)
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
        item = self.row.inputs[index]
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


def open_set(
    trigger: int, t_ns: int, end_ns: int, now_ns: int, budget_ns: int, names: tuple[str, ...]
) -> OpenSet:
    """Return the set of a trigger just accepted. The budget counts from `end_ns`."""
    deadline_ns = end_ns + budget_ns if budget_ns else NEVER_NS
    row = Row(
        trigger,
        t_ns,
        inputs=tuple(InputRow(name) for name in names),
        span_ns=end_ns - t_ns,
        accepted_ns=now_ns,
        deadline_ns=deadline_ns if budget_ns else 0,
    )
    count = len(names)
    return OpenSet(
        row, t_ns, deadline_ns, list(range(count)), [None] * count, [None] * count, [None] * count
    )
