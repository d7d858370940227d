"""Who has the terminal while a console draws: on a real pseudo-terminal, with real processes."""

from __future__ import annotations

import os
import pty
import re
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from tectum.testing import FakeClock
from tectum_launch.screen import TERMINAL
from tectum_launch.terminal import Terminal
from tectum_nodes import console

GRAPH = """
graph: seen
budget: 200ms
nodes:
  lidar: {run: simulated_lidar, rate: 10Hz}
  perception:
    run: fusion
    trigger: lidar
    inputs: {lidar: {topic: lidar/points}}
    head: {run: "counting:Points"}
"""
HEAD = """
import numpy as np

from tectum.inference.stage import OutputSpec, StageOutput


class Points:
    variants = ("default",)
    outputs = (OutputSpec("points", "tensor"),)

    def __init__(self, name, inputs):
        self.name = name

    def warm_up(self, variant):
        pass

    def run(self, variant, args, state, stopper):
        count = len(args["lidar"].message.array())
        return StageOutput({"points": np.array([count], np.float32)})

    def close(self):
        pass
"""


def test_the_launcher_and_the_console_mean_the_same_variable() -> None:
    assert TERMINAL == console.TERMINAL


def test_lines_that_were_held_back_are_printed_in_order_when_the_terminal_comes_back() -> None:
    clock, text = FakeClock(), StringIO()
    terminal = Terminal(("camera",), clock, Console(file=text, width=100))
    terminal.hold()
    terminal.say("camera", "info", "first")
    clock.advance(2_000_000_000)
    terminal.say("camera", "info", "second")
    assert text.getvalue() == ""
    terminal.release()
    terminal.say("camera", "info", "third")
    said = [line.split("|")[1].strip() for line in text.getvalue().splitlines()]
    assert said == ["first", "second", "third"]
    assert [float(line.split()[0]) for line in text.getvalue().splitlines()] == [0.0, 2.0, 2.0]


def watched(folder: Path, *arguments: str) -> str:
    """What somebody sees who runs `tectum` in a terminal."""
    child, screen = pty.fork()
    if child == 0:
        os.chdir(folder)
        environment = {**os.environ, "TERM": "xterm-256color", "XDG_RUNTIME_DIR": str(folder)}
        os.execve(sys.executable, [sys.executable, "-m", "tectum_launch", *arguments], environment)
    seen = b""
    try:
        while piece := os.read(screen, 1 << 16):
            seen += piece
    except OSError:  # how Linux says that the other end is closed
        pass
    finally:
        os.close(screen)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, seen.decode()
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode())


@pytest.mark.realtime
def test_the_console_draws_alone_and_the_nodes_lines_come_after_it(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    folder.mkdir(mode=0o700)
    (folder / "seen.yaml").write_text(GRAPH)
    (folder / "counting.py").write_text(HEAD)
    text = watched(folder, "launch", "seen.yaml", "--console", "--duration", "3s")
    drawn, said = text.index("lidar (trigger)"), text.index("stages warmed up")
    assert drawn < said
    assert text.rindex("lidar (trigger)") < said
    assert text.count("lidar (trigger)") > 5
    assert "perception fused lidar" in text
