"""Arrivals for tests and benchmarks: seeded, as plain events, without a sensor or a clock.

A `Source` says how one input would be heard: its rhythm, its jitter, its way to us. `arrivals`
turns it into events, `together` merges several. `drawn` reads instants off a drawn timeline and
`stream_of` makes it a stream, so that a test shows what it is about.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tectum.message import Sample, SampleRef
from tectum.pipeline.events import Arrived, Event
from tectum.pipeline.plan import AlignPlan, InputPlan
from tectum.sync.stream import Stream

__all__ = ["START_NS", "Source", "arrivals", "drawn", "stream_of", "together"]

START_NS = 1_000_000_000_000
"""When drawn and generated timelines begin."""

_NS_PER_S = 1_000_000_000
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Source:
    """One input as it would be heard. Times in ns."""

    input: str
    period_ns: int
    transit_ns: int = 0
    """From the end of the capture to its arrival, at the least."""
    jitter_ns: int = 0
    """Stamps are off their grid by up to so much either way (uniform)."""
    transit_jitter_ns: int = 0
    """Mean of what comes on top of the transit (exponential)."""
    span_ns: int = 0
    rate_hz: int = 0
    """Audio samples per second; 0: not audio. An audio source has no stamp jitter."""
    nbytes: int = 1000
    drop_permille: int = 0
    incarnation: int = 1


def arrivals(source: Source, until_ns: int, *, seed: int = 0, since_ns: int = 0) -> list[Arrived]:
    """Return what arrives of captures in [since, until) after `START_NS`, in order of arrival."""
    rng = random.Random(f"{source.input}/{seed}")
    found = []
    for seq in range(-(-since_ns // source.period_ns), -(-until_ns // source.period_ns)):
        jitter = rng.randint(-source.jitter_ns, source.jitter_ns) if source.jitter_ns else 0
        more = rng.expovariate(1 / source.transit_jitter_ns) if source.transit_jitter_ns else 0
        stamp_ns = START_NS + seq * source.period_ns + jitter
        arrival_ns = stamp_ns + source.span_ns + source.transit_ns + int(more)
        if rng.randrange(1000) >= source.drop_permille:
            found.append(Arrived(arrival_ns, _sample(source, seq, stamp_ns)))
    found.sort(key=lambda event: event.now_ns)
    return found


def together(*streams: Iterable[Event]) -> list[Event]:
    """Return the events of all streams in order of arrival; of equals, the earlier stream's."""
    return list(heapq.merge(*streams, key=lambda event: event.now_ns))


def drawn(line: str, mark: str = "x", *, step_ns: int = _NS_PER_MS) -> list[int]:
    """Return the instant of every `mark` in a drawn timeline, one column per `step_ns`.

    >>> drawn("..x..x", step_ns=10) == [START_NS + 20, START_NS + 50]
    True
    """
    return [START_NS + index * step_ns for index, char in enumerate(line) if char == mark]


def stream_of(line: str, *, step_ns: int = _NS_PER_MS, span_ns: int = 0, **plan: Any) -> Stream:
    """Return a stream that has heard a sample at every `x` of `line`, each when it was over.

    `plan` sets fields of its `InputPlan`: offset_ns, period_ns, jitter_ns ...
    """
    stream = Stream(InputPlan("drawn", "drawn/x", AlignPlan("nearest"), **plan))
    for seq, stamp_ns in enumerate(drawn(line, step_ns=step_ns)):
        sample = Sample(SampleRef("drawn", 1, seq), stamp_ns, span_ns, nbytes=1000)
        stream.hear("heard")
        stream.add(stamp_ns + span_ns, sample)
    return stream


def _sample(source: Source, seq: int, stamp_ns: int) -> Sample:
    ref = SampleRef(source.input, source.incarnation, seq)
    if not source.rate_hz:
        return Sample(ref, stamp_ns, source.span_ns, 0, source.nbytes)
    count = source.rate_hz * source.period_ns // _NS_PER_S
    return Sample(
        ref,
        stamp_ns,
        source.span_ns,
        0,
        source.nbytes,
        first=seq * count,
        count=count,
        rate_hz=source.rate_hz,
    )
