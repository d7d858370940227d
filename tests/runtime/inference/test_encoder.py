from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tectum.errors import ConfigError, ModelError
from tectum.inference.encoder import OnnxEncoder
from tectum.inference.manifest import read_manifest
from tectum.inference.session import NeverStopped
from tectum.inference.stage import Cancelled, Cut, StageOutput
from tectum.message import Kind
from tectum.testing.messages import make_message
from tectum.testing.models import ENCODER, ENCODER_GRAPH, Stop, write_model

RUNNING_SUM_GRAPH = """
<ir_version: 10, opset_import: ["" : 18]>
running_sum (float[batch, n] sound, float[1, 1] total, float offset)
    => (float[batch, 1] sum, float[1, 1] total_after)
<int64[1] axis = {1}> {
    new = ReduceSum(sound, axis)
    shifted = Add(new, offset)
    sum = Add(shifted, total)
    total_after = Identity(sum)
}
"""
"""The sum of what was heard so far, with two samples of context counted again in each run."""

RUNNING_SUM: dict[str, Any] = {
    "model": "test/sum",
    "version": 1,
    "licence": "Apache-2.0",
    "modality": "sound",
    "on": "sample",
    "hop": 4,
    "stateful": True,
    "inputs": [
        {"name": "sound", "kind": "audio", "dtype": "float32", "shape": ["batch", 6],
         "rate_hz": 8000, "context": 2},
        {"name": "total", "kind": "state", "dtype": "float32", "shape": [1, 1],
         "next": "total_after"},
        {"name": "offset", "kind": "constant", "dtype": "float32", "shape": [], "value": 1000},
    ],
    "outputs": [
        {"name": "sum", "role": "tensor", "dtype": "float32", "shape": ["batch", 1]},
        {"name": "total_after", "role": "state", "dtype": "float32", "shape": [1, 1]},
    ],
    "results": [{"name": "sum", "role": "tensor", "dtype": "float32", "shape": ["batch", 1]}],
    "preprocess": [{"cast": {"dtype": "float32"}}],
}  # fmt: skip

CLOUD_GRAPH = """
<ir_version: 10, opset_import: ["" : 18]>
cloud (float[n, 2] points) => (float[1, 2] embedding) <int64[1] axis = {0}> {
    embedding = ReduceMax(points, axis)
}
"""

CLOUD: dict[str, Any] = {
    "model": "test/lidar",
    "version": 1,
    "licence": "Apache-2.0",
    "modality": "lidar",
    "inputs": [
        {"name": "points", "kind": "points", "dtype": "float32", "shape": ["points", 2],
         "fields": ["x", "intensity"]},
    ],
    "outputs": [{"name": "embedding", "role": "embedding", "dtype": "float32", "shape": [1, 2]}],
}  # fmt: skip


def _encoder(folder: Path, graph: str = ENCODER_GRAPH, manifest: Any = ENCODER, **changes: Any):
    write_model(folder, graph, manifest, **changes)
    return OnnxEncoder(read_manifest(folder), name="encoder")


def _image_cut(image: np.ndarray) -> Cut:
    message = make_message("camera/image", Kind.IMAGE, image, frame_id="front", encoding="bgr8")
    return Cut((message,))


def _run(encoder: OnnxEncoder, cut: Cut, state: Any = None) -> StageOutput:
    return encoder.run("fp32", {"input": cut}, state, NeverStopped())


def test_an_image_is_resized_and_encoded(tmp_path: Path) -> None:
    output = _run(_encoder(tmp_path), _image_cut(np.full((40, 60, 3), (10, 20, 51), np.uint8)))
    assert output.arrays["embedding"].tolist() == [[10, 20, 51]]
    assert output.arrays["bright"] == pytest.approx([81 / 3 / 255])
    assert output.facts == {"frame_id": "front", "size": (60, 40)}
    assert output.state is None


def test_an_embedding_keeps_its_batch_axis_and_other_results_lose_it(tmp_path: Path) -> None:
    output = _run(_encoder(tmp_path), _image_cut(np.zeros((4, 6, 3), np.uint8)))
    assert output.arrays["embedding"].shape == (1, 3)
    assert output.arrays["bright"].shape == (1,)


