"""Why a result is complete, partial or shed, in sentences made from rows and the plan.

`explain` tells one trigger: what it came to and when, who was waited for, and per input the sample
used or the best one refused, with the smallest change that would have matched it. `explain_span`
tells a stretch of triggers: one sentence per cause, however many triggers it cost. Instants are
in UTC. The same rows give the same words. Of several heads each is told by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from tectum.ledger.came import Came
from tectum.ledger.clock_words import clock_sentence, clock_sentences, wrong_clock
from tectum.ledger.episode_words import episode_words, overview_words
from tectum.ledger.episodes import Episode, find_episodes
from tectum.ledger.hindsight import with_hindsight
from tectum.ledger.input_words import input_words, was_settled
from tectum.ledger.oddity_words import oddity_words
from tectum.ledger.row import Row
from tectum.ledger.row_words import row_words
from tectum.ledger.words import counted
from tectum.pipeline.orders import Note
from tectum.pipeline.plan import Plan

__all__ = ["explain", "explain_span"]


def explain(
    row: Row,
    plan: Plan,
    history: Sequence[Row] = (),
    *,
    later: Sequence[Row] = (),
    notes: Sequence[Note] = (),
    arrivals: Came | None = None,
) -> str:
    """Return what became of one trigger and why: a line on it and one per input.

    Args:
        row: a closed row of the ledger.
        plan: the fusion node's.
        history: rows before it, latest last: for what is usual, and how often a change helps.
        later: rows after it; they know of samples that came too late for this one.
        notes: what changed about its inputs; tells which samples would have been better.
        arrivals: what came to the inputs (`tectum.ledger.came`), around the trigger at least;
            without it the change that is named may be larger than need be.
    """
    plan, notes = _as_seen(plan, row.head, notes)
    history = [other for other in history if other.head == row.head]
    later = [other for other in later if other.head == row.head]
    rows = with_hindsight([*history, row, *later], plan, notes, arrivals)
    history, row = rows[: len(history)], rows[len(history)]
    lines = [input_words(item, row, plan, history) for item in row.inputs if was_settled(item)]
    wrong = [wrong_clock(notes, item.name, row.emitted_ns) for item in plan.inputs]
    clocks = [clock_sentence(note, plan) for note in wrong if note is not None]
    head = f"{row.head}: " if row.head else ""
    return "\n  ".join([f"{head}{row_words(row, plan, history)}", *lines, *clocks])


def explain_span(
    rows: Sequence[Row],
    plan: Plan,
    notes: Sequence[Note] = (),
    *,
    arrivals: Came | None = None,
    most: int = 0,
) -> list[str]:
    """Return the outcome of a stretch of triggers, then a sentence per cause in order of time.

    Args:
        rows: closed rows in acceptance order.
        plan: the fusion node's.
        notes: what changed about its inputs, also around the stretch; sharpens the sentences.
        arrivals: as with `explain`.
        most: tell at most so many causes, those that cost the most triggers; 0: all of them.
    """
    if not rows:
        return [*_without_triggers(plan, notes), *clock_sentences(notes, plan)]
    if plan.heads:
        return _head_by_head(rows, plan, notes, arrivals, most)
    rows = with_hindsight(rows, plan, notes, arrivals)
    episodes = find_episodes(rows, plan, notes)
    told = _largest(episodes, most) if most else episodes
    causes = [episode_words(episode, plan, rows) for episode in told]
    if len(told) < len(episodes):
        causes.append(f"and {counted(len(episodes) - len(told), 'smaller cause')}")
    clocks = clock_sentences(notes, plan, rows[0].accepted_ns, rows[-1].delivered_ns)
    return [overview_words(rows), *causes, *clocks, *oddity_words(rows, plan, notes)]


def _head_by_head(
    rows: Sequence[Row], plan: Plan, notes: Sequence[Note], arrivals: Came | None, most: int
) -> list[str]:
    """Return what of several heads each has to tell, after its name."""
    told = []
    for head in plan.heads:
        seen, its_notes = _as_seen(plan, head.name, notes)
        its_rows = [row for row in rows if row.head == head.name]
        if its_rows:
            words = explain_span(its_rows, seen, its_notes, arrivals=arrivals, most=most)
            told += [f"{head.name}: {sentence}" for sentence in words]
    return told


def _as_seen(plan: Plan, head: str, notes: Sequence[Note]) -> tuple[Plan, Sequence[Note]]:
    """Return plan and notes as one head sees them."""
    if not plan.heads:
        return plan, notes
    seen = plan.seen_by(head)
    names = [item.name for item in seen.inputs]
    return seen, [note for note in notes if note.input in names]


def _without_triggers(plan: Plan, notes: Sequence[Note]) -> list[str]:
    """Return that nothing was asked for, and why, as far as the inputs that ask tell."""
    asking = (plan.trigger, *plan.also_trigger)
    mute = [
        f"{note.input}, which triggers, has never been heard on {plan.input(note.input).topic}"
        for note in notes
        if note.change == "never_heard" and note.input in asking
    ]
    return [f"no triggers: {mute[-1]}" if mute else "no triggers"]


def _largest(episodes: list[Episode], most: int) -> list[Episode]:
    """Return the episodes of the most triggers, in the order in which they began."""
    largest = sorted(episodes, key=lambda episode: -len(episode.rows))[:most]
    return [episode for episode in episodes if episode in largest]
