"""Transport between processes: speed beside pyzmq, and what stalls, kills and holders cost.

    python benchmarks/transport.py [--quick] [--json FILE] [--kills N]

Both ends of every connection are processes of their own. Repeats of the transports are interleaved,
figures are medians over repeats, and bars compare what was measured side by side. Where one-way
times are measured, each end is kept on a processor of its own, whatever the transport: kernels of
virtual machines pack processes on few processors, and then it is their packing that is measured.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench import Bench, options

from tectum.clock import NS_PER_S, GraphClock
from tectum.transport.pool_file import SHARED_MEMORY, remove_pools

CLOCK = GraphClock(0)
ENDS = Path(__file__).with_name("transport_ends.py")
COPY, LENT, OURS, IN_PLACE = "pyzmq copy", "pyzmq lent", "tectum", "tectum in place"
ICEORYX = "iceoryx2"
BARE = "bare memory"
"""One piece of shared memory and a pipe: what the machine takes of any transport."""
PYZMQ = (COPY, LENT)


@dataclass(frozen=True)
class Payload:
    """What a sensor sends."""

    name: str
    nbytes: int
    rate: float
    limits: dict[str, float]
    """Transport -> how much of pyzmq's (copy) median one-way time it may take."""


PAYLOADS = (
    Payload("audio 10 ms", 1920, 100, {OURS: 1.1}),
    Payload("VGA", 921_600, 30, {OURS: 0.55}),
    Payload("lidar", 1_920_000, 10, {OURS: 0.45}),
    Payload("1080p", 6_220_800, 30, {OURS: 0.30, IN_PLACE: 0.12}),
)
FULL_HD = PAYLOADS[-1]


@dataclass
class Ends:
    """The processes of one connection."""

    folder: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, **job: Any) -> subprocess.Popen[str]:
        """Start an end; it has said that it is ready unless it is a publisher, which waits."""
        told = {"folder": str(self.folder), "checked": False, "touch": True, "subscribers": 1}
        line = json.dumps({**told, **job})
        process = subprocess.Popen(
            [sys.executable, str(ENDS), line], stdout=subprocess.PIPE, text=True
        )
        self.processes.append(process)
        return process

    def kill(self, process: subprocess.Popen[str]) -> None:
        """SIGKILL one end."""
        process.kill()
        process.communicate()
        self.processes.remove(process)


@contextmanager
def ends() -> Iterator[Ends]:
    """Give a place for the ends of a connection; nothing of it is left afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="b"))
    made = Ends(folder)
    try:
        yield made
    finally:
        for process in made.processes:
            process.kill()
            process.communicate()
        remove_pools(folder.name)
        (SHARED_MEMORY / folder.name).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def told(process: subprocess.Popen[str], key: str) -> dict[str, Any]:
    """Return the next line of an end that has `key`."""
    assert process.stdout is not None
    for line in process.stdout:
        document: dict[str, Any] = json.loads(line)
        if key in document:
            return document
    return {}


def connected(place: Ends, transport: str, payload: Payload, count: int, **job: Any) -> Any:
    """Run a connection to its end and return what publisher and subscribers say of it."""
    names = [f"ear{index}" for index in range(job.pop("subscribers", 1))]
    speaks, hears = job.pop("cpus", ((), ()))
    common = {"transport": transport, "nbytes": payload.nbytes, "rate": payload.rate, **job}
    hearers = [
        place.start(role="subscriber", name=name, count=count, cpu=hears, **common)
        for name in names
    ]
    for hearer in hearers:
        told(hearer, "ready")
    speaker = place.start(
        role="publisher", count=count, subscribers=len(names), cpu=speaks, **common
    )
    said = told(speaker, "cpu_s")
    for hearer in hearers:
        hearer.send_signal(signal.SIGTERM)
    return said, [told(hearer, "cpu_s") for hearer in hearers]


def one_way(bench: Bench, payloads: tuple[Payload, ...], seconds: float, repeats: int) -> None:
    """Latency at the sensor's rate."""
    rows, installed = [], find_spec(ICEORYX) is not None
    first, *_, last = sorted(os.sched_getaffinity(0)) * 2
    for payload in payloads:
        beside = (ICEORYX,) if installed and payload is FULL_HD else ()
        transports = (COPY, LENT, OURS, IN_PLACE, *beside)
        seen: dict[str, list[float]] = {name: [] for name in transports}
        cost: dict[str, list[float]] = {name: [] for name in transports}
        count = max(10, round(seconds * payload.rate))
        for _, transport in itertools.product(range(repeats), transports):
            with ends() as place:
                said, (heard,) = connected(place, transport, payload, count, cpus=([first], [last]))
            seen[transport].append(statistics.median(heard["one_way_us"][3:] or [1e9]))
            cost[transport].append(1000 * (said["cpu_s"] + heard["cpu_s"]) / count)
        base = statistics.median(seen[COPY])
        for transport in transports:
            middle = statistics.median(seen[transport])
            spread = f"{min(seen[transport]):.0f}-{max(seen[transport]):.0f}"
            rows.append(
                (payload.name, transport, middle, spread, statistics.median(cost[transport]),
                 middle / base)
            )  # fmt: skip
            if transport in payload.limits:
                name = f"{payload.name}, {transport}: one-way p50 / pyzmq copy"
                bench.at_most(name, middle / base, payload.limits[transport])
        if beside:
            ratio = statistics.median(seen[OURS]) / statistics.median(seen[ICEORYX])
            bench.at_most(f"{payload.name}, {OURS}: one-way p50 / {ICEORYX}", ratio, 1.1)
    if not installed:
        bench.console.print("iceoryx2 is not compared: it is not installed (pip install iceoryx2)")
    columns = ("payload", "transport", "p50 us", "range", "CPU ms/msg", "p50 / pyzmq copy")
    bench.table("one way, at the sensor's rate", columns, rows)