def test_its_outputs_say_which_modality_they_are(tmp_path: Path) -> None:
    encoder = _encoder(tmp_path)
    assert [output.name for output in encoder.outputs] == ["embedding", "bright"]
    assert encoder.outputs[0].facts["modality"] == "camera"
    assert list(encoder.models) == ["test/camera"]
    assert len(encoder.models["test/camera"]) == 64


def test_it_can_be_warmed_up_without_a_sensor(tmp_path: Path) -> None:
    _encoder(tmp_path / "image").warm_up("fp32")
    _encoder(tmp_path / "bare", preprocess=[]).warm_up("fp32")
    _encoder(tmp_path / "sum", RUNNING_SUM_GRAPH, RUNNING_SUM).warm_up("fp32")
    _encoder(tmp_path / "cloud", CLOUD_GRAPH, CLOUD).warm_up("fp32")


def test_a_sample_that_is_fed_as_it_comes_can_be_made_ready_before_its_turn(tmp_path: Path) -> None:
    encoder = _encoder(tmp_path, preprocess=[])
    cut = _image_cut(np.full((4, 6, 3), (10, 20, 51), np.uint8))
    job = encoder.prepared("fp32", {"input": cut})
    assert job is not None
    ready, plain = job(NeverStopped()), _run(encoder, cut)
    assert ready.facts == plain.facts
    assert {name: array.tolist() for name, array in ready.arrays.items()} == {
        name: array.tolist() for name, array in plain.arrays.items()
    }
    stopped = Stop()
    stopped.pull()
    with pytest.raises(Cancelled):
        job(stopped)


def test_what_takes_work_before_it_is_fed_is_left_to_the_lane(tmp_path: Path) -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    resized = _encoder(tmp_path / "resized")
    assert resized.prepared("fp32", {"input": _image_cut(image)}) is None
    as_it_comes = _encoder(tmp_path / "as it comes", preprocess=[])
    other = make_message("camera/image", Kind.IMAGE, image, encoding="rgb8")
    assert as_it_comes.prepared("fp32", {"input": Cut((other,))}) is None
    carries = _encoder(tmp_path / "sum", RUNNING_SUM_GRAPH, RUNNING_SUM)
    assert carries.prepared("fp32", {"input": _sound_cut(0, [1, 2, 3, 4], 0, 4)}) is None
    cloud = _encoder(tmp_path / "cloud", CLOUD_GRAPH, CLOUD)
    points = np.zeros((5, 2), np.float32)
    for names, ready in ((("x", "intensity"), True), (("intensity", "x"), False)):
        message = make_message("lidar/points", Kind.POINTS, points, names=names)
        job = cloud.prepared("fp32", {"input": Cut((message,))})
        assert (job is not None) is ready


def test_an_image_of_the_wrong_size_is_refused_where_nothing_resizes_it(tmp_path: Path) -> None:
    encoder = _encoder(tmp_path, preprocess=[])
    with pytest.raises(ModelError) as caught:
        _run(encoder, _image_cut(np.zeros((5, 6, 3), np.uint8)))
    assert "its input 'image' is uint8 ['batch', 4, 6, 3]" in str(caught.value)
    assert "came to uint8 [1, 5, 6, 3] after preprocessing" in str(caught.value)


def _sound_cut(first: int, samples: list[int], begin: int, length: int) -> Cut:
    array = np.array(samples, np.int16)[:, None]
    message = make_message("mic/audio", Kind.AUDIO, array, first=first, rate_hz=8000)
    return Cut((message,), begin, length)


