"""Recording: how fast a log is written, and what a recorder costs the graph beside it.

First: the same Foxglove messages, uncompressed, written by the `mcap` package and by ours, in turn.
The package is given messages of generated classes, which it makes into bytes; ours is given
messages as a node publishes them, makes the records, and writes their headers besides. Shown, not
judged: the package given bytes that are ready, which spares it half of the work. Every log is read
again and compared. Time is that of the processor: what is written goes into the memory of the
system, and others' work does not count.

Second: a graph of three cameras (30 Hz, 640 x 384, raw, stored as JPEG) and a lidar with its
recorder off and on, in turn: the latency of its answers, and how many are on time.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from bench import Bench, options
from mcap.reader import make_reader
from mcap.writer import CompressionType, Writer
from mcap_protobuf.writer import Writer as ProtobufWriter

from tectum.clock import NS_PER_S
from tectum.message import Kind, Message
from tectum.recording.schemas import message_class, schema_bytes
from tectum.recording.store import ImageStorage, stored
from tectum.recording.writer import LogWriter, WriteOptions
from tectum.testing.messages import make_message

RAW = ImageStorage("raw")
RATES_HZ = {"camera": 90, "lidar": 10, "microphone": 50}
"""The mixed stream: three cameras, a lidar, a microphone."""


class At(TypedDict):
    """Where in its stream a message is."""

    seq: int
    stamp_ns: int


def prepared(name: str, seq: int, stamp_ns: int) -> Message:
    """Return a message as its sensor publishes it; the payload is one of a few."""
    payload = PAYLOADS[name]
    at: At = {"seq": seq, "stamp_ns": stamp_ns}
    if name == "lidar":
        fields = ["x", "y", "z", "intensity"]
        return make_message("lidar/points", Kind.POINTS, payload, **at, names=fields)
    if name == "microphone":
        return make_message("microphone/audio", Kind.AUDIO, payload, **at, rate_hz=16_000)
    encoding = "jpeg" if name == "camera" else "bgr8"
    return make_message(f"{name}/image", Kind.IMAGE, payload, **at, encoding=encoding)


NOISE = np.random.default_rng(1)
PAYLOADS: dict[str, Any] = {
    "camera": NOISE.integers(0, 256, 120_000, np.uint8),  # JPEG of 720p
    "raw camera": NOISE.integers(0, 256, (480, 640, 3), np.uint8),
    "lidar": NOISE.random((28_800, 4), np.float32),
    "microphone": NOISE.integers(-999, 999, 320).astype(np.int16),
}


def stream(names: dict[str, int], seconds: float) -> list[Message]:
    """Return the messages of sensors of so many hertz, in the order of their stamps."""
    times = sorted(
        (round(number * NS_PER_S / rate), name, number)
        for name, rate in names.items()
        for number in range(round(rate * seconds))
    )
    return [prepared(name, number, 10**18 + at_ns) for at_ns, name, number in times]


class Same:
    """The same messages in the three forms, and the writers of each."""

    def __init__(self, messages: list[Message]) -> None:
        """Make records and generated messages of them, which costs nobody anything."""
        self.messages = messages
        made = [stored(message, RAW) for message in messages]
        self.records = [(item.schema, b"".join(item.pieces)) for item in made]
        self.objects = [message_class(name).FromString(data) for name, data in self.records]
        self.nbytes = sum(len(data) for _, data in self.records)

    def tectum(self, path: Path) -> None:
        """Write with ours."""
        with LogWriter(path, WriteOptions(images=RAW)) as writer:
            for message in self.messages:
                writer.write(message, message.header.stamp_ns)

    def ready(self, path: Path) -> None:
        """Write records that are ready."""
        with path.open("wb") as file:
            writer: Any = Writer(file, compression=CompressionType.NONE)
            writer.start()
            channels: dict[str, int] = {}
            for message, (schema, data) in zip(self.messages, self.records, strict=True):
                header = message.header
                if header.topic not in channels:
                    number = writer.register_schema(schema, "protobuf", schema_bytes(schema))
                    channels[header.topic] = writer.register_channel(
                        header.topic, "protobuf", number
                    )
                writer.add_message(
                    channels[header.topic], header.stamp_ns, data, header.stamp_ns, header.seq
                )
            writer.finish()

    def generated(self, path: Path) -> None:
        """Write messages of generated classes."""
        with path.open("wb") as file:
            writer: Any = ProtobufWriter(file, compression=CompressionType.NONE)
            for message, made in zip(self.messages, self.objects, strict=True):
                header = message.header
                stamp_ns = header.stamp_ns
                writer.write_message(header.topic, made, stamp_ns, stamp_ns, header.seq)
            writer.finish()

    def check(self, path: Path) -> None:
        """Read a log with the ordinary reader: it must hold exactly these records."""
        topics = sorted({message.header.topic for message in self.messages})
        with path.open("rb") as file:
            found = [item.data for _, _, item in make_reader(file).iter_messages(topics=topics)]
        same = [
            message_class(schema).FromString(data) == made
            for data, (schema, _), made in zip(found, self.records, self.objects, strict=True)
        ]
        if not all(same):
            msg = f"{path} holds other messages than were written"
            raise RuntimeError(msg)


def throughput(bench: Bench, folder: Path, seconds: float, repeats: int) -> None:
    """Compare writers on each kind of message and on the mixed stream, which is judged."""
    cases = {
        "three cameras, lidar, microphone": RATES_HZ,
        "camera, JPEG 120 kB": {"camera": 90},
        "camera, raw 0.9 MB": {"raw camera": 12},
        "lidar, 0.46 MB": {"lidar": 25},
        "microphone, 640 B": {"microphone": 500},
    }
    rows, ratios = [], {}
    for title, rates in cases.items():
        same = Same(stream(rates, seconds))
        writers = {"tectum": same.tectum, "ready": same.ready, "generated": same.generated}
        for write in writers.values():  # warm, and compared
            path = folder / "check.mcap"
            write(path)
            same.check(path)
            path.unlink()
        took = _interleaved(writers, folder, repeats)
        median = {name: statistics.median(values) for name, values in took.items()}
        ratio = {
            name: statistics.median(theirs / ours for ours, theirs in zip(
                took["tectum"], took[name], strict=True
            ))
            for name in ("ready", "generated")
        }  # fmt: skip
        ratios[title] = ratio
        speeds = [same.nbytes / median[name] * 1e3 for name in writers]
        rows.append((title, *speeds, ratio["ready"], ratio["generated"]))
    columns = (
        "messages",
        "tectum MB/s",
        "mcap, ready",
        "mcap, generated",
        "/ ready",
        "/ generated",
    )
    bench.table("writing a log", columns, rows)
    judged = ratios["three cameras, lidar, microphone"]["generated"]
    bench.at_least("mixed stream: tectum / mcap, the same messages", judged, 0.9)


def _interleaved(
    writers: Mapping[str, Callable[[Path], None]], folder: Path, repeats: int
) -> dict[str, list[int]]:
    """Return the processor time that each took, in ns, repeat by repeat."""
    took: dict[str, list[int]] = {name: [] for name in writers}
    for _ in range(repeats):
        for name, write in writers.items():
            path = folder / f"{name}.mcap"
            begun_ns = time.process_time_ns()
            write(path)
            took[name].append(time.process_time_ns() - begun_ns)
            path.unlink()
    return took


NODES = '''
"""Cameras that have their pictures ready, so that nothing is measured but the graph."""

import numpy as np

from tectum.message import Kind
from tectum.node.base import Capture, NodeConfig, SensorNode


class Camera(SensorNode):
    outputs = {"image": Kind.IMAGE}

    class Config(NodeConfig):
        seed: int = 0

    @classmethod
    def period_ns_of(cls, config):
        return {"image": 33_333_333}

    def open(self, context):
        rows, columns = np.mgrid[0:384, 0:640]
        shade = ((rows // 3 + columns // 5)[..., None] % 224).astype(np.uint8)
        draw = np.random.default_rng(self.config.seed)
        noise = draw.integers(0, 24, (8, 384, 640, 3), np.uint8)
        self.pictures = [shade + one for one in noise]

    def captures(self, context):
        stamp_ns, number = context.epoch_ns, 0
        while context.wait_until_ns(stamp_ns + 8_000_000):
            yield Capture(
                "image", Kind.IMAGE, (self.pictures[number % 8],), stamp_ns, 8_000_000,
                fields={"encoding": "bgr8"},
            )
            number += 1
            stamp_ns = context.epoch_ns + number * 33_333_333
'''
GRAPH = """\
graph: beside
budget: 100ms
nodes:
  front: {run: prepared_cameras:Camera, seed: 1}
  left:  {run: prepared_cameras:Camera, seed: 2}
  right: {run: prepared_cameras:Camera, seed: 3}
  lidar: {run: simulated_lidar, rate: 10Hz}
  perception:
    run: fusion
    trigger: lidar
    inputs:
      front: {topic: front/image, align: {nearest: {tolerance: 40ms}}, encoder: driving/camera}
      left:  {topic: left/image, align: {nearest: {tolerance: 40ms}}, encoder: driving/camera}
      right: {topic: right/image, align: {nearest: {tolerance: 40ms}}, encoder: driving/camera}
      lidar: {topic: lidar/points, encoder: driving/lidar}
    head: {late: mean}
