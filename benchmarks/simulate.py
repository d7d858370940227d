"""How fast a recording is simulated: an hour of four sensors in how many minutes, and always alike.

Camera 30 Hz, lidar 10 Hz (the trigger), audio 50 Hz, IMU 100 Hz with jitter and a few drops, small
payloads, three encoders and a head whose times come from a table. Simulated three ways: from
events in memory, from a log of others (messages, the table), and from a log of ours (its journal,
the recorded durations), which is also verified. CPU time against the time that was recorded.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from bench import Bench, options

from tectum.clock import NS_PER_MS as MS
from tectum.clock import NS_PER_S
from tectum.ledger.codec import row_document
from tectum.message import Kind, Message, Sample
from tectum.pipeline.events import Arrived, Event, Measured
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan, plan_document
from tectum.pipeline.simulate import Simulation, fixed_durations, simulate
from tectum.recording.journal import JournalEncoder
from tectum.recording.replay import simulate_log, verify_log
from tectum.recording.writer import LogWriter
from tectum.testing.arrivals import START_NS, Source, arrivals, together
from tectum.testing.messages import make_message

FASTER = 20
"""Times real time, at the least."""
SECONDS, QUICK_SECONDS = 3600, 120
TABLE = {"eye": 12 * MS, "shape": 9 * MS, "ear": 4 * MS, "head": 2 * MS}
SOURCES = (
    Source("camera", 33_333_333, 15 * MS, MS, MS, drop_permille=5),
    Source("lidar", 100 * MS, 20 * MS, MS, MS, drop_permille=5),
    Source("sound", 20 * MS, 2 * MS, 0, MS, span_ns=20 * MS, rate_hz=16_000),
    Source("imu", 10 * MS, MS, MS // 5, drop_permille=5),
)
NEAR = 40 * MS
PLAN = Plan(
    "perception",
    (
        InputPlan("camera", "camera/image", AlignPlan("nearest", NEAR, NEAR), "eye"),
        InputPlan("lidar", "lidar/points", AlignPlan("exact"), "shape"),
        InputPlan(
            "sound", "microphone/audio", required=False, encoder="ear",
            align=AlignPlan("window", duration_ns=500 * MS, coverage_permille=900),
        ),
        InputPlan("imu", "imu/tensor", AlignPlan("nearest", NEAR, NEAR), required=False),
    ),
    tuple(StagePlan(name) for name in TABLE),
    head="head",
    trigger="lidar",
    budget_ns=100 * MS,
    lanes=2,
)  # fmt: skip
TOPICS = {item.name: item.topic for item in PLAN.inputs}


@dataclass(frozen=True, slots=True)
class Timed:
    """What one way took, and what it decided."""

    name: str
    digest: str
    events: int
    cpu_s: float


def main() -> int:
    """Write the logs, simulate them, print the table."""
    asked = options(__doc__ or "", _more)
    seconds = asked.seconds or (QUICK_SECONDS if asked.quick else SECONDS)
    bench = Bench("simulate")
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder), seconds)
    rows = [
        (one.name, one.events, one.cpu_s, seconds / one.cpu_s, one.digest[:12]) for one in found
    ]
    title = f"{seconds} s of camera 30 Hz, lidar 10 Hz, audio 50 Hz, IMU 100 Hz"
    bench.table(title, ("way", "events", "cpu s", "x real time", "digest"), rows)
    for one in found:
        bench.at_least(f"{one.name}: times real time", seconds / one.cpu_s, FASTER)
    bench.at_most("digests", len({one.digest for one in found}), 1)
    return bench.finish(asked.json)


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=int, help="of recorded time; default: an hour")


def measured(folder: Path, seconds: int) -> list[Timed]:
    """Return what each way takes over the same streams."""
    foreign, ours = folder / "foreign.mcap", folder / "ours.mcap"
    found = [_timed("events in memory", lambda: _in_memory(seconds))]
    run = _in_memory(seconds)
    write_messages(foreign, run.journal)
    write_run(ours, run)
    del run
    found.append(_timed("log of others", lambda: simulate_log(foreign, PLAN, durations=TABLE)))
    found.append(_timed("log of ours", lambda: simulate_log(ours)))
    begun_s = process_time()
    (life,) = verify_log(ours).lives
    assert life.ok, life.difference
    found.append(Timed("verify", life.digest, life.events, process_time() - begun_s))
    return found


def _timed(name: str, run: Callable[[], Simulation]) -> Timed:
    begun_s = process_time()
    simulation = run()
    return Timed(name, simulation.digest, len(simulation.journal), process_time() - begun_s)


def _in_memory(seconds: int) -> Simulation:
    return simulate(PLAN, heard(seconds), fixed_durations(TABLE))


def heard(seconds: int) -> list[Event]:
    """Return what the inputs hear, behind what the stages were measured to take."""
    streams = (arrivals(source, seconds * NS_PER_S, seed=1) for source in SOURCES)
    events = together(*streams)
    first_ns = events[0].now_ns
    seeds = (Measured(first_ns, name, "default", took_ns) for name, took_ns in TABLE.items())
    return [*seeds, *events]


def write_messages(path: Path, journal: list[Event]) -> None:
    """Write a log that has messages and nothing else."""
    with LogWriter(path) as writer:
        for message, at_ns in _messages(journal):
            writer.write(message, at_ns)


def write_run(path: Path, run: Simulation) -> None:
    """Write a log as a fusion node and a recorder do: messages, a journal per turn, rows."""
    encoder = JournalEncoder()
    rows = iter(run.rows)
    row = next(rows, None)
    with LogWriter(path) as writer:
        fact: dict[str, Any] = {"fact": "plan", "plan": plan_document(PLAN)}
        writer.write(_said("result", Kind.LATCHED, **fact), START_NS)
        for now_ns, events in groupby(run.journal, lambda event: event.now_ns):
            turn = list(events)
            for message, at_ns in _messages(turn):
                writer.write(message, at_ns)
            writer.write(_said("journal", Kind.JOURNAL, **encoder.batch(turn)), now_ns)
            while row is not None and row.delivered_ns <= now_ns:
                ledger = _said("ledger", Kind.LEDGER, rows=[row_document(row)], notes=[])
                writer.write(ledger, now_ns)
                row = next(rows, None)


def _messages(journal: list[Event]) -> Iterator[tuple[Message, int]]:
    for event in journal:
        if isinstance(event, Arrived):
            yield _message(event.sample), event.now_ns


def _message(sample: Sample) -> Message:
    topic = TOPICS[sample.ref.input]
    place: dict[str, Any] = {"seq": sample.ref.seq, "stamp_ns": sample.stamp_ns, "incarnation": 1}
    if not sample.rate_hz:
        return make_message(topic, Kind.TENSOR, np.zeros(6, np.float32), **place)
    sound = np.zeros((sample.count, 1), np.int16)
    audio: dict[str, Any] = {
        "span_ns": sample.span_ns,
        "rate_hz": sample.rate_hz,
        "first": sample.first,
    }
    return make_message(topic, Kind.AUDIO, sound, **place, **audio)


def _said(output: str, kind: Kind, **fields: Any) -> Message:
    return make_message(f"perception/{output}", kind, incarnation=1, **fields)


if __name__ == "__main__":
    sys.exit(main())
