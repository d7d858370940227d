"""The shell on real lanes: stages that are slow, that hang, and an overload.

What is asserted is who is blamed, what is lost, and that the journal fed back decides the same. The
threads are real, the clock is patient: a busy machine takes nobody's time.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.inference.stage import Cancelled, Cut, OutputSpec, StageOutput, Stopper
from tectum.ledger.row import Outcome, Row, Status
from tectum.message import Kind
from tectum.node.shell import Failure, Shell
from tectum.pipeline.events import Event, Finished
from tectum.pipeline.orders import Note, Picked
from tectum.pipeline.orders import Start as StartOrder
from tectum.pipeline.pipeline import Pipeline
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan
from tectum.pipeline.verify import verify
from tectum.testing.messages import make_message
from tectum.testing.patient import PatientClock, PatientLanes

PERIOD_NS = 100 * NS_PER_MS
BUDGET_NS = 90 * NS_PER_MS
NAMES = ("camera", "lidar")


class Encoder:
    """Takes a while, which the test may change; hears of its cancelling, or is deaf to it."""

    variants = ("default",)
    outputs = (OutputSpec("code", "embedding"),)

    def __init__(self, name: str, takes_s: float) -> None:
        self.name, self.takes_s = name, takes_s
        self.takes_of: dict[int, float] = {}
        """Sequence number -> how long the run on that sample takes instead, s."""
        self.deaf = False
        self.clock = PatientClock()
        """Of the run; set by it."""

    def warm_up(self, variant: str) -> None:
        """Take as long as a run."""
        self.rest(self.takes_s)

    def rest(self, seconds: float) -> None:
        """Compute for so long."""
        self.clock.sleep_until_ns(self.clock.now_ns() + round(seconds * NS_PER_S))

    def run(
        self, variant: str, args: Mapping[str, Any], state: Any, stopper: Stopper
    ) -> StageOutput:
        (cut,) = args.values()
        assert isinstance(cut, Cut)
        left_s = self.takes_of.get(cut.message.header.seq, self.takes_s)
        while left_s > 0:
            self.rest(min(0.005, left_s))
            left_s -= 0.005
            if stopper.stopped and not self.deaf:
                raise Cancelled
        return StageOutput({"code": np.zeros(1, np.float32)})

    def close(self) -> None:
        """Hold nothing."""


class Head(Encoder):
    """Says who is there."""

    outputs = (OutputSpec("there", "tensor"),)

    def run(
        self, variant: str, args: Mapping[str, Any], state: Any, stopper: Stopper
    ) -> StageOutput:
        self.rest(self.takes_s)
        return StageOutput({"there": np.array([arg is not None for arg in args.values()])})


class Live:
    """Two sensors, ten times a second; the lidar asks for results, and either is enough."""

    def __init__(self, camera: Encoder, lidar: Encoder, *, lanes: int) -> None:
        self.clock, loop = PatientClock(), threading.get_ident()
        self.lanes = PatientLanes(lanes, self.clock, on_done=lambda: self.clock.wake(loop))
        stages = {"camera": camera, "lidar": lidar, "head": Head("head", 0.001)}
        for stage in stages.values():
            stage.clock = self.clock
        inputs = [
            InputPlan(
                name, f"{name}/x", AlignPlan("exact"), name, required=False, period_ns=PERIOD_NS,
                silent_after_ns=NS_PER_S,
            )
            for name in NAMES
        ]  # fmt: skip
        self.plan = Plan(
            "live", tuple(inputs), tuple(map(StagePlan, stages)), "head", "lidar",
            budget_ns=BUDGET_NS, lanes=lanes, accept=(((("lidar",), 1),), ((("camera",), 1),)),
        )  # fmt: skip
        self.rows: list[Row] = []
        self.events: list[Event] = []
        self.failures: list[Failure] = []
        self.shell = Shell(self.plan, stages, self.lanes, self.clock, self, self.failures.append)
        self.shell.measure()

    def run(self, triggers: int, period_ns: int = PERIOD_NS) -> list[Row]:
        """Let both sensors speak so many times, and return the rows, in order."""
        start_ns = self.clock.now_ns() + 20 * NS_PER_MS
        coming = deque((number, start_ns + number * period_ns) for number in range(triggers))
        while coming or self.shell.pipeline.waiting:
            while coming and coming[0][1] <= self.clock.now_ns():
                self._speak(*coming.popleft())
            wake_ns = self.shell.turn()
            if coming:
                wake_ns = min(wake_ns, coming[0][1])
            self.clock.sleep_until_ns(min(wake_ns, self.clock.now_ns() + PERIOD_NS))
        self.shell.turn()
        return self.rows

    def _speak(self, seq: int, stamp_ns: int) -> None:
        for name in NAMES:
            array = np.zeros(1, np.float32)
            message = make_message(f"{name}/x", Kind.TENSOR, array, seq=seq, stamp_ns=stamp_ns)
            self.shell.push(name, message)

    def stop(self) -> None:
        self.shell.stop()
        self.lanes.close()

    def deliver(self, row: Row, answer: StageOutput | None) -> None:
        """Need nothing of it."""

    def close_row(self, row: Row) -> None:
        self.rows.append(row)

    def note(self, note: Note) -> None:
        """Need nothing of it."""

    def journal(self, events: list[Event]) -> None:
        self.events += events


Start = Callable[..., Live]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts the two sensors' fusion on real lanes."""
    started: list[Live] = []

    def begin(camera: Encoder, lidar: Encoder, *, lanes: int = 2) -> Live:
        started.append(Live(camera, lidar, lanes=lanes))
        return started[-1]

    yield begin
    for live in started:
        live.stop()


