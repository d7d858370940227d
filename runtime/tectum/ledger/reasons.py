"""The reason codes: every outcome carries one, every missing or cached input too.

The code is what machines count; the words are what `tectum why` begins with. Which numbers go
into the sentence is said by `tectum.ledger.why`.
"""

from __future__ import annotations

__all__ = ["INPUT_REASONS", "ROW_REASONS"]

INPUT_REASONS: dict[str, str] = {
    "silent": "was silent",
    "never_heard": "has never been heard",
    "ended": "had ended",
    "absent": "had no sample at all",
    "out_of_tolerance": "had no sample within its tolerance",
    "too_old": "had no sample young enough",
    "gaps": "had too many gaps in its window",
    "not_arrived": "had not arrived when the deadline forced the set",
    "encoder_failed": "had an encoder that failed",
    "encoder_late": "had an encoder that did not finish in time",
    "left_out": "was left out to meet the budget",
}
"""Code of `InputRow.reason` -> what happened to the input."""

ROW_REASONS: dict[str, str] = {
    "complete": "every input was fresh",
    **{f"input_{code}": f"an input {words}" for code, words in INPUT_REASONS.items()},
    "trigger_disorder": "the trigger's stamp was not after the last one",
    "not_accepted": "the inputs at hand are no accepted combination",
    "no_time": "what was left to compute could not end by the deadline",
    "overrun": "the answer was not ready by its deadline",
    "head_failed": "the fusion head failed",
    "stopped": "the graph was stopped",
}
"""Code of `Row.reason` -> what happened. `input_*` names the first input that was not fresh."""
