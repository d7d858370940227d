"""What looking costs: three cameras, a lidar and sound, fused, watched and not watched.

Nobody at the dashboard, two browsers that read all they are given, one that has stopped reading:
launched for real, interleaved, compared by the fusion node's own report. The browsers are WebSocket
clients in a process of their own that take what the page takes; drawing is not part of it.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import Bench, options

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock

GRAPH = """
graph: watched
budget: 200ms
nodes:
  front: {run: simulated_camera, rate: 15Hz}
  left: {run: simulated_camera, rate: 15Hz}
  right: {run: simulated_camera, rate: 15Hz}
  lidar: {run: simulated_lidar, rate: 10Hz}
  microphone: {run: simulated_microphone}
  perception:
    run: fusion
    trigger: lidar
    inputs:
      front: {topic: front/image, align: {nearest: {tolerance: 60ms}}, encoder: driving/camera}
      left: {topic: left/image, align: {nearest: {tolerance: 60ms}}, encoder: driving/camera}
      right: {topic: right/image, align: {nearest: {tolerance: 60ms}}, encoder: driving/camera}
      lidar: {topic: lidar/points, encoder: driving/lidar}
      siren: {topic: microphone/audio, align: {window: {duration: 1s}}, encoder: driving/siren,
              required: false}
    head: {late: {rule: product, contribution: true}}
    accept: [[front, left, right, lidar], [lidar]]
  dashboard: {run: dashboard, port: 0}
"""
CONTENDERS = {"nobody": (0, 0), "two browsers": (2, 0), "one that stopped reading": (0, 1)}
"""Name -> how many read, how many have stopped."""
WORST_LATENCY, WORST_POINTS = 1.10, 0.5


@dataclass
class Turn:
    """What one launch came to."""

    p50_ms: float
    p99_ms: float
    on_time: float
    """Percent."""
    taken_mb: float
    """What the browsers were given."""


def main() -> int:
    """Run the benchmark, or, as a process of its own, the browsers."""
    if len(sys.argv) > 1 and sys.argv[1] == "browsers":
        return asyncio.run(_browse(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
    wanted = options(__doc__ or "")
    repeats, seconds = (1, 8) if wanted.quick else (5, 15)
    turns: dict[str, list[Turn]] = {name: [] for name in CONTENDERS}
    for repeat in range(repeats):
        names = list(CONTENDERS)
        for name in names[repeat % 3 :] + names[: repeat % 3]:
            turns[name].append(_turn(*CONTENDERS[name], seconds))
    bench = Bench("dashboard")
    rows = [
        (
            name,
            _median(of, "p50_ms"),
            _median(of, "p99_ms"),
            _median(of, "on_time"),
            _median(of, "taken_mb"),
        )
        for name, of in turns.items()
    ]
    columns = ("at the dashboard", "p50 ms", "p99 ms", "on time %", "given MB")
    bench.table(f"fusion, medians of {repeats} interleaved launches", columns, rows)
    alone = turns["nobody"]
    for name in list(CONTENDERS)[1:]:
        latency = _median(turns[name], "p50_ms") / _median(alone, "p50_ms")
        lost = _median(alone, "on_time") - _median(turns[name], "on_time")
        bench.at_most(f"{name}: fusion p50 against nobody", latency, WORST_LATENCY)
        bench.at_most(f"{name}: points of on time lost", lost, WORST_POINTS)
    bench.at_least(
        "two browsers were given pictures, MB", _median(turns["two browsers"], "taken_mb"), 1
    )
    return bench.finish(wanted.json)


def _median(turns: list[Turn], name: str) -> float:
    values: list[float] = [getattr(turn, name) for turn in turns]
    return statistics.median(values)


def _turn(reading: int, stopped: int, seconds: int) -> Turn:
    with tempfile.TemporaryDirectory(prefix="tectum-bench-") as name:
        folder = Path(name)
        graph, report = folder / "graph.yaml", folder / "report.json"
        graph.write_text(GRAPH)
        launch = [sys.executable, "-m", "tectum_launch", "launch", str(graph)]
        environment = {**os.environ, "XDG_RUNTIME_DIR": name}
        process = subprocess.Popen(
            [*launch, "--duration", f"{seconds}s", "--report", str(report)],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        taken = 0
        if reading or stopped:
            address = _address(folder, process)
            browsers = [sys.executable, __file__, "browsers", address, str(reading), str(stopped)]
            done = subprocess.run(browsers, capture_output=True, text=True, check=True)
            taken = int(done.stdout)
        process.wait()
        found = json.loads(report.read_text())
        (fusion,) = found["fusion"].values()
        return _read(fusion, taken)


def _read(fusion: dict[str, Any], taken: int) -> Turn:
    latency = fusion["latency_ms"]
    p50, p99 = (math.inf if latency[name] is None else latency[name] for name in ("p50", "p99"))
    return Turn(p50, p99, fusion["on_time"] * 100, taken / 1e6)


def _address(folder: Path, process: subprocess.Popen[bytes]) -> str:
    clock = GraphClock()
    end_ns = clock.now_ns() + 60 * NS_PER_S
    while clock.now_ns() < end_ns and process.poll() is None:
        for file in folder.glob("tectum/*/dashboard.url"):
            return file.read_text().strip()
        clock.sleep_until_ns(clock.now_ns() + 50 * NS_PER_MS)
    msg = "the dashboard did not come up"
    raise SystemExit(msg)


async def _browse(address: str, reading: int, stopped: int) -> int:
    """Be so many browsers until the graph ends; print how many bytes were taken."""
    import aiohttp  # noqa: PLC0415 - only this process needs it

    async with aiohttp.ClientSession() as session:
        live = f"{address}live"
        taken = await asyncio.gather(
            *(_read_all(session, live) for _ in range(reading)),
            *(_stop_reading(address) for _ in range(stopped)),
        )
    print(sum(taken))
    return 0


async def _read_all(session: Any, live: str) -> int:
    taken = 0
    async with session.ws_connect(live, max_msg_size=0) as socket:
        async for message in socket:
            taken += len(message.data)
    return taken


async def _stop_reading(address: str) -> int:
    """Join as a browser does and take nothing more, until the other side has had enough.

    Nobody asks the reader for more, so it stops taking from the socket at its limit.
    """
    host, _, port = address.removeprefix("http://").rstrip("/").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.write(
        f"GET /live HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: c3RvcHBlZCByZWFkaW5nIQ==\r\n\r\n".encode()
    )
    await reader.readline()
    while not writer.is_closing():
        try:
            writer.write(b"\x8a\x80\0\0\0\0")  # an empty pong, which asks for nothing
            await asyncio.wait_for(writer.drain(), 1)
            await asyncio.sleep(0.5)
        except (ConnectionError, TimeoutError):
            break
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
