"""A recording as a file for the trace viewer."""

import gzip
import json

import pytest
from click.testing import CliRunner

from tectum_launch.cli import main


@pytest.mark.realtime
def test_a_recorded_drive_becomes_a_timeline(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = ["launch", "driving", "--duration", "2s", "--record", "drive.mcap"]
    CliRunner().invoke(main, run)
    done = CliRunner().invoke(main, ["trace", "drive.mcap"])
    assert done.exit_code == 0, done.output
    with gzip.open("drive.json.gz", "rt") as file:
        events = json.load(file)["traceEvents"]
    assert done.output.startswith(f"drive.json.gz: {len(events)} events; ")
    names = {event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert names == {
        "fusion perception", "camera/image", "lidar/points", "microphone/audio",
        "perception/result",
    }  # fmt: skip
    assert any(event["name"] == "encode_lidar" for event in events)
    assert all(event["dur"] >= 0 for event in events if event["ph"] == "X")


def test_a_file_that_is_no_log_is_told(tmp_path):
    path = tmp_path / "x.mcap"
    path.write_text("no log")
    done = CliRunner().invoke(main, ["trace", str(path)])
    assert done.exit_code == 1
    assert "x.mcap" in done.stderr
