"""A result, or the health of a fusion node, as `diagnostic_msgs/DiagnosticArray`.

One status for the node, and one per input, as `rqt_robot_monitor` groups them by their names
(`perception`, `perception/camera`). Levels: OK for complete and fresh, WARN for partial and cached,
ERROR for shed; a missing input is WARN where there is an answer without it, STALE where it is
silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tectum.message import Message
from tectum_nodes.ros2.cdr_writer import CdrWriter

__all__ = ["write_diagnostics", "write_health"]

OK, WARN, ERROR, STALE = range(4)
_LEVELS = {"complete": OK, "partial": WARN, "shed": ERROR}
_SILENT = ("silent", "never_heard", "mute", "ended", "unheard")
_FEW = 8
"""Numbers of an output that are written out."""


class _Status(NamedTuple):
    level: int
    name: str
    message: str
    values: Mapping[str, str]


def write_diagnostics(message: Message, stamp_ns: int, frame_id: str) -> bytes:
    """Return a result as diagnostics, stamped as its trigger."""
    document: Any = message.header.fields["result"]
    node, outcome, reason = document["node"], document["outcome"], document["reason"]
    values = {
        "trigger": document["trigger"],
        "latency_ms": document["latency_ms"],
        "age_ms": document["age_ms"],
        **dict.fromkeys(document["flags"], "true"),
        **({"blame": document["blame"]} if document["blame"] else {}),
        **_outputs(document, message),
    }
    said = outcome if outcome == reason else f"{outcome}: {reason}"
    statuses = [_Status(_LEVELS.get(outcome, ERROR), node, said, _texts(values))]
    statuses += [_input(node, name, entry) for name, entry in document["inputs"].items()]
    return _array(statuses, stamp_ns, frame_id)


def write_health(message: Message, stamp_ns: int, frame_id: str) -> bytes:
    """Return the health of a fusion node as diagnostics."""
    fields: Any = message.header.fields
    node = message.header.topic.partition("/")[0]
    counts = {
        key: value
        for key, value in fields.items()
        if isinstance(value, (int, float, str)) and key not in ("state", "schema")
    }
    outcomes = fields.get("outcomes")
    counts |= outcomes if isinstance(outcomes, dict) else {}
    level = OK if fields.get("state") == "running" else WARN
    statuses = [_Status(level, f"{node}/health", str(fields.get("state", "")), _texts(counts))]
    for name, (state, heard_ns) in (fields.get("listening") or {}).items():
        level = STALE if state in _SILENT else OK
        values = _texts({"heard_ns": heard_ns})
        statuses.append(_Status(level, f"{node}/health/{name}", str(state), values))
    return _array(statuses, stamp_ns, frame_id)


def _input(node: str, name: str, entry: Mapping[str, Any]) -> _Status:
    status, reason = entry["status"], entry["reason"]
    level = OK if status == "fresh" else STALE if reason in _SILENT else WARN
    values = {key: value for key, value in entry.items() if key not in ("status", "reason")}
    said = f"{status}: {reason}" if reason else str(status)
    return _Status(level, f"{node}/{name}", said, _texts(values))


def _outputs(document: Mapping[str, Any], message: Message) -> dict[str, Any]:
    """Return what is small enough to be read: a number per label, or a few numbers."""
    found: dict[str, Any] = {}
    for name, entry in document.get("outputs", {}).items():
        array = message.array(entry["buffer"])
        labels = entry.get("labels") or ()
        numbers = array.ravel().tolist()
        if len(labels) == array.size:
            found |= {f"{name}/{label}": f"{number:.6g}" for label, number in zip(labels, numbers)}  # noqa: B905
        elif array.size <= _FEW:
            found[name] = " ".join(f"{number:.6g}" for number in numbers)
        else:
            found[name] = " x ".join(str(extent) for extent in array.shape)
    return found


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in values.items()}


def _array(statuses: list[_Status], stamp_ns: int, frame_id: str) -> bytes:
    cdr = CdrWriter()
    cdr.header(stamp_ns, frame_id)
    cdr.number("I", len(statuses))
    for status in statuses:
        cdr.number("B", status.level)
        cdr.text(f"tectum: {status.name}")
        cdr.text(status.message)
        cdr.text("tectum")
        cdr.number("I", len(status.values))
        for key, value in status.values.items():
            cdr.text(key)
            cdr.text(value)
    return cdr.data()
