"""The report of a run: what its fusion nodes counted, and what supervision saw.

Each fusion node leaves `<node>.report.json` in the run's folder, once a second and at its end, each
recorder `<node>.recording.json`. The report has one entry per fusion node under `fusion`, and the
same keys at its top level: those of the only fusion node, or totals over several. docs/results.md
describes the keys.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tectum.ledger.misses import miss_sentence
from tectum.ledger.reasons import ROW_REASONS
from tectum_launch.assertions import Verdict
from tectum_launch.graph import Graph
from tectum_launch.lives import lives_document, lives_text
from tectum_launch.supervision import Supervision
from tectum_nodes.fusion_lives import close_life, report_of_lives

__all__ = [
    "SCHEMA",
    "assemble_report",
    "assertion_lines",
    "fusion_reports",
    "fusion_text",
    "merged_fusion",
    "recording_reports",
    "report_text",
]

SCHEMA = "tectum.report/1"
NS_PER_S = 1e9


def fusion_reports(graph: Graph, folder: Path) -> dict[str, dict[str, Any]]:
    """Return what the lives of each fusion node of `graph` left in the run's folder."""
    found = {}
    for node in graph.nodes:
        if node.fusion:
            close_life(folder, node.name, node.fusion.plan)
            document = report_of_lives(folder, node.name)
            if document:
                found[node.name] = document
    return found


def recording_reports(graph: Graph, folder: Path) -> dict[str, dict[str, Any]]:
    """Return what each recorder of `graph` left in the run's folder, where it left anything."""
    found = {}
    for node in graph.nodes:
        path = folder / f"{node.name}.recording.json"
        if path.is_file():
            found[node.name] = json.loads(path.read_text(encoding="utf-8"))
    return found


