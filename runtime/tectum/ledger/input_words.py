"""What one input gave to one trigger, in a sentence: the sample used, or why there was none.

One function per reason code of `tectum.ledger.reasons.INPUT_REASONS`; a new code is one function
and one line of `_SENTENCES`. Each begins where the name of the input and a colon end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tectum.ledger.remedy import RECENT, encode_median_ns, input_remedy
from tectum.ledger.row import InputRow, Outcome, Row, Status
from tectum.ledger.row_words import waited_ns
from tectum.ledger.words import clock_words, counted, duration_words, percent
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan

__all__ = ["best_candidate", "input_words", "limit_words", "was_settled"]


class _Case(NamedTuple):
    """One input of one row with all that is known around it."""

    item: InputRow
    row: Row
    plan: Plan
    history: Sequence[Row]

    @property
    def input(self) -> InputPlan:
        return self.plan.input(self.item.name)

    @property
    def align(self) -> AlignPlan:
        return self.input.align


def input_words(item: InputRow, row: Row, plan: Plan, history: Sequence[Row] = ()) -> str:
    """Return the sentence on one input of `row`: `camera: sample 12, 4 ms before the trigger`."""
    case = _Case(item, row, plan, history)
    if item.status is Status.FRESH:
        return f"{item.name}: {_fresh(case)}"
    words = _SENTENCES[item.reason](case)
    if item.status is Status.CACHED:
        words += f"; an embedding {duration_words(-item.distance_ns)} old stood in"
    return f"{item.name}: {words}"


def was_settled(item: InputRow) -> bool:
    """Return whether it was decided what this input gives; not so in a set given up early."""
    return item.status is Status.FRESH or bool(item.reason)


def best_candidate(item: InputRow, align: AlignPlan) -> str:
    """Return the best candidate that was refused and by how much: `sample 12 was ... before`."""
    if item.refused_seq < 0:
        return "no sample was near"
    if align.rule == "window":
        lacks = f"lacked {duration_words(-item.refused_distance_ns)}"
        return f"its window of {duration_words(align.duration_ns)} {lacks}"
    return f"sample {item.refused_seq} was {_away(item.refused_distance_ns)}"


def limit_words(align: AlignPlan, item: InputRow) -> str:
    """Return the limit that refused it: `tolerance 40 ms`, `max_age 500 ms`, `allowed 100 ms`."""
    names = {"latest": "max_age", "window": "allowed", "interpolate": "reach"}
    if align.rule == "nearest" and align.before_ns != align.after_ns:
        side = "after" if item.refused_distance_ns > 0 else "before"
        return f"{side} {duration_words(item.limit_ns)}"
    return f"{names.get(align.rule, 'tolerance')} {duration_words(item.limit_ns)}"


# -- used


def _fresh(case: _Case) -> str:
    item, align = case.item, case.align
    if align.rule == "window":
        words = f"{duration_words(align.duration_ns)} of it, up to sample {item.seq}"
        if item.distance_ns:
            words += f", lacking {duration_words(-item.distance_ns)}"
    elif align.rule == "interpolate":
        words = f"interpolated, up to sample {item.seq}"
    elif align.rule == "latest":
        words = f"sample {item.seq}, {duration_words(-item.distance_ns)} old"
    else:
        words = f"sample {item.seq}, {_away(item.distance_ns)}"
    if item.forced:
        words += ", taken because the deadline allowed no more waiting"
    if item.beaten:
        words += ", though a nearer one came after that"
    if align.rule in ("nearest", "exact") and item.error_ns > _spare_ns(item, align):
        words += f", though its stamp may be off by {duration_words(item.error_ns)}"
    if item.ambiguous:
        words += ", as near as another within the error of their stamps"
    return words


def _spare_ns(item: InputRow, align: AlignPlan) -> int:
    """Return what the tolerance leaves for the stamp to be off."""
    limit_ns = align.after_ns if item.distance_ns > 0 else align.before_ns
    return max(limit_ns - abs(item.distance_ns), 1_000_000)


# -- not used


def _silent(case: _Case) -> str:
    item = case.item
    since = duration_words(item.committed_ns - item.silent_since_ns)
    heard = clock_words(item.silent_since_ns)
    return f"silent, nothing on {case.input.topic} since {heard} ({since})"


def _never_heard(case: _Case) -> str:
    return f"never heard, nothing on {case.input.topic} since the start"


def _ended(case: _Case) -> str:
    heard = case.item.silent_since_ns
    last = f", last heard at {clock_words(heard)}" if heard else ", having said nothing"
    return f"its source had ended{last}"


def _absent(case: _Case) -> str:
    if case.align.rule == "window":
        return f"nothing lay within its window of {duration_words(case.align.duration_ns)}"
    if case.align.rule == "interpolate":
        return "no samples had come on both sides of the trigger"
    return "no sample at all had come yet"


def _out_of_tolerance(case: _Case) -> str:
    item, align = case.item, case.align
    limit = "exact takes equal stamps only" if align.rule == "exact" else limit_words(align, item)
    which = "sample" if align.rule == "interpolate" else "nearest sample"
    refused = f"{which} {item.refused_seq} was {_away(item.refused_distance_ns)}, {limit}"
    return _with(refused, _remedy(case))


def _too_old(case: _Case) -> str:
    item = case.item
    if item.refused_distance_ns > 0:
        later = duration_words(item.refused_distance_ns)
        return f"its first sample {item.refused_seq} is {later} younger than the trigger"
    age = duration_words(-item.refused_distance_ns)
    newest = f"newest sample {item.refused_seq} was {age} old, {limit_words(case.align, item)}"
    return _with(newest, _remedy(case))


def _gaps(case: _Case) -> str:
    item, align = case.item, case.align
    return _with(f"{best_candidate(item, align)}, {limit_words(align, item)}", _remedy(case))


def _not_arrived(case: _Case) -> str:
    item, row = case.item, case.row
    waited = duration_words(waited_ns(row, item))
    words = f"not arrived after {waited} of waiting, all that the deadline allowed"
    if item.refused_seq >= 0:
        words += f"; {best_candidate(item, case.align)}, {limit_words(case.align, item)}"
    if item.beaten:
        words += "; its sample came after that"
    return _with(words, _usual_arrival(case))


def _encoder_failed(case: _Case) -> str:
    return f"its encoder '{case.input.encoder}' failed on sample {case.item.seq}"


def _encoder_late(case: _Case) -> str:
    item, encoder = case.item, case.input.encoder
    if not item.encode_begin_ns:
        words = f"its encoder '{encoder}' could not be started in time for sample {item.seq}"
    else:
        ran = duration_words(max(0, _decided_ns(case.row) - item.encode_begin_ns))
        words = f"its encoder '{encoder}' had run for {ran} on sample {item.seq} and was not done"
    return _with(words, _usual_encoding(case))


def _left_out(case: _Case) -> str:
    item = case.item
    words = f"left out, encoding sample {item.seq} with '{case.input.encoder}' would have been late"
    return _with(words, _usual_encoding(case))


_SENTENCES: dict[str, Callable[[_Case], str]] = {
    "silent": _silent,
    "never_heard": _never_heard,
    "ended": _ended,
    "absent": _absent,
    "out_of_tolerance": _out_of_tolerance,
    "too_old": _too_old,
    "gaps": _gaps,
    "not_arrived": _not_arrived,
    "encoder_failed": _encoder_failed,
    "encoder_late": _encoder_late,
    "left_out": _left_out,
}


# -- parts


def _with(words: str, addition: str) -> str:
    return f"{words}; {addition}" if addition else words


def _away(distance_ns: int) -> str:
    if distance_ns == 0:
        return "at the trigger's time"
    side = "after" if distance_ns > 0 else "before"
    return f"{duration_words(abs(distance_ns))} {side} the trigger"


def _remedy(case: _Case) -> str:
    return input_remedy(case.item.name, case.plan, case.item, case.history)


def _usual_arrival(case: _Case) -> str:
    """Return how late after the capture's end this input's samples usually came."""
    delays = sorted(
        item.arrived_ns - row.stamp_ns - row.span_ns
        for row in case.history[-RECENT:]
        for item in row.inputs
        if item.name == case.item.name and item.status is Status.FRESH
    )
    if not delays:
        return ""
    usual_ns = delays[(len(delays) * 95 - 1) // 100]
    share = percent(sum(delay <= usual_ns for delay in delays) / len(delays))
    others = counted(len(delays), "sample")
    return f"{share} of the {others} used before came within {duration_words(usual_ns)}"


def _usual_encoding(case: _Case) -> str:
    median_ns = encode_median_ns(case.item.name, case.history)
    return f"it usually takes {duration_words(median_ns)}" if median_ns else ""


def _decided_ns(row: Row) -> int:
    """Return when the set went on without its unfinished encoders."""
    if row.outcome is Outcome.SHED or not row.head_begin_ns:
        return row.emitted_ns
    return row.head_begin_ns
