"""A stretch of triggers and its cause in one sentence.

What the sentence begins with, and how many triggers it is about; the details behind its colon are
of `tectum.ledger.episode_details`. A new reason of a row is one line of `_BEGINNINGS`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tectum.ledger.episode_details import Case, detail_words
from tectum.ledger.episodes import Episode
from tectum.ledger.reasons import INPUT_REASONS
from tectum.ledger.row import Outcome, Row
from tectum.ledger.words import counted, listed, percent, span_words
from tectum.pipeline.plan import Plan

__all__ = ["episode_words", "overview_words"]


def episode_words(episode: Episode, plan: Plan, rows: Sequence[Row]) -> str:
    """Return the sentence on an episode of the stretch `rows`, without a full stop."""
    case = Case(episode, plan, rows)
    span = span_words(episode.rows[0].stamp_ns, episode.rows[-1].stamp_ns)
    words = f"{_beginning(case)} {span} ({_extent(episode)})"
    details = detail_words(case)
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


# -- how it begins, and how much it is


def _beginning(case: Case) -> str:
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


def _on_time(row: Row) -> bool:
    answered = row.outcome is not Outcome.SHED
    return answered and (not row.deadline_ns or row.delivered_ns <= row.deadline_ns)
