"""In which order the records of a log are read: by arrival or by stamp, without holding them.

Chunks that do not overlap in time are read one after the other; within those that do, records are
sorted by their place only. Records of one time come in the order of the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from tectum.recording.content import Contents
from tectum.recording.scan import Scan, Segment

__all__ = ["NEVER_NS", "Place", "Span", "places"]

NEVER_NS = 1 << 64


class Place(NamedTuple):
    """Where a record lies; sorts by its time, then by its place in the file."""

    time_ns: int
    segment: int
    number: int
    """Of the record within the segment."""


class Span(NamedTuple):
    """Which times, half-open, and of which clock: log times, or stamps."""

    begin_ns: int = 0
    end_ns: int = NEVER_NS
    order: Literal["log", "stamp"] = "log"


def places(scan: Scan, contents: Contents, channels: set[int], span: Span) -> Iterator[Place]:
    """Yield where the records of `channels` in `span` lie, in its order."""
    by_log = span.order == "log"
    for group in _groups(scan.segments) if by_log else [range(len(scan.segments))]:
        found = (
            Place(entry.log_ns if by_log else entry.publish_ns, number, index)
            for number in group
            if _may_hold(scan.segments[number], channels, span)
            for index, entry in enumerate(contents.entries(number))
            if entry.channel in channels
        )
        yield from sorted(p for p in found if span.begin_ns <= p.time_ns < span.end_ns)


def _may_hold(segment: Segment, channels: set[int], span: Span) -> bool:
    if segment.channels is not None and channels.isdisjoint(segment.channels):
        return False
    in_time = segment.first_ns < span.end_ns and segment.last_ns >= span.begin_ns
    return in_time or span.order != "log"


def _groups(segments: Sequence[Segment]) -> Iterator[list[int]]:
    """Yield segments in the order of their times; those that overlap in time together."""
    group: list[int] = []
    end_ns = 0
    for number in sorted(range(len(segments)), key=lambda n: (segments[n].first_ns, n)):
        if group and segments[number].first_ns > end_ns:
            yield group
            group, end_ns = [], 0
        end_ns = max(end_ns, segments[number].last_ns)
        group.append(number)
    if group:
        yield group
