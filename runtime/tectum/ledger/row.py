"""Rows of the ledger: one per trigger, and head where there are several, in acceptance order.

The *decision* part of a row (trigger, stamp, outcome, reason, flags; per input: status, seq,
stamp, distance, variant) is what digests cover. The *evidence* part (times, waits, refused
candidates, phases) explains the decision and is left out of them. Rows hold numbers; `why` makes
sentences of them. Times are ns on the graph clock; 0 where a thing did not happen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["InputRow", "Outcome", "Row", "Status"]


class Outcome(StrEnum):
    """What a trigger came to."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    SHED = "shed"


class Status(StrEnum):
    """What an input gave to a set."""

    FRESH = "fresh"
    CACHED = "cached"
    MISSING = "missing"


@dataclass(slots=True)
class InputRow:
    """One input of one set."""

    name: str
    # decision
    status: Status = Status.MISSING
    reason: str = ""
    """Why it is missing or cached: a code of `tectum.ledger.reasons.INPUT_REASONS`; else empty."""
    incarnation: int = 0
    seq: int = -1
    """Sequence number of the (last) sample used; -1 for none."""
    stamp_ns: int = 0
    """Stamp of the sample used, at its reference point."""
    distance_ns: int = 0
    """Its stamp minus the trigger's (signed); for a window, the time it lacks (coverage)."""
    variant: str = ""
    """Variant of the encoder that made its embedding."""
    # evidence
    arrived_ns: int = 0
    committed_ns: int = 0
    forced: bool = False
    """The deadline forced the commit; finality had not been reached."""
    beaten: bool = False
    """A better sample arrived after the commit."""
    refused_seq: int = -1
    """The best candidate that was refused, where none was accepted."""
    refused_distance_ns: int = 0
    limit_ns: int = 0
    """The tolerance (or age, or coverage) that refused it, on the side it was on."""
    silent_since_ns: int = 0
    """When the input was last heard, where it was silent."""
    encode_begin_ns: int = 0
    encode_end_ns: int = 0
    ambiguous: bool = False
    """The two best candidates could not be told apart within their `error_ns`."""
    error_ns: int = 0
    """Bound on how far off the stamp of the sample used may be."""


@dataclass(slots=True)
class Row:
    """One trigger and what became of it."""

    trigger: int
    """0, 1, 2 ... in acceptance order."""
    stamp_ns: int
    """The trigger's stamp at its reference point."""
    outcome: Outcome = Outcome.SHED
    reason: str = ""
    """A code of `tectum.ledger.reasons.ROW_REASONS`."""
    flags: tuple[str, ...] = ()
    """substituted, degraded, late: sorted."""
    inputs: tuple[InputRow, ...] = field(default_factory=tuple)
    """In graph order; of several heads each has those that it takes."""
    head: str = field(default="", kw_only=True)
    """Which of several heads answered; empty: the only one."""
    # evidence
    span_ns: int = 0
    """The trigger's capture; the budget counts from its end."""
    accepted_ns: int = 0
    """When the pipeline accepted the trigger."""
    deadline_ns: int = 0
    """0 where there is no budget."""
    settled_ns: int = 0
    """When every pick was committed."""
    head_begin_ns: int = 0
    head_end_ns: int = 0
    head_variant: str = ""
    emitted_ns: int = 0
    delivered_ns: int = 0
    blame: str = ""
    """The stage or input that cost the result its time, where it was shed or degraded for time."""
