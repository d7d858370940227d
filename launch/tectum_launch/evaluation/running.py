"""Runs a graph over a recording under one condition, in virtual time, and scores its answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tectum.message import Value
from tectum.result_stream import Result
from tectum_launch.compile import load_graph
from tectum_launch.embedded_log import EmbeddedLog
from tectum_launch.embedding import load_stages
from tectum_launch.evaluation.judged import judged_of, with_budget
from tectum_launch.evaluation.scoring import Answer, Scores, scored
from tectum_launch.evaluation.truth import read_truth
from tectum_launch.evaluation.variations import Variation
from tectum_launch.stage_times import stage_times

__all__ = ["Outcome", "Task", "carried_out"]


@dataclass(frozen=True, slots=True)
class Task:
    """One graph, one recording, one condition."""

    graph: str
    settings: tuple[str, ...]
    node: str
    """`NODE`, or `NODE/HEAD` where it has several; empty: the only one."""
    log: Path
    truth: str
    variation: Variation
    claimed: bool = False
    """Stages take what their manifests claim, not what was recorded."""


@dataclass
class Outcome:
    """What came of a task; adds up over recordings."""

    scores: Scores = field(default_factory=Scores)
    outcomes: dict[str, int] = field(default_factory=dict)
    latencies_ms: list[float] = field(default_factory=list)
    """Of answers, from the end of the trigger's capture."""

    def merge(self, other: Outcome) -> None:
        """Add what came of another recording."""
        self.scores.merge(other.scores)
        for name, count in other.outcomes.items():
            self.outcomes[name] = self.outcomes.get(name, 0) + count
        self.latencies_ms += other.latencies_ms


def carried_out(task: Task) -> Outcome:
    """Return what came of `task`.

    Raises:
        TectumError: the graph, the recording or the truth is wrong.
    """
    graph = load_graph(task.graph, task.settings)
    node, head = judged_of(graph, task.node)
    assert node.fusion is not None, "it is a fusion node"
    plan, stages = load_stages(graph, node)
    if task.variation.budget_ns:
        plan = with_budget(plan, head, task.variation.budget_ns)
    times = stage_times(node.fusion, {}, {})
    if task.claimed:
        times = replace(times, table=times.claims)
    found = EmbeddedLog(plan, stages, task.log, times=times, faults=task.variation.faults)
    outcome = Outcome()
    judged = (result for result in found if result.document.get("head", "") == head)
    answers = list(_answers(judged, outcome))
    outcome.scores = scored(answers, read_truth(task.log, task.truth))
    return outcome


def _answers(results: Iterable[Result], outcome: Outcome) -> Iterable[Answer]:
    for result in results:
        document: Any = result.document
        name = str(document["outcome"])
        outcome.outcomes[name] = outcome.outcomes.get(name, 0) + 1
        if not result.arrays:
            continue
        outcome.latencies_ms.append(float(document["latency_ms"]))
        labels = {key: _labels(value) for key, value in document["outputs"].items()}
        yield Answer(document["stamp_ns"], document["emitted_ns"], result.arrays, labels)


def _labels(output: Value) -> tuple[str, ...]:
    labels = output.get("labels", ()) if isinstance(output, dict) else ()
    return tuple(map(str, labels)) if isinstance(labels, (list, tuple)) else ()
