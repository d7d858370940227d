"""C++ programs on libzmq and MessagePack alone, in a running graph: pictures in, answers out."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tectum.clock import NS_PER_S, GraphClock
from tectum.testing.models import ENCODER, ENCODER_GRAPH, write_model

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(300)]

EXAMPLES = Path(__file__).parents[2] / "examples" / "cpp"
RESULTS = 30
GRAPH = """
graph: foreign
budget: 400ms
nodes:
  eye: {run: program, command: PROGRAM, outputs: {image: image}, rate: 30Hz}
  perception:
    run: fusion
    trigger: eye
    inputs:
      eye: {topic: eye/image, encoder: ./camera}
    head: {late: mean}
"""


def lacking():
    """Return what is missing to build the examples, or an empty string."""
    if shutil.which("g++") is None or shutil.which("make") is None:
        return "needs g++ and make"
    source = "#include <zmq_addon.hpp>\n#include <msgpack.hpp>\n"
    command = ["g++", "-std=c++17", "-DMSGPACK_NO_BOOST", "-fsyntax-only", "-x", "c++", "-"]
    found = subprocess.run(command, input=source, text=True, capture_output=True, check=False)
    headers = "needs the headers of cppzmq and msgpack-cxx: apt-get install libzmq3-dev cppzmq-dev"
    return "" if found.returncode == 0 else f"{headers} libmsgpack-cxx-dev"


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    reason = lacking()
    if reason:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("cpp")
    for file in EXAMPLES.iterdir():
        shutil.copy(file, folder)
    flags = "CXXFLAGS=-O1 -Wall -Wextra -Werror"
    made = subprocess.run(
        ["make", "-C", folder, flags], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture
def launched(programs, tmp_path):
    """The graph at work: its process, its run.json, and where its report will be."""
    runtime, report = tmp_path / "run", tmp_path / "report.json"
    runtime.mkdir(mode=0o700)
    write_model(tmp_path / "camera", ENCODER_GRAPH, ENCODER)
    graph = tmp_path / "graph.yaml"
    graph.write_text(GRAPH.replace("PROGRAM", str(programs / "publisher")))
    command = [sys.executable, "-m", "tectum_launch", "launch", str(graph)]
    process = subprocess.Popen(
        [*command, "--report", str(report)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "XDG_RUNTIME_DIR": str(runtime)},
    )
    clock = GraphClock()
    until_ns = clock.now_ns() + 60 * NS_PER_S
    while not (found := list(runtime.glob("tectum/[!.]*/perception.pub"))):
        assert clock.now_ns() < until_ns, "the graph did not begin"
        assert process.poll() is None, process.communicate()
        clock.sleep_until_ns(clock.now_ns() + NS_PER_S // 20)
    yield process, json.loads((found[0].parent / "run.json").read_text()), report
    process.kill()
    process.communicate()


def test_a_cpp_publisher_is_fused_and_a_cpp_subscriber_hears_results_and_health(launched, programs):
    process, run, report = launched
    endpoint = run["nodes"]["perception"]["endpoint"]
    heard = subprocess.run(
        [programs / "subscriber", endpoint, "perception", str(RESULTS)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert heard.returncode == 0, heard.stdout + heard.stderr
    lines = heard.stdout.splitlines()
    assert lines[-1] == f"heard {RESULTS} results, 0 missing, 0 refused"
    numbers = [int(line.split()[1]) for line in lines if line.startswith("result ")]
    assert numbers == list(range(numbers[0], numbers[0] + RESULTS))
    assert any(re.fullmatch(r"health running \d+ triggers, unexplained loss 0", x) for x in lines)
    brightness = [float(x.rpartition("first ")[2]) for x in lines if " complete complete " in x]
    assert brightness, lines
    assert {round(value, 3) for value in brightness} <= {round(look(x), 3) for x in range(48)}
    assert len(set(brightness)) > 1, "the square wanders"
    process.terminate()
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    document = json.loads(report.read_text())
    assert document["deaths"] == []
    assert document["unexplained_loss"] == 0
    assert document["inputs"]["eye"]["received"] >= RESULTS


def look(left):
    """Return how bright the test's model finds the publisher's picture, whose square is there."""
    picture = np.full((48, 64, 3), 16, np.uint8)
    picture[16:32, left : left + 16] = 240
    return float(cv2.resize(picture, (6, 4), interpolation=cv2.INTER_LINEAR).mean()) / 255
