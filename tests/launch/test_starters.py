"""What `tectum new` writes works as it stands: it checks, launches, and passes its own test."""

import csv
import subprocess
import sys

import pytest
from click.testing import CliRunner

from tectum_launch.cli import main
from tectum_launch.compile import load_graph


def tectum(*arguments):
    return CliRunner().invoke(main, list(arguments))


def test_a_new_graph_is_proven_as_it_stands(tmp_path):
    path = tmp_path / "mine.yaml"
    done = tectum("new", "graph", str(path))
    assert done.exit_code == 0
    assert f"tectum check {path}" in done.output
    checked = tectum("check", str(path))
    assert (checked.exit_code, checked.stderr) == (0, "")
    assert "0 errors, 0 warnings" in checked.stdout


@pytest.mark.realtime
def test_a_new_graph_answers_and_leaves_a_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tectum("new", "graph", "mine")
    tectum("launch", "mine.yaml", "--duration", "2s", "--set", "seed=11")
    with (tmp_path / "mine.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 5
    assert {"trigger", "outcome", "camera.skew_ms"} <= set(rows[0])


def test_a_new_node_passes_its_own_test_and_runs_in_a_graph(tmp_path):
    done = tectum("new", "node", str(tmp_path / "wind_gauge.py"))
    assert done.exit_code == 0
    assert "wind_gauge: {run: wind_gauge:WindGauge, rate: 10Hz}" in done.output
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_wind_gauge.py"]
    tested = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout
    graph = tmp_path / "g.yaml"
    graph.write_text("graph: g\nnodes: {wind: {run: wind_gauge:WindGauge, rate: 5Hz}}\n")
    (topic,) = load_graph(str(graph)).topics
    assert (topic.name, topic.period_ns) == ("wind/value", 200_000_000)


@pytest.mark.parametrize(
    ("what", "name", "message"),
    [
        ("graph", "a.b.yaml", "'a.b' cannot be the name of a graph: letters, digits, `_` and `-`"),
        ("node", "Wind-Gauge.py", "'Wind-Gauge' cannot be the name of a module: small letters"),
    ],
)
def test_a_name_that_cannot_be_is_told(tmp_path, what, name, message):
    done = tectum("new", what, str(tmp_path / name))
    assert done.exit_code == 2
    assert message in done.stderr


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "test_gauge.py").write_text("mine")
    done = tectum("new", "node", str(tmp_path / "gauge.py"))
    assert done.exit_code == 2
    assert done.stderr == f"tectum: {tmp_path}/test_gauge.py exists: choose another name\n"
    assert not (tmp_path / "gauge.py").exists()