def test_a_stateful_model_carries_its_state_and_the_sound_just_before(tmp_path: Path) -> None:
    encoder = _encoder(tmp_path, RUNNING_SUM_GRAPH, RUNNING_SUM)
    first = _run(encoder, _sound_cut(0, [1, 2, 3, 4], 0, 4))
    assert first.arrays["sum"].tolist() == [1010]  # 1000 + (0 + 0) + 10
    second = _run(encoder, _sound_cut(4, [5, 5, 5, 5], 4, 4), first.state)
    assert second.arrays["sum"].tolist() == [1010 + 1000 + (3 + 4) + 20]
    third = _run(encoder, _sound_cut(8, [0, 0, 0, 0], 8, 4), second.state)
    assert third.arrays["sum"].tolist() == [2037 + 1000 + (5 + 5)]


def test_without_its_state_it_begins_anew(tmp_path: Path) -> None:
    encoder = _encoder(tmp_path, RUNNING_SUM_GRAPH, RUNNING_SUM)
    cut = _sound_cut(0, [1, 2, 3, 4], 0, 4)
    first = _run(encoder, cut)
    kept = {name: array.copy() for name, array in (first.state or {}).items()}
    _run(encoder, cut, first.state)
    assert _run(encoder, cut).arrays["sum"].tolist() == first.arrays["sum"].tolist()
    assert all(np.array_equal(kept[name], array) for name, array in (first.state or {}).items())


def test_gaps_in_the_sound_are_told(tmp_path: Path) -> None:
    encoder = _encoder(tmp_path, RUNNING_SUM_GRAPH, RUNNING_SUM)
    output = _run(encoder, _sound_cut(0, [1, 2], 0, 4))
    assert output.facts == {"gap": 2}
    assert output.arrays["sum"].tolist() == [1003]


def test_points_are_taken_by_the_names_of_their_fields(tmp_path: Path) -> None:
    encoder = _encoder(tmp_path, CLOUD_GRAPH, CLOUD)
    points = np.array([[1, 0, 0, 0.5], [7, 0, 0, 0.2]], np.float32)
    names = ("x", "y", "z", "intensity")
    cut = Cut((make_message("lidar/points", Kind.POINTS, points, names=names),))
    assert _run(encoder, cut).arrays["embedding"] == pytest.approx(np.array([[7, 0.5]]))
    wrong = Cut((make_message("lidar/points", Kind.POINTS, points, names=("x", "y", "z", "ring")),))
    with pytest.raises(ModelError, match=r"the model also wants \['intensity'\]"):
        _run(encoder, wrong)


def test_an_empty_cloud_is_the_models_own_affair(tmp_path: Path) -> None:
    encoder = _encoder(tmp_path, CLOUD_GRAPH, CLOUD)
    empty = make_message("l/points", Kind.POINTS, np.zeros((0, 2), np.float32),
                         names=("x", "intensity"))  # fmt: skip
    output = _run(encoder, Cut((empty,)))
    assert output.arrays["embedding"].shape == (1, 2)


def test_a_run_that_is_stopped_is_cancelled(tmp_path: Path) -> None:
    stop = Stop()
    stop.pull()
    cut = _image_cut(np.zeros((4, 6, 3), np.uint8))
    with pytest.raises(Cancelled):
        _encoder(tmp_path).run("fp32", {"input": cut}, None, stop)


def test_several_views_of_one_image_are_several_runs(tmp_path: Path) -> None:
    tiles = {"tiles": {"regions": [[0, 0, 0.5, 1], [0.5, 0, 1, 1]]}}
    encoder = _encoder(tmp_path, preprocess=[tiles, {"resize": {"width": 6, "height": 4}}])
    image = np.zeros((4, 12, 3), np.uint8)
    image[:, 6:] = 9
    assert _run(encoder, _image_cut(image)).arrays["embedding"].tolist() == [[0] * 3, [9] * 3]


def test_a_wrong_step_is_found_when_the_encoder_is_built(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"preprocess\[0\]\.resise: unknown step"):
        _encoder(tmp_path, preprocess=[{"resise": {}}])


def test_an_encoder_takes_one_sample(tmp_path: Path) -> None:
    twice = [{**ENCODER["inputs"][0], "name": name} for name in ("image", "other")]
    with pytest.raises(ConfigError, match=r"takes one input of kind .* found image, other"):
        _encoder(tmp_path, inputs=twice)
