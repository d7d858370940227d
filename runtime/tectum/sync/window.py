"""`window`: everything captured in a span around the trigger; audio is cut to the sample.

The window is [t + lead - duration, t + lead). Audio is placed by the sample index of its newest
chunk, so a cut always has the same length; what no chunk covers is a marked gap. It is final when
the stream has been heard up to the window's end.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from tectum.sync.base import Pick, Refusal
from tectum.sync.stream import NEVER_NS, Stream

__all__ = ["Window"]

_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """A span of `duration_ns` that ends `lead_ns` after the trigger's time."""

    duration_ns: int
    lead_ns: int = 0
    coverage_permille: int = 1000

    def best(self, stream: Stream, t_ns: int) -> Pick | Refusal:
        """Return the samples that overlap the window, or by how much they cover too little."""
        end_ns = t_ns + self.lead_ns
        begin_ns = end_ns - self.duration_ns
        indices = _overlapping(stream, begin_ns, end_ns)
        if not indices:
            return Refusal("absent")
        indices = _one_life(stream, indices)
        lacking_ns = self.duration_ns - _covered(stream, indices, begin_ns, end_ns)
        allowed_ns = self.duration_ns * (1000 - self.coverage_permille) // 1000
        newest = stream.samples[indices[-1]]
        if lacking_ns > max(allowed_ns, _rounding_ns(newest.rate_hz)):
            return Refusal("gaps", newest.ref.seq, -lacking_ns, allowed_ns)
        return self._pick(stream, indices, begin_ns, lacking_ns)

    def final(self, stream: Stream, t_ns: int, by_ns: int = NEVER_NS) -> bool:
        """Return whether the stream was heard to the window's end, or nothing more of it comes."""
        end_ns = t_ns + self.lead_ns
        if stream.ends and stream.ends[-1] >= end_ns:
            return True
        first_ns, last_ns = stream.coming(by_ns)
        return first_ns >= end_ns or first_ns > last_ns

    def reach_ns(self) -> int:
        """Return how far the window's begin lies before the trigger."""
        return self.duration_ns - self.lead_ns

    def _pick(self, stream: Stream, indices: list[int], begin_ns: int, lacking_ns: int) -> Pick:
        last = indices[-1]
        newest = stream.samples[last]
        begin = length = -1
        if newest.rate_hz:
            since_ns = begin_ns - (stream.ends[last] - newest.span_ns)
            begin = newest.first + _samples(since_ns, newest.rate_hz)
            length = _samples(self.duration_ns, newest.rate_hz)
        refs = tuple([stream.samples[i].ref for i in indices])
        return Pick(
            stream.ats[last],
            -lacking_ns if lacking_ns > _rounding_ns(newest.rate_hz) else 0,
            refs,
            stream.arrivals[last],
            newest.stamp_ns,
            newest.error_ns,
            begin,
            length,
        )


def _overlapping(stream: Stream, begin_ns: int, end_ns: int) -> list[int]:
    """Return the indices of held samples whose capture overlaps [begin, end)."""
    first = bisect_left(stream.ends, begin_ns + 1, stream.first_held)
    found = []
    for index in range(first, len(stream.ats)):
        capture_begin = stream.ends[index] - stream.samples[index].span_ns
        if capture_begin >= end_ns:
            break
        found.append(index)
    return found


def _one_life(stream: Stream, indices: list[int]) -> list[int]:
    """Keep the newest life of an audio source: it counts from zero again when it restarts."""
    newest = stream.samples[indices[-1]]
    life = newest.ref.incarnation
    if not newest.rate_hz or stream.samples[indices[0]].ref.incarnation == life:
        return indices
    return [index for index in indices if stream.samples[index].ref.incarnation == life]


def _covered(stream: Stream, indices: list[int], begin_ns: int, end_ns: int) -> int:
    """Return how much of [begin, end) the captures cover, overlaps counted once."""
    covered, reached = 0, begin_ns
    for index in indices:
        start = max(reached, stream.ends[index] - stream.samples[index].span_ns)
        stop = min(end_ns, stream.ends[index])
        if stop > start:
            covered += stop - start
            reached = stop
    return covered


def _samples(duration_ns: int, rate_hz: int) -> int:
    """Return a duration in samples, rounded to the nearest (half up)."""
    return (2 * duration_ns * rate_hz + _NS_PER_S) // (2 * _NS_PER_S)


def _rounding_ns(rate_hz: int) -> int:
    """Return what stamps in whole ns may seem to lack of a gapless stretch: two samples."""
    return 2 * _NS_PER_S // rate_hz if rate_hz else 0
