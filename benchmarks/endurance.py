"""Endurance: ten minutes of every sensor at full rate, and nothing is lost or left behind.

Three cameras (720p, 30 Hz), a lidar (1.9 MB, 10 Hz) and a microphone (100 Hz) to a fusion node and
a recorder that stores the pictures as JPEG. Judged: losses that nobody explains, in the fusion node
and in the recorder; memory and descriptors of all processes together, and shared memory, in
the last third of the run beside the first; what is left at the end. Of shared memory the least is
compared: what a stall needs is given back when it is over, and what leaks never is. How much a busy
machine left out, and why, is shown. `--minutes`: another span; `--quick`: 40 s.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench import Bench, options
from soak_observer import Sample, below, pools_of, sample

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.rundir import live_runs, process_started, read_run
from tectum.transport.inbox import MISSING_CAUSES

WARM_S = 8.0
"""Before memory is compared: models are warm, queues and pools have their size."""
LOGS_KEPT = 2
"""Files of the recording that are left on the disk; a minute of it is a gigabyte."""
MOST_GROWTH = 1.05
GRAPH = """\
graph: endurance
budget: 100ms
nodes:
  front: {run: endurance_nodes:Camera, seed: 1}
  left:  {run: endurance_nodes:Camera, seed: 2}
  right: {run: endurance_nodes:Camera, seed: 3}
  lidar: {run: endurance_nodes:Lidar}
  microphone: {run: endurance_nodes:Microphone}
  perception:
    run: fusion
    trigger: lidar
    inputs:
      front: {topic: front/image, align: {nearest: {tolerance: 40ms}}, encoder: driving/camera}
      left:  {topic: left/image, align: {nearest: {tolerance: 40ms}}, encoder: driving/camera}
      right: {topic: right/image, align: {nearest: {tolerance: 40ms}}, encoder: driving/camera}
      lidar: {topic: lidar/points, encoder: driving/lidar}
      siren: {topic: microphone/audio, align: {window: {duration: 1s}}, encoder: driving/siren,
              required: false}
    head: {late: mean}
    accept: [[lidar], [front], [left], [right]]
  recorder: {run: recorder, path: "PATH", images: jpeg, split: {every: 20s}}
"""
CLOCK = GraphClock()


def launched(folder: Path) -> tuple[subprocess.Popen[str], Path]:
    """Launch the graph and wait until it has begun."""
    (folder / "graph.yaml").write_text(GRAPH.replace("PATH", str(folder / "log.mcap")))
    before = set(live_runs())
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        [
            sys.executable, "-m", "tectum_launch", "launch", str(folder / "graph.yaml"),
            "--report", str(folder / "report.json"),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stdout=(folder / "out").open("w"),
        stderr=(folder / "err").open("w"),
        text=True,
    )  # fmt: skip
    until_ns = CLOCK.now_ns() + 120 * NS_PER_S
    while CLOCK.now_ns() < until_ns and process.poll() is None:
        for run in set(live_runs()) - before:
            document = read_run(run)
            if document["pid"] == process.pid and document.get("epoch_ns", 0) > document.get(
                "started_ns", 0
            ):
                return process, run
        CLOCK.sleep_until_ns(CLOCK.now_ns() + 50 * NS_PER_MS)
    process.kill()
    msg = "the graph did not begin: " + (folder / "err").read_text()
    raise SystemExit(msg)


def watched(process: subprocess.Popen[str], run: Path, folder: Path, seconds: float) -> list[Any]:
    """Look at all processes once a second, and keep the disk from filling."""
    found: list[tuple[Sample, int]] = []
    begin_ns = CLOCK.now_ns()
    while (now_ns := CLOCK.now_ns()) < begin_ns + seconds * NS_PER_S and process.poll() is None:
        found.append((sample(process.pid, run, now_ns), shared_bytes(run)))
        for path in sorted(folder.glob("log-*.mcap"))[:-LOGS_KEPT]:
            path.unlink()
        CLOCK.sleep_until_ns(now_ns + NS_PER_S)
    return [item for item in found if item[0].at_ns - begin_ns >= WARM_S * NS_PER_S]


def shared_bytes(run: Path) -> int:
    """Return what the pools of a run have of the system's memory."""
    total = 0
    for path in pools_of(run.name):
        with suppress(FileNotFoundError):
            total += path.stat().st_blocks * 512
    return total


