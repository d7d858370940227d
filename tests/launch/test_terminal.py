"""Lines of all nodes in one stream, for people and as JSON; and what exit codes mean."""

from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO

import pytest
from rich.console import Console

from tectum.testing import FakeClock
from tectum_launch.terminal import JsonTerminal, Terminal

S = 1_000_000_000


def lines_of(kind: type[Terminal]) -> list[str]:
    clock, text = FakeClock(), StringIO()
    terminal = kind(("camera", "perception"), clock, Console(file=text, width=40, soft_wrap=True))
    clock.advance(2 * S)
    terminal.say("camera", "warning", "nothing [bold]here[/bold] for 200 ms, " + 30 * "long ")
    terminal.say("perception", "info", "warm")
    terminal.say("", "error", "perception died")
    return text.getvalue().splitlines()


def test_a_line_has_its_time_level_and_node() -> None:
    first, second, third = lines_of(Terminal)
    assert first.startswith("   2.00 W camera     | nothing [bold]here[/bold] for 200 ms, long ")
    assert second == "   2.00   perception | warm"
    assert third == "   2.00 E tectum     | perception died"


def test_a_line_is_an_object_for_machines() -> None:
    first, second, third = (json.loads(line) for line in lines_of(JsonTerminal))
    assert first["text"].startswith("nothing [bold]here[/bold] for 200 ms, long ")
    assert {key: first[key] for key in ("seconds", "node", "level")} == {
        "seconds": 2.0,
        "node": "camera",
        "level": "warning",
    }
    assert first["graph_ns"] == second["graph_ns"] > 2 * S
    assert (third["node"], third["level"]) == ("", "error")


def launched(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tectum_launch", "launch", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.realtime
def test_every_line_of_a_launch_is_json_where_that_is_asked_for(graph_file) -> None:
    done = launched(str(graph_file(a="Ticker, ticks: 2", b="Hearer")), "--log-format", "json")
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == 0
    assert ("b", "info", "heard 2") in {(x["node"], x["level"], x["text"]) for x in lines}
    assert all(line["graph_ns"] > 0 for line in lines)


@pytest.mark.realtime
@pytest.mark.parametrize(
    ("nodes", "arguments", "code"),
    [
        ({"a": "Ticker, ticks: 2"}, [], 0),
        ({"a": "Ticker"}, ["--duration", "200ms"], 0),
        ({"a": "Ticker, die_at: 1", "b": "Ticker, ticks: 9"}, [], 1),
        ({"a": "Missing"}, [], 1),
        ({"a": "Ticker, tocks: 2"}, [], 2),
        ({"a": "Ticker"}, ["--duration", "soon"], 2),
        ({"a": "Ticker"}, ["--no-such-option"], 2),
    ],
)
def test_exit_codes_mean_what_the_page_about_running_says(
    graph_file, nodes: dict[str, str], arguments: list[str], code: int
) -> None:
    assert launched(str(graph_file(**nodes)), *arguments).returncode == code
