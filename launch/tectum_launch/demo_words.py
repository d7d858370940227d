"""What the demo says when it is over: what was fused, how well, why not better, what is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tectum.ledger.why import explain_span
from tectum.ledger.words import counted, listed, percent
from tectum_launch.demo import Demo

__all__ = ["demo_words"]

_CAUSES = 6
_MOST = 0.95


def demo_words(demo: Demo) -> list[str]:
    """Return the summary of a demo, line by line."""
    report = demo.report
    triggers, outcomes = report.get("triggers", 0), report.get("outcomes", {})
    if not triggers:
        return [f"The demo fused nothing: {report['failure'] or report['ended_because']}."]
    names = [f"the {item.name}" for item in demo.ledger.plan.inputs]
    lines = [
        f"The demo drove for {report['duration_s']:.0f} s and asked at each of {triggers} lidar "
        "sweeps:",
        "where are road users, and is a siren approaching?",
        "",
        f"  {_answers(outcomes, names)}",
        f"  {_in_time(report)}",
        f"  {_losses(report)}",
    ]
    ledger = demo.ledger
    causes = explain_span(
        ledger.rows, ledger.plan, ledger.notes, arrivals=ledger.arrivals, most=_CAUSES
    )[1:]
    if causes:
        lines += ["", "Why some answers had to do without a sensor (times in UTC):"]
        lines += [f"  - {cause}" for cause in causes]
    return [*lines, "", *_left(demo)]


def _answers(outcomes: Mapping[str, int], names: list[str]) -> str:
    complete, partial, shed = (outcomes.get(key, 0) for key in ("complete", "partial", "shed"))
    words = f"{counted(complete, 'answer')} fused {listed(names)} (complete)"
    if partial:
        words += f", {partial} went on without a sensor (partial)"
    return f"{words}, {shed or 'none'} failed to come (shed)."


def _in_time(report: Mapping[str, Any]) -> str:
    latency, budget_ms = report["latency_ms"], report["budget_ms"]
    if latency["p50"] is None:
        return "No answer came."
    share = percent(report["on_time"])
    rest = (
        "" if report["on_time"] >= _MOST else " The machine was too busy or too slow for the rest."
    )
    return (
        f"{share} of the sweeps were answered within the budget of {budget_ms:g} ms after the "
        f"sweep's end: half within {latency['p50']:.0f} ms, 95 % within {latency['p95']:.0f} ms, "
        f"the slowest after {latency['max']:.0f} ms.{rest}"
    )


def _losses(report: Mapping[str, Any]) -> str:
    lost = sum(sum(item["losses"].values()) for item in report["inputs"].values())
    if not lost and not report["unexplained_loss"]:
        return "No message was lost on the way."
    return f"{lost} messages were lost, {report['unexplained_loss']} of them without a known cause."


def _left(demo: Demo) -> list[str]:
    files, rows = demo.files, demo.ledger.rows
    partial = next((row for row in rows[len(rows) // 3 :] if row.outcome == "partial"), rows[-1])
    at_s = (partial.stamp_ns - rows[0].stamp_ns) / 1e9
    return [
        "What is left to look at:",
        f"  {files.picture}   latency, outcomes, and the last view beside the truth",
        f"  {files.recording}    all that was said; opens in Foxglove, Lichtblick and Rerun",
        f"  {files.report}   the numbers (docs/results.md)",
        "",
        "Ask why an answer was what it was, then watch a drive of your own:",
        f"  tectum why {files.recording} --at {at_s:.1f}s",
        "  tectum launch driving --console",
    ]
