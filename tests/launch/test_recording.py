"""A recorder joins a graph that is running, and the graph does not notice."""

import json
import signal
import subprocess
import sys

import msgpack
import pytest
from click.testing import CliRunner
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory

from tectum.clock import NS_PER_S
from tectum.errors import DataError
from tectum.recording.reader import LogReader
from tectum_launch.cli import main
from tectum_launch.recording import Joined, record_run

pytestmark = pytest.mark.realtime


def test_a_running_graph_is_recorded_for_a_while_and_goes_on(graph_file, launched_graph, tmp_path):
    launcher, run = launched_graph(graph_file(a="Ticker", b="Ticker"), 2)
    log = tmp_path / "a.mcap"
    assert record_run(Joined(log, ("a/*",), run["id"], NS_PER_S)) == log
    with LogReader(log) as reader:
        assert list(reader.topics) == ["a/tick"]
        assert reader.topics["a/tick"].messages >= 5
        assert reader.finished
    assert launcher.poll() is None
    launcher.send_signal(signal.SIGINT)
    launcher.communicate(timeout=10)
    assert launcher.returncode == 0


def test_a_recording_ends_with_the_run(graph_file, launched_graph, tmp_path):
    launcher, _ = launched_graph(graph_file(a="Ticker, ticks: 20"), 1)
    record_run(Joined(tmp_path / "a.mcap"))
    launcher.communicate(timeout=10)
    with LogReader(tmp_path / "a.mcap") as reader:
        assert reader.topics["a/tick"].messages > 5


def test_without_a_run_there_is_nothing_to_record(graph_file, tmp_path):
    result = CliRunner().invoke(main, ["record", "--output", str(tmp_path / "a.mcap")])
    assert result.exit_code == 1
    assert result.stderr.startswith("tectum: no run lives")


def test_a_log_that_exists_is_not_replaced(graph_file, launched_graph, tmp_path):
    launched_graph(graph_file(a="Ticker"), 1)
    (tmp_path / "a.mcap").write_bytes(b"precious")
    with pytest.raises(DataError, match="exists"):
        record_run(Joined(tmp_path / "a.mcap"))
    assert (tmp_path / "a.mcap").read_bytes() == b"precious"


def test_an_ordinary_reader_finds_all_that_a_run_is(tmp_path, monkeypatch):
    """Graph, rig, plan, journal, ledger, results and the hashes of models: with `mcap` alone."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    log = tmp_path / "drive.mcap"
    command = [sys.executable, "-m", "tectum_launch", "launch", "driving", "--duration", "6s"]
    subprocess.run([*command, "--record", str(log)], capture_output=True, check=False)

    with log.open("rb") as file:
        reader = make_reader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
        kept = {item.name: item.data for item in reader.iter_attachments()}
        facts = {item.name: item.metadata for item in reader.iter_metadata()}
        last = {item.channel.topic: item for item in reader.iter_decoded_messages()}
    run = json.loads(kept["tectum/run.json"])
    assert run["description"]["nodes"].keys() >= {"camera", "lidar", "perception"}
    assert run["description"]["rig"]["cameras"]
    assert "tectum/latched/perception/result" in kept  # the plan
    assert facts["tectum/run"]["graph"] == "driving"
    assert facts["tectum/recording"]["stopped"] == ""
    assert last["rig/camera"].schema.name == "foxglove.CameraCalibration"
    assert last["camera/image"].schema.name == "foxglove.CompressedImage"
    said = {topic: last[f"perception/{topic}"].decoded_message for topic in ("journal", "ledger")}
    assert all(message.header.fields for message in said.values())
    result = msgpack.unpackb(last["perception/result"].decoded_message.header.fields)["result"]
    assert result["models"].keys() >= {"driving/camera", "driving/lidar"}
    assert all(len(sha256) == 64 for sha256 in result["models"].values())