"""


def beside(bench: Bench, folder: Path, seconds: int, repeats: int) -> None:
    """Compare the graph's answers with its recorder off and on."""
    (folder / "prepared_cameras.py").write_text(NODES)
    (folder / "graph.yaml").write_text(GRAPH)
    reports: dict[str, list[dict[str, Any]]] = {"off": [], "on": []}
    for repeat in range(repeats):
        for name in ("off", "on") if repeat % 2 == 0 else ("on", "off"):
            reports[name].append(_launched(folder, seconds, record=name == "on"))
    p50 = _medians(reports, lambda item: item["latency_ms"]["p50"])
    on_time = _medians(reports, lambda item: 100 * item["on_time"])
    cores = _medians(reports, lambda item: item["cpu_s"] / seconds)
    rows = [(name, p50[name], on_time[name], cores[name]) for name in reports]
    bench.table("three cameras and a lidar", ("recorder", "p50 ms", "% on time", "cores"), rows)
    accounts = [item["recordings"]["recorder"] for item in reports["on"]]
    speed = statistics.median(account["bytes"] for account in accounts) / seconds / 1e6
    missing = sum(account["left_out"] + account["never_came"] for account in accounts)
    share = missing / (missing + sum(account["messages"] for account in accounts))
    bench.table("recorded", ("MB/s", "messages", "missing"), [
        (speed, statistics.median(account["messages"] for account in accounts), missing)
    ])  # fmt: skip
    bench.at_most("fusion p50, recorder on / off", p50["on"] / p50["off"], 1.1)
    bench.at_most("on time, points lost with recorder", on_time["off"] - on_time["on"], 0.5)
    bench.at_most("share of messages that the logs miss", share, 0.001)


