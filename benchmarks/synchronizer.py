"""The synchronizer beside ROS 2's ApproximateTimeSynchronizer and an oracle that knows everything.

One stream for all: camera 30 Hz, lidar 10 Hz (the trigger), audio 50 Hz, IMU 200 Hz, with jitter,
2 % drops, 0.5 % out of order and a stall of 200 ms every 20 s. Judged on triggers that arrive
within the budget: how many sets are complete, how near the samples are, how long a set takes in
stream time, what a dead sensor costs; then messages per second.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import process_time

from bench import Bench, options
from ros2_peer import (
    VARIABLE,
    MakeSynchronizer,
    Ros2Message,
    genuine_rclpy,
    load_synchronizer,
    message_filters_path,
)

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.ledger.digest import DecisionDigest, NullDigest
from tectum.ledger.row import Outcome, Row
from tectum.message import Header, Kind, Message, Sample, SampleRef, sample_of
from tectum.pipeline.events import Arrived, Delivered, Ended, Event, Finished, Tick
from tectum.pipeline.orders import Close, Emit, Note, Start
from tectum.pipeline.pipeline import Pipeline
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan
from tectum.sync.fault_line import inject
from tectum.sync.faults import Fault
from tectum.testing.arrivals import START_NS, Source, arrivals, together

MS = NS_PER_MS
BUDGET_NS = 150 * MS
SEEDS = (1, 2, 3)
DEAD_SEEDS = tuple(range(1, 9))
TOLERANCE_NS = 50 * MS
TRIGGER = "lidar"
SOURCES = (
    Source("camera", 33_333_333, 15 * MS, 3 * MS, MS, drop_permille=20),
    Source(TRIGGER, 100 * MS, 20 * MS, 5 * MS, MS, drop_permille=20),
    Source("audio", 20 * MS, 12 * MS, 0, MS, drop_permille=20),
    Source("imu", 5 * MS, 1 * MS, 0, MS // 5, drop_permille=20),
)
NAMES = tuple(source.input for source in SOURCES)
PLAN = Plan(
    "fusion",
    tuple(
        InputPlan(
            name,
            f"{name}/data",
            AlignPlan("exact")
            if name == TRIGGER
            else AlignPlan("nearest", TOLERANCE_NS, TOLERANCE_NS),
        )
        for name in NAMES
    ),
    (StagePlan("head"),),
    "head",
    trigger=TRIGGER,
    budget_ns=BUDGET_NS,
    accept=(((NAMES, 1),),),
    margin_ns=0,
)


@dataclass(slots=True)
class Set:
    """What one trigger was given. Times in ns."""

    stamp_ns: int
    picks: dict[str, int]
    """Input -> stamp of its sample."""
    ready_ns: int

    @property
    def complete(self) -> bool:
        """Return whether every input is there."""
        return len(self.picks) == len(NAMES)

    def skew_ns(self) -> float:
        """Return the mean distance of the samples from the trigger."""
        others = [abs(at - self.stamp_ns) for name, at in self.picks.items() if name != TRIGGER]
        return statistics.fmean(others) if others else 0.0


# -- the stream


def stream(seconds: int, dead: str = "", seed: int = 1) -> list[Event]:
    """Return what arrives; `dead` says nothing in the middle third."""
    until_ns = seconds * NS_PER_S
    faults = []
    for index, name in enumerate(NAMES):
        stall_ns = START_NS + (5 + 3 * index) * NS_PER_S
        faults += [
            Fault("reorder", name, START_NS, permille=5),
            Fault("burst", name, stall_ns, 200 * MS, every_ns=20 * NS_PER_S),
        ]
    if dead:
        faults.append(Fault("drop", dead, START_NS + until_ns // 3, until_ns // 3))
    events = together(*(arrivals(source, until_ns, seed=seed) for source in SOURCES))
    return inject(events, faults, seed)


def messages_of(events: Sequence[Event]) -> list[tuple[int, str, Message]]:
    """Return real messages as a transport would hand them over: arrival, input, message."""
    found = []
    for event in events:
        assert isinstance(event, Arrived)
        sample = event.sample
        topic = f"{sample.ref.input}/data"
        header = Header(
            topic, Kind.TENSOR, sample.ref.seq, sample.stamp_ns, sample.span_ns, incarnation=1
        )
        found.append((event.now_ns, sample.ref.input, Message(header)))
    return found


# -- the contenders


def run_ours(
    messages: Sequence[tuple[int, str, Message]], plan: Plan = PLAN, *, ledger: bool = True
) -> tuple[list[Row], list[Note]]:
    """Feed every message, and a tick when one is due, as a loop that drains does."""
    pipeline = Pipeline(plan, DecisionDigest() if ledger else NullDigest())
    rows: list[Row] = []
    notes: list[Note] = []

    def feed(event: Event) -> None:
        for order in pipeline.feed(event):
            if isinstance(order, Start):
                feed(Finished(event.now_ns, order.run, "ok", 0))
                feed(Tick(event.now_ns))
            elif isinstance(order, Emit):
                feed(Delivered(event.now_ns, order.row.trigger))
            elif isinstance(order, Close):
                rows.append(order.row)
            elif isinstance(order, Note):
                notes.append(order)

    for now_ns, name, message in messages:
        while (due_ns := pipeline.next_wakeup_ns()) < now_ns:
            feed(Tick(due_ns))
        feed(Arrived(now_ns, sample_of(message.header, name)))
    for item in plan.inputs:
        feed(Ended(messages[-1][0], item.name))
    feed(Tick(messages[-1][0]))
    return rows, notes


def sets_of(rows: Sequence[Row]) -> list[Set]:
    """Return the answered sets of our rows."""
    return [
        Set(row.stamp_ns, {i.name: i.stamp_ns for i in row.inputs if i.seq >= 0}, row.settled_ns)
        for row in rows
        if row.outcome is not Outcome.SHED
    ]


def run_ros2(
    make: MakeSynchronizer,
    messages: Sequence[tuple[int, str, Ros2Message]],
    queue: int,
) -> list[Set]:
    """Feed every message to the peer; its sets are ready when the last message comes."""
    found: list[Set] = []
    now_ns = 0

    def callback(*picks: Ros2Message) -> None:
        stamps = {pick.input: pick.stamp_ns for pick in picks}
        found.append(Set(stamps[TRIGGER], stamps, now_ns))

    add = make(list(NAMES), queue, TOLERANCE_NS / NS_PER_S, callback)
    for now_ns, name, message in messages:  # noqa: B007 - the callback reads now_ns
        add(name, message)
    return found


def oracle(events: Sequence[Event]) -> list[Set]:
    """Return, for each trigger that arrives in time, the best of all that arrives in time."""
    by_input: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for event in events:
        assert isinstance(event, Arrived)
        by_input[event.sample.ref.input].append((event.sample.stamp_ns, event.now_ns))
    for samples in by_input.values():
        samples.sort()
    return [
        Set(t_ns, _nearest(by_input, t_ns), now_ns)
        for t_ns, now_ns in by_input[TRIGGER]
        if now_ns <= t_ns + BUDGET_NS
    ]


def _nearest(by_input: dict[str, list[tuple[int, int]]], t_ns: int) -> dict[str, int]:
    picks = {TRIGGER: t_ns}
    for name in NAMES:
        samples = by_input[name]
        lo = bisect_left(samples, (t_ns - TOLERANCE_NS, 0))
        hi = bisect_left(samples, (t_ns + TOLERANCE_NS + 1, 0))
        in_time = [at for at, now_ns in samples[lo:hi] if now_ns <= t_ns + BUDGET_NS]
        if in_time and name != TRIGGER:
            picks[name] = min(in_time, key=lambda at: (abs(at - t_ns), at))
    return picks


# -- what is judged


def quality(bench: Bench, seconds: int, make: MakeSynchronizer | None) -> None:
    """Compare sets with the oracle's, trigger by trigger, over three streams."""
    runs: dict[str, list[tuple[Sequence[Set], Sequence[Set]]]] = defaultdict(list)
    came = 0
    for seed in SEEDS:
        events = stream(seconds, seed=seed)
        truth = oracle(events)
        came += sum(isinstance(e, Arrived) and e.sample.ref.input == TRIGGER for e in events)
        runs["oracle"].append((truth, truth))
        runs["tectum"].append((sets_of(run_ours(messages_of(events))[0]), truth))
        if make is not None:
            for queue in (10, 50):
                peer = run_ros2(make, _ros2_of(events), queue)
                runs[f"ROS 2, queue {queue}"].append((peer, truth))
    figures = {name: _figures(pairs) for name, pairs in runs.items()}
    columns = ("", "complete %", "nearest %", "mean skew ms", "p50 ms", "p95 ms")
    count = sum(len(truth) for _, truth in runs["oracle"])
    title = f"sets for {count} triggers in time ({came - count} more came too late)"
    bench.table(title, columns, [(name, *values) for name, values in figures.items()])
    ours, best = figures["tectum"], figures["oracle"]
    bench.at_most("coverage below the oracle's, points", best[0] - ours[0], 0.5)
    bench.at_least("sets with the nearest sample of every input, %", ours[1], 98)
    bench.at_most("mean skew over the oracle's", ours[2] / best[2], 1.05)
    bench.at_most("lidar stamp to set, p50 ms", ours[3], 25)
    bench.at_most("lidar stamp to set, p95 ms", ours[4], 50)


