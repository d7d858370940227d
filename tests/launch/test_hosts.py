"""Graphs over several hosts: who runs where, what is secured, and two hosts for real."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tectum.clock import NS_PER_S, GraphClock
from tectum.errors import ConfigError
from tectum.testing.models import ENCODER, ENCODER_GRAPH, write_model
from tectum.testing.waiting import until
from tectum.transport.keys import make_keys, trust
from tectum.transport.pool_file import leftover_pools
from tectum_launch.compile import load_graph
from tectum_launch.findings import GraphError
from tectum_launch.run_folder import RunFolder

ADDRESSES = {"robot": "10.77.0.1", "desk": "10.77.0.2"}
GRAPH = """
graph: apart
budget: 400ms
hosts: {robot: 10.77.0.1, desk: 10.77.0.2}
nodes:
  camera: {run: simulated_camera, host: robot, rate: 10Hz, scale: 2}
  microphone: {run: simulated_microphone, host: robot}
  mirror: {run: simulated_camera, host: desk, rate: 10Hz}
  perception:
    run: fusion
    host: desk
    trigger: {rate: 5Hz}
    inputs:
      front: {topic: camera/image, align: {latest: {max_age: 500ms}}, encoder: ./camera}
      rear: {topic: mirror/image, align: {latest: {max_age: 500ms}}, encoder: ./camera}
    accept: [[front, rear], [front], [rear]]
    head: {late: mean}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "apart.yaml"
    path.write_text(GRAPH)
    write_model(tmp_path / "camera", ENCODER_GRAPH, ENCODER)
    return path


@pytest.fixture(autouse=True)
def _runs_here(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("TECTUM_KEYS", str(tmp_path / "keys"))


def test_each_host_starts_its_own_nodes_and_without_a_host_all_run_here(file):
    names = {
        host: [node.name for node in load_graph(str(file), host=host).here]
        for host in ("robot", "desk", "")
    }
    assert names == {
        "robot": ["camera", "microphone"],
        "desk": ["mirror", "perception"],
        "": ["camera", "microphone", "mirror", "perception"],
    }


def test_both_hosts_know_the_same_ports_and_only_needed_ones_are_opened(file):
    runs = {}
    for host in ADDRESSES:
        folder = RunFolder.create(load_graph(str(file), host=host), GraphClock())
        runs[host] = json.loads((folder.path / "run.json").read_text())
        folder.remove()
    robot, desk = (runs[host]["nodes"] for host in ADDRESSES)
    assert robot["camera"]["remote"] == desk["camera"]["endpoint"] == "tcp://10.77.0.1:7401"
    assert desk["microphone"]["endpoint"] == "tcp://10.77.0.1:7402"
    assert "remote" not in robot["microphone"]
    assert desk["camera"]["host"] == "robot"
    assert "remote" not in desk["mirror"]
    assert "remote" not in desk["perception"]
    assert robot["camera"]["subscribers"] == ["perception"]
    assert runs["desk"]["hosts"] == {
        "here": "desk",
        "clocks": {"robot": "tcp://10.77.0.1:7400"},
        "insecure": False,
    }


def test_an_unknown_host_is_named_with_the_nearest(file):
    with pytest.raises(ConfigError, match=r"--host robt: .* did you mean 'robot'"):
        load_graph(str(file), host="robt")
    with pytest.raises(GraphError, match="has no host 'dsk'; did you mean 'desk'"):
        load_graph(str(file), ["nodes.perception.host=dsk"])
    with pytest.raises(GraphError, match="is not the one numeric address of a host"):
        load_graph(str(file), ["hosts.desk=0.0.0.0"])


LINKS = "\nlinks: {camera/image: {jpeg: 70}, mirror/image: jpeg}\n"


def test_a_topic_goes_as_jpeg_only_to_hosts_that_hear_it(file):
    file.write_text(GRAPH + LINKS)
    run = RunFolder.create(load_graph(str(file), host="robot"), GraphClock())
    camera = json.loads((run.path / "run.json").read_text())["nodes"]["camera"]
    run.remove()
    assert camera["links"] == {"camera/image": 70}
    run = RunFolder.create(load_graph(str(file), host="desk"), GraphClock())
    mirror = json.loads((run.path / "run.json").read_text())["nodes"]["mirror"]
    run.remove()
    assert "links" not in mirror


@pytest.mark.parametrize(
    ("links", "finding"),
    [
        ("{camra/image: jpeg}", "no node publishes 'camra/image'; allowed: camera/image"),
        ("{microphone/audio: jpeg}", "microphone/audio is of kind audio: only pictures (image)"),
        ("{camera/image: png}", "'png' is not a mapping"),
        ("{camera/image: {jpeg: 101}}", "links.camera/image.jpeg: 101 should be less than"),
        ("{camera/image: {webp: 3}}", "unknown key 'webp'; allowed: jpeg"),
    ],
)
def test_what_is_wrong_with_a_link_is_named_with_its_line(file, links, finding):
    file.write_text(f"{GRAPH}\nlinks: {links}\n")
    with pytest.raises(GraphError) as caught:
        load_graph(str(file))
    assert finding in str(caught.value)
    assert f"apart.yaml:{GRAPH.count(chr(10)) + 2}:" in str(caught.value)


def test_without_the_keys_of_the_other_host_nothing_is_started(file, tmp_path):
    launched = launch_here(file, "desk", tmp_path / "keys")
    assert "this host has no keys" in launched.stderr
    make_keys("desk", tmp_path / "keys")
    launched = launch_here(file, "desk", tmp_path / "keys")
    assert "the key of host 'robot' is not known here" in launched.stderr
    assert "tectum keys trust robot KEY" in launched.stderr
    assert launched.returncode == 2


def launch_here(file, host, keys):
    command = [sys.executable, "-m", "tectum_launch", "launch", str(file), "--host", host]
    environment = {**os.environ, "TECTUM_KEYS": str(keys)}
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=60, check=False
    )


