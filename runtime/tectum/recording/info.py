"""What a log holds, as plain data and for a person: topics, counts, spans, facts, complaints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tectum.clock import NS_PER_S
from tectum.recording.reader import LogReader, LogTopic

__all__ = ["info_document", "info_text"]


def info_document(path: Path) -> dict[str, Any]:
    """Return what `path` holds.

    Raises:
        DataError: there is no such file, or it is not a log at all.
    """
    with LogReader(path) as reader:
        first_ns, last_ns = reader.span_ns
        return {
            "path": str(path),
            "bytes": path.stat().st_size,
            "finished": reader.finished,
            "complaints": list(reader.complaints),
            "messages": reader.messages_total,
            "first_ns": first_ns,
            "last_ns": last_ns,
            "graph": _graph_name(reader.run),
            "facts": sorted(reader.latched),
            "topics": {name: _topic_document(topic) for name, topic in reader.topics.items()},
        }


def info_text(document: dict[str, Any]) -> str:
    """Return `info_document` as lines for a terminal."""
    seconds = (document["last_ns"] - document["first_ns"]) / NS_PER_S
    lines = [
        f"{document['path']}: {document['bytes'] / 1e6:.1f} MB, {document['messages']} messages, "
        f"{seconds:.1f} s",
        *(f"  ! {complaint}" for complaint in document["complaints"]),
    ]
    if document["graph"]:
        lines.append(f"  recorded from the graph {document['graph']}")
    width = max((len(name) for name in document["topics"]), default=0)
    for name, topic in document["topics"].items():
        rate = f"{topic['rate_hz']:8.2f} Hz" if topic["rate_hz"] else " " * 11
        kind = topic["kind"] or topic["schema"] or "unknown"
        lines.append(f"  {name:<{width}}  {topic['messages']:>7}  {rate}  {kind}")
    return "\n".join(lines)


def _topic_document(topic: LogTopic) -> dict[str, Any]:
    span_s = (topic.last_ns - topic.first_ns) / NS_PER_S
    rate_hz = (topic.messages - 1) / span_s if span_s > 0 else 0.0
    return {
        "kind": topic.kind.value if topic.kind is not None else "",
        "schema": topic.schema,
        "messages": topic.messages,
        "first_ns": topic.first_ns,
        "last_ns": topic.last_ns,
        "rate_hz": round(rate_hz, 3),
    }


def _graph_name(run: dict[str, Any]) -> str:
    graph = run.get("graph")
    if isinstance(graph, dict):
        graph = graph.get("graph")
    return graph if isinstance(graph, str) else ""
