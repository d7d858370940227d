"""The smallest change of a graph that would have matched, and how often it would have, lately.

What a change would have matched is read off the ledger: of each trigger's input the distance of
the sample used or of the best one refused. A trigger whose input was silent is matched by no
change. Estimates of computing time are the medians of the recent rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tectum.ledger.row import InputRow, Outcome, Row, Status
from tectum.ledger.words import counted, duration_words, percent, setting, setting_ns
from tectum.pipeline.plan import AlignPlan, Plan

__all__ = [
    "RECENT",
    "budget_remedy",
    "encode_median_ns",
    "held_up",
    "input_remedy",
    "needed_ns",
    "widened",
]

RECENT = 100
"""How many of the latest triggers a share is taken of."""
TIME_REASONS = ("encoder_late", "left_out")
"""Inputs that had a sample, but no time to encode it."""
_LEAST_COVERAGE_PERMILLE = 500
"""A window of which less than half is wanted is no remedy."""


def input_remedy(name: str, plan: Plan, item: InputRow, history: Sequence[Row]) -> str:
    """Return what would have matched the sample that was refused; empty where nothing would."""
    align = plan.input(name).align
    change = widened(align, [item.refused_distance_ns])
    if change is None:
        return ""
    key, matches = change
    share = "" if align.rule == "interpolate" else _share(name, history, matches)
    return f"{matched_words(align, key, 'it')}{share}"


def matched_words(align: AlignPlan, key: str, them: str) -> str:
    """Return that `key` would have matched `them`, as far as that is known."""
    if align.rule == "interpolate":  # the row tells of one of the two sides
        return f"it takes at least {key}"
    return f"{key} would have matched {them}"


def widened(
    align: AlignPlan, distances: Sequence[int]
) -> tuple[str, Callable[[InputRow], bool]] | None:
    """Return the key and value that accept all `distances`, and which inputs they would accept.

    Distances are signed: a sample's stamp minus the trigger's; for a window, minus what it lacks.
    """
    if align.rule == "window":
        return _covering(align, -min(distances))
    if align.rule == "latest":
        return _older(-min(distances)) if max(distances) <= 0 else None
    before_ns = max(align.before_ns, setting_ns(-min(distances)))
    after_ns = max(align.after_ns, setting_ns(max(distances)))
    if align.before_ns == align.after_ns:
        before_ns = after_ns = max(before_ns, after_ns)
    if align.rule == "interpolate":
        return f"`reach: {setting(before_ns)}`", lambda item: item.status is Status.FRESH
    return _nearer(align, before_ns, after_ns)


def budget_remedy(row: Row, plan: Plan, history: Sequence[Row]) -> str:
    """Return the budget that would have been enough for `row`, as far as the ledger tells."""
    need_ns, exact = needed_ns(row, plan, history)
    if not need_ns:
        return ""
    wanted_ns = setting_ns(need_ns)
    recent = history[-RECENT:]
    met = sum(_met(other, wanted_ns) for other in recent)
    about = "" if exact else "about "
    share = f", and {percent(met / len(recent))} of {_last(len(recent))}" if recent else ""
    return f"a budget of {about}{duration_words(wanted_ns)} would have been enough for it{share}"


def needed_ns(row: Row, plan: Plan, history: Sequence[Row]) -> tuple[int, bool]:
    """Return what `row` would have needed from the end of its capture, and whether that is exact.

    (0, False) where the ledger does not tell, as for a head that was cut off, or where more than
    usual was expected of a stage.
    """
    end_ns = row.stamp_ns + row.span_ns
    if held_up(row):
        return 0, False
    if row.head_end_ns:
        return row.head_end_ns - end_ns, True
    head_ns = head_median_ns(history)
    if row.head_begin_ns or not head_ns:
        return 0, False
    encode = [_left_to_encode_ns(item, row, plan, history) for item in row.inputs]
    if any(left_ns < 0 for left_ns in encode):
        return 0, False
    lanes = max(1, min(plan.lanes, len(encode)))
    encode_ns = max(*encode, sum(encode) // lanes)
    need_ns = row.emitted_ns - end_ns + encode_ns + head_ns + plan.margin_ns
    # by what is usual it was in time: it was not usual then, and how much less so is not told
    return (need_ns, False) if need_ns > plan.budget_ns else (0, False)


def held_up(row: Row) -> bool:
    """Return whether the answer was ready in time, but an earlier trigger's was not."""
    ready = 0 < row.head_end_ns <= row.deadline_ns
    return ready and row.reason == "overrun" and row.emitted_ns > row.deadline_ns


