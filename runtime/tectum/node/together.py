"""Runs that are ordered in a row and can share a batch: computed together, each on its lane.

A stage joins runs where its `batch_key` says so: runs with one key are computed by one call of
`run_together`, in the lane of the first; the others' lanes wait for their part. What goes wrong
in a batch is not held against those in it: each then runs alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple, Protocol, cast, runtime_checkable

from tectum.inference.stage import (
    Cancelled,
    Job,
    Stage,
    StageArg,
    StageOutput,
    Stopper,
    Tensor,
)

__all__ = ["Joins", "Ready", "jobs_of"]

Args = Mapping[str, StageArg]


@runtime_checkable
class Joins(Protocol):
    """A stage whose runs can share a batch, also with those of stages that have the same key."""

    def batch_key(self, variant: str) -> object:
        """Return what runs that may share a batch have in common; None: nothing."""
        ...

    def run_together(
        self, variant: str, many: Sequence[Args], stopper: Stopper
    ) -> list[StageOutput]:
        """Compute several runs at once."""
        ...


class Ready(NamedTuple):
    """A run whose arguments are at hand."""

    run: int
    lane: int
    stage: Stage
    variant: str
    args: Callable[[], Args]
    """Gives them, in the lane."""
    state: Mapping[str, Tensor] | None

    def alone(self, stopper: Stopper) -> StageOutput:
        """Compute it, unless it was withdrawn before its turn."""
        if stopper.stopped:
            raise Cancelled
        return self.stage.run(self.variant, self.args(), self.state, stopper)

    def key(self) -> object:
        """Return what runs that may share a batch with it have in common; None: none may."""
        if self.state is not None or not _joins(type(self.stage)):
            return None
        return cast(Joins, self.stage).batch_key(self.variant)


def jobs_of(runs: Sequence[Ready]) -> Iterator[tuple[Ready, Job]]:
    """Yield each run with its job, in order."""
    if len(runs) == 1:
        yield runs[0], runs[0].alone
        return
    groups: dict[object, list[Ready]] = {}
    for number, run in enumerate(runs):
        key = run.key()
        groups.setdefault(("alone", number) if key is None else ("batch", key), []).append(run)
    jobs: dict[int, Job] = {}
    for group in groups.values():
        batch = _Batch(group) if len(group) > 1 else None
        for place, run in enumerate(group):
            jobs[run.run] = batch.job(place) if batch else run.alone
    for run in runs:
        yield run, jobs[run.run]


@cache
def _joins(kind: type[Stage]) -> bool:
    """Return whether stages of this class can join runs: asked once, it is slow to answer."""
    return issubclass(kind, Joins)


class _Batch:
    """Several runs on their way through one call."""

    def __init__(self, runs: Sequence[Ready]) -> None:
        self._runs = runs
        self._done = threading.Event()
        self._outputs: list[StageOutput] = []

    def job(self, place: int) -> Job:
        return self._lead if place == 0 else lambda stopper: self._follow(place, stopper)

    def _lead(self, stopper: Stopper) -> StageOutput:
        first = self._runs[0]
        assert isinstance(first.stage, Joins)
        try:
            if stopper.stopped:
                raise Cancelled
            many = [run.args() for run in self._runs]
            self._outputs = first.stage.run_together(first.variant, many, stopper)
        except Cancelled:
            raise
        except Exception:
            if stopper.stopped:
                raise
        finally:
            self._done.set()
        return self._outputs[0] if self._outputs else first.alone(stopper)

    def _follow(self, place: int, stopper: Stopper) -> StageOutput:
        self._done.wait()
        if not self._outputs:
            return self._runs[place].alone(stopper)
        if stopper.stopped:
            self._outputs[place].release()
            raise Cancelled
        return self._outputs[place]
