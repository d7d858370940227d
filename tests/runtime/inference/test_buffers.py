"""The device path, on a CPU that is told to be a device with memory of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tectum.errors import ModelError
from tectum.inference.buffers import FREE_SLOTS, DeviceTensor
from tectum.inference.device import CPU
from tectum.inference.encoder import OnnxEncoder
from tectum.inference.manifest import read_manifest
from tectum.inference.session import NeverStopped, Session
from tectum.inference.stage import Cancelled, Cut
from tectum.message import Kind
from tectum.testing.devices import APART
from tectum.testing.messages import make_message
from tectum.testing.models import ENCODER, ENCODER_GRAPH, Stop, write_model

TOTAL_GRAPH = """
<ir_version: 10, opset_import: ["" : 18]>
total (float[n] values, float[1] sum) => (float[1] sum_after, int64[m] where)
<int64[1] axis = {0}> {
    new = ReduceSum<keepdims: int = 1>(values, axis)
    sum_after = Add(sum, new)
    indices = NonZero(values)
    where = Squeeze(indices, axis)
}
"""
"""A running sum, and an output whose size only the run tells."""

TOTAL: dict[str, Any] = {
    "model": "test/total",
    "version": 1,
    "licence": "Apache-2.0",
    "modality": "numbers",
    "on": "sample",
    "stateful": True,
    "inputs": [
        {"name": "values", "kind": "tensor", "dtype": "float32", "shape": ["n"]},
        {"name": "sum", "kind": "state", "dtype": "float32", "shape": [1], "next": "sum_after"},
    ],
    "outputs": [
        {"name": "where", "role": "tensor", "dtype": "int64", "shape": ["m"]},
        {"name": "sum_after", "role": "state", "dtype": "float32", "shape": [1]},
    ],
}


def cut_of(image: np.ndarray) -> Cut:
    return Cut((make_message("camera/image", Kind.IMAGE, image, encoding="bgr8"),))


def _code(perception: Any, images: Any, seed: int = 0) -> Any:
    return perception.encode("camera", images(seed)["camera"])


def test_a_sample_goes_up_once_an_answer_comes_down_once_and_embeddings_stay(
    perceive, images, copies
) -> None:
    perception = perceive(APART)
    copies.take()
    perception.answer(images(1))
    assert copies.take() == {"up": 2, "across": 2, "down": 1}  # the mask is there since the warm-up
    perception.answer(images(2))
    assert copies.take() == {"up": 2, "across": 2, "down": 1}


def test_on_the_cpu_nothing_is_copied(perceive, images, copies) -> None:
    perception = perceive(CPU)
    copies.take()
    perception.answer(images(1))
    assert copies.take() == {"hidden": 3}  # plain runs: arrays in, arrays out


def test_answers_are_those_of_the_cpu_whatever_is_absent(perceive, images) -> None:
    apart, cpu = perceive(APART), perceive(CPU)
    for seed, absent in enumerate(["", "camera", "", "depth", "camera", ""]):
        there = {name: image for name, image in images(seed).items() if name != absent}
        np.testing.assert_allclose(apart.answer(there), cpu.answer(there), atol=1e-6)
    np.testing.assert_allclose(apart.answer({}), cpu.answer({}), atol=1e-6)


def test_what_is_absent_is_zeros_from_the_device(perceive, images, copies) -> None:
    perception = perceive(APART)
    perception.answer(images(1))
    copies.take()
    perception.answer({"depth": images(1)["depth"]})
    made = copies.take()
    assert (made["up"], made["down"]) == (2, 1)  # the sample, and once the mask of this case
    perception.answer(images(1))
    copies.take()
    perception.answer({"depth": images(2)["depth"]})
    assert copies.take() == {"up": 1, "across": 3, "down": 1}


def test_an_embedding_keeps_its_buffer_until_it_is_released(perceive, images) -> None:
    perception = perceive(APART)
    first = _code(perception, images, 1)
    value = first.array("code").copy()
    second = _code(perception, images, 2)
    assert isinstance(first.held["code"], DeviceTensor)
    assert first.held["code"].value is not second.held["code"].value
    np.testing.assert_array_equal(first.array("code"), value)
    first.release()
    first.release()  # once more does no harm
    third = _code(perception, images, 3)
    fourth = _code(perception, images, 4)
    assert third.held["code"].value is first.held["code"].value
    assert fourth.held["code"].value is not first.held["code"].value


def test_a_pool_keeps_few_free_buffers(perceive, images) -> None:
    perception = perceive(APART)
    outputs = [_code(perception, images, seed) for seed in range(FREE_SLOTS + 3)]
    for output in outputs:
        output.release()
    buffers = perception.encoders["camera"].sessions["fp32"]._buffers
    assert buffers is not None
    assert len(buffers._free) == FREE_SLOTS


def test_a_run_that_fails_or_is_cancelled_gives_its_buffers_back(tmp_path: Path) -> None:
    write_model(tmp_path, ENCODER_GRAPH, ENCODER)
    session = Session(read_manifest(tmp_path), "fp32", APART)
    image = {"image": np.full((1, 4, 6, 3), 51, np.uint8)}
    stop = Stop()
    stop.on_stop = lambda action: action()  # the flag of the run is set before it begins
    for _ in range(100):
        with pytest.raises(Cancelled):
            session.run(image, stop)
        assert session.run(image, NeverStopped())["embedding"].tolist() == [[51.0, 51.0, 51.0]]
    with pytest.raises(ModelError, match="failed"):
        session.run({"image": np.zeros((1, 9, 6, 3), np.uint8)}, NeverStopped())
    assert session._buffers is not None
    assert len(session._buffers._free) == 2  # one for each shape that was fed


def test_a_batch_is_one_upload_and_one_run_and_each_row_is_what_it_is_alone(
    perceive, images, copies
) -> None:
    apart, cpu = perceive(APART), perceive(CPU)
    encoder = apart.encoders["camera"]
    assert encoder.batch_key("fp32") is not None
    many = [{"camera": cut_of(images(seed)["camera"])} for seed in range(3)]
    for _ in range(2):  # the second time everything that stays is there
        copies.take()
        outputs = encoder.run_together("fp32", many, NeverStopped())
        made = copies.take()
        for seed, output in enumerate(outputs):
            alone = cpu.encode("camera", images(seed)["camera"]).arrays["code"]
            np.testing.assert_allclose(output.array("code"), alone, atol=1e-6)
            assert output.array("code").shape == (1, 16)
            output.release()
    assert made["up"] == 1
    assert "down" not in made


def test_rows_of_a_batch_are_fused_like_embeddings_of_their_own(perceive, images) -> None:
    apart, cpu = perceive(APART), perceive(CPU)
    many = [{"camera": cut_of(images(seed)["camera"])} for seed in range(2)]
    codes = apart.encoders["camera"].run_together("fp32", many, NeverStopped())
    for seed, code in enumerate(codes):
        expected = cpu.answer({"camera": images(seed)["camera"]})
        np.testing.assert_allclose(apart.fuse({"camera": code, "depth": None}), expected, atol=1e-6)


def test_on_the_cpu_lanes_do_not_share_batches(perceive) -> None:
    assert perceive(CPU).encoders["camera"].batch_key("fp32") is None


def test_results_that_are_no_embedding_come_down(tmp_path: Path, copies) -> None:
    write_model(tmp_path, ENCODER_GRAPH, ENCODER)
    encoder = OnnxEncoder(read_manifest(tmp_path), name="camera", device=APART)
    encoder.warm_up("fp32")
    copies.take()
    cut = cut_of(np.full((4, 6, 3), 51, np.uint8))
    output = encoder.run("fp32", {"camera": cut}, None, NeverStopped())
    assert (list(output.arrays), list(output.held)) == (["bright"], ["embedding"])
    assert output.arrays["bright"].tolist() == [pytest.approx(0.2)]
    assert copies.take() == {"up": 1, "down": 1}


def test_carried_state_stays_and_outputs_of_unknown_size_come_down(tmp_path: Path, copies) -> None:
    write_model(tmp_path, TOTAL_GRAPH, TOTAL)
    encoder = OnnxEncoder(read_manifest(tmp_path), name="numbers", device=APART)
    encoder.warm_up("fp32")
    state, runs = None, []
    copies.take()
    for values in ([1, 2, 0], [0, 4], [8, 16, 32]):
        cut = Cut((make_message("numbers/x", Kind.TENSOR, np.array(values, np.float32)),))
        runs.append(encoder.run("fp32", {"numbers": cut}, state, NeverStopped()))
        state = runs[-1].state
    assert copies.take() == {"up": 3, "across": 3, "down": 3}
    assert [run.arrays["where"].tolist() for run in runs] == [[0, 1], [1], [0, 1, 2]]
    assert state is not None
    assert state["sum"].numpy().tolist() == [63.0]
