"""`tectum topics`, `echo` and `hz` on a graph that runs."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.realtime


def tectum(*arguments):
    command = [sys.executable, "-m", "tectum_launch", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def running(graph_file, launched_graph):
    """A graph with a ticker that a hearer hears."""
    launched_graph(graph_file(ticker="Ticker", hearer="Hearer"), 2)


@pytest.mark.usefixtures("running")
def test_what_is_said_in_a_running_graph_can_be_listed_printed_and_measured():
    listed = json.loads(tectum("topics", "--json").stdout)
    assert listed["ticker/tick"] == {"node": "ticker", "kind": "text", "heard_by": ["hearer"]}
    assert "ticker/tick  text     heard by hearer" in tectum("topics").stdout

    lines = tectum("echo", "ticker/tick", "-n", "3").stdout.splitlines()
    numbers = [int(line.split("#")[1].split()[0]) for line in lines]
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    assert all(line.endswith(f"'{number}'") for line, number in zip(lines, numbers, strict=True))

    (line,) = tectum("echo", "*/tick", "-n", "1", "--json").stdout.splitlines()
    assert json.loads(line)["kind"] == "text"

    measured = json.loads(tectum("hz", "ticker/*", "--for", "2s", "--json").stdout)["ticker/tick"]
    assert measured["messages"] >= 10
    assert measured["missed"] == 0


@pytest.mark.usefixtures("running")
def test_a_topic_that_does_not_exist_is_told_with_the_nearest_name():
    done = tectum("hz", "ticker/tik")
    assert done.returncode == 1
    assert "has no topic 'ticker/tik' (it has: ticker/tick" in done.stderr
    assert done.stderr.endswith("; did you mean 'ticker/tick'?\n")


def test_echo_ends_with_the_run(graph_file, launched_graph):
    process, _ = launched_graph(graph_file(ticker="Ticker, ticks: 15"), 1)
    done = tectum("echo", "ticker/tick")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].endswith("'14'")
    assert process.wait(20) == 0
