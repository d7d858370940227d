"""Encoders that run `on: sample`: every message, or every fixed hop of an audio timeline, in order.

Holds what has arrived and is not yet encoded; says which samples the next run takes and whether
the carried state starts anew (at a gap, a restart of the source, or when a backlog was skipped).
One run at a time: the next needs the state of the last.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from tectum.message import Sample, SampleRef

__all__ = ["Hop", "Hops"]

_NS_PER_S = 1_000_000_000
_BACKLOG_MESSAGES = 64
_BACKLOG_S = 1


@dataclass(frozen=True, slots=True)
class Hop:
    """What one run takes. Times in ns; `begin` and `length` in audio samples, -1 for messages."""

    refs: tuple[SampleRef, ...]
    begin: int
    length: int
    stamp_ns: int
    span_ns: int
    error_ns: int
    fresh: bool
    """The state starts anew."""

    def sample(self) -> Sample:
        """Return the derived sample that stands for the run's output."""
        return Sample(self.refs[-1], self.stamp_ns, self.span_ns, self.error_ns)


class Hops:
    """The queue before one `on: sample` encoder."""

    __slots__ = ("_fresh", "_hop", "_last", "_next", "_waiting", "released", "skipped")

    def __init__(self, hop: int) -> None:
        """Take `hop` audio samples per run, or one message per run for 0."""
        self._hop = hop
        self._waiting: deque[Sample] = deque()
        self._next = -1
        self._fresh = True
        self._last: SampleRef | None = None
        self.skipped = 0
        """Messages that were passed over: the encoder could not keep up, or they were overtaken."""
        self.released: list[SampleRef] = []
        """Samples that no later hop needs; the owner empties this."""

    def add(self, sample: Sample) -> None:
        """Take up a message, in order of arrival; one that was overtaken is passed over."""
        last, self._last = self._last, sample.ref
        if last and last.incarnation == sample.ref.incarnation and last.seq > sample.ref.seq:
            self._last = last
            self.skipped += 1
            self.released.append(sample.ref)
            return
        if self._waiting and not _follows(self._waiting[-1], sample):
            self._drop_partial()
        if not self._waiting:
            self._begin_at(sample)
        self._waiting.append(sample)
        while self._overfull():
            self._skip()

    def take(self) -> Hop | None:
        """Return the next hop if it has arrived whole."""
        if not self._waiting:
            return None
        if not self._hop:
            return self._take_message()
        first, last = self._waiting[0], self._waiting[-1]
        if last.first + last.count < self._next + self._hop:
            return None
        return self._take_audio(first)

    def holds(self, ref: SampleRef) -> bool:
        """Return whether this message still waits, or waits to be freed."""
        return ref in self.released or any(sample.ref == ref for sample in self._waiting)

    def restart(self) -> None:
        """The last run failed: the next one starts from the initial state."""
        self._fresh = True

    # -- parts

    def _take_message(self) -> Hop:
        sample = self._waiting.popleft()
        fresh, self._fresh = self._fresh, False
        self.released.append(sample.ref)
        return Hop((sample.ref,), -1, -1, sample.stamp_ns, sample.span_ns, sample.error_ns, fresh)

    def _take_audio(self, first: Sample) -> Hop:
        begin, end = self._next, self._next + self._hop
        refs = tuple([s.ref for s in self._waiting if s.first < end])
        stamp_ns = first.stamp_ns + (begin - first.first) * _NS_PER_S // first.rate_hz
        span_ns = self._hop * _NS_PER_S // first.rate_hz
        fresh, self._fresh = self._fresh, False
        self._next = end
        while self._waiting and self._waiting[0].first + self._waiting[0].count <= end:
            self.released.append(self._waiting.popleft().ref)
        return Hop(refs, begin, self._hop, stamp_ns, span_ns, first.error_ns, fresh)

    def _begin_at(self, sample: Sample) -> None:
        if self._hop and sample.first != self._next:
            self._next, self._fresh = sample.first, True

    def _drop_partial(self) -> None:
        """A gap: what was left over before it never makes a whole hop."""
        self.released.extend(sample.ref for sample in self._waiting)
        self._waiting.clear()
        self._fresh = True

    def _overfull(self) -> bool:
        if not self._hop:
            return len(self._waiting) > _BACKLOG_MESSAGES
        first, last = self._waiting[0], self._waiting[-1]
        return len(self._waiting) > 1 and (
            last.first + last.count - first.first > _BACKLOG_S * first.rate_hz + self._hop
        )

    def _skip(self) -> None:
        self.skipped += 1
        self.released.append(self._waiting.popleft().ref)
        self._fresh = True
        if self._hop and self._waiting:
            self._next = self._waiting[0].first


def _follows(last: Sample, sample: Sample) -> bool:
    """Return whether `sample` goes on where `last` ended."""
    if last.ref.incarnation != sample.ref.incarnation:
        return False
    if sample.rate_hz:
        return sample.first == last.first + last.count
    return sample.ref.seq == last.ref.seq + 1
