"""Try a sensor node by itself, before a graph: which devices there are, and what a source gives.

Nothing is published to anybody: the node runs in this process, on the memory transport.
"""

from __future__ import annotations

import json
import logging
import tempfile
import threading
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import ValidationError

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.errors import ConfigError, nearest_name
from tectum.message import Header, Kind
from tectum.node.base import Node, SensorNode
from tectum.testing import MemoryContext
from tectum_launch.document import parse_settings
from tectum_launch.registry import load_node

__all__ = ["devices_of", "log_to_terminal", "probe_text", "probed"]


def devices_of(run: str) -> list[str] | None:
    """Return the devices that the node `run` could use; None where it does not list any.

    Raises:
        TectumError: there is no such node, or a library of the system is missing.
    """
    node = load_node(run)
    return list(node.devices()) if hasattr(node, "devices") else None


def probed(run: str, settings: Iterable[str], duration_ns: int) -> dict[str, Any]:
    """Run the node `run` with `key=value` settings for a while; return what it gave.

    Raises:
        TectumError: the settings are wrong, or the node fails.
    """
    made = load_node(run)
    if not issubclass(made, SensorNode):
        msg = f"{run} is not a sensor: only sensors can be probed"
        raise ConfigError(msg)
    node = made(_config(made, run, settings))
    clock = GraphClock()
    outputs = node.outputs_of(node.config)
    with tempfile.TemporaryDirectory(prefix="tectum-probe-") as folder:
        document = {"offset_ns": clock.offset_ns}
        context = MemoryContext(run, clock=clock, run=document, folder=Path(folder))
        context.record(*outputs)
        try:
            node.open(context)
            timer = threading.Timer(duration_ns / NS_PER_S, context.stop)
            timer.start()
            node.run(context)
            timer.cancel()
        finally:
            node.close()
    headers = {name: [message.header for message in context.sent(name)] for name in outputs}
    return {name: _facts(found) for name, found in headers.items()}


def probe_text(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what `probed` returned, for a person."""
    return "\n".join(line for name, facts in found.items() for line in _lines(name, facts))


def _config(node: type[Node], run: str, settings: Iterable[str]) -> Any:
    values = parse_settings(settings, example="device=0")
    try:
        return node.Config.model_validate(values)
    except ValidationError as error:
        known = node.Config.model_fields
        lines = [_fault(item, known) for item in error.errors(include_url=False)]
        msg = f"{run}: " + "; ".join(lines) + f" (see `tectum nodes show {run}`)"
        raise ConfigError(msg) from None


def _fault(item: Mapping[str, Any], known: Iterable[str]) -> str:
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return f"unknown key {where!r}{nearest_name(where, known)}"
    text = str(item["msg"]).removeprefix("Value error, ")
    return f"{where}: {text}" if where else text


def _facts(headers: list[Header]) -> dict[str, Any]:
    """Return counts, rate, shape, and how well stamps are known, of one output's messages."""
    data = [header for header in headers if header.buffers]
    facts: dict[str, Any] = {
        "messages": len(data),
        "constant_facts": [
            str(header.fields.get("fact")) for header in headers if header.kind is Kind.LATCHED
        ],
    }
    if not data:
        return facts
    last = data[-1]
    steps = [after.stamp_ns - before.stamp_ns for before, after in pairwise(data)]
    ages = [header.sent_ns - header.stamp_ns - header.span_ns for header in data]
    facts |= {
        "kind": last.kind.value,
        "buffers": [f"{spec.dtype} {'x'.join(map(str, spec.shape))}" for spec in last.buffers],
        "rate_hz": round(NS_PER_S / median(steps), 2) if steps and median(steps) > 0 else None,
        "span_ms": last.span_ns / NS_PER_MS,
        "error_ms": last.error_ns / NS_PER_MS,
        "age_ms": round(median(ages) / NS_PER_MS, 2),
        "frame": last.frame_id,
        "fields": json.loads(json.dumps(dict(last.fields), default=str)),
    }
    return facts


def _lines(name: str, facts: Mapping[str, Any]) -> list[str]:
    if not facts["messages"]:
        return [f"{name}: nothing came"]
    rate = f"{facts['rate_hz']} Hz" if facts["rate_hz"] else "one message"
    fields = ", ".join(f"{key}: {value}" for key, value in facts["fields"].items())
    return [
        f"{name}: {facts['messages']} messages, {rate}, {facts['kind']}",
        f"  buffers  {', '.join(facts['buffers'])}",
        f"  stamps   known to {facts['error_ms']:.2f} ms, spans of {facts['span_ms']:.2f} ms, "
        f"out {facts['age_ms']:.1f} ms after the end of capture",
        f"  fields   {fields}",
        *(f"  fact     {fact}" for fact in facts["constant_facts"]),
    ]


def log_to_terminal() -> None:
    """Let what a node says of its device be seen."""
    logging.getLogger("tectum.node").setLevel(logging.INFO)
