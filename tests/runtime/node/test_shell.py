"""The shell on real lanes, on a clock that the test moves."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from tectum.clock import NS_PER_MS
from tectum.errors import ContractError
from tectum.inference.stage import Cut, OutputSpec, StageOutput
from tectum.ledger.row import Outcome, Row
from tectum.message import Kind
from tectum.node.lanes import Lanes
from tectum.node.shell import PAPERS_NS, REST_NS, Failure, Shell
from tectum.pipeline.events import Event
from tectum.pipeline.orders import Note
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan
from tectum.testing import FakeClock
from tectum.testing.messages import make_message

PERIOD_NS = 100 * NS_PER_MS
NAMES = ("camera", "lidar")
WAIT_S = 10


class Buffer:
    """A tensor on a device, which counts how often it was released."""

    def __init__(self) -> None:
        self.released = 0

    def numpy(self) -> np.ndarray:
        return np.zeros(1)

    def release(self) -> None:
        self.released += 1


class Encoder:
    """Gives a buffer per run; raises, hangs or returns nonsense where it is told to."""

    variants = ("default",)
    outputs = (OutputSpec("code", "embedding"),)

    def __init__(self, name: str) -> None:
        self.name = name
        self.raises: set[int] = set()
        self.hangs: set[int] = set()
        self.nonsense = False
        self.hung, self.let_go = threading.Event(), threading.Event()
        self.buffers: list[Buffer] = []

    def warm_up(self, variant: str) -> None:
        """Do nothing."""

    def run(self, variant: str, args: Mapping[str, Any], state: Any, stopper: Any) -> Any:
        (cut,) = args.values()
        assert isinstance(cut, Cut)
        seq = cut.message.header.seq
        if seq in self.raises:
            msg = f"no {self.name} in {seq}"
            raise ValueError(msg)
        if seq in self.hangs:
            self.hung.set()
            assert self.let_go.wait(WAIT_S)
        if self.nonsense:
            return {"code": 1}
        self.buffers.append(Buffer())
        return StageOutput(held={"code": self.buffers[-1]})

    def close(self) -> None:
        """Hold nothing."""


class Head:
    """Says who is there."""

    name, variants, outputs = "head", ("default",), (OutputSpec("there", "tensor"),)

    def __init__(self) -> None:
        self.raises = False

    def warm_up(self, variant: str) -> None:
        """Do nothing."""

    def run(self, variant: str, args: Mapping[str, Any], state: Any, stopper: Any) -> StageOutput:
        if self.raises:
            msg = "no head"
            raise ValueError(msg)
        return StageOutput({"there": np.array([arg is not None for arg in args.values()])})

    def close(self) -> None:
        """Hold nothing."""


class Bench:
    """A shell with two encoders and a head; both inputs optional, the lidar asks for results."""

    def __init__(self, camera: Encoder | None = None) -> None:
        self.clock = FakeClock(1000 * PERIOD_NS)
        self.ended = threading.Semaphore(0)
        self.lanes = Lanes(3, self.clock, on_done=self.ended.release)
        self.camera = camera or Encoder("camera")
        self.lidar, self.head = Encoder("lidar"), Head()
        stages = {"camera": self.camera, "lidar": self.lidar, "head": self.head}
        inputs = [
            InputPlan(
                name, f"{name}/x", AlignPlan("exact"), name, required=False, period_ns=PERIOD_NS
            )
            for name in NAMES
        ]
        plan = Plan(
            "bench", tuple(inputs), tuple(map(StagePlan, stages)), "head", "lidar",
            budget_ns=80 * NS_PER_MS, lanes=3, accept=(((("lidar",), 1),), ((("camera",), 1),)),
        )  # fmt: skip
        self.rows: list[Row] = []
        self.there: list[list[bool] | None] = []
        self.failures: list[Failure] = []
        self.seq = 0
        self.shell = Shell(plan, stages, self.lanes, self.clock, self, self.failures.append)
        self.shell.measure()

    def period(self) -> None:
        """Let both sensors speak, do what can be done, and let the rest of the period pass."""
        for name in NAMES:
            stamp_ns = self.clock.now_ns()
            array = np.zeros(1, np.float32)
            message = make_message(f"{name}/x", Kind.TENSOR, array, seq=self.seq, stamp_ns=stamp_ns)
            self.shell.push(name, message)
        self.seq += 1
        for _ in range(20):
            self.settle()
            self.clock.advance(5 * NS_PER_MS)

    def settle(self) -> None:
        """Turn until nothing is computed but what hangs: what waits behind that has not begun."""
        self.shell.turn()
        while self.computed() > self.hanging():
            if self.ended.acquire(timeout=0.05):
                self.shell.turn()

    def computed(self) -> int:
        runs = self.shell.pipeline._books.runs.all
        return sum(runs[run].begun_ns > 0 for run in self.shell._running)

    def hanging(self) -> int:
        encoders = (self.camera, self.lidar)
        return sum(e.hung.is_set() and not e.let_go.is_set() for e in encoders)

    def deliver(self, row: Row, answer: StageOutput | None) -> None:
        self.rows.append(row)
        self.there.append(answer.arrays["there"].tolist() if answer else None)

    def close_row(self, row: Row) -> None:
        """Need nothing of it."""

    def note(self, note: Note) -> None:
        """Need nothing of it."""

    def journal(self, events: list[Event]) -> None:
        """Need nothing of it."""


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    for encoder in (bench.camera, bench.lidar):
        encoder.let_go.set()
    bench.lanes.close()


def test_an_encoder_that_raises_costs_its_modality_only(bench: Bench) -> None:
    bench.camera.raises = {1}
    for _ in range(3):
        bench.period()
    assert bench.there == [[True, True], [False, True], [True, True]]
    assert [row.reason for row in bench.rows] == ["complete", "input_encoder_failed", "complete"]
    (failure,) = bench.failures
    assert (failure.stage, str(failure.error)) == ("camera", "no camera in 1")


def test_a_head_that_raises_costs_the_answer_and_the_next_one_is_given(bench: Bench) -> None:
    bench.head.raises = True
    bench.period()
    bench.head.raises = False
    bench.period()
    assert [(row.outcome, row.reason) for row in bench.rows] == [
        (Outcome.SHED, "head_failed"),
        (Outcome.COMPLETE, "complete"),
    ]


def test_a_stage_that_returns_nonsense_is_a_bug_of_its_author(bench: Bench) -> None:
    bench.camera.nonsense = True
    with pytest.raises(ContractError, match="stage 'camera' returned <class 'dict'>, not a StageO"):
        bench.period()


def test_what_a_stage_holds_on_a_device_is_released_once_nothing_can_use_it(bench: Bench) -> None:
    for _ in range(5):
        bench.period()
    for encoder in (bench.camera, bench.lidar):
        # The newest is kept, for sets that want the same sample or a cached one.
        assert [buffer.released for buffer in encoder.buffers] == [1, 1, 1, 1, 0]


def test_a_run_that_hangs_for_two_seconds_costs_its_set_and_at_most_one_more(bench: Bench) -> None:
    for _ in range(10):
        bench.period()
    bench.camera.hangs = {10}
    for _ in range(20):
        bench.period()
    assert bench.hanging() == 1
    bench.camera.let_go.set()
    for _ in range(5):
        bench.period()
    lost = [k for k, there in enumerate(bench.there) if there != [True, True]]
    assert 10 in lost
    assert len(lost) <= 2
    assert len(bench.rows) == 35


def test_papers_wait_while_lanes_begin_but_not_for_ever(bench: Bench) -> None:
    written: list[int] = []
    bench.journal = lambda events: written.append(len(events))  # type: ignore[method-assign]
    bench.shell.turn()
    for _ in range(8):
        written.clear()
        for name in NAMES:
            array = np.zeros(1, np.float32)
            stamp_ns = bench.clock.now_ns()
            message = make_message(
                f"{name}/x", Kind.TENSOR, array, seq=bench.seq, stamp_ns=stamp_ns
            )
            bench.shell.push(name, message)
        bench.seq += 1
        wake_ns = bench.shell.turn()
        assert not written
        assert wake_ns == bench.clock.now_ns() + REST_NS
        bench.clock.advance(PAPERS_NS)
        bench.shell.turn()
        assert written
        bench.settle()
        bench.clock.advance(PERIOD_NS - PAPERS_NS)


class Preparing(Encoder):
    """Makes its runs ready, or fails to, before their turn."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.threads: list[tuple[str, str]] = []
        self.unready: set[int] = set()

    def prepared(self, variant: str, args: Mapping[str, Any]) -> Any:
        (cut,) = args.values()
        seq = cut.message.header.seq
        self.threads.append((f"prepared {seq}", threading.current_thread().name))
        if seq in self.raises:
            msg = f"no {self.name} in {seq}"
            raise ValueError(msg)
        if seq in self.unready:
            return None
        return lambda stopper: self.ran(seq)

    def ran(self, seq: int) -> StageOutput:
        self.threads.append((f"ran {seq}", threading.current_thread().name))
        return StageOutput()


