"""What was odd about the stamps of inputs during a stretch, in a sentence per input and oddity.

Wrong clocks have sentences of their own: `tectum.ledger.clock_words`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tectum.ledger.row import Row
from tectum.ledger.words import clock_words, counted, duration_words
from tectum.pipeline.orders import Note
from tectum.pipeline.plan import InputPlan, Plan

__all__ = ["oddity_words"]

_Words = Callable[[InputPlan, Sequence[Note]], str]


def oddity_words(rows: Sequence[Row], plan: Plan, notes: Sequence[Note]) -> list[str]:
    """Return a sentence per input and oddity of its stamps during the stretch."""
    begin_ns, end_ns = rows[0].stamp_ns, rows[-1].delivered_ns
    during = [note for note in notes if begin_ns <= note.now_ns <= end_ns]
    found = []
    for item in plan.inputs:
        for change, words in _SENTENCES.items():
            told = [note for note in during if (note.input, note.change) == (item.name, change)]
            if told:
                found.append(words(item, told))
    return found


def _stamps(many: str, one: str = "") -> _Words:
    """Return how to say that so many stamps of an input were odd in one way."""

    def words(item: InputPlan, notes: Sequence[Note]) -> str:
        told = one if one and len(notes) == 1 else many
        return f"{counted(len(notes), 'stamp')} of {item.name} {told}"

    return words


def _clock_step(item: InputPlan, notes: Sequence[Note]) -> str:
    last = notes[-1]
    late = duration_words(last.now_ns - (last.detail_ns - item.offset_ns))
    when = f"at {clock_words(last.now_ns)}"
    if len(notes) > 1:
        when = f"{len(notes)} times, last {when}"
    return (
        f"the clock of {item.name} was set back {when}: what it sent before is not used any more, "
        f"and its stamps lie {late} before their arrival since"
    )


def _restarted(item: InputPlan, notes: Sequence[Note]) -> str:
    times = f"{len(notes)} times, last " if len(notes) > 1 else ""
    return f"the publisher of {item.topic} began anew {times}at {clock_words(notes[-1].now_ns)}"


_SENTENCES: dict[str, _Words] = {
    "stamp_zero": _stamps("were zero and refused", "was zero and refused"),
    "stamp_future": _stamps(
        "lay in the future and were refused", "lay in the future and was refused"
    ),
    "duplicate": _stamps("came twice and were refused", "came twice and was refused"),
    "stamp_disorder": _stamps("came out of order"),
    "clock_step": _clock_step,
    "restarted": _restarted,
}
"""Oddity of `tectum.sync.oddities` -> its sentence."""