def assemble_report(
    graph: Graph,
    fusion: Mapping[str, Mapping[str, Any]],
    supervision: Supervision,
    ended_ns: int,
    verdicts: Sequence[Verdict] = (),
    recordings: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return the report of a run whose last process was gone at `ended_ns` on the graph clock.

    Its exit code is not 0 where something failed, or one of the `verdicts` is that what was
    asserted does not hold.
    """
    began_ns, stopped_ns = supervision.began_ns, supervision.stopped_ns or ended_ns
    return {
        "schema": SCHEMA,
        "graph": graph.name,
        "began_ns": began_ns,
        "duration_s": round((stopped_ns - began_ns) / NS_PER_S, 3) if began_ns else 0.0,
        "stop_s": round((ended_ns - stopped_ns) / NS_PER_S, 3),
        "ended_because": supervision.stopped_because,
        "exit_code": supervision.exit_code or int(not all(item.ok for item in verdicts)),
        "failure": supervision.failure,
        "start": _start(supervision),
        **lives_document(supervision),
        "faults": [dict(record) for record in graph.faults.records],
        "assertions": [verdict.document() for verdict in verdicts],
        "recordings": {name: dict(account) for name, account in (recordings or {}).items()},
        **merged_fusion(fusion),
        "fusion": {name: dict(document) for name, document in fusion.items()},
    }


def report_text(report: Mapping[str, Any]) -> str:
    """Return the report for a person, a screen at most."""
    if not report["began_ns"]:
        return f"{report['graph']} did not start: {report['failure'] or report['ended_because']}"
    lines = [f"{report['graph']} ran {report['duration_s']:.1f} s: {report['ended_because']}"]
    for name, document in report["fusion"].items():
        lines += fusion_text(name, document)
    for name, account in report["recordings"].items():
        lines.append(f"{name} {account['sentence']}")
    lines += lives_text(report)
    if report["failure"] and not report["deaths"]:
        lines.append(report["failure"])
    return "\n".join([*lines, *assertion_lines(report["assertions"])])


def _start(supervision: Supervision) -> dict[str, float | None]:
    """Return how long after the launch the graph began, and gave its first answer."""
    began_ns, answered_ns = supervision.began_ns, supervision.answered_ns
    return {
        "began_s": _seconds(began_ns - supervision.now_ns) if began_ns else None,
        "answered_s": _seconds(answered_ns - supervision.now_ns) if answered_ns else None,
    }


def _seconds(duration_ns: int) -> float:
    return round(duration_ns / NS_PER_S, 3)


def assertion_lines(assertions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what does not hold, or that all holds; nothing where nothing was asserted."""
    failed = [item["sentence"] for item in assertions if not item["ok"]]
    if failed or not assertions:
        return failed
    return [f"what is asserted holds: {len(assertions)} of {len(assertions)}"]


def merged_fusion(fusion: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the keys of the only fusion node, or totals over several."""
    documents = list(fusion.values())
    if len(documents) == 1:
        return dict(documents[0])
    triggers = sum(document["triggers"] for document in documents)
    on_time = sum(document["on_time"] * document["triggers"] for document in documents)
    return {
        "triggers": triggers,
        "outcomes": _summed(documents, "outcomes"),
        "on_time": round(on_time / triggers, 6) if triggers else 1.0,
        "reasons": _summed(documents, "reasons"),
        "unexplained_loss": sum(document["unexplained_loss"] for document in documents),
    }


def _summed(documents: list[Mapping[str, Any]], key: str) -> dict[str, int]:
    total: Counter[str] = Counter()
    for document in documents:
        total.update(document[key])
    return dict(total)


def fusion_text(name: str, document: Mapping[str, Any]) -> list[str]:
    """Return the report of one fusion node for a person, line by line."""
    outcomes, budget_ms = document["outcomes"], document["budget_ms"]
    counts = ", ".join(f"{outcomes.get(key, 0)} {key}" for key in ("complete", "partial", "shed"))
    heads = document.get("heads", {})
    asked = f"{document['triggers']} triggers"
    if heads:
        asked = f"{len(heads)} heads asked for {document['triggers']} answers"
    within = f" within {budget_ms:g} ms" if budget_ms and not heads else ""
    lines = [
        f"{name} fused {', '.join(document['inputs'])}: {asked}, "
        f"{100 * document['on_time']:.1f} % answered{within} ({counts})"
    ]
    for code, count in document["reasons"].items():
        if code != "complete":
            lines.append(f"  {count} x {ROW_REASONS.get(code, code)}")
    for head, part in heads.items():
        lines += [f"  {line}" for line in _head_lines(head, part)]
    if not heads:
        lines += [f"  {line}" for line in _answer_lines(document)]
    for key, item in document["inputs"].items():
        missing = ", ".join(f"{count} {code}" for code, count in item["missing"].items())
        lost = sum(item["losses"].values())
        lines.append(
            f"  {key}: {item['received']} received, {item['fresh']} answers used it"
            + (f", missing in others: {missing}" if missing else "")
            + (f", {lost} lost" if lost else "")
        )
    lines += [f"  {sentence}" for sentence in document.get("clocks", {}).values()]
    if document.get("lives", 1) > 1:
        lines.append(f"  in {document['lives']} lives of this node, counted together")
    lines.append(f"  lost without a reason: {document['unexplained_loss']}")
    return lines


def _head_lines(head: str, part: Mapping[str, Any]) -> list[str]:
    """Return what of several heads one came to: each has a budget of its own."""
    outcomes = ", ".join(f"{count} {name}" for name, count in part["outcomes"].items())
    lines = [f"  {line}" for line in _answer_lines(part)]
    return [f"{head}: {outcomes}; {100 * part['on_time']:.1f} % on time", *lines]


def _answer_lines(document: Mapping[str, Any]) -> list[str]:
    """Return who caused the misses, and how long answers took."""
    missed = miss_sentence(document.get("misses", {}), document["triggers"])
    return [*([missed] if missed else []), *_latency_lines(document)]


def _latency_lines(document: Mapping[str, Any]) -> list[str]:
    latency = document["latency_ms"]
    if latency.get("p50") is None:
        return []
    of = f" of {document['budget_ms']:g} ms" if document["budget_ms"] else ""
    quantiles = ", ".join(f"{key} {value:.1f}" for key, value in latency.items())
    phases = ", ".join(
        f"{key} {value['p50']:.1f}"
        for key, value in document["phases_ms"].items()
        if value["p50"] is not None
    )
    return [
        f"latency from the end of capture: {quantiles} ms{of}",
        f"of which, in the middle: {phases} ms",
    ]
