"""Assertions: what a graph promises of itself, judged on the reports of its fusion nodes. Pure.

Each verdict says in a sentence what was seen and what was wanted. Nothing holds of a run in which
nothing was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tectum_launch.fault_plan import FaultPlan
from tectum_launch.faults_schema import AssertConfig
from tectum_launch.findings import KeyPath, path_text

__all__ = ["Verdict", "judge"]

_NS_PER_MS = 1e6
_GOAL_WORDS = {"complete": "complete", "answer": "given"}


class Verdict(NamedTuple):
    """What became of one assertion about one fusion node."""

    key: str
    """`assert.on_time`."""
    place: str
    """`faults.yaml:12:3`."""
    node: str
    ok: bool
    seen: str
    wanted: str

    @property
    def sentence(self) -> str:
        """Return it for a person."""
        verb = "holds" if self.ok else "does not hold"
        return f"{self.key} {verb} ({self.place}): {self.seen}; wanted: {self.wanted}"

    def document(self) -> dict[str, Any]:
        """Return it for a report."""
        return {**self._asdict(), "sentence": self.sentence}


Seen = tuple[KeyPath, bool, str, str]
"""Key below `assert`, whether it holds, what was seen, what was wanted."""


def judge(
    plan: FaultPlan, reports: Mapping[str, Mapping[str, Any]], nodes: Sequence[str]
) -> list[Verdict]:
    """Return the verdicts on the reports of the fusion `nodes`, in the order of the keys."""
    checks, document = plan.checks, plan.checked_in
    if checks is None or document is None:
        return []
    verdicts = []
    for node in nodes:
        for path, ok, seen, wanted in _judged(checks, node, reports.get(node)):
            place = document.place(("assert", *path), key=True)
            key = path_text(("assert", *path))
            verdicts.append(Verdict(key, str(place), node, ok, seen, wanted))
    return verdicts


def _judged(checks: AssertConfig, node: str, report: Mapping[str, Any] | None) -> Iterator[Seen]:
    if report is None or not report.get("triggers"):
        seen = f"{node} left no report" if report is None else f"{node} was asked for no answer"
        yield (), False, seen, "at least one trigger"
        return
    for judged in (_on_time, _outcomes, _quantiles, _recovery, _loss):
        yield from judged(checks, node, report)


_Judge = Callable[[AssertConfig, str, Mapping[str, Any]], Iterator[Seen]]


def _on_time(checks: AssertConfig, node: str, report: Mapping[str, Any]) -> Iterator[Seen]:
    if checks.on_time is not None:
        seen = f"{node} answered {_percent(report['on_time'])} of {report['triggers']} triggers"
        wanted = f"at least {_percent(checks.on_time)} by their deadline"
        yield ("on_time",), report["on_time"] >= checks.on_time, f"{seen} in time", wanted


def _outcomes(checks: AssertConfig, node: str, report: Mapping[str, Any]) -> Iterator[Seen]:
    for name, bound in checks.outcomes.items():
        share = report["outcomes"].get(name, 0) / report["triggers"]
        seen = f"{_percent(share)} of {report['triggers']} outcomes of {node} were {name}"
        sides = [
            f"at least {_percent(bound.at_least)}" if bound.at_least > 0 else "",
            f"at most {_percent(bound.at_most)}" if bound.at_most < 1 else "",
        ]
        ok = bound.at_least <= share <= bound.at_most
        yield ("outcomes", name), ok, seen, " and ".join(filter(None, sides)) or "any share"


def _quantiles(checks: AssertConfig, node: str, report: Mapping[str, Any]) -> Iterator[Seen]:
    for key, limits in (("age", checks.age), ("latency", checks.latency)):
        for quantile, limit_ns in limits.items():
            value_ms, limit_ms = report[f"{key}_ms"][quantile], limit_ns / _NS_PER_MS
            path, wanted = (key, quantile), f"at most {limit_ms:.1f} ms"
            if value_ms is None:
                yield path, False, f"{node} gave no answer", wanted
            else:
                seen = f"{quantile} of the {key} of answers of {node} was {value_ms:.1f} ms"
                yield path, value_ms <= limit_ms, seen, wanted


def _recovery(checks: AssertConfig, node: str, report: Mapping[str, Any]) -> Iterator[Seen]:
    if checks.recovery is None:
        return
    goal, within_ms = checks.recovery.to, checks.recovery.within / _NS_PER_MS
    wanted, again = f"within {within_ms:.1f} ms", f"{_GOAL_WORDS[goal]} again"
    recovered = report.get("recovery", {})
    if not recovered:
        seen = f"no fault ended while {node} ran, so there was nothing to recover from"
        yield ("recovery",), False, seen, wanted
    for fault, entry in recovered.items():
        waiting_ms, longest_ms = entry["waiting_ms"][goal], entry[f"{goal}_ms"]
        about = f"after the end of '{fault}' the answers of {node}"
        if waiting_ms > within_ms:
            seen = f"{about} were not {again} in the {waiting_ms:.1f} ms until the end"
            yield ("recovery",), False, seen, wanted
        else:
            seen = f"{about} were {again} after {longest_ms:.1f} ms"
            yield ("recovery",), longest_ms <= within_ms, seen, wanted


def _loss(checks: AssertConfig, node: str, report: Mapping[str, Any]) -> Iterator[Seen]:
    if checks.unexplained_loss is not None:
        lost, most = report["unexplained_loss"], checks.unexplained_loss
        seen = f"{lost} messages to {node} were lost without a reason"
        yield ("unexplained_loss",), lost <= most, seen, f"at most {most}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
