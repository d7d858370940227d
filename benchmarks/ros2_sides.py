"""What the benchmark `ros2` runs: a graph behind the bridge, ROS 2's side, and what they used."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tectum.clock import NS_PER_S
from tectum.rundir import read_run

__all__ = [
    "PYTHON",
    "Side",
    "Stream",
    "cpu_s",
    "graph",
    "graph_text",
    "heard",
    "pause",
    "processes_of",
    "publisher",
    "publishers",
]

SIDE = Path(__file__).with_name("ros2_side.py")
PYTHON = os.environ.get("TECTUM_ROS2_PYTHON", "")
DISCOVERY_S = 10
pause = threading.Event().wait


@dataclass(frozen=True)
class Stream:
    """A topic of ROS 2."""

    name: str
    type: str
    nbytes: int
    period_ns: int
    jitter_ns: int = 0
    phase_ns: int = 0

    @property
    def topic(self) -> str:
        """Return its name in ROS."""
        return f"/bench/{self.name}"

    @property
    def entry(self) -> str:
        """Return its line in the graph."""
        qos = "{reliability: reliable, depth: 10}"
        rate = f"{NS_PER_S / self.period_ns:.9g}Hz"
        return f"{self.name}: {{topic: {self.topic}, type: {self.type}, qos: {qos}, rate: {rate}}}"


HEAD = '''
import numpy as np
from tectum.inference.stage import OutputSpec, StageOutput


class Seen:
    """Says how many inputs it was given, and does nothing else."""

    variants = ("default",)
    outputs = (OutputSpec("inputs", "tensor"),)

    def __init__(self, *, name, inputs):
        self.name = name

    def warm_up(self, variant):
        pass

    def run(self, variant, args, state, stopper):
        count = sum(item is not None for item in args.values())
        return StageOutput({"inputs": np.array([count], np.float32)})

    def close(self):
        pass
'''


def graph_text(streams: Sequence[Stream], domain: int, rest: str) -> str:
    """Return a graph that hears `streams`."""
    lines = "\n".join(f"      {stream.entry}" for stream in streams)
    return (
        f"graph: bench\nbudget: 150ms\nnodes:\n  ros:\n    run: ros2\n    python: {PYTHON}\n"
        f"    domain: {domain}\n    from_ros:\n{lines}\n{rest}"
    )


@contextmanager
def graph(folder: Path, text: str) -> Iterator[Path]:
    """Launch a graph; give its run's directory once it runs."""
    path = folder / "graph.yaml"
    path.write_text(text)
    (folder / "ros2_bench_head.py").write_text(HEAD)
    log = (folder / "graph.log").open("w")
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(folder)}
    command = [sys.executable, "-m", "tectum_launch", "launch", str(path)]
    with log, subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process:
        try:
            yield _running(folder, process)
        except BaseException:
            sys.stderr.write((folder / "graph.log").read_text())
            raise
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


def _running(folder: Path, process: subprocess.Popen[bytes]) -> Path:
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        pause(0.1)
        for found in (folder / "tectum").glob("*/run.json"):
            nodes = json.loads(found.read_text())["nodes"]
            if all(record.get("pid") for record in nodes.values()):
                pause(1.0)
                return found.parent
    msg = "the graph did not start"
    raise RuntimeError(msg)


@dataclass
class Side:
    """A process of ROS 2's side."""

    process: subprocess.Popen[str]
    lines: list[Any] = field(default_factory=list)

    @classmethod
    def start(cls, mode: str, domain: int, **plan: Any) -> Side:
        """Start it in a domain."""
        environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
        command = [PYTHON, str(SIDE), mode, json.dumps(plan)]
        pipe = subprocess.PIPE
        made = cls(subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True))
        threading.Thread(target=made._hear, daemon=True).start()
        return made

    def _hear(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def is_ready(self) -> bool:
        """Wait until it is; False: its topic was not discovered, as happens with LARGE_DATA."""
        until = time.monotonic() + 2 * DISCOVERY_S
        while not self.lines and time.monotonic() < until:
            pause(0.02)
        return self.lines[:1] == ["ready"]

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()

    def tell(self, text: str) -> None:
        """Give it a line, or its end."""
        assert self.process.stdin is not None
        if text:
            self.process.stdin.write(text + "\n")
            self.process.stdin.flush()
        else:
            self.process.stdin.close()

    def end(self) -> list[Any]:
        """Return what it said after `ready`."""
        self.process.wait(60)
        pause(0.2)
        return self.lines[1:]


def publishers(streams: Sequence[Stream], domain: int, subscribers: int) -> dict[str, Side]:
    """Start a publisher per stream, and wait until all are heard."""
    started = {stream.name: publisher(stream, domain, subscribers, seed)
               for seed, stream in enumerate(streams)}  # fmt: skip
    return {
        stream.name: heard(started[stream.name], stream, domain, subscribers, seed)
        for seed, stream in enumerate(streams)
    }


def heard(side: Side, stream: Stream, domain: int, subscribers: int, seed: int) -> Side:
    """Return a publisher that is heard by all who should: this one, or one in its place.

    Raises:
        RuntimeError: three were not.
    """
    for _ in range(3):
        if side.is_ready():
            return side
        side.kill()
        side = publisher(stream, domain, subscribers, seed)
    msg = f"{stream.topic} was not discovered by all: this is no measurement, repeat it"
    raise RuntimeError(msg)


def publisher(stream: Stream, domain: int, subscribers: int, seed: int) -> Side:
    """Start one."""
    return Side.start(
        "publish", domain, name=stream.name, type=stream.type, topic=stream.topic, seed=seed,
        nbytes=stream.nbytes, period_ns=stream.period_ns, jitter_ns=stream.jitter_ns,
        phase_ns=stream.phase_ns, subscribers=subscribers, discovery_s=DISCOVERY_S,
    )  # fmt: skip


def cpu_s(pids: Sequence[int]) -> float:
    """Return the processor time of processes."""
    total = 0
    for pid in pids:
        try:
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError as error:
            msg = f"process {pid} of the run has died: this is no measurement, repeat it"
            raise RuntimeError(msg) from error
        total += int(words[11]) + int(words[12])
    return total / os.sysconf("SC_CLK_TCK")


def processes_of(run: Path) -> dict[str, list[int]]:
    """Return the processes of a graph's nodes, and of the robot's half of the bridge."""
    nodes = read_run(run)["nodes"]
    found = {name: [int(record["pid"])] for name, record in nodes.items()}
    pid = found["ros"][0]
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {**found, "robot's half": [int(child) for child in children]}