# -- two hosts, as two network namespaces


def may_make_hosts():
    if os.geteuid() != 0:
        return "needs root, to make network namespaces"
    try:
        made = subprocess.run(
            ["ip", "netns", "add", "tectum-probe"], capture_output=True, check=False
        )
    except FileNotFoundError:
        return "needs the command `ip` (Debian: iproute2)"
    subprocess.run(["ip", "netns", "del", "tectum-probe"], capture_output=True, check=False)
    return "" if made.returncode == 0 else f"cannot make network namespaces: {made.stderr!r}"


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def hosts(tmp_path):
    """Two network namespaces on one cable, and keys by which they know each other."""
    reason = may_make_hosts()
    if reason:
        pytest.skip(reason)
    spaces = {name: f"tectum-{name}-{os.getpid()}" for name in ADDRESSES}
    cables = {name: f"tt{name[:1]}{os.getpid()}" for name in ADDRESSES}
    try:
        for space in spaces.values():
            ip("netns", "add", space)
        ip("link", "add", cables["robot"], "type", "veth", "peer", "name", cables["desk"])
        for name, address in ADDRESSES.items():
            ip("link", "set", cables[name], "netns", spaces[name])
            ip("-n", spaces[name], "addr", "add", f"{address}/24", "dev", cables[name])
            ip("-n", spaces[name], "link", "set", cables[name], "up")
            ip("-n", spaces[name], "link", "set", "lo", "up")
        for name, other in (("robot", "desk"), ("desk", "robot")):
            (tmp_path / name).mkdir(mode=0o700)
            make_keys(name, tmp_path / name / "keys")
            trust(other, "00" * 32, tmp_path / name / "keys")  # until both exist
        for name, other in (("robot", "desk"), ("desk", "robot")):
            own = json.loads((tmp_path / name / "keys" / "own.json").read_text())
            trust(name, own["public"], tmp_path / other / "keys")
        yield spaces, cables
    finally:
        for space in spaces.values():
            subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)


AHEAD = """
import sys, time
now_ns = time.time_ns
time.time_ns = lambda: now_ns() + 3_000_000_000
from tectum_launch.cli import main
main()
"""
"""The command line of a host whose time of day is three seconds ahead."""


