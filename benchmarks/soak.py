"""Soak: the driving graph for half an hour, a random node killed or frozen every 20 s.

An observer of its own hears the trigger and the ledger and accounts for each trigger: while the
fusion node lives every sweep has an outcome, and neighbouring outcomes are never further apart than
the period of the trigger plus the budget. From the report: each recovery, counted from the death,
or of a frozen node from its last sign of life, to its first message again. From /proc: memory and
descriptors of launcher, nursery and nodes together. At the end nothing is left, also of a launch
whose launcher is killed. `--quick`: 50 s, a strike every 6 s. `--minutes`, `--every`: other spans.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench import Bench, options
from soak_observer import LEDGER, TRIGGER, Gap, Heard, Sample, below, pools_of, sample

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.listening import Listening, listen
from tectum.rundir import live_runs, process_started, read_run

NODES = ("camera", "lidar", "microphone", "perception")
PERIOD_NS, BUDGET_NS = 100 * NS_PER_MS, 100 * NS_PER_MS
WARM_NS = 4 * NS_PER_S
"""Before the first strike, and between the last one and the end."""
MOST_RECOVERY_S = 2.0
CLEAN_AFTER_KILL_S = 2.0
TYPICAL: dict[str, Callable[[Iterable[float]], float]] = {
    "memory": statistics.median, "descriptors": max, "pools": max, "processes": max,
}  # fmt: skip
STEADY_S = 6.0
"""Memory is compared where no node was struck for so long."""


@dataclass
class Soak:
    """One launch that is struck again and again."""

    launcher: subprocess.Popen[str]
    folder: Path
    seconds: float
    every_s: float
    rng: random.Random
    heard: Heard = field(default_factory=Heard)
    samples: list[Sample] = field(default_factory=list)
    strikes: list[tuple[str, str, int]] = field(default_factory=list)
    """(node, how, when)."""

    def run(self) -> None:
        """Observe and strike until the time is over."""
        clock = GraphClock()
        with listen([TRIGGER, LEDGER], self.folder, queue=2048) as listening:
            begin_ns = clock.now_ns()
            end_ns = begin_ns + round(self.seconds * NS_PER_S)
            strike_ns, sample_ns = begin_ns + WARM_NS, begin_ns
            while (now_ns := clock.now_ns()) < end_ns and self.launcher.poll() is None:
                self._hear(listening)
                if now_ns >= strike_ns and now_ns < end_ns - WARM_NS:
                    strike_ns += round(self.every_s * NS_PER_S)
                    self._strike(now_ns)
                if now_ns >= sample_ns:
                    sample_ns += NS_PER_S
                    self.samples.append(sample(self.launcher.pid, self.folder, now_ns))
            self._hear(listening)

    def _hear(self, listening: Listening) -> None:
        for received in listening.take(20 * NS_PER_MS):
            self.heard.take(received)

    def _strike(self, now_ns: int) -> None:
        node, how = self.rng.choice(NODES), self.rng.choice(("kill", "freeze"))
        pid = read_run(self.folder)["nodes"][node]["pid"]
        if process_started(pid):
            self.strikes.append((node, how, now_ns))
            os.kill(pid, signal.SIGKILL if how == "kill" else signal.SIGSTOP)

    def struck_by(self, gap: Gap) -> str:
        """Return what was struck shortly before a gap ended."""
        end_ns = gap.begin_ns + gap.lasting_ns
        return ", ".join(
            f"{node} ({how}) {(at_ns - gap.begin_ns) / NS_PER_MS:+.0f} ms"
            for node, how, at_ns in self.strikes
            if end_ns - 3 * NS_PER_S <= at_ns <= end_ns
        )

    def steady(self) -> list[Sample]:
        """Return the samples at which every node had its process for a while."""
        struck = [at_ns for _, _, at_ns in self.strikes]
        most = statistics.mode(item.processes for item in self.samples)
        return [
            item
            for item in self.samples[int(STEADY_S) :]
            if item.processes == most
            and not any(0 <= item.at_ns - at_ns < self._calm_ns for at_ns in struck)
        ]

    @property
    def _calm_ns(self) -> int:
        return round(min(STEADY_S, 0.6 * self.every_s) * NS_PER_S)


def launched(folder: Path, report: Path) -> tuple[subprocess.Popen[str], Path]:
    """Launch the driving graph, every node restarted, and wait until it has begun."""
    before = set(live_runs())
    command = [sys.executable, "-m", "tectum_launch", "launch", "driving", "--report", str(report)]
    for node in NODES:
        command += ["--set", f"nodes.{node}.on_exit=restart"]
    process = subprocess.Popen(
        command,
        stdout=(folder / "out").open("w"),
        stderr=(folder / "err").open("w"),
        text=True,
    )
    clock = GraphClock()
    until_ns = clock.now_ns() + 60 * NS_PER_S
    while clock.now_ns() < until_ns and process.poll() is None:
        for run in set(live_runs()) - before:
            document = read_run(run)
            begun = document.get("epoch_ns", 0) > document.get("started_ns", 0)
            if begun and document["pid"] == process.pid:
                return process, run
        clock.sleep_until_ns(clock.now_ns() + 20 * NS_PER_MS)
    sys.stderr.write((folder / "err").read_text())
    msg = "the driving graph did not begin"
    raise SystemExit(msg)


def ended(process: subprocess.Popen[str]) -> set[int]:
    """Stop a launch with Ctrl-C, and return what it leaves alive of its processes."""
    pids = below(process.pid)
    process.send_signal(signal.SIGINT)
    process.wait(30)
    return {pid for pid in pids if process_started(pid)}


def killed(folder: Path) -> tuple[float, int]:
    """Kill a launcher; return how many seconds until nothing was left, and what was after 10 s."""
    process, run = launched(folder, folder / "killed.json")
    pids, clock = below(process.pid), GraphClock()
    process.kill()
    process.wait()
    begin_ns = clock.now_ns()
    while clock.now_ns() < begin_ns + 10 * NS_PER_S:
        left = [pid for pid in pids if process_started(pid)]
        rest = len(left) + len(pools_of(run.name)) + run.exists()
        if not rest:
            break
        clock.sleep_until_ns(clock.now_ns() + 10 * NS_PER_MS)
    return (clock.now_ns() - begin_ns) / NS_PER_S, rest


def more(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--every", type=float, default=20.0, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=1)


def judge(bench: Bench, soak: Soak, report: dict[str, Any]) -> None:
    """Set the bars."""
    heard, deaths = soak.heard, report["deaths"]
    gaps = sorted(gap for life in heard.lives.values() for gap in life.gaps())
    rows = sum(len(life.rows) for life in heard.lives.values())
    back = [death["recovery_s"] for death in deaths if death["recovery_s"] is not None]
    show(bench, soak, report, rows)
    bench.table(
        "widest gaps",
        ("ms", "struck in the 3 s before its end", "then", "blamed"),
        [
            (gap.lasting_ns / NS_PER_MS, soak.struck_by(gap), gap.reason, gap.blame)
            for gap in gaps[-5:]
        ],
    )
    unaccounted = heard.unaccounted()
    bench.figures["unaccounted"] = [
        [(stamp_ns - at_ns) / NS_PER_S for _, _, at_ns in soak.strikes] for stamp_ns in unaccounted
    ]
    holes = sum(life.missing() for life in heard.lives.values())
    lidar = report["inputs"]["lidar"]
    bench.figures["lidar"] = {**lidar, "transport": report["transport"][TRIGGER]}
    named = sum(lidar["losses"].values()) + heard.lost
    covered = lidar["counts"].get("covered", 0)  # the first after a silence: a stand-in has asked
    rest = len(unaccounted) - named - covered
    bench.at_most("sweeps without an outcome, stand-in or named loss", rest, 0)
    bench.at_most("numbers of triggers without a row", holes, 0)
    bench.at_most("rows heard that the report lacks", rows - report["triggers"], 0)
    limit_ms = (PERIOD_NS + BUDGET_NS) / NS_PER_MS
    widest_ns = gaps[-1].lasting_ns if gaps else 0
    bench.at_most("longest gap between outcomes, ms", widest_ns / NS_PER_MS, limit_ms)
    bench.at_most("strikes without a death", len(soak.strikes) - len(deaths), 0)
    bench.at_most("deaths that nobody struck", len(deaths) - len(soak.strikes), 0)
    bench.at_most("deaths without a recovery", len(deaths) - len(back), 0)
    bench.at_most("longest recovery, s", max(back, default=0.0), MOST_RECOVERY_S)


def show(bench: Bench, soak: Soak, report: dict[str, Any], rows: int) -> None:
    """Print what was struck and what was answered; `rows` were heard."""
    heard, deaths = soak.heard, report["deaths"]
    by_node = {
        name: [death["recovery_s"] for death in deaths if death["node"] == name] for name in NODES
    }
    bench.table(
        "strikes and recoveries",
        ("node", "killed", "frozen", "median s", "longest s"),
        [
            (
                name,
                sum(item[:2] == (name, "kill") for item in soak.strikes),
                sum(item[:2] == (name, "freeze") for item in soak.strikes),
                statistics.median([s or 99.0 for s in by_node[name]]) if by_node[name] else 0.0,
                max([s or 99.0 for s in by_node[name]], default=0.0),
            )
            for name in NODES
        ],
    )
    outcomes = report["outcomes"]
    bench.table(
        "answers",
        ("lives", "rows heard", "counted", "complete", "partial", "shed", "unexplained", "missed"),
        [
            (
                report["lives"], rows, report["triggers"], outcomes["complete"],
                outcomes["partial"], outcomes["shed"], report["unexplained_loss"], heard.lost,
            )
        ],
    )  # fmt: skip


def judge_growth(bench: Bench, soak: Soak) -> None:
    """Set the bars of memory, descriptors and shared memory.

    Of memory the medians are compared; of what is counted the most: a life of a sensor whose first
    messages were small has a second pool, with descriptors at both ends, whatever the hour.
    """
    steady = soak.steady()
    third = max(1, len(steady) // 3)
    first, last = steady[:third], steady[-third:]
    figures = {
        name: (
            typical(getattr(item, name) for item in first),
            typical(getattr(item, name) for item in last),
        )
        for name, typical in TYPICAL.items()
    }
    bench.table(
        "first third, last third (where all is calm)",
        ("what", "first", "last"),
        [(name, *values) for name, values in figures.items()],
    )
    bench.table(
        "memory by process, MB",
        ("process", "first", "last"),
        [
            (
                name,
                *(
                    statistics.median(item.by_process.get(name, 0) for item in part) / 1e6
                    for part in (first, last)
                ),
            )
            for name in ("launcher", "nursery", *NODES)
        ],
    )
    bench.figures["samples"] = [asdict(item) for item in steady]
    grown = figures["memory"][1] / figures["memory"][0]
    bench.at_most("memory, last / first", grown, 1.05)
    for name, limit in (("descriptors", 3), ("pools", 0), ("processes", 0)):  # sockets come and go
        bench.at_most(f"{name}, most of last - first", figures[name][1] - figures[name][0], limit)


def main() -> int:
    """Soak, and judge."""
    asked = options(__doc__ or "", more)
    seconds, every_s = (50.0, 6.0) if asked.quick else (60 * asked.minutes, asked.every)
    bench = Bench("soak")
    with tempfile.TemporaryDirectory(prefix="soak") as name:
        folder = Path(name)
        process, run = launched(folder, folder / "report.json")
        soak = Soak(process, run, seconds, every_s, random.Random(asked.seed))
        try:
            soak.run()
            left = ended(process)
        finally:
            process.kill()
        report = json.loads((folder / "report.json").read_text())
        bench.figures["said"] = (folder / "err").read_text().splitlines()
        judge(bench, soak, report)
        judge_growth(bench, soak)
        after = len(left) + len(pools_of(run.name)) + run.exists()
        bench.at_most("processes, sockets, pools left at the end", after, 0)
        seconds, rest = killed(folder)
        bench.at_most("left after SIGKILL of the launcher", rest, 0)
        bench.at_most("until then, s", seconds, CLEAN_AFTER_KILL_S)
        bench.figures["deaths"] = report["deaths"]
        bench.figures["hangs"] = report["hangs"]
        return bench.finish(asked.json)


if __name__ == "__main__":
    sys.exit(main())