def throughput(bench: Bench, count: int, repeats: int) -> None:
    """As fast as it goes, at most two on their way, every byte read."""
    transports = (COPY, OURS, IN_PLACE)
    seen: dict[str, list[float]] = {name: [] for name in transports}
    free = Payload(FULL_HD.name, FULL_HD.nbytes, 0, {})
    for _, transport in itertools.product(range(repeats), transports):
        with ends() as place:
            _, (heard,) = connected(place, transport, free, count, on_way=2)
        seen[transport].append(len(heard["one_way_us"]) / max(heard["took_s"], 1e-9))
    rows = [(name, statistics.median(seen[name]), f"{min(seen[name]):.0f}-{max(seen[name]):.0f}")
            for name in transports]  # fmt: skip
    bench.table("1080p, as fast as it goes, every byte read", ("transport", "msg/s", "range"), rows)
    best = max(statistics.median(seen[OURS]), statistics.median(seen[IN_PLACE]))
    bench.at_least("1080p throughput / pyzmq copy", best / statistics.median(seen[COPY]), 3.5)


def fan_out(bench: Bench, seconds: float, repeats: int) -> None:
    """One publisher, three subscribers: processor time of all four.

    The bar compares like with like: pyzmq sends the memory into which the source captured, and so
    does a publisher that produces in place. What the copy adds where a source has memory of its own
    is shown beside it, and what of all that is capturing, summing and waking up.
    """
    seen: dict[str, list[float]] = {LENT: [], OURS: [], IN_PLACE: [], BARE: []}
    count = round(seconds * FULL_HD.rate)
    for _, transport in itertools.product(range(repeats), seen):
        with ends() as place:
            said, heard = connected(place, transport, FULL_HD, count, subscribers=3)
        whole = said["cpu_s"] + sum(item["cpu_s"] for item in heard)
        seen[transport].append(1000 * whole / count)
    middle = {name: statistics.median(values) for name, values in seen.items()}
    rows = [(name, value, value / middle[LENT]) for name, value in middle.items()]
    columns = ("transport", "ms/frame", "/ pyzmq lent")
    bench.table("1080p to three, CPU of all four", columns, rows)
    ratio = middle[IN_PLACE] / middle[LENT]
    bench.at_most("1080p to three, in place: CPU / pyzmq lent", ratio, 0.30)