def _figures(runs: Sequence[tuple[Sequence[Set], Sequence[Set]]]) -> tuple[float, ...]:
    pairs = []
    for sets, truth in runs:
        found = {item.stamp_ns: item for item in sets}
        pairs += [(found[best.stamp_ns], best) for best in truth if best.stamp_ns in found]
    count = sum(len(truth) for _, truth in runs)
    complete = [(ours, best) for ours, best in pairs if ours.complete]
    waits = sorted((ours.ready_ns - ours.stamp_ns) / MS for ours, _ in pairs)
    return (
        100 * len(complete) / count,
        100 * sum(ours.picks == best.picks for ours, best in complete) / max(1, len(complete)),
        statistics.fmean(ours.skew_ns() for ours, _ in complete) / MS if complete else 0.0,
        waits[len(waits) // 2] if waits else 0.0,
        waits[len(waits) * 95 // 100] if waits else 0.0,
    )


def dead_sensors(bench: Bench, seconds: int, make: MakeSynchronizer | None) -> None:
    """Let each sensor be dead in the middle third, over several streams.

    The wait that it adds once it is silent is judged twice: against the same stretch of the same
    streams with it alive; and, trigger by trigger, against a graph that has no such input (or, for
    the trigger's own, hears of the very same instants).
    """
    lo_ns = START_NS + seconds * NS_PER_S // 3
    hi_ns = START_NS + seconds * NS_PER_S * 2 // 3
    alive = []
    for seed in DEAD_SEEDS:
        alive += _waits_ms(run_ours(messages_of(stream(seconds, seed=seed)))[0], lo_ns, hi_ns)
    table = []
    for name in NAMES:
        found = [_dead(name, seconds, seed, lo_ns, hi_ns) for seed in DEAD_SEEDS]
        due, answered = sum(one.due for one in found), sum(one.answered for one in found)
        share = 100 * answered / due
        added = _p95([wait for one in found for wait in one.waits_ms]) - _p95(alive)
        against = _p95([more for one in found for more in one.added_ms])
        peer = _peer_share(stream(seconds, dead=name), make, lo_ns, hi_ns, found[0].due)
        table.append((name, due, answered, share, added, against, peer))
        bench.at_least(f"answered with {name} dead, %", share, 99)
        bench.at_most(f"added wait with {name} silent, p95 ms", added, 1)
        like = "real triggers then" if name == TRIGGER else f"no {name} at all"
        bench.at_most(f"added wait against {like}, p95 ms", against, 1)
    columns = ("dead", "due", "answered", "%", "added p95 ms", "against none ms", "ROS 2 %")
    bench.table(f"one sensor dead, {len(DEAD_SEEDS)} streams", columns, table)


@dataclass(slots=True)
class Dead:
    """What came of one stream with one sensor dead."""

    due: int
    answered: int
    waits_ms: list[float]
    """From stamp to set, of each trigger while it was silent."""
    added_ms: list[float]
    """What each of them took longer than without such an input."""


def _dead(name: str, seconds: int, seed: int, lo_ns: int, hi_ns: int) -> Dead:
    events = stream(seconds, dead=name, seed=seed)
    rows, notes = run_ours(messages_of(events))
    silent_ns = next(n.now_ns for n in notes if n.input == name and n.change == "silent")
    during = [row for row in rows if silent_ns <= row.accepted_ns < hi_ns]
    # while the lidar lives its messages that came in time, else an instant per period
    in_time = sum(lo_ns <= best.stamp_ns < hi_ns for best in oracle(events))
    usual = {row.stamp_ns: row.settled_ns for row in _without(name, events, during)}
    return Dead(
        (hi_ns - lo_ns) // (100 * MS) if name == TRIGGER else in_time,
        sum(lo_ns <= answer.stamp_ns < hi_ns for answer in sets_of(rows)),
        _waits_ms(rows, silent_ns, hi_ns),
        [(r.settled_ns - usual[r.stamp_ns]) / MS for r in during if r.stamp_ns in usual],
    )


def _peer_share(
    events: list[Event], make: MakeSynchronizer | None, lo_ns: int, hi_ns: int, due: int
) -> float | str:
    """Return what share of the triggers the peer answers, of the first stream alone: it is slow."""
    if make is None:
        return "-"
    sets = run_ros2(make, _ros2_of(events), 50)
    return 100 * sum(lo_ns <= answer.stamp_ns < hi_ns for answer in sets) / due


def _without(name: str, events: list[Event], during: Sequence[Row]) -> list[Row]:
    """Return the rows of a graph without the input, asked for the same instants."""
    if name != TRIGGER:
        others = tuple(item for item in PLAN.inputs if item.name != name)
        names = tuple(item.name for item in others)
        plan = replace(PLAN, inputs=others, accept=(((names, 1),),))
        left = [e for e in events if isinstance(e, Arrived) and e.sample.ref.input != name]
        return run_ours(messages_of(left), plan)[0]
    asked: list[Event] = [
        Arrived(row.accepted_ns, Sample(SampleRef(TRIGGER, 1, 1_000_000 + n), row.stamp_ns))
        for n, row in enumerate(during)
    ]
    return run_ours(messages_of(together(events, asked)))[0]


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[len(values) * 95 // 100] if values else 0.0


def _waits_ms(rows: Sequence[Row], lo_ns: int, hi_ns: int) -> list[float]:
    """Return, in order, how long after the trigger's stamp each set was settled."""
    waits = [
        (row.settled_ns - row.stamp_ns) / MS for row in rows if lo_ns <= row.accepted_ns < hi_ns
    ]
    return sorted(waits) or [0.0]


def speed(bench: Bench, seconds: int, repeats: int, make: MakeSynchronizer | None) -> None:
    """Measure messages per second, interleaved; and that nothing grows."""
    events = stream(seconds)
    messages, peers = messages_of(events), _ros2_of(events)
    long_history = replace(
        PLAN, inputs=tuple(replace(i, history_ns=16 * NS_PER_S) for i in PLAN.inputs)
    )
    contenders: dict[str, Callable[[], object]] = {
        "tectum": lambda: run_ours(messages),
        "tectum, ledger off": lambda: run_ours(messages, ledger=False),
        "tectum, 16 s of buffers": lambda: run_ours(messages, long_history),
        "tectum, a quarter of the stream": lambda: run_ours(messages[: len(messages) // 4]),
    }
    if make is not None:
        for queue in (10, 50):
            contenders[f"ROS 2, queue {queue}"] = partial(run_ros2, make, peers, queue)
    took: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, run in contenders.items():
            took[name].append(_timed(run))
    rates = {name: len(messages) / min(times) for name, times in took.items()}
    rates["tectum, a quarter of the stream"] /= 4
    ours = rates["tectum"]
    bench.table(
        f"{len(messages)} messages, 4 inputs, best of {repeats}",
        ("", "messages/s", "us/message", "tectum is faster by"),
        [(name, rate, 1e6 / rate, ours / rate) for name, rate in rates.items()],
    )
    bench.at_least("speed, ledger on against off", ours / rates["tectum, ledger off"], 0.85)
    bench.at_least("speed with long buffers", rates["tectum, 16 s of buffers"] / ours, 0.85)
    quarter = rates["tectum, a quarter of the stream"]
    bench.at_least("speed after four times the messages", ours / quarter, 0.85)
    if make is not None and genuine_rclpy():
        bench.at_least("speed against ROS 2's, queue 50", ours / rates["ROS 2, queue 50"], 5)


def _timed(run: Callable[[], object]) -> float:
    """Return the processor time of a run: others on the machine are not in it."""
    gc.collect()
    begun = process_time()
    run()
    return process_time() - begun


def _ros2_of(events: Sequence[Event]) -> list[tuple[int, str, Ros2Message]]:
    found = []
    for event in events:
        assert isinstance(event, Arrived)
        sample: Sample = event.sample
        message = Ros2Message(sample.ref.input, sample.ref.seq, sample.stamp_ns)
        found.append((event.now_ns, sample.ref.input, message))
    return found


def _more(parser: argparse.ArgumentParser) -> None:
    help_text = f"message_filters/__init__.py of ROS 2 (default: ${VARIABLE}; none: no peer)"
    parser.add_argument("--ros2", type=Path, metavar="FILE", help=help_text)


def main() -> int:
    """Run the benchmark; see the module."""
    given = options(__doc__.splitlines()[0], _more)
    bench = Bench("synchronizer")
    path = message_filters_path(given.ros2)
    make = load_synchronizer(path) if path is not None else None
    if make is None:
        bench.console.print(f"no peer: ROS 2's message_filters was not given (--ros2, ${VARIABLE})")
    elif not genuine_rclpy():
        bench.console.print(
            "rclpy is not installed: the peer runs on stand-ins for its Time and Duration, about "
            "three times quicker than the real ones; its speed is shown and not judged"
        )
    quality(bench, 30 if given.quick else 60, make)
    dead_sensors(bench, 30 if given.quick else 60, make)
    speed(bench, 12 if given.quick else 60, 3 if given.quick else 5, make)
    return bench.finish(given.json)


if __name__ == "__main__":
    sys.exit(main())
