"""Every model that we made has a card with its size, parameters and measured latency."""

import itertools
import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

from tectum.inference.manifest import read_manifest, sizes_of

SHIPPED = Path(__file__).parents[2] / "models/tectum_models"
FILES = [
    (manifest, variant)
    for path in sorted(SHIPPED.rglob("model.yaml"))
    for manifest in [read_manifest(path.parent)]
    for variant in manifest.variants
    if variant.file
]
"""Manifests and variants whose file we ship."""
HEADS = [pair for pair in FILES if any(tensor.kind == "mask" for tensor in pair[0].inputs)]


def _named(pair) -> str:
    manifest, variant = pair
    return f"{manifest.folder.parent.name}/{manifest.folder.name}-{variant.name}"


def test_there_are_models_to_look_at():
    assert len(FILES) >= 10
    assert len(HEADS) >= 4


@pytest.mark.parametrize("pair", FILES, ids=_named)
def test_a_card_says_size_parameters_and_latency_of_each_file(pair):
    manifest, variant = pair
    card = (manifest.folder / "CARD.md").read_text()
    (line,) = [line for line in card.splitlines() if f"| {variant.file} |" in line]
    path = manifest.folder / variant.file
    (size,) = re.findall(r"([\d,]+) KB", line)
    assert int(size.replace(",", "")) * 1000 == pytest.approx(path.stat().st_size, rel=0.05)
    assert f"{variant.latency_ms['cpu']:.2f} ms" in line
    said = re.findall(r"([\d,]{4,}) (?:learned )?parameters", card)
    said += re.findall(r"\| ([\d,]{4,}) \|", line)
    (parameters,) = {int(number.replace(",", "")) for number in said}
    assert 0 < parameters <= 1.01 * _numbers(path)  # the export folds what is only added


def _numbers(path: Path) -> int:
    """Return how many numbers a file holds: its parameters are some of them."""
    graph = onnx.load(path).graph
    held = [numpy_helper.to_array(tensor).size for tensor in graph.initializer]
    held += [
        numpy_helper.to_array(attribute.t).size
        for node in graph.node
        for attribute in node.attribute
        if attribute.HasField("t")
    ]
    return sum(held)


@pytest.mark.parametrize("junk", [float("nan"), float("inf"), -1e30])
@pytest.mark.parametrize("pair", HEADS, ids=_named)
def test_no_mask_makes_a_head_answer_with_what_is_no_number(pair, junk):
    manifest, variant = pair
    session = ort.InferenceSession(
        str(manifest.folder / variant.file), providers=["CPUExecutionProvider"]
    )
    (mask,) = [tensor for tensor in manifest.inputs if tensor.kind == "mask"]
    count = mask.shape[-1]
    rng = np.random.default_rng(1)
    for present in itertools.product((0.0, 1.0), repeat=count):
        feeds = {mask.name: np.array([present], np.float32)}
        senses = [tensor for tensor in manifest.inputs if tensor.kind in ("embedding", "scores")]
        assert len(senses) == count
        for tensor, here in zip(senses, present, strict=True):
            value = rng.uniform(0, 1, sizes_of(tensor.shape)).astype(np.float32)
            feeds[tensor.name] = value if here else np.full_like(value, junk)
        for tensor in manifest.inputs:
            if tensor.kind == "age":
                feeds[tensor.name] = np.array(
                    [[0.05 if here else junk for here in present]], np.float32
                )
            elif tensor.kind in ("elapsed", "state"):
                feeds[tensor.name] = np.full(sizes_of(tensor.shape), 0.2, np.float32)
        for answer in session.run(None, feeds):
            assert np.isfinite(answer).all(), present