def judge_books(bench: Bench, report: Mapping[str, Any], seconds: float) -> None:
    """Show what came of everything, and judge what nobody explains."""
    rates = {"image": 30, "points": 10, "audio": 100}
    rows = []
    for topic, row in sorted(report["transport"].items()):
        output = topic.partition("/")[2]
        if output in rates:
            lost = Counter(
                {**row["lost"], **{cause: row[cause] for cause in MISSING_CAUSES if row[cause]}}
            )
            shown = ", ".join(f"{count} {cause}" for cause, count in lost.items()) or "-"
            wanted = round(rates[output] * seconds)
            rows.append((topic, wanted, row["published"], row["received"], shown))
            balance = (
                row["published"] - row["received"] - sum(row[cause] for cause in MISSING_CAUSES)
            )
            bench.at_most(f"{topic}: messages out of balance", abs(balance), 0)
    bench.table("to the fusion node", ("topic", "due", "sent", "received", "lost"), rows)
    outcomes, account = report["outcomes"], report["recordings"]["recorder"]
    bench.table(
        "answers",
        ("triggers", "complete", "partial", "shed", "on time %"),
        [
            (
                report["triggers"], *(outcomes.get(key, 0) for key in OUTCOMES),
                100 * report["on_time"],
            )
        ],
    )  # fmt: skip
    missed = ", ".join(f"{count} {cause}" for cause, count in account["lost"].items()) or "-"
    columns = ("messages", "MB/s", "left out", "refused", "never came", "lost")
    row = (account["messages"], account["bytes"] / seconds / 1e6, account["left_out"],
           account["refused"], account["never_came"], missed)  # fmt: skip
    bench.table("recorded", columns, [row])
    bench.at_most("unexplained loss, fusion node", report["unexplained_loss"], 0)
    bench.at_most("unexplained loss, recorder", account["lost"].get("unexplained", 0), 0)
    bench.at_most("deaths", len(report["deaths"]), 0)
    bench.at_least("triggers, of those due", report["triggers"] / (10 * seconds), 0.9)


OUTCOMES = ("complete", "partial", "shed")
SHARED = "/dev/shm, MB"
MOST_MORE = {SHARED: 3 * 2.8 + 1.9, "pools": 0.0, "processes": 0.0}
"""Of shared memory one slot for each topic: it comes and goes in slots."""


def judge_growth(bench: Bench, found: list[tuple[Sample, int]]) -> None:
    """Compare the first third with the last."""
    third = max(1, len(found) // 3)
    kinds = {
        "processes, MB": [(item.memory - shared) / 1e6 for item, shared in found],
        "/dev/shm, MB": [shared / 1e6 for _, shared in found],
        "descriptors": [float(item.descriptors) for item, _ in found],
        "pools": [float(item.pools) for item, _ in found],
        "processes": [float(item.processes) for item, _ in found],
    }
    rows = []
    for name, values in kinds.items():
        of = min if name == SHARED else statistics.median
        first, last = of(values[:third]), of(values[-third:])
        rows.append((name, of.__name__, first, last, max(values)))
        if name in MOST_MORE:
            bench.at_most(f"{name}, last - first", last - first, MOST_MORE[name])
        else:
            bench.at_most(f"{name}, last / first", last / max(first, 1e-9), MOST_GROWTH)
    columns = ("what", "of it", "first third", "last third", "most")
    bench.table("all processes together", columns, rows)


def more(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--minutes", type=float, default=10.0)


def main() -> int:
    """Run and judge."""
    chosen = options(__doc__ or "", more)
    seconds = 40.0 if chosen.quick else 60 * chosen.minutes
    bench = Bench("endurance")
    with tempfile.TemporaryDirectory(prefix="endurance") as name:
        folder = Path(name)
        process, run = launched(folder)
        try:
            found = watched(process, run, folder, seconds)
            pids = below(process.pid)
            process.send_signal(signal.SIGINT)
            process.wait(60)
        finally:
            process.kill()
        report = json.loads((folder / "report.json").read_text())
        bench.figures["said"] = (folder / "err").read_text().splitlines()
        judge_books(bench, report, report["duration_s"])
        judge_growth(bench, found)
        left = sum(bool(process_started(pid)) for pid in pids) + len(pools_of(run.name))
        bench.at_most("processes, pools, run left", left + run.exists(), 0)
    return bench.finish(chosen.json)


if __name__ == "__main__":
    sys.exit(main())
