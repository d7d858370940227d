from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tectum.errors import ConfigError
from tectum.inference.chain import Chain
from tectum.inference.encoder import OnnxEncoder
from tectum.inference.manifest import read_manifest
from tectum.inference.session import NeverStopped
from tectum.inference.stage import Cut, StageOutput
from tectum.message import Kind
from tectum.testing.messages import make_message
from tectum.testing.models import ENCODER, ENCODER_GRAPH, write_model

DETECTOR_GRAPH = """
<ir_version: 10, opset_import: ["" : 18]>
detector (uint8[1, 4, 6, 3] image) => (float[1, 2, 2] scores, float[1, 2, 4] corners)
<float[1, 2, 4] where = {0.0, 0.0, 0.5, 1.0,  0.5, 0.0, 1.0, 1.0}, float[1] white = {255.0},
 int64[3] halves = {1, 2, 2}, int64[4] split = {4, 2, 3, 3}, int64[3] over = {0, 2, 3}> {
    numbers = Cast<to: int = 1>(image)
    parts = Reshape(numbers, split)
    means = ReduceMean<keepdims: int = 0>(parts, over)
    share = Div(means, white)
    shape = Constant<value_ints: ints = [1, 2, 1]>()
    column = Reshape(share, shape)
    scores = Concat<axis: int = 2>(column, column)
    corners = Identity(where)
}
"""
"""Finds the left half and the right half of an image; how bright each is is its score."""

DETECTOR: dict[str, Any] = {
    "model": "test/halves",
    "version": 1,
    "licence": "Apache-2.0",
    "modality": "camera",
    "inputs": [{"name": "image", "kind": "image", "dtype": "uint8", "shape": [1, 4, 6, 3]}],
    "outputs": [
        {"name": "scores", "role": "tensor", "dtype": "float32", "shape": [1, 2, 2]},
        {"name": "corners", "role": "tensor", "dtype": "float32", "shape": [1, 2, 4]},
    ],
    "preprocess": [{"resize": {"width": 6, "height": 4}}],
    "postprocess": [
        {"ultraface": {"scores": "scores", "boxes": "corners", "min_score": 0.1}},
        {"nms": {"iou": 0.3}},
    ],
    "results": [
        {
            "name": "boxes",
            "role": "boxes",
            "dtype": "float32",
            "shape": ["n", 6],
            "labels": ["half"],
        },
    ],
}


def _encoder(folder: Path, graph: str, manifest: Any, **changes: Any) -> OnnxEncoder:
    return OnnxEncoder(read_manifest(write_model(folder, graph, manifest, **changes)), name="c")


def _detector(folder: Path, **changes: Any) -> OnnxEncoder:
    return _encoder(folder / "detector", DETECTOR_GRAPH, DETECTOR, **changes)


def _colour(folder: Path, **changes: Any) -> OnnxEncoder:
    steps = [{"around": {}}, {"resize": {"width": 6, "height": 4}}]
    return _encoder(folder / "colour", ENCODER_GRAPH, ENCODER, preprocess=steps, **changes)


def _run(chain: Chain, left: int, right: int) -> StageOutput:
    image = np.full((40, 60, 3), left, np.uint8)
    image[:, 30:] = right
    message = make_message("camera/image", Kind.IMAGE, image, encoding="bgr8")
    return chain.run("fp32", {"camera": Cut((message,))}, None, NeverStopped())


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    return Chain([_detector(tmp_path), _colour(tmp_path)], name="chain")


def test_the_second_model_sees_the_best_box(chain: Chain) -> None:
    output = _run(chain, 60, 200)
    assert output.arrays["boxes"][:, :4].tolist() == [[30, 0, 60, 40], [0, 0, 30, 40]]
    assert output.arrays["embedding"].tolist() == [[200, 200, 200]]
    assert output.facts["found"] == 2
    assert _run(chain, 200, 60).arrays["embedding"].tolist() == [[200, 200, 200]]


def test_where_nothing_is_found_the_second_model_does_not_run(chain: Chain) -> None:
    output = _run(chain, 0, 0)
    assert output.facts["found"] == 0
    assert list(output.arrays) == ["boxes"]
    assert output.arrays["boxes"].shape == (0, 6)


def test_its_outputs_are_those_of_all_its_models(chain: Chain) -> None:
    assert [output.name for output in chain.outputs] == ["boxes", "embedding", "bright"]
    assert list(chain.models) == ["test/halves", "test/camera"]


def test_it_can_be_warmed_up_and_closed(chain: Chain) -> None:
    chain.warm_up("fp32")
    chain.close()


def test_what_gives_no_boxes_cannot_begin_a_chain(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="test/camera gives no boxes"):
        Chain([_colour(tmp_path), _detector(tmp_path)], name="chain")


def test_two_results_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="two models of the chain give a result called 'boxes'"):
        Chain([_detector(tmp_path), _detector(tmp_path / "b")], name="chain")
