"""Eager encoding: a camera whose lidar arrives 60 ms later, and an encoder that takes 25 ms.

The latency from the lidar's arrival to the delivered result, live, with real computation on two
lanes: sync-then-encode, and Tectum with captures announced by the lidar, with the lidar's rhythm
only, and with guessing. For the last two also how often the camera was encoded ahead, how many of
those runs were the ones that the set wanted, and how many were wasted.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from bench import Bench, options
from nets import build, write_models

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.inference.session import NeverStopped
from tectum.inference.stage import Cut, OutputSpec, Stage, StageArg, StageOutput, Stopper, Tensor
from tectum.ledger.row import Outcome, Row
from tectum.message import ArrayPayload, BufferSpec, Header, Kind, Message
from tectum.node.lanes import Lanes
from tectum.node.shell import Failure, Shell
from tectum.pipeline.events import Event
from tectum.pipeline.orders import Note
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan

PERIOD_NS = 100 * NS_PER_MS
LATER_NS = 60 * NS_PER_MS
"""The lidar's sweep ends, and arrives, so long after it began; the camera's frame was there."""
ENCODER_NS = 25 * NS_PER_MS
FRAMES = 3
"""Of the camera, in a period of the lidar."""
JITTER_NS = {"camera": 2 * NS_PER_MS, "lidar": 8 * NS_PER_MS}
PHASE_NS = 10 * NS_PER_MS
"""Of the lidar's sweeps after every third frame. With its jitter a sweep is now and then closer to
the next frame, 33 ms after that one: its rhythm alone does not always tell which belongs to it."""
WARM = 10
"""Sweeps of each turn that are not counted: rhythms and durations are learned in them."""
CONTENDERS = {
    "sync, then encode": ("off", False),
    "eager, announced": ("commit", True),
    "eager, not announced": ("commit", False),
    "eager, guessed": ("guess", False),
}
"""Name -> how eager, and whether the lidar says that a sweep has begun."""


class Timed:
    """A stage that keeps how long its runs took."""

    def __init__(self, stage: Stage, clock: GraphClock) -> None:
        """Wrap `stage`."""
        self.name, self.variants = stage.name, stage.variants
        self.outputs: tuple[OutputSpec, ...] = stage.outputs
        self.took_ns: list[int] = []
        self._stage, self._clock = stage, clock

    def warm_up(self, variant: str) -> None:
        """Warm it up."""
        self._stage.warm_up(variant)

    def run(
        self,
        variant: str,
        args: Mapping[str, StageArg],
        state: Mapping[str, Tensor] | None,
        stopper: Stopper,
    ) -> StageOutput:
        """Run it, and note how long that took."""
        begun_ns = self._clock.now_ns()
        output = self._stage.run(variant, args, state, stopper)
        self.took_ns.append(self._clock.now_ns() - begun_ns)
        return output

    def close(self) -> None:
        """Close it."""
        self._stage.close()


@dataclass
class Score:
    """What one contender did in all its turns."""

    latency_ns: list[int] = field(default_factory=list)
    encoder_ns: list[int] = field(default_factory=list)
    """How long the camera's encoder took."""
    triggers: int = 0
    used: int = 0
    wasted: int = 0

    @property
    def p50_ms(self) -> float:
        """Return the median latency from the lidar's arrival."""
        return statistics.median(self.latency_ns) / NS_PER_MS

    @property
    def encoder_ms(self) -> float:
        """Return the median of the camera's encoder."""
        return statistics.median(self.encoder_ns) / NS_PER_MS

    def add(self, other: Score) -> None:
        """Count another turn."""
        self.latency_ns += other.latency_ns
        self.encoder_ns += other.encoder_ns
        self.triggers += other.triggers
        self.used += other.used
        self.wasted += other.wasted


def plan(eager: str) -> Plan:
    """Return the fusion node under test: the lidar asks, the camera's nearest frame belongs."""
    half_ns = PERIOD_NS // FRAMES // 2 + JITTER_NS["camera"]
    camera = InputPlan("camera", "camera/image", AlignPlan("nearest", half_ns, half_ns), "camera")
    lidar = InputPlan("lidar", "lidar/image", AlignPlan("exact"), "lidar")
    stages = tuple(StagePlan(name, ("fp32",)) for name in ("camera", "lidar", "head"))
    asked = Plan("eager", (camera, lidar), stages, "head", "lidar", budget_ns=NS_PER_S, lanes=2)
    return replace(asked, eager=eager)


