"""What one trigger came to, in a sentence: its outcome, its time, and who was waited for.

One function per reason for shedding; what was answered needs one for all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tectum.ledger.remedy import budget_remedy, encode_median_ns, head_median_ns, held_up
from tectum.ledger.row import InputRow, Outcome, Row, Status
from tectum.ledger.words import clock_words, duration_words, listed
from tectum.pipeline.plan import Plan, Requirement

__all__ = ["accepted_words", "missing_words", "row_words", "waited_ns", "waited_words"]

_WORTH_SAYING_NS = 1_000_000
"""Waits below a millisecond are the loop's own."""


def row_words(row: Row, plan: Plan, history: Sequence[Row] = ()) -> str:
    """Return the sentence on the outcome of `row`, without a full stop."""
    begin = f"trigger {row.trigger} at {clock_words(row.stamp_ns)}"
    if "substituted" in row.flags:
        begin += f" (standing in for {plan.trigger}, {_stood_in_for(row, plan)})"
    if row.outcome is Outcome.SHED:
        return f"{begin}: shed, {_SHED[row.reason](row, plan, history)}"
    return f"{begin}: {_with(_answered(row, plan), waited_words(row))}"


def waited_ns(row: Row, item: InputRow) -> int:
    """Return how long an input was waited for: by a stand-in, since its instant."""
    asked_ns = row.accepted_ns
    if "substituted" in row.flags:
        asked_ns = min(asked_ns, row.stamp_ns + row.span_ns)
    return item.committed_ns - asked_ns


def _stood_in_for(row: Row, plan: Plan) -> str:
    owed = any(i.name == plan.trigger and i.reason == "not_arrived" for i in row.inputs)
    return "of which nothing came in time" if owed else "which was silent"


def waited_words(row: Row) -> str:
    """Return who was waited for and how long: `waited 7.6 ms for camera`; empty for nobody."""
    last = max(row.inputs, key=lambda item: item.committed_ns, default=None)
    if last is None or last.committed_ns - row.accepted_ns < _WORTH_SAYING_NS:
        return ""
    words = f"waited {duration_words(last.committed_ns - row.accepted_ns)} for {last.name}"
    return f"{words}, until the deadline allowed no more" if last.forced else words


def missing_words(items: Sequence[InputRow]) -> str:
    """Return `camera (silent) and lidar (too old)`."""
    return listed([f"{item.name} ({item.reason.replace('_', ' ')})" for item in items])


def accepted_words(plan: Plan) -> str:
    """Return the combinations that `plan` accepts: `camera and lidar, or lidar`."""
    if plan.accept:
        return ", or ".join(_requirement_words(item) for item in plan.accept)
    required = [item.name for item in plan.inputs if item.required]
    return listed(required) or "any one input"


def _requirement_words(requirement: Requirement) -> str:
    parts = []
    for names, count in requirement:
        if len(names) == count:
            parts.append(listed(names))
        else:
            parts.append(f"{count} of {listed(names)}")
    return listed(parts)


# -- answered


def _answered(row: Row, plan: Plan) -> str:
    words = "complete" if row.outcome is Outcome.COMPLETE else f"partial, {_without(row)}"
    words += f", {duration_words(row.delivered_ns - row.stamp_ns - row.span_ns)} after its capture"
    words += f" (budget {duration_words(plan.budget_ns)})" if plan.budget_ns else " (no budget)"
    late_ns = row.delivered_ns - row.deadline_ns
    if row.deadline_ns and late_ns > 0:
        words += f", {duration_words(late_ns)} after its deadline"
    if "degraded" in row.flags:
        words += ", computed with a cheaper variant"
    return words


def _without(row: Row) -> str:
    missing = [item for item in row.inputs if item.status is Status.MISSING]
    cached = [item for item in row.inputs if item.status is Status.CACHED]
    parts = []
    if missing:
        parts.append(f"without {missing_words(missing)}")
    if cached:
        parts.append(f"with a cached embedding of {missing_words(cached)}")
    return listed(parts)


