"""A graph whose encoders need twice the time there is, launched and recorded: it verifies.

What the planner gave up is in the decision part of the rows, which is what the digest is of.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tectum.ledger.codec import row_from
from tectum.ledger.digest import decision_digest
from tectum.ledger.row import Row
from tectum.message import Kind
from tectum.recording.reader import LogReader
from tectum_launch.cli import main

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(240)]

FOR_TIME = {"encoder_late", "left_out"}
"""Why an input is missing whose encoder had been started, in whatever variant."""
GRAPH = """\
graph: overload
budget: 150ms
nodes:
  camera: {run: "slow_nodes:Camera"}
  lidar: {run: "slow_nodes:Lidar"}
  perception:
    run: fusion
    trigger: lidar
    lanes: 1
    inputs:
      camera:
        topic: camera/tensor
        align: {nearest: {tolerance: 20ms}}
        encoder: {run: "slow_nodes:Eye"}
        required: false
      lidar: {topic: lidar/tensor, encoder: {run: "slow_nodes:Shape"}}
    head: {run: "slow_nodes:Head"}
"""
NODES = '''
import time

import numpy as np

from tectum.inference.stage import Cancelled, OutputSpec, StageOutput
from tectum.message import Kind
from tectum.node.base import Node


class Camera(Node):
    """Says something twenty times a second, on the same beat as everybody."""

    outputs = {"tensor": Kind.TENSOR}

    @classmethod
    def period_ns_of(cls, config):
        return {"tensor": 50_000_000}

    def run(self, context):
        beat = 50_000_000
        at_ns = (context.clock.now_ns() // beat + 1) * beat
        while context.wait_until_ns(at_ns):
            context.publish("tensor", Kind.TENSOR, (np.zeros(1, np.float32),), stamp_ns=at_ns)
            at_ns += beat


class Lidar(Camera):
    pass


class Encoder:
    variants = ("full", "small")
    outputs = (OutputSpec("code", "embedding"),)
    takes_ms = {"full": 50, "small": 50}

    def __init__(self, *, name, inputs):
        self.name = name

    def warm_up(self, variant):
        time.sleep(self.takes_ms[variant] / 1000)

    def run(self, variant, args, state, stopper):
        for _ in range(self.takes_ms[variant] // 5):
            if stopper.stopped:
                raise Cancelled
            time.sleep(0.005)
        return StageOutput({"code": np.zeros(1, np.float32)})

    def close(self):
        pass


class Eye(Encoder):
    takes_ms = {"full": 60, "small": 20}


class Shape(Encoder):
    takes_ms = {"full": 40, "small": 15}


class Head(Encoder):
    variants = ("default",)
    outputs = (OutputSpec("there", "tensor"),)
    takes_ms = {"default": 1}

    def run(self, variant, args, state, stopper):
        there = [arg is not None for arg in args.values()]
        return StageOutput({"there": np.array(there, np.float32)})
'''


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Return the log and the report of four seconds of overload."""
    folder = tmp_path_factory.mktemp("overload")
    (folder / "run").mkdir(mode=0o700)
    (folder / "slow_nodes.py").write_text(NODES)
    (folder / "graph.yaml").write_text(GRAPH)
    log, report = folder / "log.mcap", folder / "report.json"
    command = [sys.executable, "-m", "tectum_launch", "launch", str(folder / "graph.yaml")]
    command += ["--duration", "4s", "--record", str(log), "--report", str(report)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=200, check=False,
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder / "run")},
    )  # fmt: skip
    assert report.exists(), done.stdout + done.stderr
    return log, json.loads(report.read_text())


def test_a_live_overload_verifies_with_the_digest_that_it_reported(live):
    log, report = live
    result = CliRunner().invoke(main, ["replay", str(log), "--json"])
    found = json.loads(result.stdout)
    assert result.exit_code == 0, found
    (life,) = found["fusion"]
    assert life["decisions_sha256"] == report["decisions_sha256"]
    assert sum(report["outcomes"].values()) == report["triggers"] > 40


def test_it_was_one_and_who_took_the_time_is_named(live):
    _, report = live
    given_up = report["triggers"] - report["outcomes"]["complete"] + report["flags"]["degraded"]
    assert given_up >= report["triggers"] // 2
    assert set(report["blame"]) <= {"encode_camera", "encode_lidar"}
    assert sum(report["blame"].values()) >= report["triggers"] // 2


def test_the_variants_that_the_planner_chose_are_decisions(live):
    log, report = live
    rows = _rows(log)
    degraded = [row for row in rows if "degraded" in row.flags]
    small = [row for row in degraded if "small" in {item.variant for item in row.inputs}]
    given_up = [row for row in degraded if {item.reason for item in row.inputs} & FOR_TIME]
    assert small
    assert all(row in small or row in given_up for row in degraded)
    assert len(degraded) == report["flags"]["degraded"]
    assert decision_digest(rows) == report["decisions_sha256"]
    (item, *_) = [item for item in small[0].inputs if item.variant == "small"]
    item.variant = "full"
    assert decision_digest(rows) != report["decisions_sha256"]


def _rows(log: Path) -> list[Row]:
    with LogReader(log) as reader:
        return [
            row_from(document)
            for _, message in reader.messages(images="stored")
            if message.header.kind is Kind.LEDGER
            for document in message.header.fields["rows"]
        ]