def encode_median_ns(name: str, history: Sequence[Row]) -> int:
    """Return the median time that encoding this input took lately; 0 where it never did."""
    took = [
        item.encode_end_ns - item.encode_begin_ns
        for row in history[-RECENT:]
        for item in row.inputs
        if item.name == name and item.status is Status.FRESH and item.encode_end_ns
    ]
    return _median(took) if took else 0


def head_median_ns(history: Sequence[Row]) -> int:
    """Return the median time that the head took lately; 0 where it never ran."""
    took = [row.head_end_ns - row.head_begin_ns for row in history[-RECENT:] if row.head_end_ns]
    return _median(took) if took else 0


def _left_to_encode_ns(item: InputRow, row: Row, plan: Plan, history: Sequence[Row]) -> int:
    """Return what was left of encoding when the row was shed; -1 where nobody knows."""
    encoder = plan.input(item.name).encoder
    wanted = item.status is Status.FRESH or item.reason in TIME_REASONS
    if not wanted or item.encode_end_ns or not encoder:
        return 0
    if plan.stage(encoder).on == "sample":
        return 0
    median_ns = encode_median_ns(item.name, history)
    if not median_ns:
        return -1
    elapsed_ns = row.emitted_ns - item.encode_begin_ns if item.encode_begin_ns else 0
    return max(0, median_ns - elapsed_ns)


def _nearer(
    align: AlignPlan, before_ns: int, after_ns: int
) -> tuple[str, Callable[[InputRow], bool]]:
    def matches(item: InputRow) -> bool:
        distance_ns = _distance_ns(item)
        return distance_ns is not None and -before_ns <= distance_ns <= after_ns

    if align.rule == "exact":
        return f"`nearest: {{tolerance: {setting(before_ns)}}}`", matches
    if before_ns == after_ns:
        return f"`tolerance: {setting(before_ns)}`", matches
    if before_ns > align.before_ns and after_ns > align.after_ns:
        return f"`before: {setting(before_ns)}` with `after: {setting(after_ns)}`", matches
    if after_ns > align.after_ns:
        return f"`after: {setting(after_ns)}`", matches
    return f"`before: {setting(before_ns)}`", matches


def _older(age_ns: int) -> tuple[str, Callable[[InputRow], bool]]:
    wanted_ns = setting_ns(age_ns)

    def matches(item: InputRow) -> bool:
        distance_ns = _distance_ns(item)
        return distance_ns is not None and -wanted_ns <= distance_ns <= 0

    return f"`max_age: {setting(age_ns)}`", matches


def _covering(align: AlignPlan, lacking_ns: int) -> tuple[str, Callable[[InputRow], bool]] | None:
    permille = (align.duration_ns - lacking_ns) * 1000 // align.duration_ns
    if permille < _LEAST_COVERAGE_PERMILLE:
        return None
    allowed_ns = align.duration_ns * (1000 - permille) // 1000

    def matches(item: InputRow) -> bool:
        distance_ns = _distance_ns(item)
        return distance_ns is not None and -distance_ns <= allowed_ns

    return f"`coverage: {permille / 1000:g}`", matches


def _distance_ns(item: InputRow) -> int | None:
    """Return how far the sample used, or the best one refused, was away; None for no sample."""
    if item.status is Status.FRESH:
        return item.distance_ns
    return item.refused_distance_ns if item.refused_seq >= 0 and not item.silent_since_ns else None


def _share(name: str, history: Sequence[Row], matches: Callable[[InputRow], bool]) -> str:
    recent = [item for row in history[-RECENT:] for item in row.inputs if item.name == name]
    if not recent:
        return ""
    share = sum(matches(item) for item in recent) / len(recent)
    return f", and {percent(share)} of {_last(len(recent))}"


def _met(row: Row, budget_ns: int) -> bool:
    end_ns = row.stamp_ns + row.span_ns
    if row.outcome is Outcome.SHED:
        return row.head_end_ns != 0 and row.head_end_ns - end_ns <= budget_ns
    return row.delivered_ns - end_ns <= budget_ns


def _last(count: int) -> str:
    return "the trigger before" if count == 1 else f"the last {counted(count, 'trigger')}"


def _median(values: list[int]) -> int:
    return sorted(values)[len(values) // 2]