def stall(bench: Bench) -> None:
    """A subscriber that is stopped for three seconds and wants the newest."""
    count = round(6 * FULL_HD.rate)
    common = {"transport": OURS, "nbytes": FULL_HD.nbytes, "rate": FULL_HD.rate}
    with ends() as place:
        hearer = place.start(
            role="subscriber", name="ear", count=10**6, delivery="newest", **common
        )
        told(hearer, "ready")
        speaker = place.start(role="publisher", count=count, **common)
        told(speaker, "ready")
        CLOCK.sleep_until_ns(CLOCK.now_ns() + NS_PER_S)
        hearer.send_signal(signal.SIGSTOP)
        CLOCK.sleep_until_ns(CLOCK.now_ns() + 3 * NS_PER_S)
        hearer.send_signal(signal.SIGCONT)
        said = told(speaker, "cpu_s")
        hearer.send_signal(signal.SIGTERM)
        heard = told(hearer, "cpu_s")
    books = heard["books"]
    named = sum(books[cause] for cause in ("skipped", "overtaken", "queue_full"))
    columns = ("sent", "received", "skipped and overtaken", "unexplained", "first frame ms",
               "longest send ms", "grown MB")  # fmt: skip
    row = (said["sent"], books["received"], named, books["unexplained"], heard["first_after_ms"],
           said["longest_ms"], said["grown_mb"] + heard["grown_mb"])  # fmt: skip
    bench.table("a subscriber that is stopped for 3 s, newest", columns, [row])
    periods = heard["first_after_ms"] * FULL_HD.rate / 1000
    bench.at_most("stall: age of the first frame, periods", periods, 2)
    bench.at_most("stall: longest send, ms", said["longest_ms"], 10)
    bench.at_most("stall: memory grown, MB", said["grown_mb"] + heard["grown_mb"], 32)
    bench.at_most("stall: frames unaccounted for", abs(said["sent"] - books["received"] - named), 0)


def kills(bench: Bench, count: int) -> None:
    """SIGKILL of either end while frames with a checksum flow, again and again."""
    common = {"transport": OURS, "nbytes": FULL_HD.nbytes, "rate": FULL_HD.rate, "touch": False}
    speaks = {"role": "publisher", "count": 10**6, "checked": True, **common}
    hears = {"role": "subscriber", "count": 10**6, "tell": True, **common}
    resumed, wrong = [], 0
    with ends() as place:
        hearer = place.start(name="ear", **hears)
        told(hearer, "ready")
        speaker = place.start(**speaks)
        for number in range(2 * count):
            told(hearer, "at_ns")
            if number % 2 == 0:
                place.kill(speaker)
                speaker = place.start(**speaks)
                began_ns = _ready_ns(speaker)
            else:
                place.kill(hearer)
                hearer = place.start(name="ear", **hears)
                began_ns = _ready_ns(hearer)
            while (heard := told(hearer, "at_ns")) and heard["at_ns"] < began_ns:
                pass
            resumed.append((heard.get("at_ns", 2**62) - began_ns) / 1e6)
        hearer.send_signal(signal.SIGTERM)
        wrong = int(told(hearer, "cpu_s").get("wrong", 1))
        place.kill(speaker)
        run = place.folder.name
    left = [path.name for path in SHARED_MEMORY.glob(f"tectum-{run}-*")]
    slowest, middle = max(resumed), statistics.median(resumed)
    row = (len(resumed), wrong, middle, slowest, len(left))
    columns = ("kills", "wrong frames", "resumed ms p50", "max", "left in /dev/shm")
    bench.table("SIGKILL of publisher and subscriber in turn", columns, [row])
    bench.at_most("kills: wrong frames", wrong, 0)
    bench.at_most("kills: slowest resumption, ms", slowest, 1000)
    bench.at_most("kills: files left", len(left), 0)


def _ready_ns(process: subprocess.Popen[str]) -> int:
    told(process, "ready")
    return CLOCK.now_ns()


