"""`tectum import` without the terminal: its options to what `tectum_nodes.importing` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tectum.clock import NS_PER_S
from tectum.errors import ConfigError
from tectum.recording.store import ImageStorage
from tectum.recording.writer import Compression, WriteOptions
from tectum_launch.document import parse_settings, read_document
from tectum_launch.findings import GraphError
from tectum_launch.moments import parse_moment_ns
from tectum_launch.rig import graph_rig
from tectum_nodes.importing.base import Source
from tectum_nodes.importing.copying import Imported, import_log
from tectum_nodes.importing.formats import opened_source
from tectum_nodes.importing.naming import chosen_topics, default_topic

__all__ = ["ImportOrder", "import_text", "imported", "listing", "listing_text"]


@dataclass(frozen=True, slots=True)
class ImportOrder:
    """What is imported, and how."""

    source: Path
    format: str = ""
    """Default: recognized."""
    settings: tuple[str, ...] = ()
    """`key=value` of the format."""
    topics: tuple[str, ...] = ()
    """`NAME`, a pattern, or `NAME=TOPIC`; default: everything."""
    start: str = ""
    """A moment, as `tectum why` takes it; default: the begin."""
    end: str = ""
    rig: Path | None = None
    """A rig file, before what the source tells."""
    raw_images: bool = False
    compression: Compression = "none"
    overwrite: bool = False


def listing(order: ImportOrder) -> dict[str, Any]:
    """Return what the source has, without importing it.

    Raises:
        TectumError: it cannot be read.
    """
    name, source = _opened(order)
    streams = [
        {
            "name": stream.name,
            "content": stream.content,
            "kind": stream.kind.value if stream.kind else "",
            "messages": stream.messages,
            "topic": default_topic(stream) if stream.kind else "",
        }
        for stream in source.streams()
    ]
    rig = source.rig() or {}
    parts = {part: sorted(rig.get(part, {})) for part in ("cameras", "frames")}
    return {
        "source": str(order.source),
        "format": name,
        "streams": streams,
        "rig": parts,
        "troubles": dict(source.troubles),
    }


def listing_text(found: Mapping[str, Any]) -> str:
    """Return a listing for a person."""
    rows = [
        (
            stream["name"],
            "" if stream["messages"] is None else str(stream["messages"]),
            stream["topic"] or "cannot be imported",
            stream["content"],
        )
        for stream in found["streams"]
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    lines = [f"{found['source']}: {found['format']}"]
    lines += [
        f"  {name:<{widths[0]}}  {count:>{widths[1]}}  {topic:<{widths[2]}}  {content}"
        for name, count, topic, content in rows
    ]
    for part, names in found["rig"].items():
        lines += [f"  rig: {part} {', '.join(names)}"] if names else []
    return "\n".join([*lines, *_trouble_lines(found["troubles"])])


def imported(
    order: ImportOrder, target: Path, progress: Callable[[int, int | None], None]
) -> dict[str, Any]:
    """Import, and return what became of it.

    Args:
        order: what.
        target: the new log.
        progress: called with the messages so far, and how many there will be, where that is known.

    Raises:
        TectumError: the source cannot be read, the log not be written, or an option is wrong.
    """
    name, source = _opened(order)
    streams = source.streams()
    topics = chosen_topics(streams, order.topics)
    if not topics:
        found = ", ".join(f"{stream.name} ({stream.content})" for stream in streams)
        msg = (
            f"{order.source} has nothing that can be imported: {found or 'it is empty'}. "
            "A log of Tectum or Foxglove needs no import: tectum launch GRAPH --replay LOG"
        )
        raise ConfigError(msg)
    counts = [stream.messages for stream in streams if stream.name in topics]
    known = [count for count in counts if count is not None]
    whole = None if len(known) < len(counts) or order.start or order.end else sum(known)
    report = import_log(
        source,
        topics,
        target,
        options=WriteOptions(
            images=ImageStorage("raw" if order.raw_images else "jpeg"),
            compression=order.compression,
            overwrite=order.overwrite,
        ),
        facts={"source": order.source.name, "format": name, "topics": topics},
        rig=_rig(order.rig),
        span_of=lambda begin_ns: _span(order, begin_ns),
        progress=lambda count: progress(count, whole),
    )
    return _document(order, target, name, report)


def import_text(document: Mapping[str, Any]) -> str:
    """Return what became of an import, for a person."""
    topics = document["topics"]
    width = max(map(len, topics), default=0)
    lines = [
        f"{document['source']} ({document['format']}) -> {document['log']}: "
        f"{document['messages']} messages, {document['seconds']:.1f} s",
        *(f"  {topic:<{width}}  {count:>7}" for topic, count in topics.items()),
    ]
    return "\n".join([*lines, *_trouble_lines(document["troubles"])])


def _trouble_lines(troubles: Mapping[str, int]) -> list[str]:
    return [f"  ! {count} x {text}" for text, count in troubles.items()]


def _opened(order: ImportOrder) -> tuple[str, Source]:
    values = parse_settings(order.settings, option="--set", example="phase=90")
    return opened_source(order.source.expanduser(), order.format, values)


def _span(order: ImportOrder, begin_ns: int) -> tuple[int, int]:
    start_ns = parse_moment_ns(order.start, begin_ns) if order.start else begin_ns
    end_ns = parse_moment_ns(order.end, begin_ns) if order.end else 1 << 62
    if end_ns <= start_ns:
        msg = f"--end {order.end} is not after --start {order.start or 'of the recording'}"
        raise ConfigError(msg)
    return start_ns, end_ns


def _rig(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    document = read_document(path)
    rig = graph_rig(document, (), document.tree)
    if document.findings:
        raise GraphError(document.findings)
    return rig


def _document(order: ImportOrder, target: Path, name: str, report: Imported) -> dict[str, Any]:
    return {
        "source": str(order.source),
        "format": name,
        "log": str(target),
        "messages": report.messages,
        "seconds": (report.last_ns - report.first_ns) / NS_PER_S,
        "first_ns": report.first_ns,
        "last_ns": report.last_ns,
        "topics": report.topics,
        "troubles": dict(report.troubles),
    }
