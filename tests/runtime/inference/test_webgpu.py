"""The device path on a device with memory of its own: WebGPU, on any driver that is there.

`.ci/webgpu` brings one that runs on a processor. What this proves about CUDA, and what it does
not: docs/gpu.md.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tectum.clock import NS_PER_S, GraphClock
from tectum.errors import ModelError
from tectum.inference.device import CPU, WEBGPU, choose_device, why_not
from tectum.inference.manifest import read_manifest
from tectum.inference.session import NeverStopped, Session
from tectum.inference.stage import Cancelled, Cut, StageOutput
from tectum.ledger.row import Outcome, Row
from tectum.message import Kind
from tectum.node.lanes import Lanes
from tectum.node.shell import Failure, Shell
from tectum.pipeline.plan import AlignPlan, InputPlan, Plan, StagePlan
from tectum.testing.messages import make_message
from tectum.testing.models import Stop, write_model

pytestmark = pytest.mark.skipif(
    bool(why_not(WEBGPU)), reason=f"no WebGPU here: {why_not(WEBGPU)}; see .ci/webgpu"
)

PROVIDER = "WebGpuExecutionProvider"
CLOSE = 1e-5

DET_GRAPH = """
<ir_version: 10, opset_import: ["" : 18]>
det (float[2, 2] x) => (float d) {
    y = Mul(x, x)
    d = Det(y)
}
"""
DET: dict[str, Any] = {
    "model": "test/det",
    "version": 1,
    "licence": "Apache-2.0",
    "modality": "matrix",
    "inputs": [{"name": "x", "kind": "tensor", "dtype": "float32", "shape": [2, 2]}],
    "outputs": [{"name": "d", "role": "tensor", "dtype": "float32", "shape": []}],
}


SHAPED_GRAPH = """
<ir_version: 10, opset_import: ["" : 18]>
shaped (float[6] x, int64[2] rows) => (float[n, m] y) {
    twice = Add(x, x)
    y = Reshape(twice, rows)
}
"""
SHAPED: dict[str, Any] = {
    **DET,
    "model": "test/shaped",
    "inputs": [
        {"name": "x", "kind": "tensor", "dtype": "float32", "shape": [6]},
        {"name": "rows", "kind": "constant", "dtype": "int64", "shape": [2]},
    ],
    "outputs": [{"name": "y", "role": "tensor", "dtype": "float32", "shape": ["n", "m"]}],
}


def test_it_satisfies_the_requirement_of_a_gpu() -> None:
    assert choose_device("gpu", prefer=["webgpu", "cpu"]) == WEBGPU
    assert choose_device("webgpu") == WEBGPU


def test_every_node_of_encoders_and_head_is_placed_there(perceive) -> None:
    perception = perceive(WEBGPU)
    stages = (*perception.encoders.values(), perception.head)
    placements = [stage.sessions["fp32"].placement() for stage in stages]
    assert [list(placement) for placement in placements] == [[PROVIDER]] * 3


def test_a_node_that_the_provider_lacks_shows_in_the_placement(tmp_path: Path) -> None:
    write_model(tmp_path, DET_GRAPH, DET)
    session = Session(read_manifest(tmp_path), "fp32", WEBGPU)
    assert session.placement() == {PROVIDER: 1, "CPUExecutionProvider": 1}


def test_options_reach_the_provider_and_a_wrong_one_is_refused_in_its_words(
    tmp_path, capfd
) -> None:
    write_model(tmp_path, DET_GRAPH, DET)
    manifest = read_manifest(tmp_path)
    good = choose_device("webgpu", options={"webgpu": {"preferredLayout": "NHWC"}})
    assert PROVIDER in Session(manifest, "fp32", good).placement()
    wrong = choose_device("webgpu", options={"webgpu": {"preferredLayout": "sideways"}})
    said = r"on webgpu: .*Invalid preferred layout: sideways.*was given \{preferredLayout: sidew"
    with pytest.raises(ModelError, match=said):
        Session(manifest, "fp32", wrong)
    assert "Falling back" not in "".join(capfd.readouterr())


def test_tensors_lie_on_the_device(perceive, images) -> None:
    perception = perceive(WEBGPU)
    code = perception.encode("camera", images(0)["camera"])
    assert code.arrays == {}
    assert code.held["code"].value.device_name() == "webgpu"  # type: ignore[attr-defined]
    code.release()


def test_answers_are_those_of_the_cpu_whatever_is_absent(perceive, images, copies) -> None:
    device, cpu = perceive(WEBGPU), perceive(CPU)
    everything = {"camera", "depth"}
    for seed, absent in enumerate([set(), {"camera"}, set(), {"depth"}, everything, set()]):
        there = {name: image for name, image in images(seed).items() if name not in absent}
        copies.take()
        answer = device.answer(there)
        made = copies.take()
        assert made["down"] == 1
        assert made.get("up", 0) <= len(there) + 1  # a mask goes up the first time it is needed
        assert "hidden" not in made
        np.testing.assert_allclose(answer, cpu.answer(there), atol=CLOSE, rtol=0)


def test_a_cancelled_run_leaves_the_session_correct(perceive, images) -> None:
    perception = perceive(WEBGPU)
    session = perception.encoders["camera"].sessions["fp32"]
    feeds = {"image": images(0)["camera"][None]}
    before = session.run(feeds, NeverStopped())["code"]
    stop = Stop()
    stop.on_stop = lambda action: action()
    for _ in range(100):
        with pytest.raises(Cancelled):
            session.run(feeds, stop)
    np.testing.assert_array_equal(session.run(feeds, NeverStopped())["code"], before)


def test_an_input_that_the_session_reads_on_the_host_is_written_there(tmp_path: Path) -> None:
    """What is bound elsewhere would be copied when it is bound, before it is written."""
    write_model(tmp_path, SHAPED_GRAPH, SHAPED)
    session = Session(read_manifest(tmp_path), "fp32", WEBGPU)
    for rows in (2, 3, 6, 2):
        feeds = {"x": np.arange(6, dtype=np.float32), "rows": np.array([rows, -1])}
        expected = 2 * feeds["x"].reshape(rows, -1)
        np.testing.assert_array_equal(session.run(feeds, NeverStopped())["y"], expected)


def test_recorded_runs_follow_their_inputs(perceive, images) -> None:
    device = choose_device("webgpu", options={"webgpu": {"enableGraphCapture": "1"}})
    recorded, cpu = perceive(device), perceive(CPU)
    for seed in range(6):
        expected = cpu.answer(images(seed))
        np.testing.assert_allclose(recorded.answer(images(seed)), expected, atol=CLOSE, rtol=0)


def test_a_batch_is_taken_apart_on_the_device(perceive, images, copies) -> None:
    device, cpu = perceive(WEBGPU), perceive(CPU)
    many = [
        {"camera": Cut((make_message("c/i", Kind.IMAGE, images(seed)["camera"], encoding="bgr8"),))}
        for seed in range(3)
    ]
    for _ in range(2):
        copies.take()
        outputs = device.encoders["camera"].run_together("fp32", many, NeverStopped())
        made = copies.take()
        for seed, output in enumerate(outputs):
            alone = cpu.encode("camera", images(seed)["camera"]).arrays["code"]
            np.testing.assert_allclose(output.array("code"), alone, atol=CLOSE, rtol=0)
            output.release()
    assert made["up"] == 1
    assert "down" not in made
    rows = device.encoders["camera"].sessions["fp32"]._rows["code"]
    placed = rows._buffers._session.get_provider_graph_assignment_info()
    assert [part.ep_name for part in placed] == [PROVIDER]


class Desk:
    """Where a shell's results go: kept, by trigger."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.answers: list[np.ndarray] = []
        self.failures: list[Failure] = []

    def deliver(self, row: Row, answer: StageOutput | None) -> None:
        self.rows.append(row)
        if answer is not None:
            self.answers.append(answer.arrays["scores"])

    def close_row(self, row: Row) -> None:
        """Need nothing of it."""

    def note(self, note: Any) -> None:
        """Need nothing of it."""

    def journal(self, events: Any) -> None:
        """Need nothing of it."""


