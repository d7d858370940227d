"""What a newcomer sees: help at once, errors in one line, exit codes that mean something."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from tectum import __version__
from tectum_launch.cli import main


def tectum(*arguments):
    return CliRunner().invoke(main, list(arguments))


def test_help_lists_the_commands_and_imports_nothing_heavy():
    program = (
        "import sys\nfrom tectum_launch.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "heavy = {'numpy', 'zmq', 'pydantic', 'cv2', 'onnxruntime', 'rich', 'mcap', 'ruamel'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "heavy: []" in done.stdout
    for command in ("launch", "check", "doctor", "why", "models", "nodes"):
        assert f"\n  {command} " in done.stdout


def test_the_version_is_that_of_the_package():
    assert tectum("--version").output == f"tectum, version {__version__}\n"


def test_an_unknown_graph_is_one_line_with_the_nearest_name():
    result = tectum("launch", "drivin")
    assert result.exit_code == 2
    assert result.stderr == (
        "tectum: there is no graph file 'drivin', nor a shipped graph of that name; allowed: "
        "driving, emotion, kitti, lidar, surround, talking; did you mean 'driving'?\n"
    )


def test_a_launch_that_is_refused_at_once_says_that_one_line_and_nothing_more():
    for _ in range(3):  # what is started meanwhile may be at any point of its start
        command = [sys.executable, "-m", "tectum_launch", "launch", "drivin"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1, done.stderr


def test_a_graph_with_errors_starts_nothing_and_tells_each_in_a_line(write_graph):
    path = write_graph("graph: g\nnodes:\n  a: {run: plain_nodes:Camera, rte: 3Hz, rate: 3}\n")
    result = tectum("launch", str(path))
    assert result.exit_code == 2
    assert [line.split(": ")[2] for line in result.stderr.splitlines()] == [
        "nodes.a.rte",
        "nodes.a.rate",
    ]


def test_check_prints_findings_as_json(write_graph):
    path = write_graph("graph: g\nnodes:\n  a: {run: plain_nodes:Camera, rate: 3}\n")
    result = tectum("check", str(path), "--json")
    assert result.exit_code == 2
    (finding,) = json.loads(result.stdout)["findings"]
    assert finding == {
        "level": "error",
        "file": str(path),
        "line": 3,
        "column": 38,
        "key": "nodes.a.rate",
        "value": 3,
        "message": "3 is not a rate: write a number with a unit (Hz, kHz, MHz), such as 30Hz",
    }


def test_check_of_a_graph_that_can_work_ends_with_zero(write_graph):
    path = write_graph("graph: g\nnodes:\n  a: {run: plain_nodes:Camera}\n")
    result = tectum("check", str(path))
    assert result.exit_code == 0
    assert result.stdout == f"{path}: 1 nodes, 1 topics: 0 errors, 0 warnings\n"


def test_a_missing_variable_of_a_shipped_graph_is_told_with_the_way_out(monkeypatch):
    monkeypatch.delenv("TECTUM_DATA", raising=False)
    result = tectum("launch", "kitti")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "the environment variable TECTUM_DATA is not set: set it, or give the parameter" in (
        result.stderr
    )


@pytest.mark.parametrize("duration", ["10", "fast", "-3s", "0s"])
def test_a_duration_without_sense_is_refused(duration, write_graph):
    path = write_graph("graph: g\nnodes:\n  a: {run: plain_nodes:Camera}\n")
    result = tectum("launch", str(path), "--duration", duration)
    assert result.exit_code == 2
    assert repr(duration) in result.stderr


def test_nodes_are_listed_and_shown_with_their_keys_and_defaults():
    assert "fusion  " in tectum("nodes", "list").output
    shown = tectum("nodes", "show", "simulated_camera").output
    assert "outputs: image (image)" in shown
    assert "  exposure: 8ms\n      Duration of an exposure.\n" in shown
    schema = json.loads(tectum("nodes", "show", "fusion", "--json").output)
    assert "trigger" in schema["config"]["required"]


def test_models_are_listed_and_shown():
    assert "third_party/silero " in tectum("models", "list").output
    document = json.loads(tectum("models", "show", "third_party/silero", "--json").output)
    assert document["on"] == "sample"
    assert [item["name"] for item in document["results"]] == ["voice"]
    wrong = tectum("models", "show", "third_party/sillero")
    assert wrong.exit_code == 2
    assert "did you mean 'third_party/silero'?" in wrong.stderr


def test_a_log_that_is_not_there_is_one_line(tmp_path):
    result = tectum("log", "info", str(tmp_path / "no.mcap"))
    assert result.exit_code == 1
    assert result.stderr.startswith("tectum: ")
    assert result.stderr.count("\n") == 1
