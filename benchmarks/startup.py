"""Start-up: from the command to the first fused answer of a graph of ten nodes, on two cores.

Four cameras, a lidar, a microphone, two fusion nodes, a recorder and a dashboard. Three ways side
by side, interleaved: nodes forked from the nursery (what `tectum launch` does), the same with the
six sensors in one process (`process:`), and every node from scratch (with variables of its own).
Where the time goes: until the launch (imports, the graph compiled and checked), until the graph
begins (every node open and joined), until the first answer.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench import Bench, options

from tectum.clock import NS_PER_S, GraphClock

MOST_S = 3.0
CORES = 2
GRAPH = """\
graph: ten
budget: 100ms
nodes:
  front: {{run: simulated_camera, rate: 10Hz{sensor}}}
  left: {{run: simulated_camera, rate: 10Hz{sensor}}}
  right: {{run: simulated_camera, rate: 10Hz{sensor}}}
  rear: {{run: simulated_camera, rate: 10Hz{sensor}}}
  lidar: {{run: simulated_lidar, rate: 10Hz{sensor}}}
  microphone: {{run: simulated_microphone, block: 20ms{sensor}}}
  perception:
    run: fusion
    trigger: lidar
    inputs:
      camera:
        topic: front/image
        align: {{nearest: {{tolerance: 60ms}}}}
        encoder: driving/camera
      lidar: {{topic: lidar/points, encoder: driving/lidar}}
      siren:
        topic: microphone/audio
        align: {{window: {{duration: 1s}}}}
        encoder: driving/siren
        required: false
    head: {{intermediate: driving/head}}
    accept: [[camera], [lidar]]
    env: {env}
  second:
    run: fusion
    trigger: lidar
    inputs: {{lidar: {{topic: lidar/points, encoder: driving/lidar}}}}
    head: {{intermediate: driving/head}}
    env: {env}
  recorder: {{run: recorder, path: {folder}/run.mcap, env: {env}}}
  dashboard: {{run: dashboard, port: {port}, env: {env}}}
"""
WAYS = {
    "forked": {"sensor": "", "env": "{}"},
    "forked, sensors together": {"sensor": ", process: sensors", "env": "{}"},
    "from scratch": {"sensor": ", env: {OWN: '1'}", "env": "{OWN: '1'}"},
}


@dataclass(frozen=True)
class Start:
    """Seconds from the command on."""

    launched: float
    began: float
    answered: float


def started(way: str) -> Start:
    """Launch the graph in one way, and return how long everything took."""
    with tempfile.TemporaryDirectory(prefix="start") as name:
        folder = Path(name)
        graph, report = folder / "ten.yaml", folder / "report.json"
        graph.write_text(GRAPH.format(folder=folder, port=free_port(), **WAYS[way]))
        command = [sys.executable, "-m", "tectum_launch", "launch", str(graph)]
        begin_ns = GraphClock().now_ns()
        done = subprocess.run(
            [*command, "--duration", "3s", "--report", str(report)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        document = json.loads(report.read_text())
    start = document["start"]
    if start["answered_s"] is None:
        msg = f"{way}: no answer within 3 s after the beginning"
        raise SystemExit(msg)
    began_s = (document["began_ns"] - begin_ns) / NS_PER_S
    launched_s = began_s - start["began_s"]
    return Start(launched_s, began_s, launched_s + start["answered_s"])


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def main() -> int:
    """Measure and judge."""
    asked = options(__doc__ or "")
    bench = Bench("startup")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    repeats = 2 if asked.quick else 9
    starts: dict[str, list[Start]] = {way: [] for way in WAYS}
    started("forked")  # caches of the file system
    for _ in range(repeats):
        for way in WAYS:
            starts[way].append(started(way))
    medians = {
        way: Start(
            *(statistics.median(getattr(s, key) for s in found) for key in Start.__annotations__)
        )
        for way, found in starts.items()
    }
    bench.table(
        f"seconds from the command on, medians of {repeats}",
        ("way", "launched", "began", "first answer", "longest"),
        [
            (way, m.launched, m.began, m.answered, max(s.answered for s in starts[way]))
            for way, m in medians.items()
        ],
    )
    bench.at_most("ten nodes to the first answer, s", medians["forked"].answered, MOST_S)
    scratch = medians["from scratch"].answered
    bench.at_most("forked / from scratch", medians["forked"].answered / scratch, 1.0)
    return bench.finish(asked.json)


if __name__ == "__main__":
    sys.exit(main())
