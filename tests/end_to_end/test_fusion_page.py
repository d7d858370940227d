"""Early and learned late fusion as docs/fusion.md writes them, on the simulated drive."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from tectum.message import Kind
from tectum.recording.reader import LogReader

pytestmark = pytest.mark.realtime

PAGE = (Path(__file__).parents[2] / "docs" / "fusion.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "model", "beside", "least"),
    [("painted", "driving/painted", "velocity", 11), ("stacked", "driving/stacker", "siren", 1)],
)
def test_a_graph_of_the_page_answers_where_road_users_are(
    name: str, model: str, beside: str, least: int, tmp_path: Path
) -> None:
    found = re.search(rf"^    graph: {name}\n(?:    .*\n)+", PAGE, re.MULTILINE)
    assert found is not None
    graph, log, report = (tmp_path / name for name in ("graph.yaml", "log.mcap", "report.json"))
    graph.write_text(dedent(found[0]))
    command = [sys.executable, "-m", "tectum_launch", "launch", str(graph), "--duration", "8s"]
    command += ["--set", "budget=2s", "--record", str(log), "--report", str(report)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    with LogReader(log) as reader:
        messages = [record.message for record in reader.messages(["perception/result"])]
    results = [message for message in messages if message.header.kind is Kind.RESULT]
    answers = [message.header.fields["result"] for message in results]
    whole = [k for k, answer in enumerate(answers) if answer["outcome"] == "complete"]
    assert len(whole) >= least  # a busy machine loses samples of four processes
    assert json.loads(report.read_text())["unexplained_loss"] == 0
    for k in whole:
        outputs = answers[k]["outputs"]
        assert model in answers[k]["models"]
        assert outputs["occupancy"]["grid"]["cell_m"] == 2
        grid = results[k].array(outputs["occupancy"]["buffer"])
        assert grid.shape == (24, 16)
        assert 0 <= grid.min() < 0.1
        assert 0.5 < grid.max() <= 1
        assert np.isfinite(results[k].array(outputs[beside]["buffer"])).all()
