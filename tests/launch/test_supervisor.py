"""Supervision of real processes: they begin together, die, come back, and never stay behind."""

import contextlib
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tectum.clock import NS_PER_S, GraphClock
from tectum.rundir import process_started, read_run
from tectum.transport.subscriber import ZmqSubscriber
from tectum_launch.child import Child
from tectum_launch.compile import load_graph
from tectum_launch.launch import launch
from tectum_launch.members import Limits
from tectum_launch.nursery import Nursery
from tectum_launch.run_folder import RunFolder

pytestmark = pytest.mark.realtime


def _speaks(folder, node):
    """Return whether a message of `node` comes now."""
    endpoint, topic = read_run(folder)["nodes"][node]["endpoint"], f"{node}/tick"
    ear = ZmqSubscriber("test", [endpoint], [topic], GraphClock(), nodes=[node])
    with contextlib.closing(ear):
        ear.wait(NS_PER_S // 2)
        return any(item.message is not None for item in ear.drain())


class Heard:
    """A listener that keeps what it is told."""

    def __init__(self):
        self.lines = []

    def __call__(self, node, level, text):
        self.lines.append((node, level, text))

    def texts(self, node):
        return [text for name, _, text in self.lines if name == node]


def run(path, **options):
    heard = Heard()
    launched = launch(load_graph(str(path)), heard, **options)
    return launched, heard


def nothing_is_left(tmp_path: Path) -> bool:
    return not list((tmp_path / "run" / "tectum").iterdir())


def test_a_graph_runs_for_its_duration_and_leaves_nothing(graph_file, tmp_path):
    launched, heard = run(graph_file(a="Ticker", b="Hearer"), duration_ns=NS_PER_S)
    assert launched.exit_code == 0
    assert launched.report["ended_because"] == "1.00 s are over"
    (told,) = [text for text in heard.texts("b") if text.startswith("heard")]
    assert int(told.split()[1]) >= 5
    assert nothing_is_left(tmp_path)


def test_a_graph_ends_when_its_sources_have_ended_and_the_listener_hears_the_last_word(
    graph_file, tmp_path
):
    launched, heard = run(graph_file(a="Ticker, ticks: 3", b="Hearer"))
    assert launched.exit_code == 0
    assert launched.report["ended_because"] == "all sources have ended"
    assert "heard 3" in heard.texts("b")
    assert nothing_is_left(tmp_path)


def test_a_node_that_dies_is_named_with_its_last_words(graph_file, tmp_path):
    graph = graph_file(a="Ticker, die_at: 2", b="Ticker, ticks: 8")
    launched, heard = run(graph)
    assert launched.exit_code == 1
    assert "died: exit code 7: I cannot go on; the graph goes on without it" in heard.texts("a")
    assert [death["node"] for death in launched.report["deaths"]] == ["a"]
    assert "has ended" in heard.texts("b")
    assert nothing_is_left(tmp_path)


def test_a_node_is_brought_back_where_the_graph_says_so(graph_file, tmp_path):
    once = tmp_path / "once"
    graph = graph_file(a=f"Ticker, ticks: 4, die_at: 1, once: {once}, on_exit: restart", b="Hearer")
    launched, heard = run(graph)
    assert "restarts (1)" in heard.texts("a")
    assert launched.report["restarts"] == {"a": 1}
    assert launched.report["ended_because"] == "all sources have ended"
    assert launched.exit_code == 1


def test_a_node_that_cannot_start_stops_the_launch_with_its_sentence(graph_file, tmp_path):
    launched, heard = run(graph_file(a="Missing", b="Ticker"))
    sentence = "a could not start: there is no ticker on this machine: plug one in"
    assert sentence in heard.texts("a")
    assert launched.report["failure"] == sentence
    assert launched.exit_code == 1
    assert nothing_is_left(tmp_path)


def test_a_node_that_is_never_ready_stops_the_launch(graph_file, tmp_path):
    launched, _ = run(graph_file(a="NeverReady"), limits=Limits(ready_ns=2 * NS_PER_S))
    assert launched.report["failure"] == "a could not start: it did not open within 2.00 s"
    assert nothing_is_left(tmp_path)


def test_a_node_that_heeds_nothing_is_killed_all_the_same(graph_file, tmp_path):
    launched, _ = run(graph_file(a="Stubborn", b="Hearer"), duration_ns=NS_PER_S // 2)
    assert launched.report["stop_s"] < 3.0  # asked, SIGTERM, SIGKILL: 1.7 s, and a margin
    assert launched.exit_code == 0
    assert nothing_is_left(tmp_path)


def test_ctrl_c_stops_everything_and_is_no_failure(graph_file, launched_graph, tmp_path):
    launcher, _ = launched_graph(graph_file(a="Ticker", b="Hearer"), 2)
    launcher.send_signal(signal.SIGINT)
    out, _ = launcher.communicate(timeout=10)
    assert launcher.returncode == 0
    assert "Ctrl-C" in out
    assert nothing_is_left(tmp_path)


def test_a_sensor_killed_from_outside_is_named_by_its_signal(graph_file, launched_graph):
    graph = graph_file(a="Ticker", b="Ticker, ticks: 20", c="Hearer")
    launcher, document = launched_graph(graph, 3)
    os.kill(document["nodes"]["a"]["pid"], signal.SIGKILL)
    out, err = launcher.communicate(timeout=20)
    assert launcher.returncode == 1
    assert "a died" in out
    assert "killed by SIGKILL; the graph went on without it" in out
    assert "died: killed by SIGKILL; the graph goes on without it" in err


SPEAKER = "import time\nwhile True:\n    time.sleep(1)\n"


def test_nothing_outlives_a_launcher_that_was_killed(graph_file, launched_graph, tmp_path, until):
    program = tmp_path / "speaker.py"
    program.write_text(SPEAKER)
    graph = graph_file(
        a="Ticker, process: both",
        b="Hearer, process: both",
        c="Stubborn",
        d="Ticker, env: {OWN: '1'}",
        e="Big",
    )
    command = f"{sys.executable} {program}"
    entry = f"  f: {{run: program, command: '{command}', outputs: {{text: text}}}}"
    graph.write_text(f"{graph.read_text()}{entry}\n")
    launcher, document = launched_graph(graph, 6)
    pools = until(lambda: pools_of(document["id"]))
    alive = until(lambda: below(launcher.pid) if str(program) in " ".join(words()) else None)
    assert {record["pid"] for record in document["nodes"].values()} < alive
    launcher.kill()
    until(lambda: not any(process_started(pid) for pid in alive))
    until(lambda: nothing_is_left(tmp_path) and not pools_of(document["id"]))
    assert pools
    assert str(program) not in " ".join(words())


def words():
    """Return the command lines of all processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


def below(pid):
    """Return the processes that descend from a process."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            parents[int(path.parent.name)] = int(fields[1])
    found, more = set(), {pid}
    while more:
        more = {child for child, parent in parents.items() if parent in more} - found
        found |= more
    return found


def pools_of(run):
    return list(Path("/dev/shm").glob(f"tectum-{run}-*"))


def test_nodes_are_found_by_their_names_among_the_processes(graph_file, launched_graph):
    _, document = launched_graph(graph_file(a="Ticker", b="Hearer"), 2)
    for name, record in document["nodes"].items():
        line = Path(f"/proc/{record['pid']}/cmdline").read_bytes().split(b"\0")
        assert line[line.index(b"--node") + 1] == name.encode()


def test_nodes_are_started_from_scratch_where_the_nursery_does_not_answer(graph_file, tmp_path):
    with Nursery() as nursery:
        assert nursery._process is not None
        nursery._process.kill()
        launched = launch(
            load_graph(str(graph_file(a="Ticker, ticks: 3", b="Hearer"))),
            Heard(),
            nursery=nursery,
        )
    assert launched.exit_code == 0
    assert launched.report["ended_because"] == "all sources have ended"
    assert nothing_is_left(tmp_path)


def test_a_nursery_that_died_is_replaced_and_the_new_one_sees_to_the_end(graph_file, until):
    with Nursery() as nursery:
        first = nursery._process
        assert first is not None
        until(nursery._is_ready)
        first.kill()
        first.wait()
        nursery.born(1 << 22)  # noticed when it is told something
        assert nursery._process is not None
        assert nursery._process.pid != first.pid
        until(nursery._is_ready)


def test_a_node_finds_the_environment_of_the_launch_and_its_own(graph_file, monkeypatch):
    with Nursery() as nursery:
        monkeypatch.setenv("TECTUM_TEST_LATER", "told")
        heard = Heard()
        graph = graph_file(a="Environment", b="Environment, env: {TECTUM_TEST_OWN: own}")
        launch(load_graph(str(graph)), heard, nursery=nursery)
    assert "told none" in heard.texts("a")
    assert "told own" in heard.texts("b")


def test_a_node_may_be_a_class_beside_a_file_that_is_included(graph_file, tmp_path):
    whole = graph_file()
    part = tmp_path / "part"
    part.mkdir()
    (tmp_path / "small_nodes.py").rename(part / "beside_the_part.py")
    (part / "part.yaml").write_text("nodes: {a: {run: 'beside_the_part:Ticker', ticks: 3}}\n")
    whole.write_text("graph: whole\ninclude: part/part.yaml\n")
    launched, heard = run(whole)
    assert launched.exit_code == 0, heard.lines
    assert "has ended" in heard.texts("a")


def test_nodes_may_share_a_process_and_end_one_by_one(graph_file, tmp_path):
    graph = graph_file(
        a="Ticker, ticks: 3, process: both", b="Ticker, ticks: 9, process: both", c="Hearer"
    )
    launched, heard = run(graph)
    assert launched.exit_code == 0
    assert launched.report["ended_because"] == "all sources have ended"
    ended = [node for node, _, text in heard.lines if text == "has ended"]
    assert ended == ["a", "b"]
    assert "heard 12" in heard.texts("c")
    assert nothing_is_left(tmp_path)


def test_nodes_that_share_a_process_share_its_end(graph_file, launched_graph):
    graph = graph_file(a="Ticker, process: both", b="Hearer, process: both", c="Ticker, ticks: 20")
    launcher, document = launched_graph(graph, 3)
    pids = {name: record["pid"] for name, record in document["nodes"].items()}
    assert pids["a"] == pids["b"] != pids["c"]
    os.kill(pids["a"], signal.SIGKILL)
    out, _ = launcher.communicate(timeout=20)
    assert launcher.returncode == 1
    assert [f"{name} died" in out for name in "abc"] == [True, True, False]


def test_a_failing_node_is_named_among_those_of_its_process(graph_file, tmp_path):
    launched, _ = run(graph_file(a="Ticker, process: both", b="Missing, process: both"))
    assert launched.report["failure"] == (
        "b could not start: there is no ticker on this machine: plug one in"
    )
    assert nothing_is_left(tmp_path)


def test_a_frozen_node_is_ended_and_brought_back_and_the_report_says_how_soon(
    graph_file, launched_graph, tmp_path, until
):
    report = tmp_path / "report.json"
    graph = graph_file(a="Ticker, on_exit: restart", b="Ticker", c="Hearer")
    launcher, document = launched_graph(graph, 3, "--report", str(report))
    frozen = document["nodes"]["a"]["pid"]
    os.kill(frozen, signal.SIGSTOP)
    until(lambda: not process_started(frozen))
    folder = tmp_path / "run" / "tectum" / document["id"]
    until(lambda: read_run(folder)["nodes"]["a"]["pid"] not in (0, frozen))
    until(lambda: _speaks(folder, "a"))
    launcher.send_signal(signal.SIGINT)
    out, err = launcher.communicate(timeout=30)
    assert "hangs: no sign of life for" in err
    assert "restarts (1)" in err
    (death,) = json.loads(report.read_text())["deaths"]
    assert death["node"] == "a"
    assert death["cause"].startswith("hung: no sign of life for ")
    assert death["cause"].endswith("; it ended by SIGKILL")
    assert death["recovery_s"] > 0.7
    assert "it was restarted, and spoke again after" in out


def test_whether_a_process_is_stopped_is_seen(graph_file, tmp_path, until):
    folder = RunFolder.create(load_graph(str(graph_file(a="Ticker"))), GraphClock())
    child = Child(("a",), folder.path, {**os.environ, "PYTHONPATH": str(tmp_path)})
    try:
        assert not child.is_frozen()
        for number, frozen in ((signal.SIGSTOP, True), (signal.SIGCONT, False)):
            child.signal(number)
            until(lambda frozen=frozen: child.is_frozen() is frozen)
            assert child.exit_code() is None
    finally:
        child.signal(signal.SIGKILL)
        child.close()
        folder.remove()


def test_a_loop_that_does_nothing_is_ended_and_one_that_said_so_is_left_in_peace(graph_file):
    graph = graph_file(
        a="Sleeper, on_exit: restart, restart: {most: 1}",
        b="Sleeper, says: true, on_exit: restart",
        c="Ticker, ticks: 60",
    )
    launched, heard = run(graph, duration_ns=8 * NS_PER_S)
    assert [death["node"] for death in launched.report["deaths"]] == ["a", "a"]
    assert all(death["cause"].startswith("hung: ") for death in launched.report["deaths"])
    assert any("it is given up after 1 restarts" in text for text in heard.texts("a"))
    assert not any("hangs" in text for text in heard.texts("b"))
