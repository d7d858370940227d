"""What a log has of its topics: counts and spans, over channels and files; choosing topics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from tectum.message import Kind
from tectum.recording.content import Entry
from tectum.recording.scan import Count

__all__ = ["LogTopic", "counts_of", "joined", "joined_topics", "matches", "summed"]


@dataclass(frozen=True, slots=True)
class LogTopic:
    """What a log has of one topic."""

    name: str
    kind: Kind | None
    """None: a schema that is not a message of ours."""
    schema: str
    messages: int
    first_ns: int
    """Log time of the first message."""
    last_ns: int

    @property
    def period_ns(self) -> int:
        """Return the mean time from message to message; 0 where there are not two."""
        steps = self.messages - 1
        return (self.last_ns - self.first_ns) // steps if steps > 0 else 0


def matches(topic: str, patterns: Iterable[str]) -> bool:
    """Return whether `topic` is one of `patterns`, or fits one with `*` in it."""
    return any(topic == pattern or fnmatchcase(topic, pattern) for pattern in patterns)


def summed(parts: Iterable[Mapping[int, Count]]) -> dict[int, Count]:
    """Return the counts per channel of several stretches as of one."""
    total: dict[int, Count] = {}
    for counts in parts:
        for channel, count in counts.items():
            before = total.get(channel)
            total[channel] = count if before is None else _sum(before, count)
    return total


def counts_of(entries: list[Entry]) -> dict[int, Count]:
    """Return the counts per channel of some records."""
    counts: dict[int, Count] = {}
    for entry in entries:
        count = Count(1, entry.log_ns, entry.log_ns)
        before = counts.get(entry.channel)
        counts[entry.channel] = count if before is None else _sum(before, count)
    return counts


def _sum(a: Count, b: Count) -> Count:
    first_ns, last_ns = min(a.first_ns, b.first_ns), max(a.last_ns, b.last_ns)
    return Count(a.records + b.records, first_ns, last_ns)


def joined(a: LogTopic, b: LogTopic) -> LogTopic:
    """Return what is known of a topic that has several channels, or lies in several files."""
    first_ns, last_ns = min(a.first_ns, b.first_ns), max(a.last_ns, b.last_ns)
    total = a.messages + b.messages
    main = b if a.kind in (None, Kind.LATCHED) else a  # facts may be said on any topic
    return replace(main, messages=total, first_ns=first_ns, last_ns=last_ns)


def joined_topics(a: Mapping[str, LogTopic], b: Mapping[str, LogTopic]) -> dict[str, LogTopic]:
    """Return the topics of two files of one recording, by name."""
    both = {name: joined(a[name], b[name]) if name in a else b[name] for name in b}
    return dict(sorted({**a, **both}.items()))
