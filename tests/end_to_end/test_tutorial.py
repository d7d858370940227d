"""docs/tutorial.md is real: its files are written, its commands run, in their order."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from tectum.recording.reader import LogReader

TUTORIAL = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")
YAML, GROWN, COUNTER_LINE, LIGHT_LINE, HARD, PAGE_LINE, ROBOT_LINES = re.findall(
    r"```yaml\n(.*?)```", TUTORIAL, re.DOTALL
)
LISTEN, COUNTER, LIGHT = re.findall(r"```python\n(.*?)```", TUTORIAL, re.DOTALL)
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", TUTORIAL, re.DOTALL)
    for line in block.splitlines()
]

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        not files("tectum_models").joinpath("driving").is_dir(), reason="no driving models yet"
    ),
]


class Reader:
    """Somebody who follows the tutorial in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        runtime = folder / "runtime"
        runtime.mkdir(mode=0o700)
        places = {"XDG_RUNTIME_DIR": str(runtime), "TMPDIR": str(folder)}
        self.environment = {**os.environ, **places}  # runs of others are not seen

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the tutorial; drives are shortened, since a test has no eyes."""
        arguments = shlex.split(command.replace("--duration 10s", "--duration 6s"))
        assert arguments[0] == "tectum"
        return subprocess.run(
            [sys.executable, "-m", "tectum_launch", *arguments[1:]],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def follow(self, commands: list[str]) -> list[subprocess.CompletedProcess[str]]:
        """Run commands that should all succeed."""
        done = [self.run(command) for command in commands]
        for result in done:
            assert result.returncode == 0, result.stderr + result.stdout
        return done

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


def test_every_command_of_the_tutorial_does_what_it_says(reader: Reader) -> None:
    check, check_two, drive, mistake, silent, why, at, tight, why_tight, *rest = COMMANDS
    record, info, verify, why_log, simulate, *counting = rest[:8]

    reader.write("two.yaml", YAML)
    reader.follow([check])
    reader.write("two.yaml", GROWN)
    _, driven = reader.follow([check_two, drive])
    assert (reader.folder / "report.json").is_file()
    assert "perception fused camera, lidar" in driven.stdout

    wrong = reader.run(mistake)
    assert wrong.returncode == 2
    assert "did you mean 'tolerance'?" in wrong.stderr

    _, told, one = reader.follow([silent, why, at])
    assert "camera was silent from " in told.stdout
    assert "without camera (silent)" in one.stdout
    _, told = reader.follow([tight, why_tight])
    assert re.search(r"`tolerance: \d+ms` would have matched", told.stdout)

    _, _, verified, _, simulated = reader.follow([record, info, verify, why_log, simulate])
    assert "decisions again" in verified.stdout
    assert "digest" in simulated.stdout

    reader.write("counter.py", COUNTER)
    reader.write("two.yaml", GROWN.replace("\n  perception:", f"\n{COUNTER_LINE}\n  perception:"))
    *_, counted = reader.follow(counting)
    assert "counter/number" in counted.stdout


def test_the_graph_of_the_tutorial_grows_an_encoder_promises_a_page_and_a_robot(
    reader: Reader,
) -> None:
    *_, light, look, hard, page, drawn, robot = COMMANDS

    reader.write("light.py", LIGHT)
    grown = GROWN.replace("    accept:", f"{LIGHT_LINE}    accept:")
    reader.write("two.yaml", grown)
    fused, _ = reader.follow([light, look])
    assert "light" in fused.stdout
    with LogReader(reader.folder / "light.mcap") as log:
        results = [record.message for record in log.messages(["perception/result"])]
    answers = [
        message.array(outputs["day"]["buffer"])[0]
        for message in results
        if (outputs := message.header.fields.get("result", {}).get("outputs", {})).get("day")
    ]
    assert answers
    assert all(0 <= day <= 1 for day in answers)

    reader.write("hard.yaml", HARD)
    (held,) = reader.follow([hard])
    assert "what is asserted holds: 2 of 2" in held.stdout

    grown = grown.replace("\n  perception:", f"\n{PAGE_LINE}\n  perception:")
    reader.write("two.yaml", grown)
    seen, picture = reader.follow([page, drawn])
    assert "http://127.0.0.1:" in seen.stderr
    assert "dashboard/" not in picture.stdout
    assert "<- light   camera/image  nearest within 40 ms" in picture.stdout

    reader.write("two.yaml", f"{grown}\n{ROBOT_LINES}")
    (proven,) = reader.follow([robot])
    assert "0 errors" in proven.stdout


def test_any_python_process_gets_the_results(reader: Reader) -> None:
    reader.write("two.yaml", GROWN)
    reader.write("listen.py", LISTEN)
    command = [sys.executable, "-m", "tectum_launch", "launch", "two.yaml", "--duration", "20s"]
    graph = subprocess.Popen(
        command,
        cwd=reader.folder,
        env=reader.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert graph.stderr is not None
        while "warmed up" not in graph.stderr.readline():
            assert graph.poll() is None
        listener = subprocess.Popen(
            [sys.executable, "-u", "listen.py"],
            cwd=reader.folder,
            env=reader.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert listener.stdout is not None
        lines = [listener.stdout.readline() for _ in range(20)]
        listener.terminate()
        listener.communicate()
    finally:
        graph.terminate()
        graph.communicate(timeout=60)
    numbers = [int(line.split()[0]) for line in lines]
    assert numbers == list(range(numbers[0], numbers[0] + 20))
    assert any("cells with road users" in line for line in lines)
