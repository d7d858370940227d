"""docs/hosts.md, word for word: the keys are made and trusted, and both hosts give results."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "hosts.md").read_text(encoding="utf-8")
GRAPH = PAGE.partition("```yaml\n")[2].partition("```")[0]
COMMANDS = re.findall(r"^    (robot|desk)\$ tectum (.*)$", PAGE, re.MULTILINE)
ADDRESSES = {"192.168.1.20": "127.0.0.2", "192.168.1.21": "127.0.0.3"}
"""Both hosts are this one, each at an address of its own."""


class Host:
    """One host: where it keeps its keys and its runs."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = folder / name
        self.folder.mkdir(mode=0o700)
        self._environment = {
            **os.environ,
            "TECTUM_KEYS": str(self.folder / "keys"),
            "XDG_RUNTIME_DIR": str(self.folder),
        }

    def start(self, words: str, *more: str) -> subprocess.Popen[str]:
        """Start a command as it stands on the page."""
        return subprocess.Popen(
            [sys.executable, "-m", "tectum_launch", *shlex.split(words), *more],
            cwd=self.folder, env=self._environment, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def run(self, words: str) -> str:
        """Run a command to its end; return what it says."""
        process = self.start(words)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0, said
        return said


def test_the_page_has_the_commands_of_both_hosts() -> None:
    assert [(host, words.split()[0]) for host, words in COMMANDS] == [
        ("robot", "keys"), ("desk", "keys"), ("desk", "keys"), ("robot", "keys"),
        ("robot", "launch"), ("desk", "launch"),
    ]  # fmt: skip


@pytest.mark.realtime
def test_the_commands_of_the_page_give_results_over_both_hosts(tmp_path: Path) -> None:
    hosts = {name: Host(name, tmp_path) for name in ("robot", "desk")}
    graph = GRAPH
    for told, real in ADDRESSES.items():
        assert told in graph
        graph = graph.replace(told, real)
    for host in hosts.values():
        (host.folder / "drive.yaml").write_text(graph)
    shown: dict[str, str] = {}
    for name, words in COMMANDS:
        if words.startswith("keys new"):
            shown[name] = hosts[name].run(words)
        elif words.startswith("keys trust"):
            other = words.split()[2]
            key = words.split()[3]
            line = next(line for line in shown[other].splitlines() if "keys trust" in line)
            hosts[name].run(words.replace(key, line.split()[-1]))
    report = tmp_path / "report.json"
    robot, desk = [words for _, words in COMMANDS if words.startswith("launch")]
    sensing = hosts["robot"].start(robot, "--duration", "60s")
    try:
        fusing = hosts["desk"].start(desk, "--duration", "20s", "--report", str(report))
        said, _ = fusing.communicate(timeout=60)
        assert fusing.returncode == 0, said
    finally:
        sensing.terminate()
        told, _ = sensing.communicate(timeout=30)
    document = json.loads(report.read_text())
    assert document["outcomes"]["complete"] > 50, said + told
    assert document["unexplained_loss"] == 0
