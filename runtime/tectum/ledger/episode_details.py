"""The details of a cause: what is told of a stretch of triggers behind the colon.

One function per cause; a cause without one needs no details.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tectum.ledger.episodes import Episode
from tectum.ledger.input_words import limit_words
from tectum.ledger.remedy import encode_median_ns, held_up, matched_words, needed_ns, widened
from tectum.ledger.row import Row
from tectum.ledger.row_words import waited_ns
from tectum.ledger.words import clock_words, counted, duration_words, listed, setting_ns
from tectum.pipeline.plan import InputPlan, Plan

__all__ = ["Case", "detail_words"]


class Case(NamedTuple):
    """An episode with all that is known around it."""

    episode: Episode
    plan: Plan
    rows: Sequence[Row]

    @property
    def input(self) -> InputPlan:
        """Return the plan of the input that the episode is about."""
        return self.plan.input(self.episode.input)


def detail_words(case: Case) -> str:
    """Return the details of an episode's cause; empty where there is no more to say."""
    return _DETAILS.get(case.episode.cause, _nothing_more)(case)


def _nothing_more(case: Case) -> str:
    del case
    return ""


def _silent(case: Case) -> str:
    episode = case.episode
    since = [item.silent_since_ns for item in episode.items if item.silent_since_ns]
    heard = f"nothing on {case.input.topic} since {clock_words(min(since))}"
    words = heard + _until(episode)
    if episode.mended_after:
        words += f", whole again {counted(episode.mended_after, 'trigger')} later"
    return words + _stood_in(case)


def _never_heard(case: Case) -> str:
    heard = f"nothing on {case.input.topic} since the start"
    return heard + _until(case.episode) + _stood_in(case)


def _until(episode: Episode) -> str:
    again = episode.heard_again_ns
    return f", heard again at {clock_words(again)}" if again else ""


def _stood_in(case: Case) -> str:
    if case.episode.input != case.plan.trigger:
        return ""
    count = sum("substituted" in row.flags for row in case.episode.rows)
    return f"; {counted(count, 'trigger')} stood in for it at its period" if count else ""


def _ended(case: Case) -> str:
    since = max(item.silent_since_ns for item in case.episode.items)
    return f"last heard at {clock_words(since)}" if since else "it had said nothing"


def _absent(case: Case) -> str:
    if case.input.align.rule == "window":
        return f"nothing lay within its window of {duration_words(case.input.align.duration_ns)}"
    if case.input.align.rule == "interpolate":
        return f"nothing had come on {case.input.topic} on both sides of the trigger"
    return f"nothing had come on {case.input.topic} yet"


def _out_of_tolerance(case: Case) -> str:
    away = [abs(item.refused_distance_ns) for item in case.episode.items]
    which = "a sample" if case.input.align.rule == "interpolate" else "nearest sample"
    return _with(f"{which} {_range(away)} away, {_limits(case)}", _remedy(case))


def _too_old(case: Case) -> str:
    ages = [-item.refused_distance_ns for item in case.episode.items]
    if min(ages) < 0:
        return "its first sample is younger than the trigger"
    return _with(f"newest sample {_range(ages)} old, {_limits(case)}", _remedy(case))


def _gaps(case: Case) -> str:
    lacking = [-item.refused_distance_ns for item in case.episode.items]
    window = duration_words(case.input.align.duration_ns)
    if case.episode.filling_since_ns:
        first = clock_words(case.episode.filling_since_ns)
        return f"its window of {window} was still filling, first heard at {first}"
    return _with(f"{_range(lacking)} of {window} lacking, {_limits(case)}", _remedy(case))


def _not_arrived(case: Case) -> str:
    episode = case.episode
    pairs = zip(episode.items, episode.rows, strict=True)
    waits = [waited_ns(row, item) for item, row in pairs]
    words = f"waited {_range(waits)} for it"
    came = sum(item.beaten for item in episode.items)
    return f"{words}; {counted(came, 'sample')} came after that" if came else words


def _encoder(case: Case) -> str:
    words = f"its encoder is '{case.input.encoder}'"
    median_ns = encode_median_ns(case.episode.input, case.rows)
    if not median_ns:
        return words
    usual = f"{duration_words(median_ns)} of the budget of {duration_words(case.plan.budget_ns)}"
    return f"{words}, which usually takes {usual}"


def _encoder_failed(case: Case) -> str:
    return f"its encoder is '{case.input.encoder}' (the node's log says how it failed)"


def _out_of_time(case: Case) -> str:
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


def _late(case: Case) -> str:
    late = [row.delivered_ns - row.deadline_ns for row in case.episode.rows]
    return f"by {_range(late)}"


def _head_failed(case: Case) -> str:
    return f"it is '{case.plan.head}' (the node's log says how it failed)"


_DETAILS: dict[str, Callable[[Case], str]] = {
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


def _remedy(case: Case) -> str:
    distances = [item.refused_distance_ns for item in case.episode.items]
    change = widened(case.input.align, distances)
    if change is None:
        return ""
    them = "all of them" if len(distances) > 1 else "it"
    return matched_words(case.input.align, change[0], them)


def _limits(case: Case) -> str:
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
