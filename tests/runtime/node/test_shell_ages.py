"""What the shell tells a head about the age of its inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from tectum.inference.session import NeverStopped
from tectum.inference.stage import OutputSpec, StageOutput
from tectum.message import Kind
from tectum.node.lanes import Done
from tectum.node.shell import Shell
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan
from tectum.testing import FakeClock
from tectum.testing.messages import make_message

MS = 1_000_000
PLAN = Plan(
    name="fusion",
    inputs=(
        InputPlan("lidar", "lidar/points", AlignPlan("exact"), encoder="encode_lidar"),
        InputPlan(
            "camera", "camera/image", AlignPlan("latest", max_age_ns=500 * MS),
            encoder="encode_camera", offset_ns=30 * MS,
        ),
    ),
    stages=(StagePlan("encode_lidar"), StagePlan("encode_camera"), StagePlan("head")),
    head="head",
    trigger="lidar",
)  # fmt: skip


class Here:
    """An executor without threads: a job runs when it is started."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock, self._done = clock, []

    def rouse(self, lane: int) -> None:
        pass

    def let_begin(self, timeout_ns: int) -> None:
        pass

    def start(self, run: int, lane: int, job: Any, takes: Any = ()) -> bool:
        now_ns = self._clock.now_ns()
        self._done.append(Done(run, "ok", job(NeverStopped()), None, now_ns, now_ns))
        return True

    def cancel(self, run: int) -> None:
        raise AssertionError(run)

    def take(self) -> list[Done]:
        done, self._done = self._done, []
        return done


class Kept:
    """A sink that keeps answers, and a stage that keeps what it was given."""

    variants = ("default",)
    outputs = (OutputSpec("x", "tensor"),)

    def __init__(self, name: str = "") -> None:
        self.name, self.answers, self.given = name, [], []

    def deliver(self, row: Any, answer: StageOutput | None) -> None:
        self.answers.append(answer)

    def close_row(self, row: Any) -> None: ...
    def note(self, note: Any) -> None: ...
    def journal(self, events: Any) -> None: ...
    def warm_up(self, variant: str) -> None: ...
    def close(self) -> None: ...

    def run(self, variant: str, args: Any, state: Any, stopper: Any) -> StageOutput:
        self.given.append(args)
        return StageOutput({"x": np.zeros(1, np.float32)})


def test_a_head_learns_the_age_of_each_input_at_the_trigger_its_known_delay_taken_off() -> None:
    #   camera 100 (really 70: its offset is 30)      lidar 150: the trigger
    clock, sink = FakeClock(200 * MS), Kept()
    stages = {stage.name: Kept(stage.name) for stage in PLAN.stages}
    shell = Shell(PLAN, stages, Here(clock), clock, sink, on_failure=lambda failure: None)
    array = np.zeros(3, np.float32)
    shell.push("camera", make_message("camera/image", Kind.TENSOR, array, stamp_ns=100 * MS))
    shell.push("lidar", make_message("lidar/points", Kind.TENSOR, array, stamp_ns=150 * MS))
    for _ in range(5):
        shell.turn()
    (answer,) = sink.answers
    (given,) = stages["head"].given
    assert {name: arg.age_ns // MS for name, arg in given.items()} == {"lidar": 0, "camera": 80}
    assert given["camera"].stamp_ns == 100 * MS
    assert answer.stamp_ns == 150 * MS
