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
import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench import Bench, options

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.listening import Listening, listen
from tectum.message import Kind
from tectum.rundir import live_runs, process_started, read_run
from tectum.transport.base import Received

NODES = ("camera", "lidar", "microphone", "perception")
PERIOD_NS, BUDGET_NS = 100 * NS_PER_MS, 100 * NS_PER_MS
WARM_NS = 4 * NS_PER_S
"""Before the first strike, and between the last one and the end."""
MOST_RECOVERY_S = 2.0
CLEAN_AFTER_KILL_S = 2.0
STEADY_S = 6.0
"""Memory is compared where no node was struck for so long."""
TRIGGER, LEDGER = "lidar/points", "perception/ledger"


@dataclass
class Life:
    """What was heard of one life of the fusion node."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def gaps_ns(self) -> Iterator[int]:
        """Yield the times between neighbouring outcomes."""
        at_ns = [row["delivered_ns"] or row["emitted_ns"] for row in self.rows]
        yield from (later - earlier for earlier, later in pairwise(at_ns))

    def missing(self) -> int:
        """Return how many numbers of triggers have no row."""
        numbers = [row.get("trigger", 0) for row in self.rows]
        return numbers[-1] - numbers[0] + 1 - len(set(numbers)) if numbers else 0


@dataclass
class Heard:
    """What the observer heard: each sweep, and the rows of each life of the fusion node."""

    stamps_ns: list[int] = field(default_factory=list)
    lives: dict[int, Life] = field(default_factory=dict)
    lost: int = 0
    """Messages that the observer missed itself."""

    def take(self, received: Received) -> None:
        """Take up a message, or a hole."""
        if received.gap is not None:
            self.lost += received.gap.missing
        message = received.message
        if message is None:
            return
        header = message.header
        if header.topic == TRIGGER and header.kind is Kind.POINTS:
            self.stamps_ns.append(header.stamp_ns)
        elif header.kind is Kind.LEDGER:
            life = self.lives.setdefault(header.incarnation, Life())
            life.rows += [dict(row) for row in header.fields["rows"]]  # type: ignore[union-attr, arg-type]
        message.release()

    def unaccounted(self) -> list[int]:
        """Return the stamps of sweeps that came while a fusion node lived, and have no outcome."""
        found: list[int] = []
        for life in self.lives.values():
            known = {row["stamp_ns"] for row in life.rows}
            first, last = min(known, default=0), max(known, default=0)
            found += [s for s in self.stamps_ns if first <= s <= last and s not in known]
        return found


@dataclass(frozen=True)
class Sample:
    """What launcher, nursery and nodes have together."""

    at_ns: int
    memory: int
    """Bytes, each shared page divided among those that share it (PSS)."""
    descriptors: int
    pools: int
    """Files of this run in /dev/shm."""
    processes: int


def below(launcher: int) -> set[int]:
    """Return a process and all that descend from it."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found: set[int] = set()
    more = {launcher}
    while more:
        found |= more
        more = {child for child, parent in parents.items() if parent in more} - found
    return found


def pools_of(run: str) -> list[Path]:
    """Return the shared memory of a run."""
    return list(Path("/dev/shm").glob(f"tectum-{run}-*"))


def sample(launcher: int, run: str, now_ns: int) -> Sample:
    """Look at all processes of a launch."""
    memory = descriptors = 0
    pids = below(launcher)
    for pid in pids:
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            memory += int(text.partition("\nPss:")[2].split()[0]) * 1024
            descriptors += len(os.listdir(f"/proc/{pid}/fd"))
    return Sample(now_ns, memory, descriptors, len(pools_of(run)), len(pids))


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
        run, clock = self.folder.name, GraphClock()
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
                    self.samples.append(sample(self.launcher.pid, run, now_ns))
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
    gaps = [gap for life in heard.lives.values() for gap in life.gaps_ns()]
    rows = sum(len(life.rows) for life in heard.lives.values())
    back = [death["recovery_s"] for death in deaths if death["recovery_s"] is not None]
    show(bench, soak, report, rows)
    wide = sorted(gaps)[-5:]
    bench.table("widest gaps", ("ms",), [(gap / NS_PER_MS,) for gap in wide])
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
    bench.at_most("longest gap between outcomes, ms", max(gaps, default=0) / NS_PER_MS, limit_ms)
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
    """Set the bars of memory, descriptors and shared memory."""
    steady = soak.steady()
    third = max(1, len(steady) // 3)
    first, last = steady[:third], steady[-third:]
    figures = {
        name: (
            statistics.median(getattr(item, name) for item in first),
            statistics.median(getattr(item, name) for item in last),
        )
        for name in ("memory", "descriptors", "pools", "processes")
    }
    bench.table(
        "first third, last third (medians where all is calm)",
        ("what", "first", "last"),
        [(name, *values) for name, values in figures.items()],
    )
    bench.figures["samples"] = [asdict(item) for item in steady]
    grown = figures["memory"][1] / figures["memory"][0]
    bench.at_most("memory, last / first", grown, 1.05)
    for name, limit in (("descriptors", 3), ("pools", 0), ("processes", 0)):  # sockets come and go
        bench.at_most(f"{name}, last - first", figures[name][1] - figures[name][0], limit)


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