def holders(bench: Bench, seconds: float) -> None:
    """Three that keep 30 samples, one that falls behind; then one that keeps more than it said."""
    rows = []
    vga = PAYLOADS[1]
    count = round(seconds * vga.rate)
    for name, lies in (("as they said", {}), ("one holds more", {"hold": 2, "really_holds": 99})):
        common = {"transport": OURS, "nbytes": vga.nbytes, "rate": vga.rate, "touch": False}
        with ends() as place:
            hearers = [
                place.start(
                    role="subscriber", name=f"ear{index}", count=10**6,
                    **{**common, "hold": 31, "keep": 30, **(lies if index == 0 else {})},
                )
                for index in range(3)
            ]  # fmt: skip
            hearers.append(
                place.start(role="subscriber", name="slow", count=10**6, slow_ms=60, **common)
            )
            for hearer in hearers:
                told(hearer, "ready")
            if lies:  # only the one that lies, so that the others' room does not hide it
                for hearer in hearers[1:3]:
                    place.kill(hearer)
                del hearers[1:3]
            speaker = place.start(
                role="publisher", count=count, checked=True, subscribers=len(hearers), **common
            )
            said = told(speaker, "cpu_s")
            for hearer in hearers:
                hearer.send_signal(signal.SIGTERM)
            heard = [told(hearer, "cpu_s") for hearer in hearers]
        no_slot = said["lost"].get("source/data", {}).get("no_slot", 0)
        wrong = sum(item.get("wrong", 1) != 0 for item in heard)
        unexplained = sum(item["books"]["unexplained"] for item in heard if "books" in item)
        rows.append((name, count, said["sent"], no_slot, wrong, unexplained))
        bench.at_most(f"holders, {name}: wrong frames", wrong, 0)
        bench.at_most(f"holders, {name}: unaccounted for", abs(count - said["sent"] - no_slot), 0)
        if lies:
            bench.at_least("holders, one holds more: no_slot counted", no_slot, 1)
        else:
            bench.at_most("holders, as they said: no_slot", no_slot, 0)
    columns = ("held", "frames", "sent", "no_slot", "with wrong bytes", "unexplained")
    bench.table("samples that are kept", columns, rows)


def crossover(bench: Bench, repeats: int) -> None:
    """From which size on shared memory is quicker than the socket: what the constant stands on."""
    rows = []
    for kib in (16, 32, 64, 128, 256, 512):
        payload = Payload(f"{kib} KiB", kib * 1024, 100, {})
        seen: dict[str, list[float]] = {"inline": [], "shared": []}
        for _, way in itertools.product(range(repeats), seen):
            with ends() as place:
                _, (heard,) = connected(
                    place, OURS, payload, 150, shared_from=2**62 if way == "inline" else 1
                )
            seen[way].append(statistics.median(heard["one_way_us"][3:]))
        inline, shared = (statistics.median(values) for values in seen.values())
        rows.append((payload.name, inline, shared, shared / inline))
    bench.table("inline or shared, p50 us", ("payload", "inline", "shared", "ratio"), rows)


def main() -> int:
    """Run the parts and judge the bars."""

    def more(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--kills", type=int, help="of each end (default: 50; quick: 3)")
        parser.add_argument("--only", default="", help="name of one part")
        parser.add_argument("--crossover", action="store_true", help="inline against shared")

    chosen = options(__doc__ or "", more)
    bench, quick = Bench("transport"), chosen.quick
    seconds, repeats = (1.0, 1) if quick else (3.0, 3)
    parts: dict[str, Callable[[], None]] = {
        "one_way": lambda: one_way(
            bench, (PAYLOADS[0], FULL_HD) if quick else PAYLOADS, seconds, repeats
        ),
        "throughput": lambda: throughput(bench, 100 if quick else 400, repeats),
        "fan_out": lambda: fan_out(bench, seconds, repeats),
        "stall": lambda: stall(bench),
        "kills": lambda: kills(bench, chosen.kills or (3 if quick else 50)),
        "holders": lambda: holders(bench, 3.0 if quick else 6.0),
    }
    if chosen.crossover:
        parts["crossover"] = lambda: crossover(bench, repeats)
    for name, part in parts.items():
        if chosen.only in ("", name):
            part()
    return bench.finish(chosen.json)


if __name__ == "__main__":
    raise SystemExit(main())