def test_a_run_that_can_be_made_ready_is_so_before_its_turn_and_the_lane_only_computes() -> None:
    bench = Bench(camera=Preparing("camera"))
    camera = bench.camera
    assert isinstance(camera, Preparing)
    camera.unready = {1}
    for _ in range(3):
        bench.period()
    bench.lanes.close()
    here = threading.current_thread().name
    by_lane = [what for what, thread in camera.threads if thread != here]
    assert [what for what, thread in camera.threads if thread == here] == [
        "prepared 0", "prepared 1", "prepared 2",
    ]  # fmt: skip
    assert by_lane == ["ran 0", "ran 2"], "the other was made ready in the lane"
    assert len(camera.buffers) == 1
    assert bench.there == [[True, True]] * 3


def test_what_fails_when_it_is_made_ready_is_a_run_that_failed() -> None:
    bench = Bench(camera=Preparing("camera"))
    bench.camera.raises = {1}
    for _ in range(3):
        bench.period()
    bench.lanes.close()
    assert bench.there == [[True, True], [False, True], [True, True]]
    (failure,) = bench.failures
    assert (failure.stage, str(failure.error)) == ("camera", "no camera in 1")


def test_a_message_that_is_all_it_takes_has_its_run_begun_before_the_turn(bench: Bench) -> None:
    for _ in range(5):
        bench.period()  # the rhythm of the lidar is known
    runs = len(bench.lidar.buffers)
    stamp_ns = bench.clock.now_ns()
    array = np.zeros(1, np.float32)
    message = make_message("lidar/x", Kind.TENSOR, array, seq=bench.seq, stamp_ns=stamp_ns)
    bench.shell.push("lidar", message)
    assert bench.ended.acquire(timeout=WAIT_S)
    assert len(bench.lidar.buffers) == runs + 1
