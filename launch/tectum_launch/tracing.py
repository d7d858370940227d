"""A trace of a recorded run: captures and messages of every sensor, and each fusion node's work.

Written as Chrome's Trace Event Format, for https://ui.perfetto.dev and chrome://tracing.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any

from tectum.errors import DataError
from tectum.message import Kind
from tectum.pipeline.trace import named, slice_of, trace_of
from tectum.recording.lives import lives_of
from tectum.recording.reader import LogReader
from tectum.recording.series_reader import open_log

__all__ = ["write_trace"]

_OWN = (Kind.LEDGER, Kind.JOURNAL, Kind.HEALTH, Kind.STATEMENT, Kind.LATCHED)
_CAPTURE, _WAY = 1, 2
"""Threads of a topic in the viewer."""


def write_trace(log: Path, target: Path) -> int:
    """Write the trace of `log` to `target` (gzip where it ends in .gz); return how many events.

    Raises:
        DataError: the log cannot be read or has no journal, or the file cannot be written.
    """
    count = 0
    with open_log(log) as reader, closing(_opened(target)) as file:
        file.write('{"displayTimeUnit":"ms","traceEvents":[\n')
        for count, event in enumerate(_events(reader), start=1):
            file.write(f"{',' if count > 1 else ''}{json.dumps(event)}\n")
        file.write("]}\n")
    return count


def _opened(target: Path) -> IO[str]:
    try:
        if target.suffix == ".gz":
            return gzip.open(target, "wt", encoding="utf-8")
        return target.open("w", encoding="utf-8")
    except OSError as error:
        msg = f"{target} cannot be written: {error.strerror}"
        raise DataError(msg) from error


def _events(reader: LogReader) -> Iterator[dict[str, Any]]:
    lives = lives_of(reader)
    for process, life in enumerate(lives, start=1):
        yield from trace_of(life.plan, life.recorded(), process)
    known = {name: topic.kind for name, topic in reader.topics.items() if topic.kind is not None}
    topics = [name for name, kind in known.items() if kind not in _OWN]
    yield from _messages(reader, topics, len(lives) + 1)


def _messages(reader: LogReader, topics: Iterable[str], first: int) -> Iterator[dict[str, Any]]:
    """Yield, per topic, when its captures lasted and when its messages were on their way."""
    processes = {name: first + index for index, name in enumerate(topics)}
    for name, process in processes.items():
        yield named(process, name)
        yield named(process, "capture", _CAPTURE)
        yield named(process, "on its way", _WAY)
    for record in reader.messages(list(processes)) if processes else ():
        header = record.message.header
        process, facts = processes[header.topic], {"seq": header.seq, "stamp_ns": header.stamp_ns}
        end_ns = header.stamp_ns + header.span_ns
        if header.kind is not Kind.RESULT:
            yield slice_of(f"#{header.seq}", (process, _CAPTURE), header.stamp_ns, end_ns, **facts)
        yield slice_of(f"#{header.seq}", (process, _WAY), header.sent_ns, record.log_ns, **facts)