class Live:
    """A shell with lanes around two encoders and a head."""

    def __init__(self, perception: Any, lanes: int) -> None:
        self.clock, self.desk, self.wake = GraphClock(), Desk(), threading.Event()
        self.lanes = Lanes(lanes, self.clock, on_done=self.wake.set)
        stages = {**perception.encoders, "head": perception.head}
        plan = Plan(
            "device",
            tuple(InputPlan(name, f"{name}/image", AlignPlan("exact"), name) for name in stages)[
                :2
            ],
            tuple(
                StagePlan(name, ("fp32",), model="" if name == "head" else stage.manifest.model)
                for name, stage in stages.items()
            ),
            "head",
            next(iter(stages)),
            budget_ns=60 * NS_PER_S,
            lanes=lanes,
            substitute=False,
        )
        failures = self.desk.failures
        self.shell = Shell(plan, stages, self.lanes, self.clock, self.desk, failures.append)

    def push(self, seq: int, images: dict[str, np.ndarray]) -> None:
        stamp_ns = self.clock.now_ns()
        for name, image in images.items():
            message = make_message(
                f"{name}/image", Kind.IMAGE, image, seq=seq, stamp_ns=stamp_ns, encoding="bgr8"
            )
            self.shell.push(name, message)

    def turn_until(self, count: int) -> None:
        while len(self.desk.rows) < count:
            self.shell.turn()
            self.wake.wait(0.01)
            self.wake.clear()


