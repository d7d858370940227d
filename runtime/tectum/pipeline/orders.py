"""Orders: what a pipeline asks of its shell, to be carried out in sequence.

The shell refuses nothing. Every `Start` is answered by one `Finished`, every `Emit` by one
`Delivered`; what goes wrong comes back as `Finished(status="failed")` and costs that modality.
"""

from __future__ import annotations

from typing import NamedTuple

from tectum.ledger.row import Row
from tectum.message import SampleRef

__all__ = [
    "Absent",
    "Arg",
    "Cancel",
    "Close",
    "Emit",
    "Free",
    "Note",
    "Of",
    "Order",
    "Picked",
    "Start",
]


class Picked(NamedTuple):
    """Argument of a run: the samples of one input, cut where audio is meant."""

    input: str
    refs: tuple[SampleRef, ...]
    begin: int = -1
    """Audio: index of the first sample of the cut on the source's timeline; -1: no cut."""
    length: int = -1
    """Audio: number of samples of the cut; what no message covers is zeros (a marked gap)."""
    weight_ppm: int = -1
    """Between two samples: how far from the first to the second, in millionths; -1: no blend."""


class Of(NamedTuple):
    """Argument of a run: what a run that was ordered earlier gives for this input."""

    input: str
    run: int


class Absent(NamedTuple):
    """Argument of a run: this input is missing; zeros, masked."""

    input: str


Arg = Picked | Of | Absent


class Start(NamedTuple):
    """Run `stage` in `variant` on `lane`. `state` is the run whose carried state it continues.

    It begins when the runs ordered before it on that lane have ended, and those whose results it
    takes (see `tectum.pipeline.line`). Where one of the latter gave none, it ends as cancelled.
    """

    run: int
    lane: int
    stage: str
    variant: str
    args: tuple[Arg, ...]
    state: int = -1
    """-1: from the initial state."""
    stamp_ns: int = 0
    """Of the trigger, where the head is meant; 0 for an encoder, which serves several."""


class Cancel(NamedTuple):
    """End this run early if possible, or before it begins; `Finished` still follows."""

    run: int


class Free(NamedTuple):
    """Nothing can use this sample or run any more: drop the lease or the device buffer."""

    what: SampleRef | int


class Emit(NamedTuple):
    """Deliver the outcome of one trigger. `answer` is the head's run, or None for no answer.

    Exactly one per trigger and head, in the order in which triggers were accepted.
    """

    row: Row
    answer: int | None


class Close(NamedTuple):
    """The row is final, its delivery known: write it to the ledger."""

    row: Row


class Note(NamedTuple):
    """Something about an input changed: silent, revived, ended, restarted, stamp_disorder ..."""

    now_ns: int
    input: str
    change: str
    detail_ns: int = 0
    """The duration or stamp that the change is about; 0 where there is none."""


Order = Start | Cancel | Free | Emit | Close | Note
