"""Faults on a graph that lives, over real processes: it goes on, counts, and says what broke."""

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from tectum_launch.cli import main

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(180)]

FAULTS = """\
faults:
  - {input: camera, fault: drop, at: 1s, for: 1s, share: 50%}
  - {input: camera, fault: duplicate, by: 3ms, at: 2s, for: 500ms}
  - {input: camera, fault: reorder, share: 30%, at: 2500ms, for: 500ms}
  - {input: camera, fault: corrupt, at: 3s, for: 500ms}
  - {input: camera, fault: freeze, at: 3500ms, for: 300ms}
  - {input: lidar, fault: corrupt, at: 3s, for: 500ms, share: 50%}
  - {input: lidar, fault: delay, by: 15ms, at: 2s, for: 500ms}
  - {input: lidar, fault: jitter, by: 5ms, at: 4s, for: 500ms}
  - {input: siren, fault: burst, at: 2s, for: 200ms}
  - {input: camera, fault: clock_step, by: -100ms, at: 4s, for: 500ms}
  - {input: siren, fault: drift, ppm: 100, at: 3s, for: 500ms}
  - {node: microphone, fault: hang, at: 4s, for: 500ms}
  - {node: lidar, fault: slow, by: 2ms, at: 4s, for: 500ms}
  - {node: camera, fault: kill, at: 5s}
"""
HOLDS = """\
assert:
  outcomes: {shed: 80%}
  recovery: {within: 8s, to: answer}
  unexplained_loss: 0
"""
BREAKS = """\
assert:
  outcomes: {partial: {at_most: 0%}}
  unexplained_loss: 0
"""


@pytest.fixture
def driving(tmp_path):
    """Return a function that launches the drive with faults and gives exit code, words, report."""
    (tmp_path / "run").mkdir(mode=0o700)

    def launch(faults, *more):
        (tmp_path / "faults.yaml").write_text(faults)
        report = tmp_path / "report.json"
        command = [sys.executable, "-m", "tectum_launch", "launch", "driving"]
        command += ["--faults", str(tmp_path / "faults.yaml"), "--report", str(report)]
        command += ["--set", "nodes.camera.on_exit=restart", "--set", "nodes.camera.rate=15Hz"]
        done = subprocess.run(
            [*command, *more],
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
            env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path / "run")},
        )
        return done.returncode, done.stdout + done.stderr, json.loads(report.read_text())

    return launch


def test_a_graph_lives_through_every_fault_and_every_loss_is_named(driving, tmp_path):
    log = tmp_path / "drive.mcap"
    code, said, report = driving(FAULTS + HOLDS, "--duration", "11s", "--record", str(log))
    assert code == 0, said
    assert "on purpose: drop on camera from 1.00 s for 1.00 s" in said
    assert "camera     | is killed, as its faults ask" in said
    assert "what is asserted holds:" in said
    assert [item["cause"] for item in report["deaths"]] == ["killed by SIGKILL, as its faults ask"]
    assert report["restarts"] == {"camera": 1}
    assert report["unexplained_loss"] == 0
    assert sum(report["outcomes"].values()) == report["triggers"] > 0
    camera = report["inputs"]["camera"]
    assert 0 < camera["losses"]["injected"] < 15
    assert camera["counts"]["duplicate"] > 0
    assert camera["counts"]["stamp_disorder"] > 0
    assert set(report["recovery"]) >= {"drop on camera", "hang of microphone", "kill of camera"}
    verified = CliRunner().invoke(main, ["replay", str(log)])
    assert verified.exit_code == 0, verified.stdout
    assert report["decisions_sha256"] in verified.stdout


def test_a_promise_that_does_not_hold_is_said_and_the_launch_fails(driving):
    faults = "faults: [{input: camera, fault: drop, at: 500ms}]\n" + BREAKS
    code, said, report = driving(faults, "--duration", "3s")
    assert code == report["exit_code"] == 1
    assert "assert.outcomes.partial does not hold" in said
    assert "faults.yaml:3:" in said
    assert "outcomes of perception were partial; wanted: at most 0.0 %" in said
    assert [(item["key"], item["ok"]) for item in report["assertions"]] == [
        ("assert.outcomes.partial", False),
        ("assert.unexplained_loss", True),
    ]
    assert report["deaths"] == []