def _launched(folder: Path, seconds: int, *, record: bool) -> dict[str, Any]:
    """Run the graph; return its report, with the processor time of all its processes."""
    log, report = folder / "beside.mcap", folder / "report.json"
    command = [sys.executable, "-m", "tectum_launch", "launch", str(folder / "graph.yaml")]
    command += ["--duration", f"{seconds}s", "--report", str(report)]
    command += ["--record", str(log)] if record else []
    before = _children_s()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"the graph did not run: {done.stdout}{done.stderr}"
        raise RuntimeError(msg)
    log.unlink(missing_ok=True)
    document: dict[str, Any] = json.loads(report.read_text())
    if document["latency_ms"]["p50"] is None:
        msg = f"the graph gave no answer: this machine is too busy to measure on; {done.stdout}"
        raise RuntimeError(msg)
    return {**document, "cpu_s": _children_s() - before}


def _children_s() -> float:
    import resource  # noqa: PLC0415 - only here

    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _medians(
    reports: dict[str, list[dict[str, Any]]], of: Callable[[dict[str, Any]], float]
) -> dict[str, float]:
    return {name: statistics.median(map(of, items)) for name, items in reports.items()}


def main() -> int:
    """Run and judge."""
    chosen = options(__doc__ or "")
    bench = Bench("recording")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        throughput(bench, folder, 2.0 if chosen.quick else 5.0, 5 if chosen.quick else 9)
        beside(bench, folder, 4 if chosen.quick else 15, 2 if chosen.quick else 5)
    return bench.finish(chosen.json)


if __name__ == "__main__":
    sys.exit(main())
