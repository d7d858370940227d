"""What an alignment is: the rule that picks, for one input, the sample that belongs to a trigger.

An alignment is stateless and answers two questions for an instant: which sample is *best* now, and
is that *final* (could anything still to come be better). Finality rests on the stream's bound on
what follows; for a set that opens before its trigger, `final_over` answers for an interval.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from tectum.message import SampleRef
from tectum.sync.stream import NEVER_NS, Stream

__all__ = ["PPM", "Alignment", "Pick", "Refusal", "final_over", "pick_at"]


PPM = 1_000_000
"""Millionths: weights are integers."""


class Pick(NamedTuple):
    """The sample (for a window or between two samples: the samples) that belong to a trigger."""

    at_ns: int
    distance_ns: int
    """Reference point minus the trigger's time; for a window, minus what it lacks."""
    refs: tuple[SampleRef, ...]
    arrived_ns: int
    stamp_ns: int
    error_ns: int = 0
    begin: int = -1
    length: int = -1
    run: int = -1
    """The run that made it, where the stream is an encoder's output."""
    ambiguous: bool = False
    weight_ppm: int = -1
    """Between two samples: how far from the first to the second, in millionths; -1: no blend."""


class Refusal(NamedTuple):
    """Why no sample belongs to a trigger, and the best candidate."""

    reason: str
    """out_of_tolerance, too_old, gaps, or absent (there is no candidate at all)."""
    seq: int = -1
    distance_ns: int = 0
    limit_ns: int = 0


class Alignment(Protocol):
    """A rule; see the module."""

    def best(self, stream: Stream, t_ns: int) -> Pick | Refusal:
        """Return the sample that belongs to an instant, of those that have arrived."""
        ...

    def final(self, stream: Stream, t_ns: int, by_ns: int = NEVER_NS, now_ns: int = 0) -> bool:
        """Return whether nothing that still comes by `by_ns` is expected to be much better.

        With `now_ns`, a sample that is overdue then may be taken for lost.
        """
        ...

    def reach_ns(self) -> int:
        """Return how far before a trigger's time a sample may begin that still matters."""
        ...


def final_over(alignment: Alignment, stream: Stream, lo_ns: int, hi_ns: int) -> bool:
    """Return whether one pick is best and final for every instant of [lo, hi].

    Enough to ask at both ends: the instants for which one sample is best form an interval.
    """
    if not (alignment.final(stream, lo_ns) and alignment.final(stream, hi_ns)):
        return False
    lo, hi = alignment.best(stream, lo_ns), alignment.best(stream, hi_ns)
    return isinstance(lo, Pick) and isinstance(hi, Pick) and _same(lo, hi)


def _same(one: Pick, other: Pick) -> bool:
    """Return whether two picks take the same samples in the same way."""
    return (one.refs, one.begin, one.length, one.weight_ppm) == (
        other.refs,
        other.begin,
        other.length,
        other.weight_ppm,
    )


def pick_at(stream: Stream, index: int, t_ns: int, *, ambiguous: bool = False) -> Pick:
    """Return the pick of the sample at `index` of the stream."""
    sample, at_ns = stream.samples[index], stream.ats[index]
    return Pick(
        at_ns,
        at_ns - t_ns,
        (sample.ref,),
        stream.arrivals[index],
        sample.stamp_ns,
        sample.error_ns,
        run=stream.runs[index],
        ambiguous=ambiguous,
    )