# -- shed


def _trigger_disorder(row: Row, plan: Plan, history: Sequence[Row]) -> str:
    del plan
    stamps = [other.stamp_ns for other in history if other.reason != "trigger_disorder"]
    if not stamps:
        return "its stamp is not after that of the trigger before it"
    last_ns = max(stamps)
    if last_ns == row.stamp_ns:
        return "its stamp repeats that of an earlier trigger"
    back = duration_words(last_ns - row.stamp_ns)
    return f"its stamp lies {back} before that of an earlier trigger"


def _not_accepted(row: Row, plan: Plan, history: Sequence[Row]) -> str:
    del history
    missing = [i for i in row.inputs if i.status is not Status.FRESH and i.reason]
    words = f"without {missing_words(missing)} no accepted combination is left"
    return _with(f"{words} (accepted: {accepted_words(plan)})", waited_words(row))


def _no_time(row: Row, plan: Plan, history: Sequence[Row]) -> str:
    words = f"it {_time_spent(row)}, and what was left to compute ({_blamed(row, plan, history)}) "
    words += f"could not end within the budget of {duration_words(plan.budget_ns)}"
    return _with(words, budget_remedy(row, plan, history))


def _overrun(row: Row, plan: Plan, history: Sequence[Row]) -> str:
    if held_up(row):
        ready = duration_words(row.head_end_ns - row.stamp_ns - row.span_ns)
        late = duration_words(row.emitted_ns - row.deadline_ns)
        return (
            f"its answer was ready {ready} after its capture, but an earlier trigger held it "
            + (f"up until {late} after its deadline")
        )
    words = f"its answer was not ready within the budget of {duration_words(plan.budget_ns)} "
    words += f"because of {_blamed(row, plan, history)}: it {_time_spent(row)}"
    return _with(words, budget_remedy(row, plan, history))


def _head_failed(row: Row, plan: Plan, history: Sequence[Row]) -> str:
    del history
    ran = duration_words(row.head_end_ns - row.head_begin_ns)
    return f"its fusion head '{plan.head}' failed after {ran} (the node's log says how)"


def _stopped(row: Row, plan: Plan, history: Sequence[Row]) -> str:
    del plan, history
    after = duration_words(row.emitted_ns - row.accepted_ns)
    return f"the graph was stopped {after} after it was accepted"


_SHED: dict[str, Callable[[Row, Plan, Sequence[Row]], str]] = {
    "trigger_disorder": _trigger_disorder,
    "not_accepted": _not_accepted,
    "no_time": _no_time,
    "overrun": _overrun,
    "head_failed": _head_failed,
    "stopped": _stopped,
}


def _time_spent(row: Row) -> str:
    """Return where the time went until the set was given up: `arrived ..., waited ...`."""
    settled_ns = row.settled_ns or row.emitted_ns
    after_ns = row.accepted_ns - row.stamp_ns - row.span_ns
    said = [f"arrived {duration_words(after_ns)} after its capture"]
    if waited_words(row):
        said.append(waited_words(row))
    if row.emitted_ns - settled_ns >= _WORTH_SAYING_NS:
        said.append(f"computed for {duration_words(row.emitted_ns - settled_ns)}")
    return listed(said)


def _blamed(row: Row, plan: Plan, history: Sequence[Row]) -> str:
    """Return the stage that cost the time: `'cam', which usually takes 8 ms`."""
    stage = row.blame or plan.head
    usual_ns = head_median_ns(history) if stage == plan.head else 0
    for item in plan.inputs:
        if item.encoder == stage:
            usual_ns = encode_median_ns(item.name, history)
    return f"'{stage}'" + (f", which usually takes {duration_words(usual_ns)}" if usual_ns else "")


def _with(words: str, addition: str) -> str:
    return f"{words}; {addition}" if addition else words
