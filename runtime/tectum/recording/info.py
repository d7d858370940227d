"""What a log holds, as plain data and for a person: topics, counts, spans, facts, complaints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tectum.clock import NS_PER_S
from tectum.recording.belonging import files_of
from tectum.recording.log_topics import LogTopic
from tectum.recording.reader import LogReader
from tectum.recording.series_reader import SeriesReader

__all__ = ["info_document", "info_text"]


def info_document(path: Path) -> dict[str, Any]:
    """Return what `path` holds; of a recording of several files they are in `parts`.

    Raises:
        DataError: there is no such file, or it is not a log at all.
    """
    files = files_of(path)
    if files == [path]:
        return {**_file_document(path), "parts": []}
    parts = [_file_document(file) for file in files]
    with SeriesReader(path, files) as reader:
        complaints = list(reader.complaints)
    return {
        "path": str(path),
        "bytes": sum(part["bytes"] for part in parts),
        "finished": all(part["finished"] for part in parts),
        "complaints": complaints,
        "messages": sum(part["messages"] for part in parts),
        "first_ns": min(part["first_ns"] for part in parts),
        "last_ns": max(part["last_ns"] for part in parts),
        "graph": parts[0]["graph"],
        "facts": sorted({fact for part in parts for fact in part["facts"]}),
        "topics": _joined([part["topics"] for part in parts]),
        "parts": parts,
    }


def _file_document(path: Path) -> dict[str, Any]:
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


def _joined(parts: list[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return the topics of several files as of one."""
    joined: dict[str, dict[str, Any]] = {}
    for part in parts:
        for name, topic in part.items():
            known = joined.setdefault(name, {**topic, "messages": 0})
            known["messages"] += topic["messages"]
            known["first_ns"] = min(known["first_ns"], topic["first_ns"])
            known["last_ns"] = max(known["last_ns"], topic["last_ns"])
            known["rate_hz"] = _rate_hz(known["messages"], known["first_ns"], known["last_ns"])
    return dict(sorted(joined.items()))


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
    for part in document["parts"]:
        lasted = (part["last_ns"] - part["first_ns"]) / NS_PER_S
        lines.append(
            f"  {Path(part['path']).name}: {part['bytes'] / 1e6:.1f} MB, "
            f"{part['messages']} messages, {lasted:.1f} s"
        )
    width = max((len(name) for name in document["topics"]), default=0)
    for name, topic in document["topics"].items():
        rate = f"{topic['rate_hz']:8.2f} Hz" if topic["rate_hz"] else " " * 11
        kind = topic["kind"] or topic["schema"] or "unknown"
        lines.append(f"  {name:<{width}}  {topic['messages']:>7}  {rate}  {kind}")
    return "\n".join(lines)


def _topic_document(topic: LogTopic) -> dict[str, Any]:
    return {
        "kind": topic.kind.value if topic.kind is not None else "",
        "schema": topic.schema,
        "messages": topic.messages,
        "first_ns": topic.first_ns,
        "last_ns": topic.last_ns,
        "rate_hz": _rate_hz(topic.messages, topic.first_ns, topic.last_ns),
    }


def _rate_hz(messages: int, first_ns: int, last_ns: int) -> float:
    span_s = (last_ns - first_ns) / NS_PER_S
    return round((messages - 1) / span_s, 3) if span_s > 0 else 0.0


def _graph_name(run: dict[str, Any]) -> str:
    graph = run.get("graph")
    if isinstance(graph, dict):
        graph = graph.get("graph")
    return graph if isinstance(graph, str) else ""
