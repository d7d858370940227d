"""What is said of an input whose stamps are of another clock: by how much, which, and the way out.

A note carries the stamp that made it sure; the offset is that stamp, less what the plan takes off,
minus the instant of the note.
"""

from __future__ import annotations

from collections.abc import Sequence

from tectum.ledger.words import clock_words, duration_words
from tectum.pipeline.orders import Note
from tectum.pipeline.plan import Plan
from tectum.sync.clocks import named_offset

__all__ = ["CLOCK_CHANGES", "clock_sentence", "clock_sentences", "wrong_clock"]

CLOCK_CHANGES = ("clock_ahead", "clock_behind")
"""Changes of a note by which an input's clock is known to be wrong; `clock_agrees` ends them."""
_REFUSED = "they are refused"


def clock_sentence(note: Note, plan: Plan) -> str:
    """Return what is wrong with the stamps that a note of `CLOCK_CHANGES` is about.

    `camera's stamps are 37 s ahead of the graph clock (they are refused): TAI instead of UTC; set
    ``clock: tai`` for this input`.
    """
    ahead_ns = note.detail_ns - plan.input(note.input).offset_ns - note.now_ns
    known = named_offset(ahead_ns, note.now_ns)
    if known is None:
        told = _told(note, ahead_ns)
        return f"{told}: no known offset; set its clock right, or stamp with the graph clock"
    return f"{_told(note, known.ahead_ns)}: {known.name}; {known.fix}"


def wrong_clock(notes: Sequence[Note], name: str, until_ns: int) -> Note | None:
    """Return the note by which the clock of an input was wrong at an instant; None: it was not."""
    found = None
    for note in notes:
        if note.input != name or note.now_ns > until_ns:
            continue
        if note.change in CLOCK_CHANGES:
            found = note
        elif note.change == "clock_agrees":
            found = None
    return found


def clock_sentences(
    notes: Sequence[Note], plan: Plan, begin_ns: int = 0, end_ns: int = 1 << 63
) -> list[str]:
    """Return a sentence per input and wrong clock that it had during a stretch."""
    found: dict[tuple[str, str], None] = {}
    for item in plan.inputs:
        before = wrong_clock(notes, item.name, begin_ns)
        during = [
            note
            for note in notes
            if note.input == item.name
            and note.change in CLOCK_CHANGES
            and begin_ns < note.now_ns <= end_ns
        ]
        for note in [before, *during] if before else during:
            found[item.name, clock_sentence(note, plan) + _until(notes, note, end_ns)] = None
    return [sentence for _, sentence in found]


def _until(notes: Sequence[Note], wrong: Note, end_ns: int) -> str:
    """Return `; right again since 12:03:12.018` where a wrong clock was set right until then."""
    for note in notes:
        later = wrong.now_ns < note.now_ns <= end_ns and note.input == wrong.input
        if later and note.change == "clock_agrees":
            return f"; right again since {clock_words(note.now_ns)}"
    return ""


def _told(note: Note, ahead_ns: int) -> str:
    side = "ahead of" if ahead_ns > 0 else "behind"
    effect = f" ({_REFUSED})" if note.change == "clock_ahead" else ""
    away = _away_words(abs(ahead_ns))
    return f"{note.input}'s stamps are {away} {side} the graph clock{effect}"


def _away_words(duration_ns: int) -> str:
    """Return `37 s`, `2 h`, `20.1 days`, `46.2 years`: what a person can picture."""
    seconds = duration_ns / 1_000_000_000
    if seconds < 600:
        return duration_words(round(seconds * 10) * 100_000_000)
    if seconds < 2 * 86_400:
        return f"{seconds / 3600:.4g} h"
    if seconds < 2 * 365 * 86_400:
        return f"{seconds / 86_400:.1f} days"
    return f"{seconds / (365.25 * 86_400):.1f} years"
