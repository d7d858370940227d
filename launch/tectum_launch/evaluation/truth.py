"""What was true when: from a topic of a recording, or from a table of spans.

A topic is of kind `tensor`; its named buffers are the truth of outputs of the same names. A table
is a CSV file with the columns `start`, `end`, `label`: seconds after the beginning of the run.
"""

from __future__ import annotations

import csv
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tectum.clock import NS_PER_S
from tectum.errors import DataError
from tectum.message import AnyArray, Kind
from tectum.recording.reader import LogReader
from tectum.recording.replay import began_ns
from tectum.recording.series_reader import open_log

__all__ = ["LabelSpans", "Moments", "read_truth"]


@dataclass(frozen=True, slots=True)
class Moments:
    """The truth of some outputs at instants."""

    stamps_ns: tuple[int, ...]
    """Rising."""
    values: tuple[Mapping[str, AnyArray], ...]
    """Output -> what it should be, per instant."""

    def nearest(self, stamp_ns: int, within_ns: int) -> Mapping[str, AnyArray] | None:
        """Return the truth at the instant nearest to `stamp_ns`, if it is near enough."""
        index = bisect_left(self.stamps_ns, stamp_ns)
        around = [i for i in (index - 1, index) if 0 <= i < len(self.stamps_ns)]
        if not around:
            return None
        best = min(around, key=lambda i: abs(self.stamps_ns[i] - stamp_ns))
        return self.values[best] if abs(self.stamps_ns[best] - stamp_ns) <= within_ns else None


@dataclass(frozen=True, slots=True)
class LabelSpans:
    """Which label held from when to when; half-open, in ns on the graph clock."""

    spans: tuple[tuple[int, int, str], ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the labels, in the order in which they first hold."""
        return tuple(dict.fromkeys(label for _, _, label in self.spans))

    def at(self, instant_ns: int) -> str | None:
        """Return the label that holds at an instant."""
        for begin_ns, end_ns, label in self.spans:
            if begin_ns <= instant_ns < end_ns:
                return label
        return None


def read_truth(log: Path, source: str) -> Moments | LabelSpans:
    """Return the truth of `log`: from the topic, or the CSV file, that `source` names.

    Raises:
        DataError: there is neither, or it does not say what is true.
    """
    with open_log(log) as reader:
        if Path(source).suffix == ".csv":
            return _from_table(Path(source), began_ns(reader))
        return _from_topic(reader, source or _truth_topic(reader))


def _truth_topic(reader: LogReader) -> str:
    found = [
        name
        for name, topic in reader.topics.items()
        if topic.kind is Kind.TENSOR and name.endswith("/truth")
    ]
    if len(found) == 1:
        return found[0]
    msg = f"{reader.path} has no topic of truth: name one, or a CSV file, with --truth"
    raise DataError(msg)


def _from_topic(reader: LogReader, topic: str) -> Moments:
    if topic not in reader.topics:
        msg = f"{reader.path} has no topic {topic!r}; it has: {', '.join(reader.topics)}"
        raise DataError(msg)
    stamps, values = list[int](), list[Mapping[str, AnyArray]]()
    for record in reader.messages([topic], order="stamp"):
        names = record.message.header.fields.get("names")
        if isinstance(names, (list, tuple)):
            arrays = [payload.array() for payload in record.message.payloads]
            stamps.append(record.message.header.stamp_ns)
            values.append(dict(zip(map(str, names), arrays, strict=False)))
    if not stamps:
        msg = f"{reader.path}: {topic!r} has no tensors with `names`, so it tells no truth"
        raise DataError(msg)
    return Moments(tuple(stamps), tuple(values))


def _from_table(path: Path, zero_ns: int) -> LabelSpans:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise DataError(msg) from error
    spans = []
    for line, row in enumerate(rows, start=2):
        try:
            begin, end = float(row["start"]), float(row["end"])
            label = row["label"].strip()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            msg = f"{path}:{line}: expected the columns start, end (seconds) and label: {row}"
            raise DataError(msg) from error
        begin_ns, end_ns = round(begin * NS_PER_S), round(end * NS_PER_S)
        spans.append((zero_ns + begin_ns, zero_ns + end_ns, label))
    return LabelSpans(tuple(spans))
