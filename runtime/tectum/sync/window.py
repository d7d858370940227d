"""`window`: everything captured in a span around the trigger; audio is cut to the sample.

The window is [t + lead - duration, t + lead). Audio is placed by the sample index and the stamp of
its newest chunk, so a cut always has the same length, chunks that follow each other leave no gap
whatever their stamps say, and what no chunk covers is a gap of so many samples. It is final when
the stream has been heard up to the window's end, or when no more of it comes in time.
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
        indices = _overlapping(stream, end_ns - self.duration_ns, end_ns)
        if not indices:
            return Refusal("absent")
        if stream.samples[indices[-1]].rate_hz:
            return self._audio(stream, indices, end_ns - self.duration_ns)
        lacking_ns = self.duration_ns - _covered(stream, indices, end_ns - self.duration_ns, end_ns)
        return self._judge(stream, indices, lacking_ns)

    def final(self, stream: Stream, t_ns: int, by_ns: int = NEVER_NS, now_ns: int = 0) -> bool:
        """Return whether the stream was heard to the window's end, or nothing more of it comes."""
        del now_ns  # a gap is worse than a wait
        end_ns = t_ns + self.lead_ns
        if stream.ends and stream.ends[-1] >= end_ns:
            return True
        first_ns, last_ns = stream.coming(by_ns)
        return first_ns >= end_ns or first_ns > last_ns

    def reach_ns(self) -> int:
        """Return how far the window's begin lies before the trigger."""
        return self.duration_ns - self.lead_ns

    def _audio(self, stream: Stream, indices: list[int], begin_ns: int) -> Pick | Refusal:
        """Cut the source's timeline, and count what is missing in samples."""
        last = indices[-1]
        newest = stream.samples[last]
        since_ns = begin_ns - (stream.ends[last] - newest.span_ns)
        # Halves of the begin are rounded down and those of the length up: rounded the same way, a
        # cut could end one sample after what was heard when the window ended.
        begin = newest.first - _samples(-since_ns, newest.rate_hz)
        length = _samples(self.duration_ns, newest.rate_hz)
        held, heard = _heard(stream, indices, begin, begin + length)
        lacking_ns = (length - heard) * _NS_PER_S // newest.rate_hz
        return self._judge(stream, held, lacking_ns, begin, length)

    def _judge(
        self, stream: Stream, indices: list[int], lacking_ns: int, begin: int = -1, length: int = -1
    ) -> Pick | Refusal:
        """Accept what covers enough."""
        allowed_ns = self.duration_ns * (1000 - self.coverage_permille) // 1000
        last = indices[-1]
        newest = stream.samples[last]
        if lacking_ns > allowed_ns:
            return Refusal("gaps", newest.ref.seq, -lacking_ns, allowed_ns)
        return Pick(
            stream.ats[last],
            -lacking_ns,
            tuple([stream.samples[index].ref for index in indices]),
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


def _heard(stream: Stream, indices: list[int], begin: int, end: int) -> tuple[list[int], int]:
    """Return which chunks hold samples of [begin, end), and how many.

    Looks one chunk further back than the stamps say. A source that restarts counts from zero
    again: only its newest life counts.
    """
    life, heard, reached = stream.samples[indices[-1]].ref.incarnation, 0, begin
    found = []
    for index in range(max(stream.first_held, indices[0] - 1), indices[-1] + 1):
        chunk = stream.samples[index]
        start, stop = max(reached, chunk.first), min(end, chunk.first + chunk.count)
        if stop > start and chunk.ref.incarnation == life:
            found.append(index)
            heard += stop - start
            reached = stop
    return found or indices[-1:], heard


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
