"""Metrics of a running graph in the text format of Prometheus (exposition format 0.0.4). Pure.

Names begin with `tectum_`; times are seconds, sizes bytes. Counters begin with the dashboard and
grow as long as it runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tectum.clock import NS_PER_S
from tectum_nodes.dashboard.board import Board
from tectum_nodes.dashboard.outcomes import Outcomes

__all__ = ["metrics_text"]

_Rows = Iterator[tuple[str, Mapping[str, str], float]]
"""Suffix of the name, labels, value."""


def metrics_text(
    board: Board,
    now_ns: int,
    counters: Mapping[str, Mapping[str, Any]],
    processes: Mapping[str, Mapping[str, Any]],
) -> str:
    """Return all metrics.

    Args:
        board: what is known of the graph.
        now_ns: the present.
        counters: of the subscriber, per topic.
        processes: as `vitals.Processes` gives them.
    """
    topics = {
        name: item.document(now_ns, counters.get(name, {})) for name, item in board.vitals.items()
    }
    outcomes, running = board.outcomes, _running(processes)
    families = (
        _family("triggers_total", "counter", "Triggers by what they came to.", _triggers(outcomes)),
        _family("reasons_total", "counter", "Why triggers were not complete.", _reasons(outcomes)),
        _family("on_time_total", "counter", "Results by their deadline.", _on_time(outcomes)),
        _family("budget_seconds", "gauge", "From capture to result, at most.", _budget(outcomes)),
        _family("latency_seconds", "histogram", "From capture to result.", _latency(outcomes)),
        _family("phase_seconds_total", "counter", "Time by phase.", _phases(outcomes)),
        _family("messages_total", "counter", "Messages that came.", _messages(board)),
        _family("lost_total", "counter", "Messages that did not, by cause.", _lost(topics)),
        _family("silent", "gauge", "1: nothing came for longer than usual.", _silent(topics)),
        _family("age_seconds", "gauge", "Since the newest capture.", _ages(topics, now_ns)),
        _family("cpu_seconds_total", "counter", "CPU of a node's process.", _cpu(running)),
        _family("memory_bytes", "gauge", "Resident memory of it.", _memory(running)),
    )
    return "".join(line + "\n" for family in families for line in family)


def _family(name: str, kind: str, words: str, rows: _Rows) -> Iterator[str]:
    yield f"# HELP tectum_{name} {words}"
    yield f"# TYPE tectum_{name} {kind}"
    for suffix, labels, value in rows:
        inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        number = f"{value:.9g}" if isinstance(value, float) else str(value)
        yield f"tectum_{name}{suffix}{{{inside}}} {number}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _triggers(outcomes: Mapping[str, Outcomes]) -> _Rows:
    for node, item in outcomes.items():
        for outcome in ("complete", "partial", "shed"):
            yield "", {"node": node, "outcome": outcome}, item.counts[outcome]


def _reasons(outcomes: Mapping[str, Outcomes]) -> _Rows:
    for node, item in outcomes.items():
        for reason, count in sorted(item.reasons.items()):
            yield "", {"node": node, "reason": reason}, count


def _on_time(outcomes: Mapping[str, Outcomes]) -> _Rows:
    for node, item in outcomes.items():
        yield "", {"node": node}, item.on_time


def _budget(outcomes: Mapping[str, Outcomes]) -> _Rows:
    for node, item in outcomes.items():
        if item.plan.budget_ns:
            yield "", {"node": node}, item.plan.budget_ns / NS_PER_S


def _latency(outcomes: Mapping[str, Outcomes]) -> _Rows:
    for node, item in outcomes.items():
        for bound_s, count in item.latency.cumulative():
            yield "_bucket", {"node": node, "le": f"{bound_s:g}"}, count
        yield "_bucket", {"node": node, "le": "+Inf"}, item.latency.count
        yield "_sum", {"node": node}, item.latency.sum_s
        yield "_count", {"node": node}, item.latency.count


def _phases(outcomes: Mapping[str, Outcomes]) -> _Rows:
    for node, item in outcomes.items():
        for phase, took_s in item.phases_s.items():
            yield "", {"node": node, "phase": phase}, took_s


def _messages(board: Board) -> _Rows:
    for topic, item in board.vitals.items():
        yield "", {"topic": topic}, item.count


def _lost(topics: Mapping[str, Mapping[str, Any]]) -> _Rows:
    for topic, item in topics.items():
        for cause, count in item["lost"].items():
            yield "", {"topic": topic, "cause": str(cause)}, count


def _silent(topics: Mapping[str, Mapping[str, Any]]) -> _Rows:
    for topic, item in topics.items():
        yield "", {"topic": topic}, int(item["silent"])


def _ages(topics: Mapping[str, Mapping[str, Any]], now_ns: int) -> _Rows:
    for topic, item in topics.items():
        if item["heard_ns"]:
            yield "", {"topic": topic}, (now_ns - item["stamp_ns"]) / NS_PER_S


def _running(processes: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {node: item for node, item in processes.items() if item["cpu"] is not None}


def _cpu(running: Mapping[str, Mapping[str, Any]]) -> _Rows:
    for node, item in running.items():
        yield "", {"node": node}, float(item["cpu_s"])


def _memory(running: Mapping[str, Mapping[str, Any]]) -> _Rows:
    for node, item in running.items():
        yield "", {"node": node}, item["memory_mb"] * 1e6
