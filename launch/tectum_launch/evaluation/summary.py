"""What an evaluation found: as plain data, and as tables for a person. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import quantiles
from typing import Any

from tectum_launch.evaluation.running import Outcome
from tectum_launch.evaluation.tallies import ChanceTally, Tally
from tectum_launch.evaluation.variations import Variation

__all__ = ["Found", "best_single", "summary_document", "summary_tables"]

SCHEMA = "tectum.evaluation/1"

Found = Mapping[str, Sequence[tuple[Variation, Outcome]]]
"""Graph -> its conditions, as it is first."""


def summary_document(found: Found, logs: Iterable[str], truth: str) -> dict[str, Any]:
    """Return everything as plain data for JSON."""
    graphs = {}
    for graph, tried in found.items():
        conditions = [_condition(variation, outcome) for variation, outcome in tried]
        outputs = conditions[0]["streaming"]
        singles = {name: best_single(tried, name) for name in outputs}
        graphs[graph] = {"best_single": singles, "conditions": conditions}
    return {"schema": SCHEMA, "logs": list(logs), "truth": truth, "graphs": graphs}


def best_single(tried: Sequence[tuple[Variation, Outcome]], output: str) -> dict[str, Any] | None:
    """Return the input that alone scores best on `output` (streaming), and how well."""
    alone = [
        (variation.kept[0], score)
        for variation, outcome in tried
        if len(variation.kept) == 1
        and variation.group
        and (score := _score(outcome.scores.streaming.get(output))) is not None
    ]
    if not alone:
        return None
    name, score = max(alone, key=lambda item: item[1])
    return {"input": name, "score": score}


def summary_tables(found: Found) -> list[tuple[str, list[str], list[list[str]]]]:
    """Return tables: title, columns, rows; one per output."""
    outputs: dict[str, Tally] = {}
    for tried in found.values():
        outputs |= tried[0][1].scores.streaming
    return [_table(found, name, tally) for name, tally in outputs.items()]


def _table(found: Found, output: str, tally: Tally) -> tuple[str, list[str], list[list[str]]]:
    measure = "average precision" if isinstance(tally, ChanceTally) else "unweighted recall"
    columns = ["graph", "condition", "streaming", "offline", "calibration error"]
    columns += ["answered", "p50 ms", "p95 ms"]
    rows = []
    for graph, tried in found.items():
        for variation, outcome in tried:
            document = _condition(variation, outcome)
            streaming, offline = (document[of].get(output, {}) for of in ("streaming", "offline"))
            rows.append(
                [
                    graph,
                    variation.name,
                    _percent(streaming.get("score")),
                    _percent(offline.get("score")),
                    _percent(streaming.get("calibration")),
                    _percent(document["answered"]),
                    _number(document["latency_ms"]["p50"]),
                    _number(document["latency_ms"]["p95"]),
                ]
            )
        single = best_single(tried, output)
        if single:
            fused = _score(tried[0][1].scores.streaming.get(output)) or 0.0
            points = 100 * (fused - single["score"])
            gain = f"best single sensor: {single['input']}; fused {points:+.1f} points"
            rows.append([graph, gain, _percent(single["score"]), "", "", "", "", ""])
    return f"{output} ({measure}, %)", columns, rows


def _condition(variation: Variation, outcome: Outcome) -> dict[str, Any]:
    total = sum(outcome.outcomes.values())
    answered = total - outcome.outcomes.get("shed", 0)
    return {
        "group": variation.group,
        "name": variation.name,
        "input": variation.input,
        "amount": variation.amount,
        "kept": list(variation.kept),
        "streaming": {name: _tally(tally) for name, tally in outcome.scores.streaming.items()},
        "offline": {name: _tally(tally) for name, tally in outcome.scores.offline.items()},
        "outcomes": dict(outcome.outcomes),
        "answered": answered / total if total else None,
        "latency_ms": _latency(outcome.latencies_ms),
    }


def _tally(tally: Tally) -> dict[str, Any]:
    measure = "average_precision" if isinstance(tally, ChanceTally) else "unweighted_recall"
    return {
        "measure": measure,
        "score": tally.score,
        "calibration": tally.calibration,
        "count": tally.count,
    }


def _latency(latencies_ms: Sequence[float]) -> dict[str, float | None]:
    if len(latencies_ms) < 2:
        only = latencies_ms[0] if latencies_ms else None
        return {"p50": only, "p95": only}
    cuts = quantiles(latencies_ms, n=20, method="inclusive")
    return {"p50": cuts[9], "p95": cuts[18]}


def _score(tally: Tally | None) -> float | None:
    return tally.score if tally is not None else None


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