class Turn:
    """One contender at work for a while, from nothing."""

    def __init__(self, name: str, stages: Mapping[str, Stage], clock: GraphClock) -> None:
        """Make its shell and lanes."""
        eager, self.announces = CONTENDERS[name]
        self.clock, self.wake = clock, threading.Event()
        self.camera = Timed(stages["camera"], clock)
        stages = {**stages, "camera": self.camera}
        self.lanes = Lanes(2, clock, on_done=self.wake.set)
        self.failures: list[Failure] = []
        self.shell = Shell(plan(eager), stages, self.lanes, clock, self, self.failures.append)
        self.shell.measure()
        self.arrived_ns: dict[int, int] = {}
        self.latencies: list[int] = []
        self.image = np.zeros((64, 64, 3), np.uint8)

    def work(self, sweeps: int, seed: int) -> Score:
        """Feed the streams at their pace until every trigger has its outcome."""
        start_ns = self.clock.now_ns() + PERIOD_NS
        for at_ns, act in self._schedule(start_ns, sweeps, seed):
            self._turn_until(at_ns)
            act()
            self.shell.turn()
        self._turn_until(self.clock.now_ns() + 2 * PERIOD_NS)
        self.shell.stop()
        self.lanes.close()
        if self.failures:
            raise self.failures[0].error
        counts = self.shell.pipeline.counters()["camera"]
        used, wasted = counts.get("ahead_used", 0), counts.get("ahead_wasted", 0)
        return Score(self.latencies[WARM:], self.camera.took_ns[WARM:], sweeps, used, wasted)

    def _schedule(
        self, start_ns: int, sweeps: int, seed: int
    ) -> list[tuple[int, Callable[[], None]]]:
        rng = random.Random(seed)
        plan: list[tuple[int, Callable[[], None]]] = []
        for seq in range(sweeps * FRAMES):
            stamp_ns = start_ns + seq * PERIOD_NS // FRAMES + _jitter(rng, "camera")
            plan.append((stamp_ns + 3 * NS_PER_MS, self._push("camera", seq, stamp_ns, 0)))
        for seq in range(sweeps):
            stamp_ns = start_ns + seq * PERIOD_NS + PHASE_NS + _jitter(rng, "lidar")
            plan.append((stamp_ns + LATER_NS, self._push("lidar", seq, stamp_ns, LATER_NS)))
            if self.announces:
                plan.append((stamp_ns, self._announce(stamp_ns)))
        return sorted(plan, key=lambda item: item[0])

    def _push(self, name: str, seq: int, stamp_ns: int, span_ns: int) -> Callable[[], None]:
        def push() -> None:
            spec = BufferSpec("uint8", self.image.shape)
            header = Header(
                f"{name}/image", Kind.IMAGE, seq, stamp_ns, span_ns=span_ns, incarnation=1,
                fields={"encoding": "bgr8"}, buffers=(spec,),
            )  # fmt: skip
            if name == "lidar":
                self.arrived_ns[stamp_ns] = self.clock.now_ns()
            self.shell.push(name, Message(header, (ArrayPayload(self.image),)))

        return push

    def _announce(self, stamp_ns: int) -> Callable[[], None]:
        return lambda: self.shell.promise("lidar", stamp_ns, begun=True)

    def _turn_until(self, at_ns: int) -> None:
        while (left_ns := at_ns - self.clock.now_ns()) > 0:
            wake_ns = self.shell.turn() - self.clock.now_ns()
            self.wake.wait(max(0.0, min(left_ns, wake_ns) / NS_PER_S))
            self.wake.clear()

    def deliver(self, row: Row, answer: StageOutput | None) -> None:
        """Note how long after its lidar's arrival a complete result came."""
        if row.outcome is Outcome.COMPLETE and row.stamp_ns in self.arrived_ns:
            self.latencies.append(self.clock.now_ns() - self.arrived_ns[row.stamp_ns])

    def close_row(self, row: Row) -> None:
        """Need nothing of it."""

    def note(self, note: Note) -> None:
        """Need nothing of it."""

    def journal(self, events: list[Event]) -> None:
        """Need nothing of it."""


def _jitter(rng: random.Random, name: str) -> int:
    return round(rng.uniform(-JITTER_NS[name], JITTER_NS[name]))


def layers_for(duration_ns: int, clock: GraphClock) -> int:
    """Return how many layers an encoder has that takes so long here and now."""
    with tempfile.TemporaryDirectory() as folder:
        stages = build(write_models(Path(folder), {"camera": 40}))
        cut = Cut((_message(),))
        took = []
        for _ in range(8):
            begun_ns = clock.now_ns()
            stages["camera"].run("fp32", {"camera": cut}, None, NeverStopped())
            took.append(clock.now_ns() - begun_ns)
    return max(1, round(40 * duration_ns / statistics.median(took[2:])))


def _message() -> Message:
    image = np.zeros((64, 64, 3), np.uint8)
    spec = BufferSpec("uint8", image.shape)
    header = Header("c/i", Kind.IMAGE, 0, 0, fields={"encoding": "bgr8"}, buffers=(spec,))
    return Message(header, (ArrayPayload(image),))


def compete(stages: dict[str, Stage], turns: int, sweeps: int) -> dict[str, Score]:
    """Let the contenders take turns; return their scores."""
    clock = GraphClock()
    scores = {name: Score() for name in CONTENDERS}
    for turn in range(turns):
        for name, score in scores.items():
            score.add(Turn(name, stages, clock).work(sweeps, seed=turn))
    return scores


def judge(bench: Bench, scores: dict[str, Score]) -> None:
    """Print the table and set the bars."""
    sync = scores["sync, then encode"]
    rows: list[tuple[Any, ...]] = []
    for name, score in scores.items():
        ahead = score.used + score.wasted
        rows.append(
            (
                name,
                len(score.latency_ns),
                score.p50_ms,
                statistics.quantiles(score.latency_ns, n=20)[-1] / NS_PER_MS,
                score.encoder_ms,
                sync.p50_ms - score.p50_ms,
                f"{ahead / score.triggers:.0%}",
                f"{score.used / ahead:.0%}" if ahead else "-",
                score.wasted,
            )
        )
    columns = ("path", "n", "p50 ms", "p95 ms", "camera", "won ms", "ahead", "right", "wasted")
    bench.table("from the lidar's arrival to the result", columns, rows)
    won = sync.p50_ms - scores["eager, announced"].p50_ms
    bench.at_least("announced: won / camera encoder's time", won / sync.encoder_ms, 0.9)


def main() -> int:
    """Run and judge."""
    chosen = options(__doc__ or "")
    bench = Bench("eager")
    turns, sweeps = (2, 35) if chosen.quick else (3, 110)
    with tempfile.TemporaryDirectory() as folder:
        layers = {"camera": layers_for(ENCODER_NS, GraphClock()), "lidar": 0}
        stages = build(write_models(Path(folder), layers))
        scores = compete(stages, turns, sweeps)
    judge(bench, scores)
    return bench.finish(chosen.json)


if __name__ == "__main__":
    sys.exit(main())