def _verified(live: Live) -> None:
    """Check that the journal, fed back, gives the digest and the rows of the run."""
    digest = live.shell.pipeline.digest.hexdigest()
    found = verify(live.plan, live.events, digest, live.rows)
    assert found.ok, found.difference
    assert found.rows == len(live.rows)


def test_two_seconds_of_slow_runs_are_blamed_on_their_stage_and_end(start: Start) -> None:
    camera = Encoder("camera", 0.012)
    live = start(camera, Encoder("lidar", 0.004))
    camera.takes_of = dict.fromkeys(range(20, 40), 0.120)

    rows = live.run(60)

    assert [row.trigger for row in rows] == list(range(60))
    slow = rows[20:40]
    assert all(row.outcome is not Outcome.COMPLETE for row in slow)
    assert {row.blame for row in slow} == {"camera"}
    assert all(row.inputs[0].status is Status.MISSING for row in slow)
    assert all(row.outcome is Outcome.COMPLETE for row in [*rows[:20], *rows[43:]])
    assert not live.failures
    live.stop()
    _verified(live)


@pytest.mark.parametrize("deaf", [True, False])
def test_a_run_that_hangs_costs_its_set_and_its_lane_until_it_returns(
    start: Start, deaf: bool
) -> None:
    camera = Encoder("camera", 0.010)
    camera.deaf = deaf
    live = start(camera, Encoder("lidar", 0.004), lanes=3)
    camera.takes_of = {10: 2.0}

    rows = live.run(45)

    lost = [row.trigger for row in rows if row.outcome is not Outcome.COMPLETE]
    assert lost == [10]
    assert rows[10].blame == "camera"
    live.stop()
    _verified(live)
    starts = _lane_of(live)
    hung = next(run for run, (stage, seq, _) in starts.items() if (stage, seq) == ("camera", 10))
    lane, meanwhile = starts[hung][2], range(12, 28)
    taken = [run for run, (_, seq, at) in starts.items() if at == lane and seq in meanwhile]
    assert not (deaf and taken)
    assert hung in {event.run for event in live.events if isinstance(event, Finished)}


def _lane_of(live: Live) -> dict[int, tuple[str, int, int]]:
    """Return per run its stage, the sequence number of what it encodes (-1: the head), its lane."""
    pipeline, found = Pipeline(live.plan), {}
    for event in live.events:
        for order in pipeline.feed(event):
            if isinstance(order, StartOrder):
                refs = [ref for arg in order.args if isinstance(arg, Picked) for ref in arg.refs]
                seq = max((ref.seq for ref in refs), default=-1)
                found[order.run] = order.stage, seq, order.lane
    return found


def test_an_overload_is_decided_alike_when_its_journal_is_fed_back(start: Start) -> None:
    live = start(Encoder("camera", 0.045), Encoder("lidar", 0.045), lanes=1)

    rows = live.run(80, PERIOD_NS // 2)

    asked = [row for row in rows if "substituted" not in row.flags]
    late = [row for row in asked if row.outcome is not Outcome.COMPLETE]
    assert len(asked) == 80
    assert len(late) >= 40
    assert all(row.blame in ("camera", "lidar", "head") for row in late)
    live.stop()
    _verified(live)
