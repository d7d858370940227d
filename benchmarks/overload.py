"""Overload: encoders that together need twice the time there is, on two lanes.

Simulated with given durations: how much of what any scheduler could deliver is delivered on time,
and how much is answered once a cheaper variant exists. Live on two threads with real computation:
Tectum beside the two things one would write by hand, a first-in-first-out queue and newest-only,
on the same schedule. `--plot FILE.png` draws the age of each delivered result over time.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import random
import statistics
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from bench import Bench, options

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.inference.stage import Cancelled, OutputSpec, StageArg, StageOutput, Stopper, Tensor
from tectum.ledger.row import Outcome, Row
from tectum.message import (
    ArrayPayload,
    BufferSpec,
    Header,
    Kind,
    Message,
    Sample,
    SampleRef,
)
from tectum.node.lanes import Lanes
from tectum.node.shell import Failure, Shell
from tectum.pipeline.events import Arrived, Event
from tectum.pipeline.orders import Note, Start
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan
from tectum.pipeline.simulate import simulate

PERIOD_NS = 50 * NS_PER_MS
BUDGET_NS = 200 * NS_PER_MS
LANES = 2
COST_MS = {"camera": 70.0, "lidar": 70.0, "radar": 55.0, "head": 5.0}
"""200 ms of work per trigger, where two lanes have 100 ms: overload by two."""
CHEAP = 0.2
"""A cheaper variant takes this share."""


def plan(variants: tuple[str, ...] = ("full",)) -> Plan:
    """Return the fusion node under test."""
    inputs = [
        InputPlan(name, f"{name}/data", AlignPlan(rule, PERIOD_NS // 2, PERIOD_NS // 2), name)
        for name, rule in (("camera", "nearest"), ("lidar", "exact"), ("radar", "nearest"))
    ]
    encoders = [StagePlan(name, variants) for name in ("camera", "lidar", "radar")]
    stages = (*encoders, StagePlan("head"))
    return Plan(
        "overload", tuple(inputs), stages, "head", "lidar", budget_ns=BUDGET_NS, lanes=LANES
    )


# -- simulated


def arrivals(seconds: int) -> list[Event]:
    """Return three jittered streams with their delays."""
    rng = random.Random(1)
    events: list[Event] = []
    for name, delay_ms in (("camera", 8), ("lidar", 10), ("radar", 3)):
        for seq in range(seconds * NS_PER_S // PERIOD_NS):
            stamp_ns = 10 * NS_PER_S + seq * PERIOD_NS + round(rng.uniform(-2, 2) * NS_PER_MS)
            now_ns = stamp_ns + round((delay_ms + rng.expovariate(1.0)) * NS_PER_MS)
            events.append(Arrived(now_ns, Sample(SampleRef(name, 1, seq), stamp_ns)))
    return sorted(events, key=lambda event: event.now_ns)


def durations(seed: int) -> Callable[[Start], int]:
    """Return run times that vary by a tenth around their cost."""
    rng = random.Random(seed)

    def duration(start: Start) -> int:
        cost_ms = COST_MS[start.stage] * (CHEAP if start.variant == "small" else 1.0)
        return round(cost_ms * NS_PER_MS * rng.lognormvariate(0, 0.1))

    return duration


def oracle_bound(triggers: int, seconds: int) -> float:
    """Return what no scheduler can exceed: all lane time, spent on whole sets alone."""
    return min(triggers, seconds * 1000.0 * LANES / sum(COST_MS.values()))


def on_time(rows: list[Row]) -> list[Row]:
    """Return the rows answered by their deadline."""
    return [
        row
        for row in rows
        if row.outcome is not Outcome.SHED and row.delivered_ns <= row.deadline_ns
    ]


def simulated(bench: Bench, seconds: int) -> None:
    """Judge the planner where only it decides."""
    events = arrivals(seconds)
    rows = []
    for name, variants in (("one variant", ("full",)), ("a cheaper one", ("full", "small"))):
        result = simulate(plan(variants), events, durations(3))
        answered = [row for row in result.rows if row.outcome is not Outcome.SHED]
        good = on_time(result.rows)
        bound = oracle_bound(len(result.rows), seconds)
        rows.append((name, len(result.rows), len(answered), len(good), bound))
        if name == "one variant":
            bench.at_least("simulated: delivered on time / any scheduler", len(good) / bound, 0.9)
            bench.at_least("simulated: delivered that are on time", len(good) / len(answered), 1.0)
        else:
            bench.at_least(
                "simulated, cheaper variant: answered", len(good) / len(result.rows), 0.95
            )
    bench.table("simulated", ("plan", "triggers", "answered", "on time", "bound"), rows)


# -- live


class Work:
    """Computation that takes about as long as asked, without holding the interpreter."""

    def __init__(self, clock: GraphClock) -> None:
        """Find out how much can be hashed in a millisecond, with both cores at it."""
        self.block = np.random.default_rng(1).bytes(256 * 1024)
        begun_ns = clock.now_ns()
        with ThreadPoolExecutor(LANES) as pool:
            wait([pool.submit(self.hash, 200) for _ in range(LANES)])
        self.per_ms = 200 * NS_PER_MS / (clock.now_ns() - begun_ns)

    def hash(self, blocks: int, stopper: Stopper | None = None) -> None:
        """Hash so many blocks, unless stopped."""
        for _ in range(blocks):
            if stopper is not None and stopper.stopped:
                raise Cancelled
            hashlib.sha256(self.block).digest()

    def of(self, stage: str, stopper: Stopper | None = None) -> None:
        """Do the work of one run of a stage."""
        self.hash(max(1, round(COST_MS[stage] * self.per_ms)), stopper)


@dataclass
class WorkStage:
    """A stage that computes for its cost."""

    name: str
    work: Work
    variants: tuple[str, ...] = ("full",)
    outputs: tuple[OutputSpec, ...] = ()

    def warm_up(self, variant: str) -> None:
        """Compute once."""
        del variant
        self.work.of(self.name)

    def run(
        self,
        variant: str,
        args: Mapping[str, StageArg],
        state: Mapping[str, Tensor] | None,
        stopper: Stopper,
    ) -> StageOutput:
        """Compute once, or until stopped."""
        del variant, args, state
        self.work.of(self.name, stopper)
        return StageOutput()

    def close(self) -> None:
        """Have nothing to give back."""


@dataclass
class Ages:
    """When results came, and how old they were at that moment; ns from the end of capture."""

    name: str
    begun_ns: int
    triggers: int = 0
    at_ns: list[int] = field(default_factory=list)
    age_ns: list[int] = field(default_factory=list)

    def add(self, now_ns: int, stamp_ns: int) -> None:
        """Take up a delivered result."""
        self.at_ns.append(now_ns)
        self.age_ns.append(now_ns - stamp_ns)

    def on_time(self) -> float:
        """Return the share of delivered results that are on time."""
        return sum(age <= BUDGET_NS for age in self.age_ns) / max(1, len(self.age_ns))


class Collector:
    """A sink that keeps the ages of what is delivered."""

    def __init__(self, clock: GraphClock, ages: Ages) -> None:
        """Write into `ages`."""
        self.clock, self.ages = clock, ages

    def deliver(self, row: Row, answer: StageOutput | None) -> None:
        """Keep the age of an answer."""
        self.ages.triggers += 1
        if answer is not None:
            self.ages.add(self.clock.now_ns(), row.stamp_ns)

    def close_row(self, row: Row) -> None:
        """Need nothing of it."""

    def note(self, note: Note) -> None:
        """Need nothing of it."""

    def journal(self, events: list[Event]) -> None:
        """Need nothing of it."""


def schedule(clock: GraphClock, seconds: int) -> Iterator[tuple[int, int]]:
    """Yield (number, stamp) at its instant."""
    start_ns = clock.now_ns() + 100 * NS_PER_MS
    for number in range(seconds * NS_PER_S // PERIOD_NS):
        yield number, start_ns + number * PERIOD_NS


def message(name: str, seq: int, stamp_ns: int) -> Message:
    """Return a small message."""
    header = Header(
        f"{name}/data",
        Kind.TENSOR,
        seq,
        stamp_ns,
        incarnation=1,
        buffers=(BufferSpec("uint8", (1,)),),
    )
    return Message(header, (ArrayPayload(np.zeros(1, np.uint8)),))


def with_tectum(clock: GraphClock, work: Work, seconds: int) -> Ages:
    """Run the schedule through a shell on two lanes."""
    ages, wake = Ages("tectum", clock.now_ns()), threading.Event()
    lanes = Lanes(LANES, clock, on_done=wake.set)
    node = plan()
    stages = {stage.name: WorkStage(stage.name, work) for stage in node.stages}
    failures: list[Failure] = []
    shell = Shell(node, stages, lanes, clock, Collector(clock, ages), failures.append)
    shell.measure()
    ages.begun_ns = clock.now_ns()
    coming = deque(schedule(clock, seconds))
    while coming or shell.pipeline.waiting:
        now_ns = clock.now_ns()
        while coming and coming[0][1] <= now_ns:
            number, stamp_ns = coming.popleft()
            for name in ("camera", "radar", "lidar"):
                shell.push(name, message(name, number, stamp_ns))
        wake_ns = shell.turn()
        if coming:
            wake_ns = min(wake_ns, coming[0][1])
        wake.wait(max(0, min(wake_ns - clock.now_ns(), 50 * NS_PER_MS)) / NS_PER_S)
        wake.clear()
    shell.stop()
    lanes.close()
    return ages


def by_hand(name: str, clock: GraphClock, work: Work, seconds: int) -> Ages:
    """Run the schedule as one would by hand: a queue and a worker with two threads for encoders.

    `fifo` keeps every set, `newest` only the last one that came.
    """
    ages = Ages(name, clock.now_ns())
    queue: deque[int] = deque(maxlen=1 if name == "newest" else None)
    arrived, done = threading.Semaphore(0), threading.Event()

    def worker() -> None:
        with ThreadPoolExecutor(LANES) as pool:
            while not done.is_set():
                arrived.acquire()
                if queue and not done.is_set():
                    stamp_ns = queue.popleft()
                    wait([pool.submit(work.of, stage) for stage in ("camera", "lidar", "radar")])
                    work.of("head")
                    ages.add(clock.now_ns(), stamp_ns)

    thread = threading.Thread(target=worker)
    thread.start()
    for _, stamp_ns in schedule(clock, seconds):
        clock.sleep_until_ns(stamp_ns)
        ages.triggers += 1
        queue.append(stamp_ns)
        arrived.release()
    done.set()
    arrived.release()
    thread.join()
    return ages


def live(bench: Bench, seconds: int, plot: Path | None) -> None:
    """Judge the whole on the clock, beside what one would write by hand."""
    clock = GraphClock()
    work = Work(clock)
    runs = [
        with_tectum(clock, work, seconds),
        by_hand("fifo", clock, work, seconds),
        by_hand("newest", clock, work, seconds),
    ]
    rows = [
        (
            ages.name,
            ages.triggers,
            len(ages.age_ns),
            ages.on_time(),
            statistics.median(ages.age_ns or [0]) / NS_PER_MS,
            max(ages.age_ns, default=0) / NS_PER_MS,
        )
        for ages in runs
    ]
    columns = ("live", "triggers", "delivered", "of these on time", "age p50 ms", "age max ms")
    bench.table("live", columns, rows)
    bench.at_least("live: delivered that are on time", runs[0].on_time(), 0.99)
    if plot is not None:
        draw(runs, plot)


def draw(runs: list[Ages], file: Path) -> None:
    """Draw age over time: one colour each, the budget as a line; ages in logarithmic height."""
    import cv2  # noqa: PLC0415 - only for the picture

    width, height, left, right, top, low = 1200, 520, 80, 20, 40, 50
    image = np.full((height, width, 3), 255, np.uint8)
    grey, light, red = (90, 90, 90), (230, 230, 230), (0, 0, 200)
    ages_ms = [age / NS_PER_MS for ages in runs for age in ages.age_ns] or [1.0]
    bottom_ms, top_ms = min(50.0, min(ages_ms) * 0.8), max(*ages_ms, 2 * BUDGET_NS / NS_PER_MS)
    until_s = max((ages.at_ns[-1] - ages.begun_ns) / NS_PER_S for ages in runs if ages.at_ns)

    def text(words: str, x: int, y: int, colour: tuple[int, int, int] = grey) -> None:
        cv2.putText(image, words, (x, y), 0, 0.45, colour, 1, cv2.LINE_AA)

    def y_of(age_ms: float) -> int:
        share = math.log(age_ms / bottom_ms) / math.log(top_ms * 1.2 / bottom_ms)
        return round(height - low - (height - low - top) * share)

    def x_of(at_s: float) -> int:
        return left + round((width - left - right) * at_s / until_s)

    for age_ms in (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000):
        if bottom_ms <= age_ms <= top_ms * 1.2:
            cv2.line(image, (left, y_of(age_ms)), (width - right, y_of(age_ms)), light, 1)
            words = f"{age_ms} ms" if age_ms < 1000 else f"{age_ms // 1000} s"
            text(words, 14, y_of(age_ms) + 5)
    for at_s in range(0, int(until_s) + 1, max(1, round(until_s / 10))):
        cv2.line(image, (x_of(at_s), height - low), (x_of(at_s), height - low + 5), grey, 1)
        text(f"{at_s} s", x_of(at_s) - 8, height - low + 20)
    cv2.line(image, (left, height - low), (width - right, height - low), grey, 1)
    budget_y = y_of(BUDGET_NS / NS_PER_MS)
    cv2.line(image, (left, budget_y), (width - right, budget_y), red, 1)
    text(f"budget {BUDGET_NS // NS_PER_MS} ms", width - right - 110, budget_y - 6, red)
    text("age of each result when it is delivered, over the time since the start", left, height - 8)
    colours = ((40, 140, 20), (200, 90, 30), (160, 40, 160))
    for index, (ages, colour) in enumerate(zip(runs, colours, strict=True)):
        for at_ns, age_ns in zip(ages.at_ns, ages.age_ns, strict=True):
            x = x_of((at_ns - ages.begun_ns) / NS_PER_S)
            cv2.circle(image, (x, y_of(age_ns / NS_PER_MS)), 2, colour, -1, cv2.LINE_AA)
        words = f"{ages.name}: {len(ages.age_ns)} of {ages.triggers}, {ages.on_time():.0%} on time"
        text(words, left + 10 + 350 * index, 20, colour)
    cv2.imwrite(str(file), image)


def main() -> int:
    """Run and judge."""

    def more(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--plot", type=Path, metavar="FILE", help="draw age over time (PNG)")

    chosen = options(__doc__ or "", more)
    bench = Bench("overload")
    simulated(bench, 60)
    live(bench, 8 if chosen.quick else 60, chosen.plot)
    return bench.finish(chosen.json)


if __name__ == "__main__":
    sys.exit(main())
