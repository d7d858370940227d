"""`tectum why` about a graph while it runs: from another process, for a moment, a span, as JSON."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tectum.testing.models import ENCODER, ENCODER_GRAPH, write_model

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(300)]

GRAPH = """
graph: eyes
budget: 2s
nodes:
  left:  {run: simulated_camera, rate: 10Hz}
  right: {run: simulated_camera, rate: 10Hz}
  both:
    run: fusion
    trigger: left
    accept: [[left]]
    inputs:
      left:  {topic: left/image, encoder: ./eye}
      right: {topic: right/image, align: {nearest: {tolerance: 60ms}}, encoder: ./eye}
    head: {late: mean}
faults:
  - {input: right, fault: drop, at: 2s, for: 2s}
"""
SILENCE = re.compile(
    r"right was silent (\d+ times )?from [\d:.]+ to [\d:.]+ \(\d+ .*partial.*\): nothing on "
    r"right/image since [\d:.]+, heard again at [\d:.]+.*"
)


def why(*arguments: str) -> str:
    """Ask in a process of its own, as from another terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "tectum_launch", "why", *arguments],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout


def asked(*arguments: str) -> dict[str, Any]:
    (document,) = json.loads(why(*arguments, "--json"))
    assert isinstance(document, dict)
    return document


def test_a_running_graph_says_why_for_a_span_a_moment_and_as_json(
    launched_graph: Any, until: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir(mode=0o700, exist_ok=True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    write_model(tmp_path / "eye", ENCODER_GRAPH, ENCODER)
    path = tmp_path / "eyes.yaml"
    path.write_text(GRAPH)
    process, _ = launched_graph(path, 3, "--duration", "200s")

    def silence() -> str:
        return next((s for s in told() if SILENCE.fullmatch(s)), "")

    def told() -> list[str]:
        return list(asked()["sentences"]) if list(tmp_path.glob("run/**/both.ledger")) else []

    sentence = until(silence, 120)
    assert process.poll() is None, "the graph has ended"
    begin, end = re.findall(r"[\d:.]{12}", sentence)[:2]

    span = asked("--from", begin, "--to", end)
    assert span["triggers"] == sum(span["outcomes"].values()) > 10
    assert span["outcomes"].get("partial", 0) >= 10
    assert [s for s in span["sentences"] if s.startswith("right was silent ")]
    assert why("--from", begin, "--to", end).splitlines() == span["sentences"]

    middle = asked("--at", str((span["begin_ns"] + span["end_ns"]) // 2))
    assert middle["row"]["outcome"] == "partial"
    assert middle["row"]["reason"] == "input_silent"
    assert "partial, without right (silent)" in middle["sentences"][0]
    assert any(
        s.startswith("  right: silent, nothing on right/image since ") for s in middle["sentences"]
    )

    before = asked()["triggers"]
    until(lambda: asked()["triggers"] > before)
    assert process.poll() is None
    os.kill(process.pid, 2)
    process.communicate(timeout=60)
    ended = asked("--from", begin, "--to", end)
    assert ended["sentences"] == span["sentences"]
