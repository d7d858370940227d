"""A live run under load and with faults: verified and simulated again and again, always alike."""

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tectum.clock import GraphClock
from tectum.message import Header, Kind, Message
from tectum.recording.reader import LogReader
from tectum.recording.writer import LogWriter
from tectum_launch.cli import main

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(300)]

TEN = 10
FAULTS = """\
faults:
  - {input: camera, fault: drop, at: 500ms, for: 1s, share: 50%}
  - {input: camera, fault: reorder, share: 30%, at: 1500ms, for: 500ms}
  - {input: lidar, fault: jitter, by: 10ms, at: 1s, for: 2s}
  - {input: siren, fault: burst, at: 2s, for: 200ms}
  - {input: camera, fault: clock_step, by: -100ms, at: 2500ms, for: 300ms}
  - {node: microphone, fault: hang, at: 3s, for: 300ms}
  - {node: camera, fault: kill, at: 3500ms}
"""


@pytest.fixture(scope="module")
def busy() -> Iterator[None]:
    """As many processes as this one has processors, all of them at work."""
    spin = [sys.executable, "-c", "import os; os.nice(5)\nwhile True: pass"]
    spinning = [subprocess.Popen(spin) for _ in os.sched_getaffinity(0)]
    yield
    for process in spinning:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def live(busy: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Return the log and the report of five seconds of the drive."""
    folder = tmp_path_factory.mktemp("live")
    (folder / "run").mkdir(mode=0o700)
    (folder / "faults.yaml").write_text(FAULTS)
    log, report = folder / "drive.mcap", folder / "report.json"
    command = [sys.executable, "-m", "tectum_launch", "launch", "driving", "--duration", "5s"]
    command += ["--faults", str(folder / "faults.yaml"), "--set", "nodes.camera.on_exit=restart"]
    done = subprocess.run(
        [*command, "--record", str(log), "--report", str(report)],
        capture_output=True, text=True, timeout=200, check=False,
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder / "run")},
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode in (0, 1), said  # on a busy machine more may die than the faults ask
    found = json.loads(report.read_text())
    assert found["fusion"], said
    return log, found


def replay(log: Path, *options: str) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(main, ["replay", str(log), *options, "--json"])
    return result.exit_code, json.loads(result.stdout)


def test_ten_verifications_give_the_live_digest(live):
    log, report = live
    found = [replay(log) for _ in range(TEN)]
    assert [code for code, _ in found] == [0] * TEN
    digests = {document["fusion"][0]["decisions_sha256"] for _, document in found}
    assert digests == {report["decisions_sha256"]}
    assert report["triggers"] > 0
    assert sum(report["outcomes"].values()) == report["triggers"]


def test_ten_simulations_at_different_rates_have_one_digest(live):
    log, _ = live
    rates = ["2", "5", "10", "20", "50", "100", "200", "500", "1000"]
    found = [
        replay(log, "--mode", "simulate", *given) for given in [(), *(("--rate", r) for r in rates)]
    ]
    assert len(found) == TEN
    assert [code for code, _ in found] == [0] * TEN
    assert len({document["decisions_sha256"] for _, document in found}) == 1


def test_a_rate_only_throttles(live):
    log, _ = live
    with LogReader(log) as reader:
        journal = reader.topics["perception/journal"]
    clock = GraphClock()
    begun_ns = clock.now_ns()
    replay(log, "--mode", "simulate", "--rate", "2")
    assert clock.now_ns() - begun_ns > (journal.last_ns - journal.first_ns) / 2


def rewritten(log: Path, kind: Kind, change: Callable[[dict[str, Any]], bool]) -> Path:
    """Return a copy of a log in which `change` has changed the first message of `kind` it could."""
    target, pending = log.with_name(f"planted-{kind}.mcap"), True
    with LogReader(log) as reader, LogWriter(target) as writer:
        writer.write_run(reader.run, reader.span_ns[0])
        for at_ns, message in reader.messages(images="stored"):
            if message.header.kind is kind and pending:
                fields = copy.deepcopy(dict(message.header.fields))
                pending = not change(fields)
                message = Message(_with(message.header, fields))  # noqa: PLW2901 - in its place
            writer.write(message, at_ns)
    assert not pending
    return target


def _with(header: Header, fields: dict[str, Any]) -> Header:
    return header._replace(fields=fields)


def test_a_decision_that_was_changed_is_found_and_shown(live):
    def change(fields: dict[str, Any]) -> bool:
        for row in fields["rows"]:
            if row["trigger"] == 7:
                row["stamp_ns"] += 1
                return True
        return False

    code, document = replay(rewritten(live[0], Kind.LEDGER, change))
    assert code == 1
    (life,) = document["fusion"]
    assert not life["ok"]
    assert life["recorded_sha256"] != live[1]["decisions_sha256"]
    assert "trigger 7" in life["difference"]
    assert "stamp_ns" in life["difference"]


def test_an_event_that_was_changed_is_found_and_shown(live):
    def change(fields: dict[str, Any]) -> bool:
        for index, event in enumerate(fields["events"]):
            if event[0] == "a" and fields["first"] > 0:
                event[5] += 1_000_000
                changed.append(fields["first"] + index)
                return True
        return False

    changed: list[int] = []
    code, document = replay(rewritten(live[0], Kind.JOURNAL, change))
    assert code == 1
    (life,) = document["fusion"]
    assert life["event"] == changed[0]
    assert f"event {changed[0]} of the journal is not what was written" in life["difference"]