def start(file, spaces, name, folder, *more, program=("-m", "tectum_launch"), output=None):
    command = ["ip", "netns", "exec", spaces[name], sys.executable, *program]
    command += ["launch", str(file), "--host", name, *more]
    environment = {
        **os.environ,
        "TECTUM_KEYS": str(folder / name / "keys"),
        "XDG_RUNTIME_DIR": str(folder / name),
    }
    return subprocess.Popen(
        command,
        stdout=output or subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )


def report_of(folder: Path):
    """Return what perception has counted so far."""
    for path in (folder / "desk" / "tectum").glob("[!.]*/perception.report.json"):
        return json.loads(path.read_text())
    return {"outcomes": {}}


def results_of(folder: Path):
    """Return how many results perception has counted so far, and of which kind."""
    return report_of(folder)["outcomes"]


def offset_of(folder: Path, host: str):
    """Return what a host's graph clock adds to the monotonic one, which both hosts share here."""
    (path,) = (folder / host / "tectum").glob("[!.]*/run.json")
    return json.loads(path.read_text())["offset_ns"]


@pytest.mark.realtime
@pytest.mark.timeout(180)
def test_a_graph_over_two_hosts_gives_results_and_recovers_when_the_link_was_cut(
    file, hosts, tmp_path
):
    spaces, cables = hosts
    file.write_text(GRAPH + LINKS)
    report = tmp_path / "report.json"
    processes = [
        start(file, spaces, "robot", tmp_path, "--duration", "100s", program=("-c", AHEAD)),
        start(file, spaces, "desk", tmp_path, "--duration", "100s", "--report", str(report)),
    ]
    desk = processes[1]
    try:
        until(lambda: results_of(tmp_path).get("complete", 0) > 10, 60)
        assert offset_of(tmp_path, "robot") - offset_of(tmp_path, "desk") > 2 * NS_PER_S
        before = results_of(tmp_path)
        ip("-n", spaces["robot"], "link", "set", cables["robot"], "down")
        clock = GraphClock()
        clock.sleep_until_ns(clock.now_ns() + 5 * NS_PER_S)
        until(lambda: results_of(tmp_path).get("partial", 0) > before.get("partial", 0) + 10)
        cut = results_of(tmp_path)
        assert cut["complete"] < before["complete"] + 15
        ip("-n", spaces["robot"], "link", "set", cables["robot"], "up")
        until(lambda: results_of(tmp_path).get("complete", 0) > cut["complete"] + 10, 30)
        desk.terminate()
        said, _ = desk.communicate(timeout=30)
        assert desk.returncode == 0, said
        document = json.loads(report.read_text())
        assert document["restarts"] == {}
        assert document["deaths"] == []
        assert document["unexplained_loss"] == 0
        assert sum(document["outcomes"].values()) == document["triggers"]
        front, rear = (document["inputs"][name] for name in ("front", "rear"))
        assert front["missing"]["silent"] > 10
        assert rear["fresh"] > document["triggers"] * 0.9
        assert abs(front["skew_ms"]["p50"]) < 500  # with both clocks' stamps side by side: 3 s
        sizes = [document["transport"][topic] for topic in ("camera/image", "mirror/image")]
        far, near = (size["bytes"] / size["received"] for size in sizes)
        assert far < 320 * 240 * 3 / 2 < near, "as JPEG over the link, raw on this host"
    finally:
        for process in processes:
            process.terminate()
            process.communicate(timeout=30)


@pytest.mark.realtime
@pytest.mark.timeout(120)
def test_a_host_whose_key_is_not_trusted_is_told_so_on_both_sides(file, hosts, tmp_path):
    spaces, _ = hosts
    trust("desk", "11" * 32, tmp_path / "robot" / "keys")
    logs = {name: tmp_path / f"{name}.log" for name in ADDRESSES}
    processes = []
    for name, log in logs.items():
        with log.open("w") as output:
            processes.append(start(file, spaces, name, tmp_path, output=output))
    expected = {
        "robot": "its key is not trusted; if it is yours, run: tectum keys trust",
        "desk": "is refused by tcp://10.77.0.1:7401: the key of this host is not trusted there",
    }

    def told(name):
        return expected[name] in " ".join(logs[name].read_text().split())

    try:
        until(lambda: all(map(told, ADDRESSES)), 60)
    finally:
        for process in processes:
            process.terminate()
            process.communicate(timeout=30)


