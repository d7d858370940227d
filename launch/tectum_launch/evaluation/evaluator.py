"""An evaluation: every graph over every recording under every condition, several at a time."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from tectum_launch.compile import load_graph
from tectum_launch.evaluation.judged import judged_of
from tectum_launch.evaluation.running import Outcome, Task, carried_out
from tectum_launch.evaluation.variations import Variation, variations_of

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is to be evaluated."""

    logs: tuple[Path, ...]
    graphs: tuple[str, ...]
    settings: tuple[str, ...] = ()
    truth: str = ""
    """A topic, or a CSV file; empty: the recording's topic `*/truth`."""
    node: str = ""
    """The fusion node, as `NODE/HEAD` where it has several heads; empty: the only one."""
    groups: tuple[str, ...] = ("modalities",)
    """What is tried beside each graph as it is: some of `groups.GROUPS`."""
    claimed: bool = False
    """Stages take what their manifests claim, not what was recorded."""
    workers: int = 0
    """Processes; 0: one per core."""

    def tasks(self) -> Iterator[Task]:
        """Yield all of it.

        Raises:
            TectumError: a graph is wrong.
        """
        for graph in self.graphs:
            for variation in self.variations(graph):
                for log in self.logs:
                    yield Task(
                        graph, self.settings, self.node, log, self.truth, variation, self.claimed
                    )

    def variations(self, graph: str) -> list[Variation]:
        """Return the conditions for a graph."""
        node, head = judged_of(load_graph(graph, self.settings), self.node)
        assert node.fusion is not None, "it is a fusion node"
        return variations_of(node.fusion.plan.seen_by(head), self.groups)


def evaluate(
    evaluation: Evaluation, done: Callable[[int, int], None] = lambda done, of: None
) -> dict[str, list[tuple[Variation, Outcome]]]:
    """Return, per graph, what came of each condition over all recordings.

    Args:
        evaluation: what to do.
        done: called after each task with how many are done, of how many.

    Raises:
        TectumError: a graph, a recording or the truth is wrong.
    """
    tasks = list(evaluation.tasks())
    found: dict[str, dict[str, tuple[Variation, Outcome]]] = {}
    for task in tasks:  # in the order of the conditions, whichever ends first
        entries = found.setdefault(task.graph, {})
        entries.setdefault(task.variation.name, (task.variation, Outcome()))
    for number, (task, outcome) in enumerate(_outcomes(evaluation, tasks), start=1):
        found[task.graph][task.variation.name][1].merge(outcome)
        done(number, len(tasks))
    return {graph: list(entries.values()) for graph, entries in found.items()}


def _outcomes(evaluation: Evaluation, tasks: Sequence[Task]) -> Iterator[tuple[Task, Outcome]]:
    workers = min(evaluation.workers or len(os.sched_getaffinity(0)), len(tasks))
    if workers <= 1:
        yield from ((task, carried_out(task)) for task in tasks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        running = {pool.submit(carried_out, task): task for task in tasks}
        for future in as_completed(running):
            yield running[future], future.result()
