"""Overhead: what the runtime adds around three encoders and a head, and what session defaults cost.

Bare: the same ONNX Runtime sessions on the same number of threads, fed by hand in the best order,
then the head on one of them. Tectum: messages in hand are pushed into a shell, until the result is
delivered; no transport. Repeats are interleaved. Second table: four sessions paced side by side,
with ONNX Runtime's own defaults and with ours.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from bench import Bench, options
from nets import build, write_models

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.inference.stage import Stage, StageOutput
from tectum.ledger.row import Row
from tectum.message import ArrayPayload, BufferSpec, Header, Kind, Message
from tectum.node.lanes import Lanes
from tectum.node.process import SWITCH_INTERVAL_S
from tectum.node.shell import Failure, Shell
from tectum.pipeline.events import Event
from tectum.pipeline.orders import Note
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan

NAMES = ("camera", "lidar", "radar")
LAYERS = {"camera": 5, "lidar": 4, "radar": 3}
"""Layers of 128 x 512 x 512: about 2 ms each."""
LANES = 2
PERIOD_NS = 50 * NS_PER_MS


def plan() -> Plan:
    """Return the fusion node around them."""
    inputs = [
        InputPlan(name, f"{name}/image", AlignPlan("exact" if name == "lidar" else "nearest"), name)
        for name in NAMES
    ]
    stages = tuple(StagePlan(name, ("fp32",)) for name in (*NAMES, "head"))
    return Plan(
        "bench", tuple(inputs), stages, "head", "lidar", budget_ns=NS_PER_S, lanes=LANES,
        substitute=False,  # a machine that stands still for a while is no silent sensor here
    )  # fmt: skip


class Bare:
    """Sessions on two threads, fed by hand: the longest first, then the head, all on lanes."""

    def __init__(self, specs: dict[str, dict[str, Any]], clock: GraphClock) -> None:
        """Load the same files, set up alike."""
        self.sessions = {name: bare_session(spec) for name, spec in specs.items()}
        self.clock = clock
        self.pool = ThreadPoolExecutor(LANES)
        self.image = np.zeros((1, 64, 64, 3), np.uint8)

    def once(self) -> int:
        """Return how long one result takes, in ns."""
        begun_ns = self.clock.now_ns()
        order = sorted(NAMES, key=lambda name: -LAYERS[name])
        jobs = {name: self.pool.submit(self._encode, name) for name in order}
        feeds = {name: jobs[name].result() for name in NAMES}
        feeds["present"] = np.ones((1, 3), np.float32)
        self.pool.submit(self.sessions["head"].run, ["score"], feeds).result()
        return self.clock.now_ns() - begun_ns

    def _encode(self, name: str) -> Any:
        return self.sessions[name].run(["embedding"], {"image": self.image})[0]


class Runtime:
    """The same through a shell."""

    def __init__(self, stages: dict[str, Stage], clock: GraphClock) -> None:
        """Make the shell and its lanes."""
        self.clock, self.seq, self.delivered_ns = clock, 0, 0
        self.wake: SimpleQueue[None] = SimpleQueue()
        self.lanes = Lanes(LANES, clock, on_done=self.run_ended)
        self.failures: list[Failure] = []
        self.shell = Shell(plan(), stages, self.lanes, clock, self, self.failures.append)
        self.shell.measure()
        self.image = np.zeros((64, 64, 3), np.uint8)

    def once(self) -> int:
        """Return how long one result takes, from the messages in hand to the delivery, in ns."""
        stamp_ns = self.clock.now_ns()
        messages = [(name, self._message(name, stamp_ns)) for name in NAMES]
        self.seq += 1
        self.delivered_ns, begun_ns = 0, self.clock.now_ns()
        for name, message in messages:
            self.shell.push(name, message)
        while not self.delivered_ns:
            wait_ns = self.shell.turn() - self.clock.now_ns()
            with contextlib.suppress(Empty):
                self.wake.get(timeout=min(max(wait_ns, 0), 50 * NS_PER_MS) / NS_PER_S)
            while not self.wake.empty():
                self.wake.get()
        took_ns = self.delivered_ns - begun_ns
        while self.shell.turn() <= self.clock.now_ns():
            pass  # what is left to do after a result costs the next one nothing
        return took_ns

    def run_ended(self) -> None:
        """Go on in the lane's thread, as nodes do, and leave the rest to the loop."""
        if self.shell.run_ended():
            self.wake.put(None)

    def _message(self, name: str, stamp_ns: int) -> Message:
        spec = BufferSpec("uint8", self.image.shape)
        fields = {"encoding": "bgr8"}
        header = Header(
            f"{name}/image", Kind.IMAGE, self.seq, stamp_ns, incarnation=1, fields=fields,
            buffers=(spec,),
        )  # fmt: skip
        return Message(header, (ArrayPayload(self.image),))

    def deliver(self, row: Row, answer: StageOutput | None) -> None:
        """Stop the clock."""
        if answer is None:
            msg = f"trigger {row.trigger} was shed: {row.reason}; {self.failures}"
            raise RuntimeError(msg)
        self.delivered_ns = self.clock.now_ns()

    def close_row(self, row: Row) -> None:
        """Need nothing of it."""

    def note(self, note: Note) -> None:
        """Need nothing of it."""

    def journal(self, events: list[Event]) -> None:
        """Need nothing of it."""