FIRST = {"robot": "camera", "desk": "mirror"}
"""A node of each host."""
STOPS = int(os.environ.get("TECTUM_STOPS", "3"))
TURNS = (
    ("robot", signal.SIGTERM),
    ("desk", signal.SIGKILL),
    ("robot", signal.SIGINT),
    ("desk", signal.SIGTERM),
    ("robot", signal.SIGKILL),
    ("desk", signal.SIGINT),
)
"""Which host's launcher is stopped first, and how; the other is asked to end afterwards."""
WORDS = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C"}


def left(spaces, folder, runs):
    """Return what is still there of two hosts: processes, folders of runs, shared memory."""
    pids = [
        pid
        for space in spaces.values()
        for pid in subprocess.run(
            ["ip", "netns", "pids", space], capture_output=True, text=True, check=True
        ).stdout.split()
    ]
    folders = [path for name in ADDRESSES for path in (folder / name / "tectum").glob("[!.]*")]
    return pids + folders + [pool for run in runs for pool in leftover_pools(run)]


@pytest.mark.realtime
@pytest.mark.timeout(60 + 60 * STOPS)
def test_a_graph_over_two_hosts_is_stopped_again_and_again_and_leaves_nothing(
    file, hosts, tmp_path
):
    """`TECTUM_STOPS=10` stops it more often than a usual run does."""
    spaces, _ = hosts
    for number in range(STOPS):
        first, how = TURNS[number % len(TURNS)]
        (second,) = ADDRESSES.keys() - {first}
        asked = {first: how, second: (signal.SIGTERM, signal.SIGINT)[number % 2]}
        launchers = {name: start(file, spaces, name, tmp_path) for name in ADDRESSES}
        try:
            until(lambda: results_of(tmp_path).get("complete", 0) > 5, 60)
            folders = [next((tmp_path / name / "tectum").glob("[!.]*")) for name in ADDRESSES]
            launchers[first].send_signal(how)
            said = {first: launchers[first].communicate(timeout=20)[0]}
            if second == "desk":
                before = results_of(tmp_path).get("partial", 0)
                until(lambda seen=before: results_of(tmp_path).get("partial", 0) > seen + 5, 20)
            launchers[second].send_signal(asked[second])
            said[second], _ = launchers[second].communicate(timeout=20)
            runs = [folder.name for folder in folders]
            until(lambda names=runs: not left(spaces, tmp_path, names), 5)
            for name, text in said.items():
                assert "Traceback" not in text, text
                assert " E " not in text, text  # no line of a node is an error
                if asked[name] is signal.SIGKILL:
                    assert launchers[name].returncode == -signal.SIGKILL
                    continue
                assert launchers[name].returncode == 0, text
                assert re.search(
                    rf"^apart ran \d.* s: {WORDS[asked[name]]}$", text, re.MULTILINE
                ), text
                assert name != "desk" or "\n  lost without a reason: 0\n" in text, text
        finally:
            for launcher in launchers.values():
                launcher.kill()
                launcher.communicate()


def has_begun(folder, node):
    """Return whether a node of a run has a process."""
    nodes = json.loads((folder / "run.json").read_text()).get("nodes", {})
    return bool(nodes.get(node, {}).get("pid"))


@pytest.mark.realtime
@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("alone", ["robot", "desk"])
def test_a_host_whose_other_never_came_is_stopped_and_leaves_nothing(
    file, hosts, tmp_path, alone, how
):
    spaces, _ = hosts
    launcher = start(file, spaces, alone, tmp_path)
    try:
        folder = until(lambda: next((tmp_path / alone / "tectum").glob("[!.]*"), None), 60)
        until(lambda: has_begun(folder, FIRST[alone]), 60)
        launcher.send_signal(how)
        said, _ = launcher.communicate(timeout=20)
        until(lambda: not left(spaces, tmp_path, [folder.name]), 5)
    finally:
        launcher.kill()
        launcher.communicate()
    assert "Traceback" not in said
    assert launcher.returncode == (0 if how is signal.SIGTERM else -how), said
