"""Tiny models for tests, written from text: no training, no download, a few hundred bytes each.

`write_model` makes the folder that a manifest describes. It needs the package `onnx` (extra
`dev`). `Stop` is a stopper that a test pulls by hand.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["ENCODER", "ENCODER_GRAPH", "HEAD", "HEAD_GRAPH", "Stop", "write_model"]

ENCODER_GRAPH = """
<ir_version: 10, opset_import: ["" : 18]>
encoder (uint8[batch, 4, 6, 3] image) => (float[batch, 3] embedding, float[batch, 1] bright)
<int64[2] over = {1, 2}, int64[3] all = {1, 2, 3}, float[1] white = {255.0}> {
    numbers = Cast<to: int = 1>(image)
    embedding = ReduceMean<keepdims: int = 0>(numbers, over)
    mean = ReduceMean<keepdims: int = 0>(numbers, all)
    share = Div(mean, white)
    one = Constant<value_ints: ints = [1]>()
    bright = Unsqueeze(share, one)
}
"""
"""The mean colour of a small image, and how bright it is."""

ENCODER: dict[str, Any] = {
    "model": "test/camera",
    "version": 1,
    "licence": "Apache-2.0",
    "modality": "camera",
    "inputs": [
        {"name": "image", "kind": "image", "dtype": "uint8", "shape": ["batch", 4, 6, 3]},
    ],
    "outputs": [
        {"name": "embedding", "role": "embedding", "dtype": "float32", "shape": ["batch", 3]},
        {"name": "bright", "role": "probability", "dtype": "float32", "shape": ["batch", 1]},
    ],
    "preprocess": [{"resize": {"width": 6, "height": 4}}],
}

HEAD_GRAPH = """
<ir_version: 10, opset_import: ["" : 18]>
head (float[batch, 3] camera, float[batch, 3] lidar, float[batch, 2] present)
    => (float[batch, 1] seen, float[batch, 1] masked, float[batch, 1] there)
<int64[1] axis = {1}, float[1] hundred = {100.0}, int64[2] halves = {1, 1}> {
    camera_sum = ReduceSum(camera, axis)
    lidar_sum = ReduceSum(lidar, axis)
    lidar_part = Mul(lidar_sum, hundred)
    seen = Add(camera_sum, lidar_part)
    camera_mask, lidar_mask = Split<axis: int = 1>(present, halves)
    camera_left = Mul(camera_sum, camera_mask)
    lidar_left = Mul(lidar_part, lidar_mask)
    masked = Add(camera_left, lidar_left)
    there = ReduceSum(present, axis)
}
"""
"""Sums that show what the head was fed: all of it, what the mask lets through, and the mask."""

HEAD: dict[str, Any] = {
    "model": "test/head",
    "version": 1,
    "licence": "Apache-2.0",
    "modalities": ["camera", "lidar"],
    "inputs": [
        {"name": "camera", "kind": "embedding", "dtype": "float32", "shape": ["batch", 3]},
        {"name": "lidar", "kind": "embedding", "dtype": "float32", "shape": ["batch", 3]},
        {"name": "present", "kind": "mask", "dtype": "float32", "shape": ["batch", 2]},
    ],
    "outputs": [
        {"name": name, "role": "tensor", "dtype": "float32", "shape": ["batch", 1]}
        for name in ("seen", "masked", "there")
    ],
}


def write_model(folder: Path, graph: Any, manifest: Mapping[str, Any], **changes: Any) -> Path:
    """Write `graph` (ONNX's text form, or a model made with it) and its manifest into `folder`.

    `changes` replace keys of the manifest; a `variants` that is not given is the file written.
    """
    import onnx  # noqa: PLC0415 - of the dev extra

    folder.mkdir(parents=True, exist_ok=True)
    model = onnx.parser.parse_model(graph) if isinstance(graph, str) else graph
    onnx.checker.check_model(model)
    data = model.SerializeToString()
    (folder / "model.onnx").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    variants = [{"name": "fp32", "file": "model.onnx", "sha256": digest}]
    document = {"variants": variants, **manifest, **changes}
    # JSON is YAML.
    (folder / "model.yaml").write_text(json.dumps(document, indent=1), encoding="utf-8")
    return folder


class Stop:
    """A stopper that a test pulls by hand."""

    def __init__(self) -> None:
        """Begin not stopped."""
        self.stopped = False
        self.actions: list[Callable[[], None]] = []

    def on_stop(self, action: Callable[[], None]) -> None:
        """Keep `action` for `pull`."""
        self.actions.append(action)

    def pull(self) -> None:
        """Stop the run."""
        self.stopped = True
        for action in self.actions:
            action()