def bare_session(spec: dict[str, Any]) -> Any:
    """Return an ONNX Runtime session of a stage's file, set up as ours are: one thread, no spin."""
    import onnxruntime as ort  # noqa: PLC0415 - for sessions of our own making

    settings = ort.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    file = Path(spec["model"]["folder"]) / "model.onnx"
    return ort.InferenceSession(str(file), settings, providers=["CPUExecutionProvider"])


def overhead(bench: Bench, specs: dict[str, dict[str, Any]], rounds: int) -> None:
    """Compare both, one result each in turn."""
    clock = GraphClock()
    bare, runtime = Bare(specs, clock), Runtime(build(specs), clock)
    took: dict[str, list[int]] = {"bare": [], "tectum": []}
    for number in range(rounds + 20):
        for name, contender in (("bare", bare), ("tectum", runtime)):
            took_ns = contender.once()
            if number >= 20:
                took[name].append(took_ns)
    runtime.lanes.close()
    p50 = {name: statistics.median(values) / NS_PER_MS for name, values in took.items()}
    p95 = {name: statistics.quantiles(v, n=20)[-1] / NS_PER_MS for name, v in took.items()}
    rows = [(name, p50[name], p95[name], p50[name] / p50["bare"]) for name in took]
    bench.table("three encoders and a head", ("path", "p50 ms", "p95 ms", "/ bare"), rows)
    bench.at_most("p50 / bare critical path", p50["tectum"] / p50["bare"], 1.05)
    bench.at_most("added at p50, microseconds", (p50["tectum"] - p50["bare"]) * 1000, 300)


def defaults(bench: Bench, specs: dict[str, dict[str, Any]], seconds: float, repeats: int) -> None:
    """Compare four sessions side by side under ONNX Runtime's defaults and under ours."""
    import onnxruntime as ort  # noqa: PLC0415 - for sessions of our own making

    files = [Path(specs[name]["model"]["folder"]) / "model.onnx" for name in (*NAMES, "camera")]
    theirs = [ort.InferenceSession(str(f), providers=["CPUExecutionProvider"]) for f in files]
    ours = [bare_session(specs[name]) for name in (*NAMES, "camera")]
    took: dict[str, list[int]] = {"defaults": [], "ours": []}
    for _ in range(repeats):
        took["defaults"] += _side_by_side(theirs, seconds)
        took["ours"] += _side_by_side(ours, seconds)
    p50 = {name: statistics.median(values) / NS_PER_MS for name, values in took.items()}
    rows = [(name, len(took[name]), p50[name], p50[name] / p50["defaults"]) for name in took]
    bench.table("four sessions side by side", ("sessions", "runs", "p50 ms", "/ defaults"), rows)
    bench.at_most("our session defaults / ONNX Runtime's, p50", p50["ours"] / p50["defaults"], 0.7)


def _side_by_side(sessions: list[Any], seconds: float) -> list[int]:
    """Run each session at its own pace in a thread of its own; return how long runs took, in ns."""
    clock, took = GraphClock(), []
    until_ns = clock.now_ns() + round(seconds * NS_PER_S)
    image = np.zeros((1, 64, 64, 3), np.uint8)

    def paced(session: Any) -> None:
        at_ns = clock.now_ns()
        while at_ns < until_ns:
            clock.sleep_until_ns(at_ns)
            begun_ns = clock.now_ns()
            session.run(None, {"image": image})
            took.append(clock.now_ns() - begun_ns)
            at_ns = max(at_ns + PERIOD_NS, clock.now_ns())

    threads = [threading.Thread(target=paced, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def main() -> int:
    """Run and judge."""
    chosen = options(__doc__ or "")
    sys.setswitchinterval(SWITCH_INTERVAL_S)  # as nodes do
    bench = Bench("overhead")
    with tempfile.TemporaryDirectory() as folder:
        specs = write_models(Path(folder), LAYERS)
        overhead(bench, specs, 200 if chosen.quick else 1000)
        defaults(bench, specs, 2.0 if chosen.quick else 5.0, 3)
    return bench.finish(chosen.json)


if __name__ == "__main__":
    sys.exit(main())
