"""A stretch of triggers and its cause in one sentence.

One function per cause: what the sentence begins with, and the details behind its colon. A new
reason code is one line of `_BEGINNINGS` and, where there is more to say, one of `_DETAILS`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tectum.ledger.episodes import Episode
from tectum.ledger.input_words import limit_words
from tectum.ledger.reasons import INPUT_REASONS
from tectum.ledger.remedy import encode_median_ns, held_up, matched_words, needed_ns, widened
from tectum.ledger.row import Outcome, Row
from tectum.ledger.words import (
    clock_words,
    counted,
    duration_words,
    listed,
    percent,
    setting_ns,
    span_words,
)
from tectum.pipeline.orders import Note
from tectum.pipeline.plan import InputPlan, Plan

__all__ = ["episode_words", "oddity_words", "overview_words"]

_ODDITIES = {
    "stamp_zero": "were zero and refused",
    "stamp_future": "lay in the future and were refused",
    "duplicate": "came twice and were refused",
    "stamp_disorder": "came out of order",
    "clock_step": "jumped back with the sensor's clock",
}


class _Case(NamedTuple):
    """An episode with all that is known around it."""

    episode: Episode
    plan: Plan
    rows: Sequence[Row]

    @property
    def input(self) -> InputPlan:
        return self.plan.input(self.episode.input)


def episode_words(episode: Episode, plan: Plan, rows: Sequence[Row]) -> str:
    """Return the sentence on an episode of the stretch `rows`, without a full stop."""
    case = _Case(episode, plan, rows)
    span = span_words(episode.rows[0].stamp_ns, episode.rows[-1].stamp_ns)
    words = f"{_beginning(case)} {span} ({_extent(episode)})"
    details = _DETAILS.get(episode.cause, _nothing_more)(case)
    return f"{words}: {details}" if details else words


def overview_words(rows: Sequence[Row]) -> str:
    """Return what a stretch of triggers came to."""
    counts = Counter(row.outcome for row in rows)
    parts = [f"{counts[outcome]} {outcome.value}" for outcome in Outcome]
    span = span_words(rows[0].stamp_ns, rows[-1].stamp_ns)
    words = f"{counted(len(rows), 'trigger')} {span}: {listed(parts)}"
    if any(row.deadline_ns for row in rows):
        words += f"; {percent(sum(map(_on_time, rows)) / len(rows))} answered by their deadline"
    return words


def oddity_words(rows: Sequence[Row], plan: Plan, notes: Sequence[Note]) -> list[str]:
    """Return a sentence per input and oddity of its stamps during the stretch."""
    begin_ns, end_ns = rows[0].stamp_ns, rows[-1].delivered_ns
    during = [note for note in notes if begin_ns <= note.now_ns <= end_ns]
    counts = Counter((note.input, note.change) for note in during)
    odd = [
        f"{counted(counts[item.name, oddity], 'stamp')} of {item.name} {words}"
        for item in plan.inputs
        for oddity, words in _ODDITIES.items()
        if counts[item.name, oddity]
    ]
    again = [
        f"the publisher of {plan.input(note.input).topic} began anew at {clock_words(note.now_ns)}"
        for note in during
        if note.change == "restarted"
    ]
    return [*odd, *again]


# -- how it begins, and how much it is


def _beginning(case: _Case) -> str:
    episode, cause = case.episode, case.episode.cause
    if not episode.input:
        return _BEGINNINGS[cause]
    if cause == "silent":
        silences = len({i.silent_since_ns for i in episode.items if i.silent_since_ns})
        if silences > 1:
            return f"{episode.input} was silent {silences} times"
    return f"{episode.input} {INPUT_REASONS[cause]}"


_BEGINNINGS = {
    "trigger_disorder": "a trigger's stamp was not after the last one",
    "no_time": "there was no time left to compute",
    "overrun": "the answer was not ready by its deadline",
    "head_failed": "the fusion head failed",
    "stopped": "the graph was stopped",
    "degraded": "cheaper variants were used",
    "late": "the answer came after its deadline",
}


def _extent(episode: Episode) -> str:
    """Return `39 triggers, all partial`, `31 of 100 triggers: 30 partial and 1 shed`."""
    count = len(episode.rows)
    words = counted(count, "trigger")
    if count < episode.between:
        words = f"{count} of {counted(episode.between, 'trigger')}"
    outcomes = Counter(row.outcome for row in episode.rows)
    if len(outcomes) == 1:
        return f"{words}, {'all ' if count > 1 else ''}{next(iter(outcomes)).value}"
    return f"{words}: {listed([f'{outcomes[o]} {o.value}' for o in Outcome if outcomes[o]])}"


# -- details


def _nothing_more(case: _Case) -> str:
    del case
    return ""


def _silent(case: _Case) -> str:
    episode = case.episode
    since = [item.silent_since_ns for item in episode.items if item.silent_since_ns]
    heard = f"nothing on {case.input.topic} since {clock_words(min(since))}"
    words = heard + _until(episode)
    if episode.mended_after:
        words += f", whole again {counted(episode.mended_after, 'trigger')} later"
    return words + _stood_in(case)


def _never_heard(case: _Case) -> str:
    heard = f"nothing on {case.input.topic} since the start"
    return heard + _until(case.episode) + _stood_in(case)


def _until(episode: Episode) -> str:
    again = episode.heard_again_ns
    return f", heard again at {clock_words(again)}" if again else ""


def _stood_in(case: _Case) -> str:
    if case.episode.input != case.plan.trigger:
        return ""
    count = sum("substituted" in row.flags for row in case.episode.rows)
    return f"; {counted(count, 'trigger')} stood in for it at its period" if count else ""


def _ended(case: _Case) -> str:
    since = max(item.silent_since_ns for item in case.episode.items)
    return f"last heard at {clock_words(since)}" if since else "it had said nothing"


def _absent(case: _Case) -> str:
    if case.input.align.rule == "window":
        return f"nothing lay within its window of {duration_words(case.input.align.duration_ns)}"
    if case.input.align.rule == "interpolate":
        return f"nothing had come on {case.input.topic} on both sides of the trigger"
    return f"nothing had come on {case.input.topic} yet"


def _out_of_tolerance(case: _Case) -> str:
    away = [abs(item.refused_distance_ns) for item in case.episode.items]
    which = "a sample" if case.input.align.rule == "interpolate" else "nearest sample"
    return _with(f"{which} {_range(away)} away, {_limits(case)}", _remedy(case))


def _too_old(case: _Case) -> str:
    ages = [-item.refused_distance_ns for item in case.episode.items]
    if min(ages) < 0:
        return "its first sample is younger than the trigger"
    return _with(f"newest sample {_range(ages)} old, {_limits(case)}", _remedy(case))


def _gaps(case: _Case) -> str:
    lacking = [-item.refused_distance_ns for item in case.episode.items]
    window = duration_words(case.input.align.duration_ns)
    if case.episode.filling_since_ns:
        first = clock_words(case.episode.filling_since_ns)
        return f"its window of {window} was still filling, first heard at {first}"
    return _with(f"{_range(lacking)} of {window} lacking, {_limits(case)}", _remedy(case))


def _not_arrived(case: _Case) -> str:
    episode = case.episode
    pairs = zip(episode.items, episode.rows, strict=True)
    waits = [item.committed_ns - row.accepted_ns for item, row in pairs]
    words = f"waited {_range(waits)} for it"
    came = sum(item.beaten for item in episode.items)
    return f"{words}; {counted(came, 'sample')} came after that" if came else words


def _encoder(case: _Case) -> str:
    words = f"its encoder is '{case.input.encoder}'"
    median_ns = encode_median_ns(case.episode.input, case.rows)
    if not median_ns:
        return words
    usual = f"{duration_words(median_ns)} of the budget of {duration_words(case.plan.budget_ns)}"
    return f"{words}, which usually takes {usual}"


def _encoder_failed(case: _Case) -> str:
    return f"its encoder is '{case.input.encoder}' (the node's log says how it failed)"


def _out_of_time(case: _Case) -> str:
    blame = Counter(_blamed(row, case.plan) for row in case.episode.rows)
    names = [
        name + (f" ({counted(n, 'time')})" if len(blame) > 1 else "")
        for name, n in blame.most_common()
    ]
    words = f"the budget of {duration_words(case.plan.budget_ns)} was too short for {listed(names)}"
    arrivals = [row.accepted_ns - row.stamp_ns - row.span_ns for row in case.episode.rows]
    if max(arrivals) > case.plan.budget_ns // 2:
        words += f", of which {_range(arrivals)} were over when the trigger arrived"
    needs = [needed_ns(row, case.plan, case.rows) for row in case.episode.rows]
    if not all(need_ns for need_ns, _ in needs):
        return words
    about = "" if all(exact for _, exact in needs) else "about "
    enough = duration_words(setting_ns(max(need_ns for need_ns, _ in needs)))
    them = "all of them" if len(needs) > 1 else "it"
    return f"{words}; {about}{enough} would have been enough for {them}"


def _blamed(row: Row, plan: Plan) -> str:
    return "an earlier trigger that held it up" if held_up(row) else f"'{row.blame or plan.head}'"


def _late(case: _Case) -> str:
    late = [row.delivered_ns - row.deadline_ns for row in case.episode.rows]
    return f"by {_range(late)}"


def _head_failed(case: _Case) -> str:
    return f"it is '{case.plan.head}' (the node's log says how it failed)"


_DETAILS: dict[str, Callable[[_Case], str]] = {
    "silent": _silent,
    "never_heard": _never_heard,
    "ended": _ended,
    "absent": _absent,
    "out_of_tolerance": _out_of_tolerance,
    "too_old": _too_old,
    "gaps": _gaps,
    "not_arrived": _not_arrived,
    "encoder_failed": _encoder_failed,
    "encoder_late": _encoder,
    "left_out": _encoder,
    "no_time": _out_of_time,
    "overrun": _out_of_time,
    "head_failed": _head_failed,
    "late": _late,
}


# -- parts


def _remedy(case: _Case) -> str:
    distances = [item.refused_distance_ns for item in case.episode.items]
    change = widened(case.input.align, distances)
    if change is None:
        return ""
    them = "all of them" if len(distances) > 1 else "it"
    return matched_words(case.input.align, change[0], them)


def _limits(case: _Case) -> str:
    align, items = case.input.align, case.episode.items
    if align.rule == "exact":
        return "exact takes equal stamps only"
    return listed(list(dict.fromkeys(limit_words(align, item) for item in items)))


def _range(durations_ns: Sequence[int]) -> str:
    """Return `41.2 to 55 ms`, or `47 ms` where all are said alike."""
    least, most = duration_words(min(durations_ns)), duration_words(max(durations_ns))
    if least == most:
        return least
    number, unit = least.split(" ")
    return f"{number} to {most}" if most.endswith(f" {unit}") else f"{least} to {most}"


def _with(words: str, addition: str) -> str:
    return f"{words}; {addition}" if addition else words


def _on_time(row: Row) -> bool:
    answered = row.outcome is not Outcome.SHED
    return answered and (not row.deadline_ns or row.delivered_ns <= row.deadline_ns)
