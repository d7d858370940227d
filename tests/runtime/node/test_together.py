"""Runs that share a batch: one call, and nobody pays for what goes wrong with another."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from tectum.inference.stage import Cancelled, StageOutput
from tectum.node.lanes import Lanes
from tectum.node.together import Ready, jobs_of
from tectum.testing import FakeClock

WAIT_S = 10


class Stage:
    """Says with whom each run was computed."""

    def __init__(self, name: str, key: object) -> None:
        self.name, self.key = name, key
        self.calls: list[list[Any]] = []
        self.broken: set[Any] = set()
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def batch_key(self, variant: str) -> object:
        return self.key and (self.key, variant)

    def run_together(
        self, variant: str, many: Sequence[Mapping[str, Any]], stopper: Any
    ) -> list[StageOutput]:
        values = [args["x"] for args in many]
        self.calls.append(values)
        self.begun.set()
        assert self.go_on.wait(WAIT_S)
        if stopper.stopped:
            raise Cancelled
        if self.broken & set(values):
            msg = f"no {self.broken}"
            raise ValueError(msg)
        return [StageOutput(facts={"value": value, "of": len(values)}) for value in values]

    def run(self, variant: str, args: Mapping[str, Any], state: Any, stopper: Any) -> StageOutput:
        return self.run_together(variant, [args], stopper)[0]


class Bench:
    """Three lanes."""

    def __init__(self) -> None:
        self.ended = threading.Semaphore(0)
        self.lanes = Lanes(3, FakeClock(1000), on_done=self.ended.release)

    def start(self, *runs: Ready) -> None:
        for run, job in jobs_of(runs):
            self.lanes.start(run.run, run.lane, job)

    def take(self, count: int) -> dict[int, Any]:
        for _ in range(count):
            assert self.ended.acquire(timeout=WAIT_S)
        return {done.run: done for done in self.lanes.take()}


def ready(number: int, stage: Any, variant: str = "a", state: Any = None) -> Ready:
    return Ready(number, number, stage, variant, lambda: {"x": number}, state)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.lanes.close()


def facts(done: Mapping[int, Any]) -> list[tuple[int, int]]:
    return [(done[n].value.facts["value"], done[n].value.facts["of"]) for n in sorted(done)]


def test_runs_with_one_key_are_one_call_and_each_gets_its_part(bench: Bench) -> None:
    left, right = Stage("left", "model"), Stage("right", "model")
    bench.start(ready(0, left), ready(1, right), ready(2, left))
    assert facts(bench.take(3)) == [(0, 3), (1, 3), (2, 3)]
    assert left.calls == [[0, 1, 2]]
    assert right.calls == []


def test_other_variants_stages_without_a_key_and_carried_state_go_alone(bench: Bench) -> None:
    stage, other = Stage("left", "model"), Stage("other", None)
    bench.start(ready(0, stage, "a"), ready(1, stage, "b"), ready(2, other))
    assert facts(bench.take(3)) == [(0, 1), (1, 1), (2, 1)]
    bench.start(ready(0, stage), ready(1, stage, state={}))
    assert facts(bench.take(2)) == [(0, 1), (1, 1)]


@pytest.mark.parametrize("broken", [0, 1])
def test_a_sample_that_breaks_the_batch_costs_its_own_run_only(bench: Bench, broken: int) -> None:
    stage = Stage("left", "model")
    stage.broken = {broken}
    bench.start(ready(0, stage), ready(1, stage))
    done = bench.take(2)
    assert done[broken].status == "failed"
    assert (done[1 - broken].status, done[1 - broken].value.facts["of"]) == ("ok", 1)


def test_when_the_first_is_cancelled_the_others_are_computed_all_the_same(bench: Bench) -> None:
    stage = Stage("left", "model")
    stage.go_on.clear()
    bench.start(ready(0, stage), ready(1, stage))
    assert stage.begun.wait(WAIT_S)
    bench.lanes.cancel(0)
    stage.go_on.set()
    done = bench.take(2)
    assert [done[n].status for n in (0, 1)] == ["cancelled", "ok"]
    assert done[1].value.facts["of"] == 1


def test_when_another_is_cancelled_its_part_is_released(bench: Bench) -> None:
    stage = Stage("left", "model")
    released: list[int] = []

    class Buffer:
        def release(self) -> None:
            released.append(1)

    def run_together(variant: str, many: Any, stopper: Any) -> list[StageOutput]:
        stage.begun.set()
        assert stage.go_on.wait(WAIT_S)
        return [StageOutput(held={"code": Buffer()}) for _ in many]

    stage.run_together = run_together  # type: ignore[method-assign]
    stage.go_on.clear()
    bench.start(ready(0, stage), ready(1, stage))
    assert stage.begun.wait(WAIT_S)
    bench.lanes.cancel(1)
    stage.go_on.set()
    done = bench.take(2)
    assert [done[n].status for n in (0, 1)] == ["ok", "cancelled"]
    assert released == [1]
