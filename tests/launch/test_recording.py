"""A recorder joins a graph that is running, and the graph does not notice."""

import json
import os
import re
import signal
import subprocess
import sys

import msgpack
import pytest
from click.testing import CliRunner
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory

from tectum.clock import NS_PER_S, GraphClock
from tectum.errors import DataError
from tectum.recording.reader import LogReader
from tectum.recording.series_reader import open_log
from tectum_launch.cli import main
from tectum_launch.recording import Joined, record_run
from tectum_nodes.dashboard.viewing import Viewing

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


JUDGED = """
graph: judged
include: driving
nodes:
  truth: {run: simulated_truth, rate: 10Hz}
  recorder: {run: recorder, path: drive.mcap, flush: 100ms, on_exit: restart}
"""


@pytest.mark.timeout(180)
def test_a_recorder_that_was_killed_and_brought_back_has_written_one_recording(
    tmp_path, monkeypatch, until, launched_graph
):
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.chdir(tmp_path)
    graph = tmp_path / "judged.yaml"
    graph.write_text(JUDGED)
    log, second = tmp_path / "drive.mcap", tmp_path / "drive-2.mcap"
    launcher, run = launched_graph(graph, 6)
    until(lambda: log.stat().st_size > 4_000_000)
    os.kill(run["nodes"]["recorder"]["pid"], signal.SIGKILL)
    until(lambda: second.is_file() and second.stat().st_size > 4_000_000)
    launcher.send_signal(signal.SIGINT)
    launcher.communicate(timeout=30)

    def said(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(main, [*words])
        assert done.exit_code == code, done.output
        return done.output

    gap = "drive-2.mcap: the recorder was started again; nothing was recorded for "
    document = json.loads(said("log", "info", str(log), "--json"))
    assert sum(text.startswith(gap) for text in document["complaints"]) == 1
    assert document["complaints"][1].startswith("drive.mcap: cut short")
    assert [part["path"] for part in document["parts"]] == [str(log), str(second)]
    verified = said("replay", str(log), code=1)
    assert gap in verified
    assert re.search(r"the [1-9]\d* decisions before it are the same again, the [1-9]\d*", verified)
    first = json.loads(said("replay", str(log), "--mode", "simulate", "--json"))
    assert first == json.loads(said("replay", str(log), "--mode", "simulate", "--json"))
    judged = tmp_path / "eval.json"
    said("eval", str(log), "--graph", str(graph), "--claimed", "--json", str(judged))
    (found,) = json.loads(judged.read_text())["graphs"].values()
    condition = next(item for item in found["conditions"] if item["name"] == "as it is")
    with open_log(log) as reader:
        sweeps = reader.topics["lidar/points"].messages
        assert sum(condition["outcomes"].values()) >= sweeps
        assert reader.span_ns[1] > reader.gaps[0].end_ns
    assert condition["outcomes"]["complete"] > 0
    with Viewing(log, GraphClock()) as viewing:
        assert gap in viewing.recorded.reader.complaints[0]
        viewing.recorded.seek(viewing.recorded.end_ns)
        viewing.turn()
    assert "triggers from" in said("why", str(log))