@pytest.fixture
def live(perceive) -> Iterator[Live]:
    perception = Live(perceive(WEBGPU), lanes=3)
    yield perception
    perception.lanes.close()


@pytest.mark.realtime
def test_500_runs_from_several_lanes_give_no_wrong_answer_and_no_hidden_copy(
    live, perceive, images, copies
) -> None:
    """170 sets of two encoders and a head, several open at a time."""
    cpu, count = perceive(CPU), 170
    expected = [cpu.answer(images(seed)) for seed in range(count)]
    copies.take()
    for seed in range(count):
        live.push(seed, images(seed))
        live.turn_until(seed - 3)
    live.turn_until(count)
    assert live.desk.failures == []
    assert {(row.outcome, row.reason) for row in live.desk.rows} == {(Outcome.COMPLETE, "complete")}
    np.testing.assert_allclose(np.stack(live.desk.answers), np.stack(expected), atol=CLOSE, rtol=0)
    made = copies.take()
    assert made["up"] <= 2 * count + 3  # samples that share a batch go up together
    assert made["down"] == count
    assert "hidden" not in made


@pytest.mark.realtime
def test_sets_one_after_the_other_cost_a_copy_per_input_and_one_per_result_and_no_new_memory(
    live, images, copies
) -> None:
    copies.take()
    for seed in range(20):
        live.push(seed, images(seed))
        live.turn_until(seed + 1)
    live.shell.turn()
    made = copies.take()
    assert (made["up"], made["down"]) == (40, 20)
    for stage in live.shell._stages.values():
        assert stage.sessions["fp32"]._buffers._made <= 3


@pytest.mark.realtime
def test_two_cameras_through_one_model_share_a_batch(twins, images, copies) -> None:
    pairs = [
        {"left": images(seed)["camera"], "right": images(100 + seed)["camera"]}
        for seed in range(20)
    ]
    cpu, live = twins(CPU), Live(twins(WEBGPU), lanes=2)
    expected = [cpu.answer(pair) for pair in pairs]
    for seed, pair in enumerate(pairs):
        if seed == 1:
            copies.take()
        live.push(seed, pair)
        live.turn_until(seed + 1)
    live.lanes.close()
    made = copies.take()
    np.testing.assert_allclose(np.stack(live.desk.answers), np.stack(expected), atol=CLOSE, rtol=0)
    assert (made["up"], made["down"]) == (19, 19)  # both pictures in one copy
