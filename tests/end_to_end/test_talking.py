"""Is this person speaking, and with what expression? The shipped graph on a clip, in processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tectum.message import Kind, Message
from tectum.recording.reader import LogReader

pytestmark = [pytest.mark.data, pytest.mark.realtime]

GRAPH = Path(__file__).parents[2] / "launch" / "tectum_launch" / "graphs" / "talking.yaml"
CLIP = "talking_faces/brbk7n.mpg"


def _launch(data: Path, folder: Path, *settings: str) -> tuple[dict[str, Any], list[Message]]:
    """Run the shipped graph with a recorder; return its report and its results in order."""
    log, report, graph = folder / "log.mcap", folder / "report.json", folder / "talking.yaml"
    recorder = f"  recorder: {{run: recorder, path: {log}, topics: [perception/result]}}\n"
    graph.write_text(GRAPH.read_text() + recorder)
    options = [part for setting in settings for part in ("--set", setting)]
    command = [sys.executable, "-m", "tectum_launch", "launch", str(graph), *options]
    done = subprocess.run(
        [*command, "--report", str(report)],
        env={**os.environ, "TECTUM_DATA": str(data)}, cwd=folder,
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    with LogReader(log) as reader:
        messages = [record.message for record in reader.messages(["perception/result"])]
    results = [message for message in messages if message.header.kind is Kind.RESULT]
    return json.loads(report.read_text()), results


def _output(message: Message, name: str) -> np.ndarray:
    return message.array(message.header.fields["result"]["outputs"][name]["buffer"])


def test_a_clip_gets_one_answer_every_200_ms(data_folder: Path, tmp_path: Path) -> None:
    clip = data_folder / CLIP
    report, results = _launch(data_folder, tmp_path, f"clip={clip}", "budget=none")
    assert report["outcomes"]["shed"] == 0
    assert report["triggers"] == len(results)
    stamps = [message.header.stamp_ns for message in results]
    assert set(np.diff(stamps)) == {200_000_000}
    assert 14 <= len(results) <= 16  # of a clip of 3 s
    speaking = np.array([float(_output(message, "speaking")[0]) for message in results])
    # a sentence of about 1.5 s with silence before and after
    assert speaking[0] < 0.5
    assert 4 <= (speaking > 0.5).sum() <= 11
    for message in results:
        outputs = message.header.fields["result"]["outputs"]
        assert outputs["expression"]["labels"][-1] == "neutral"
        assert _output(message, "expression").sum() == pytest.approx(1, abs=1e-3)
        assert _output(message, "face").shape == (1, 6)
