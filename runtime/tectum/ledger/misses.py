"""Misses and who caused them: triggers without a complete, undegraded answer by their deadline.

Every miss has one cause, counted from the capture on: a sensor that was silent, whose transport
took what time there was, or whose stamps do not fit; a stage that computed too long, or failed. So
a run can be summed up: `camera transport caused 71 % of misses`. Pure; constant memory.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

from tectum.ledger.row import InputRow, Outcome, Row, Status
from tectum.ledger.words import counted, percent
from tectum.pipeline.plan import Plan

__all__ = ["Misses", "miss_cause", "miss_sentence"]

_RECENT = 200
"""Triggers that the rolling part looks back on."""
_OF_INPUT = {
    "silent": "silence",
    "never_heard": "silence",
    "ended": "end",
    "absent": "silence",
    "out_of_tolerance": "stamps out of tolerance",
    "too_old": "samples too old",
    "gaps": "gaps",
    "not_arrived": "transport",
}
_OF_STAGE = {"encoder_late": "compute", "left_out": "compute", "encoder_failed": "failures"}

_FOR_TIME = ("encoder_late", "left_out", "not_arrived")
"""Given up to be in time: whoever took the time is blamed, not who was given up for it."""


class Misses:
    """Counts misses by cause, of a whole run and of its latest triggers."""

    def __init__(self, plan: Plan) -> None:
        """Begin with none."""
        self._plans = {head.name: plan.seen_by(head.name) for head in plan.all_heads}
        self._causes: Counter[str] = Counter()
        self._recent: deque[str] = deque()
        self._of_recent: Counter[str] = Counter()

    def add(self, row: Row) -> None:
        """Take up a closed row."""
        cause = miss_cause(row, self._plans[row.head])
        self._recent.append(cause)
        if cause:
            self._causes[cause] += 1
            self._of_recent[cause] += 1
        if len(self._recent) > _RECENT:
            gone = self._recent.popleft()
            if gone:
                self._of_recent[gone] -= 1

    def document(self) -> dict[str, Any]:
        """Return how many, and by cause, most frequent first."""
        return {"count": self._causes.total(), "causes": dict(self._causes.most_common())}

    def recent(self) -> dict[str, Any]:
        """Return the same of the latest triggers, and of how many."""
        causes = {cause: count for cause, count in self._of_recent.most_common() if count}
        return {"triggers": len(self._recent), "count": sum(causes.values()), "causes": causes}


def miss_cause(row: Row, plan: Plan) -> str:
    """Return what caused the miss of `row`; empty: it is none, or the graph was stopped.

    `plan` is that of the only head, or as the head of the row sees it.
    """
    if row.reason == "stopped":
        return ""
    if row.outcome is Outcome.SHED:
        return _of_shed(row, plan)
    for item in row.inputs:
        if item.status is not Status.FRESH and item.reason:
            return _of_input(item, row, plan)
    late = bool(row.deadline_ns) and row.delivered_ns > row.deadline_ns
    if late or "degraded" in row.flags:
        return _of_time(row, plan)
    return f"{plan.trigger} silence" if "substituted" in row.flags else ""


def miss_sentence(document: Mapping[str, Any], triggers: int) -> str:
    """Return what `Misses.document` says in one sentence; empty: nothing was missed."""
    count, causes = document.get("count", 0), document.get("causes", {})
    if not count:
        return ""
    shares = [f"{cause} caused {percent(n / count)}" for cause, n in list(causes.items())[:3]]
    missed = "1 miss" if count == 1 else f"{count} misses"
    return f"{missed} of {counted(triggers, 'trigger')}: {', '.join(shares)}"


def _of_shed(row: Row, plan: Plan) -> str:
    if row.reason == "trigger_disorder":
        return f"{plan.trigger or 'trigger'} stamps out of order"
    if row.reason == "head_failed":
        return f"{plan.head} failures"
    if row.reason == "not_accepted":
        for item in row.inputs:
            if item.status is not Status.FRESH and item.reason:
                return _of_input(item, row, plan)
    return _of_time(row, plan)


def _of_input(item: InputRow, row: Row, plan: Plan) -> str:
    if item.reason in _FOR_TIME and any(stage.name == row.blame for stage in plan.stages):
        return f"{row.blame} compute"
    if item.reason in _OF_STAGE:
        return f"{plan.input(item.name).encoder or item.name} {_OF_STAGE[item.reason]}"
    return f"{item.name} {_OF_INPUT.get(item.reason, item.reason)}"


def _of_time(row: Row, plan: Plan) -> str:
    """Return who had most of the time between capture and deadline, or the delivery."""
    captured_ns = row.stamp_ns + row.span_ns
    until_ns = max(row.deadline_ns, captured_ns + 1)
    if plan.trigger and row.accepted_ns - captured_ns > (until_ns - captured_ns) // 2:
        return f"{plan.trigger} transport"
    last = max(row.inputs, key=lambda item: item.arrived_ns, default=None)
    if last is not None and last.arrived_ns - captured_ns > (until_ns - captured_ns) // 2:
        return f"{last.name} transport"
    return f"{row.blame or plan.head} compute"
